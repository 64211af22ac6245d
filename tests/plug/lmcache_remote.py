"""LMCache's remote backend in process over onefill's connector: `lmcache_remote.py PORT`, run with LMCache's
Python by client.py. Reads a line for each thing that was done to the store, and answers whether all is well.
"""

import asyncio
import os
import sys
import threading
import time

sys.path.insert(0, os.environ["ONEFILL_PLUG"])

import torch
from lmcache.utils import CacheEngineKey
from lmcache.v1.config import LMCacheEngineConfig
from lmcache.v1.memory_management import MemoryFormat
from lmcache.v1.metadata import LMCacheMetadata
from lmcache.v1.storage_backend.connector import CreateConnector
from lmcache.v1.storage_backend.local_cpu_backend import LocalCPUBackend

try:
    from lmcache.v1.memory_allocators.pin_memory_allocator import PinMemoryAllocator
except ImportError:  # 0.3.13
    from lmcache.v1.memory_management import PinMemoryAllocator

LAYERS, TOKENS, HEADS, DIM, DTYPE = 8, 256, 8, 64, torch.bfloat16
SHAPE = torch.Size([2, LAYERS, TOKENS, HEADS * DIM])
URL = "external://host:0/onefill.lmcache_remote/?connector_name=OnefillRemote"
WAIT_S = 20.0


class Engine:
    """The parts of LMCache's engine around a connector."""

    def __init__(self, port):
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        extra = {"onefill_url": f"onefill://127.0.0.1:{port}", "onefill_namespace": "llama"}
        extra["onefill_transfer_timeout_ms"] = 1000
        config = LMCacheEngineConfig.from_defaults(remote_url=URL, extra_config=extra)
        words = {"model_name": "llama", "world_size": 1, "worker_id": 0, "kv_dtype": DTYPE}
        words["kv_shape"] = (LAYERS, 2, TOKENS, HEADS, DIM)
        metadata = LMCacheMetadata(local_world_size=1, local_worker_id=0, **words)
        pool = PinMemoryAllocator(256 << 20)
        self.pool = LocalCPUBackend(config=config, metadata=metadata, memory_allocator=pool)
        try:
            self.connector = CreateConnector(URL, self.loop, self.pool, config, metadata)
        except TypeError:  # 0.3.13
            self.connector = CreateConnector(URL, self.loop, self.pool, config)

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(WAIT_S)

    def chunk(self, seed):
        made = self.pool.allocate(SHAPE, DTYPE, MemoryFormat.KV_2LTD)
        numbers = torch.Generator().manual_seed(seed)
        values = torch.randint(-30000, 30000, SHAPE, generator=numbers, dtype=torch.int16)
        made.tensor.view(torch.int16).copy_(values)
        return made


def key(number):
    words = {"model_name": "llama", "world_size": 1, "worker_id": 0}
    try:
        return CacheEngineKey(chunk_hash=number, dtype=DTYPE, **words)
    except TypeError:  # 0.3.13 names the format too
        return CacheEngineKey(fmt="vllm", chunk_hash=number, dtype=DTYPE, **words)


def round_trip(engine, first):
    keys = [key(first + number) for number in range(4)]
    chunks = [engine.chunk(first + number) for number in range(4)]
    for chunk in chunks:  # the connector's caller gives one away
        chunk.ref_count_up()
    engine.run(engine.connector.batched_put(keys, chunks))
    there = engine.run(engine.connector.batched_async_contains("lookup", [*keys, key(10**6)])) == 4
    there = there and engine.connector.exists_sync(keys[0]) and not engine.connector.exists_sync(key(10**6))
    got = engine.run(engine.connector.batched_get([*keys, key(10**6)]))
    right = got[4] is None and all(
        back is not None and torch.equal(back.tensor.view(torch.int16), chunk.tensor.view(torch.int16))
        for back, chunk in zip(got, chunks, strict=False)
    )
    for each in [*chunks, *got]:
        if each is not None:
            each.ref_count_down()
    return there and right


def quick_misses(engine):
    start = time.monotonic()
    keys = [key(number) for number in range(4)]
    found = [engine.connector.exists_sync(each) for each in keys] + engine.run(
        engine.connector.batched_get(keys)
    )
    return not any(found) and time.monotonic() - start < 5


def came_back(engine):
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        if round_trip(engine, 100):
            return True
        time.sleep(0.2)
    return False


def main():
    engine = Engine(int(sys.argv[1]))
    steps = {
        "up": lambda: round_trip(engine, 1),
        "away": lambda: quick_misses(engine),
        "back": lambda: came_back(engine),
    }
    for line in sys.stdin:
        print(steps[line.strip()](), flush=True)


if __name__ == "__main__":
    main()
