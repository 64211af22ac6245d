"""What an offloading spec of vLLM says about its engine."""

from __future__ import annotations

import vllm
from vllm.platforms import current_platform

from onefill import model
from onefill.namespace import Identity
from onefill.settings import Settings


def identity(spec, chunk_bytes: int, settings: Settings) -> Identity:
    config = spec.config
    parallel = config.parallel
    return Identity(
        model=settings.model_digest or _weights(config.model.name),
        dtype=config.model.dtype,
        engine="vllm-" + ".".join(vllm.__version__.split(".")[:2]),
        platform=_platform(),
        layout=str(config.kv_cache_layout),
        layers=tuple(group.layer_names for group in config.groups),
        block_tokens=tuple(group.tokens_per_block for group in config.groups),
        chunk_blocks=config.cache.blocks_per_chunk,
        chunk_bytes=chunk_bytes,
        tensor_parallel=parallel.tp_size,
        pipeline_parallel=parallel.pp_size,
        context_parallel=(parallel.pcp_size, parallel.dcp_size),
        copies="canonical" if config.canonical_layout else "one" if spec.replicated_layout else "each",
        generation=settings.generation,
    )


def _weights(name: str) -> str:
    try:
        return model.digest(name)
    except (model.UnknownModel, OSError) as error:
        raise ValueError(
            f"OnefillTier can't tell these weights from others ({error}): set model_digest, or namespace"
        ) from error


def _platform() -> str:
    """On CPU the bytes of a block depend on what the attention kernel uses."""
    if not current_platform.is_cpu():
        return str(current_platform.device_type)
    import torch

    features = [name for name in ("avx512", "amx_tile", "vnni") if _has(torch.cpu, f"_is_{name}_supported")]
    return "-".join(["cpu", current_platform.get_cpu_architecture().name.lower(), *features])


def _has(module, question: str) -> bool:
    ask = getattr(module, question, None)
    return bool(ask and ask())
