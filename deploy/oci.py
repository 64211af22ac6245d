#!/usr/bin/env python3
"""Images and Crossplane packages as OCI layouts, without Docker. Needs Python 3.11 and nothing else.

    deploy/oci.py image    --binary target/release/onefill --out FOLDER
    deploy/oci.py function --binary target/release/onefill --out FOLDER
    deploy/oci.py configuration --binary target/release/onefill --out FOLDER

`image` holds the program and the shared libraries that it is linked with, taken from this machine.
`function` is the same image with Crossplane's package layer, so that one reference is both; `configuration`
is a package alone: definition and composition. Copy a layout to a registry with `skopeo copy
oci:FOLDER docker://REGISTRY/NAME:TAG` or `crane push FOLDER REGISTRY/NAME:TAG`. The same input gives the
same bytes.
"""

import argparse
import gzip
import hashlib
import io
import json
import pathlib
import platform
import re
import subprocess
import tarfile

DEPLOY = pathlib.Path(__file__).resolve().parent
USER = 65532
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
AUTHORITIES = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
CONFIG = "application/vnd.oci.image.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


class Layout:
    def __init__(self, folder):
        self.folder = folder
        (folder / "blobs/sha256").mkdir(parents=True, exist_ok=True)

    def blob(self, kind, data, **more):
        """Stores bytes; what points to them."""
        digest = hashlib.sha256(data).hexdigest()
        (self.folder / "blobs/sha256" / digest).write_bytes(data)
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(data), **more}

    def image(self, layers, config):
        """`layers` are (tar bytes, annotations)."""
        pointers = [
            self.blob(LAYER, gzip.compress(tar, mtime=0), **({"annotations": notes} if notes else {}))
            for tar, notes in layers
        ]
        ids = ["sha256:" + hashlib.sha256(tar).hexdigest() for tar, _ in layers]
        config = {"architecture": ARCHITECTURE, "os": "linux", "config": config}
        config["rootfs"] = {"type": "layers", "diff_ids": ids}
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST}
        manifest["config"] = self.blob(CONFIG, text(config))
        manifest["layers"] = pointers
        pointer = self.blob(MANIFEST, text(manifest), platform={"architecture": ARCHITECTURE, "os": "linux"})
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [pointer]}
        (self.folder / "index.json").write_bytes(text(index))
        (self.folder / "oci-layout").write_bytes(text({"imageLayoutVersion": "1.0.0"}))
        return pointer["digest"]


def text(thing):
    return json.dumps(thing, separators=(",", ":"), sort_keys=True).encode()


def tar(files, links=()):
    """A tar of path -> (bytes, mode) and links path -> target, in order of paths, without times."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        folders = {
            str(parent) for path in [*files, *dict(links)] for parent in pathlib.PurePath(path).parents
        }
        for folder in sorted(folders - {"."}):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        for path, (data, mode) in sorted(files.items()):
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(data), mode
            archive.addfile(entry, io.BytesIO(data))
        for path, target in sorted(links):
            entry = tarfile.TarInfo(path)
            entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, target, 0o777
            archive.addfile(entry)
    return out.getvalue()


def program(binary):
    """The program with all that it needs to run, and its names."""
    files = {"usr/local/bin/onefill": (binary.read_bytes(), 0o755)}
    said = subprocess.run(["ldd", binary], capture_output=True, text=True).stdout
    for path in re.findall(r"(/\S+) \(0x", said):
        files[path.lstrip("/")] = (pathlib.Path(path).resolve().read_bytes(), 0o755)
    files["etc/passwd"] = (f"onefill:x:{USER}:{USER}::/:/sbin/nologin\n".encode(), 0o644)
    files["etc/nsswitch.conf"] = (b"hosts: files dns\n", 0o644)
    if AUTHORITIES.exists():
        files[str(AUTHORITIES).lstrip("/")] = (AUTHORITIES.read_bytes(), 0o644)
    names = ["vllm-router", "lmcache_server"]
    return tar(files, [(f"opt/venv/bin/{name}", "/usr/local/bin/onefill") for name in names])


def package(*documents):
    """Crossplane's layer: one stream of documents."""
    stream = "---\n".join(document.rstrip() + "\n" for document in documents)
    return tar({"package.yaml": (stream.encode(), 0o644)}), {"io.crossplane.xpkg": "base"}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["image", "function", "configuration"])
    parser.add_argument("--binary", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    read = lambda name: (DEPLOY / "crossplane" / name).read_text()
    user = f"{USER}:{USER}"
    environment = ["PATH=/usr/local/bin:/opt/venv/bin"]
    layout = Layout(arguments.out)
    if arguments.what == "image":
        config = {"User": user, "Entrypoint": ["/opt/venv/bin/vllm-router"], "Env": environment}
        digest = layout.image([(program(arguments.binary), None)], config)
    elif arguments.what == "function":
        ports = {"9443/tcp": {}}
        config = {
            "User": user,
            "Entrypoint": ["/usr/local/bin/onefill", "function"],
            "Env": environment,
            "ExposedPorts": ports,
        }
        digest = layout.image([(program(arguments.binary), None), package(read("function.yaml"))], config)
    else:
        definition = subprocess.run(
            [arguments.binary, "xrd"], capture_output=True, text=True, check=True
        ).stdout
        layers = [package(read("configuration.yaml"), definition, read("composition.yaml"))]
        digest = layout.image(layers, {})
    print(f"{arguments.out}: {digest}")


if __name__ == "__main__":
    main()
