"""The namespace of an engine: everything that must agree before two engines may share bytes.

What is not here is in the key: tokens before and in the block, cache salt, LoRA adapter's name and
path, images (vLLM's chained block hash), and the KV cache group.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

VERSION = 1  # of the derivation and of what a chunk's bytes are


@dataclass(frozen=True)
class Identity:
    model: str  # digest of the weights, see onefill.model
    dtype: str  # of the KV cache
    engine: str  # whose layout it is: name and minor version
    platform: str  # cpu, cuda, ...: with its instruction set where the layout depends on it
    layout: str  # the engine's name of the layout
    layers: tuple[tuple[str, ...], ...]  # layer names, group by group
    block_tokens: tuple[int, ...]  # tokens of a block, group by group
    chunk_blocks: int
    chunk_bytes: int
    tensor_parallel: int
    pipeline_parallel: int
    context_parallel: tuple[int, int]  # prefill, decode
    copies: str  # "each": every rank its part; "one": one copy for all; "canonical": parallelism-free
    generation: str = ""  # the operator's own word, to leave old blocks behind

    def namespace(self) -> str:
        text = json.dumps({"version": VERSION, **asdict(self)}, sort_keys=True)
        return "kv-" + hashlib.sha256(text.encode()).hexdigest()[:32]
