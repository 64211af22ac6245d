"""What tells one model's weights from another's, without reading all of them."""

from __future__ import annotations

import hashlib
import pathlib
import re

WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".gguf")
SAMPLES = 256  # spots read of a weight file ...
SAMPLE_BYTES = 4096  # ... each of this size: other weights differ at nearly every spot
DIGEST = re.compile(r"[0-9a-f]{64}")


class UnknownModel(Exception):
    """The weights can't be found or read."""


def digest(name: str) -> str:
    """A digest of the weights of a folder or of a model in the Hugging Face cache."""
    folder = _folder(name)
    files = sorted(path for path in folder.rglob("*") if path.suffix in WEIGHTS or path.name == "config.json")
    if not any(path.suffix in WEIGHTS for path in files):
        raise UnknownModel(f"no weights in {folder}")
    total = hashlib.sha256()
    for path in files:
        total.update(f"{path.relative_to(folder)}\0{_content(path)}\n".encode())
    return total.hexdigest()


def _folder(name: str) -> pathlib.Path:
    path = pathlib.Path(name)
    if path.is_dir():
        return path
    if path.is_file():
        return path.parent
    try:
        from huggingface_hub import snapshot_download

        return pathlib.Path(snapshot_download(name, local_files_only=True))
    except Exception as error:
        raise UnknownModel(f"{name} is neither a folder nor in the Hugging Face cache: {error}") from error


def _content(path: pathlib.Path) -> str:
    # The Hugging Face cache names a large file by its SHA-256.
    real = path.resolve()
    if real.parent.name == "blobs" and DIGEST.fullmatch(real.name):
        return real.name
    size = path.stat().st_size
    found = hashlib.sha256(size.to_bytes(8, "little"))
    with open(path, "rb") as file:
        if size <= SAMPLES * SAMPLE_BYTES:
            found.update(file.read())
            return found.hexdigest()
        for sample in range(SAMPLES):
            file.seek((size - SAMPLE_BYTES) * sample // (SAMPLES - 1))
            found.update(file.read(SAMPLE_BYTES))
    return found.hexdigest()
