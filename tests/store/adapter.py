"""LMCache 0.5.6's multi-process L2 adapter `resp` (its native C++ client) against a store.

`adapter.py checks PORT`: store, look up, load, delete.
`adapter.py evicted PORT ROUNDS leases|none`: blocks go between lookup and load. Against a plain Redis the
first such load never completes, nor does any after it.
"""

import os
import random
import sys
import time

import redis
from lmcache.lmcache_redis import LMCacheRedisClient
from lmcache.v1.distributed.api import ObjectKey
from lmcache.v1.distributed.l2_adapters.native_connector_l2_adapter import NativeConnectorL2Adapter

WAIT = 20.0


class Object:
    """What the adapter wants of a memory object."""

    def __init__(self, data):
        self.data = bytearray(data)
        self.byte_array = memoryview(self.data)

    def get_size(self):
        return len(self.data)


def adapter(port, workers):
    return NativeConnectorL2Adapter(LMCacheRedisClient("127.0.0.1", port, workers, "", ""))


def key(number, salt=""):
    words = dict(model_name="meta-llama/Llama-3.1-8B-Instruct", kv_rank=0x01000100, cache_salt=salt)
    return ObjectKey(chunk_hash=number.to_bytes(32, "big"), **words)


def wait(what, ask):
    """Asks until there is an answer; a client that never answers ends the run."""
    deadline = time.monotonic() + WAIT
    while time.monotonic() < deadline:
        answer = ask()
        if answer is not None:
            return answer
        time.sleep(0.0005)
    print(f"FAILED no completion of {what} in {WAIT:.0f} s", flush=True)
    os._exit(2)


def store(l2, keys, objects):
    task = l2.submit_store_task(keys, objects)
    return wait("store", lambda: l2.pop_completed_store_tasks().get(task))


def lookup(l2, keys):
    task = l2.submit_lookup_and_lock_task(keys, {})
    found = wait("lookup", lambda: l2.query_lookup_and_lock_result(task))
    return [found.test(index) for index in range(len(keys))]


def load(l2, keys, objects):
    task = l2.submit_load_task(keys, objects)
    found = wait("load", lambda: l2.query_load_result(task))
    l2.submit_unlock(keys)
    return [found.test(index) for index in range(len(keys))]


def checks(port):
    l2 = adapter(port, 4)
    keys = [key(number, salt) for salt in ("", "tenant-a") for number in range(1, 9)]
    put = [Object(os.urandom(1 << 20)) for _ in keys]
    store(l2, keys, put)
    yield "a lookup finds what was stored", lookup(l2, keys) == [True] * 16
    got = [Object(bytes(1 << 20)) for _ in keys]
    yield "a load gives all", load(l2, keys, got) == [True] * 16
    yield "byte for byte", [each.data for each in got] == [each.data for each in put]
    strange = [key(number, "tenant-b") for number in range(1, 5)]
    yield "another salt finds nothing", lookup(l2, strange) == [False] * 4
    l2.delete(keys[:4])
    yield "what was deleted is not found", lookup(l2, keys[:5]) == [False] * 4 + [True]
    huge = Object(bytes(80 << 20))
    store(l2, [key(777)], [huge])
    yield "a refused block is absent, the client goes on", lookup(l2, [key(777), keys[5]]) == [False, True]


def evicted(port, rounds, leases):
    """Each round: look up four blocks, push everything out that may go, load the four."""
    l2, other = adapter(port, 4), redis.Redis(port=port)
    numbers = random.Random(1)
    size, filler = 64 << 10, bytes(1400 << 10)
    hits = misses = wrong = promised = 0
    for turn in range(rounds):
        keys = [key(turn * 4 + index + 1) for index in range(4)]
        put = [Object(numbers.randbytes(size)) for _ in keys]
        store(l2, keys, put)
        found = lookup(l2, keys)
        promised += sum(found)
        for index in range(6):  # together more than the store's memory
            other.set(f"filler-{index}-{turn % 2}", filler)
        got = [Object(bytes(size)) for _ in keys]
        for there, before, after in zip(load(l2, keys, got), put, got):
            hits, misses = hits + there, misses + (not there)
            wrong += there and before.data != after.data
    fresh = [key(10**9 + index) for index in range(4)]
    print(f"promised {promised}, hits {hits}, misses {misses}, wrong {wrong}", flush=True)
    yield "no wrong byte", wrong == 0
    yield "a lookup of fresh keys completes", lookup(l2, fresh) == [False] * 4
    if leases:
        yield "what was promised was loaded", hits == promised and promised > 0
    else:
        yield "true misses are misses", misses > rounds
    l2.delete(keys)
    store(l2, keys, put)
    yield "the client works on", load(l2, keys, [Object(bytes(size)) for _ in keys]) == [True] * 4


def main():
    what, port, *rest = sys.argv[1:]
    promises = checks(int(port)) if what == "checks" else evicted(int(port), int(rest[0]), rest[1] == "leases")
    passed = failed = 0
    for promise, holds in promises:
        passed, failed = passed + bool(holds), failed + (not holds)
        if not holds:
            print(f"FAILED {promise}", flush=True)
    print(f"{passed} of {passed + failed}", flush=True)
    os._exit(1 if failed else 0)


if __name__ == "__main__":
    main()
