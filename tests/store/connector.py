"""LMCache's own remote connectors (what vLLM's worker calls) against a store: `connector.py URL`.

Runs with the client of either version; which one is imported is the caller's business.
"""

import asyncio
import logging
import os
import sys
import threading
import time

import torch

logging.disable(logging.INFO)
from lmcache.utils import CacheEngineKey  # noqa: E402
from lmcache.v1.config import LMCacheEngineConfig  # noqa: E402
from lmcache.v1.memory_management import MemoryFormat  # noqa: E402
from lmcache.v1.storage_backend.connector import CreateConnector  # noqa: E402
from lmcache.v1.storage_backend.local_cpu_backend import LocalCPUBackend  # noqa: E402

from lmcache.v1.metadata import LMCacheMetadata  # noqa: E402

try:
    from lmcache.v1.memory_allocators.pin_memory_allocator import PinMemoryAllocator
except ImportError:  # 0.3.13
    from lmcache.v1.memory_management import PinMemoryAllocator

LAYERS, TOKENS, HEADS, DIM = 32, 256, 8, 128  # 32 MiB a chunk in bf16
MODEL, DTYPE = "meta-llama/Llama-3.1-8B-Instruct", torch.bfloat16


class Engine:
    """The parts of LMCache's engine around a connector."""

    def __init__(self, url):
        self.native = url.startswith("resp://")
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        extra = {"save_chunk_meta": False, "resp_num_threads": 8} if self.native else {}
        config = LMCacheEngineConfig.from_defaults(
            remote_url=url, save_unfull_chunk=not self.native, extra_config=extra
        )
        words = dict(model_name=MODEL, world_size=1, worker_id=0, kv_dtype=DTYPE)
        words["kv_shape"] = (LAYERS, 2, TOKENS, HEADS, DIM)
        metadata = LMCacheMetadata(local_world_size=1, local_worker_id=0, **words)
        pool = PinMemoryAllocator(1 << 30)
        self.pool = LocalCPUBackend(config=config, metadata=metadata, memory_allocator=pool)
        try:
            self.connector = CreateConnector(url, self.loop, self.pool, config, metadata)
        except TypeError:  # 0.3.13
            self.connector = CreateConnector(url, self.loop, self.pool, config)

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(60)

    def chunk(self, seed, tokens=TOKENS):
        """A chunk of random KV."""
        shape = torch.Size([2, LAYERS, tokens, HEADS * DIM])
        made = self.pool.allocate(shape, DTYPE, MemoryFormat.KV_2LTD)
        assert made is not None, "the client's own pool is full"
        numbers = torch.Generator().manual_seed(seed)
        values = torch.randint(-30000, 30000, shape, generator=numbers, dtype=torch.int16)
        made.tensor.view(torch.int16).copy_(values)
        return made

    def put(self, key, chunk):
        chunk.ref_count_up()
        self.run(self.connector.put(key, chunk))

    def get(self, key):
        return self.run(self.connector.get(key))

    def exists(self, key):
        return self.run(self.connector.exists(key))


def key(number):
    return CacheEngineKey(model_name=MODEL, world_size=1, worker_id=0, chunk_hash=number, dtype=DTYPE)


def same(got, put):
    if got is None:
        return False
    equal = bytes(got.byte_array) == bytes(put.byte_array) and got.get_shape() == put.get_shape()
    got.ref_count_down()
    return equal and got.get_dtype() == DTYPE


def checks(engine):
    """(promise, holds) one after the other."""
    base = int(time.time() * 1000) << 16
    yield "an absent chunk does not exist", engine.exists(key(base)) is False
    if not engine.native:  # that client gets only what it was told to exist
        yield "an absent chunk is a miss", engine.get(key(base)) is None
    chunks = [engine.chunk(seed) for seed in range(4)]
    for index, chunk in enumerate(chunks):
        engine.put(key(base + index), chunk)
    yield "what was put exists", all(engine.exists(key(base + index)) for index in range(4))
    for index, chunk in enumerate(chunks):
        yield f"chunk {index} comes back byte for byte", same(engine.get(key(base + index)), chunk)
    if not engine.native:
        part = engine.chunk(99, tokens=100)
        engine.put(key(base + 77), part)
        yield "a part of a chunk keeps its shape", same(engine.get(key(base + 77)), part)
        part.ref_count_down()
    other = engine.chunk(1234)
    engine.put(key(base), other)
    engine.exists(key(base))
    yield "the last put wins", same(engine.get(key(base)), other)
    connector = engine.connector
    if connector.support_batched_async_contains():
        asked = [key(base + index) for index in (0, 1, 2, 3, 1000, 0)]
        found = engine.run(connector.batched_async_contains("lookup", asked))
        yield "a batch of lookups counts the prefix only", found == 4
    if engine.native:
        return
    negative = key(-0x1A2B)  # Python's hash() may be below zero
    engine.put(negative, other)
    yield "a negative hash is a key like any other", same(engine.get(negative), other)


if __name__ == "__main__":
    passed = failed = 0
    for promise, holds in checks(Engine(sys.argv[1])):
        passed, failed = passed + bool(holds), failed + (not holds)
        if not holds:
            print(f"FAILED {promise}", flush=True)
    print(f"{passed} of {passed + failed}", flush=True)
    os._exit(1 if failed else 0)  # the client's threads don't end by themselves
