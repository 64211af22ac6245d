"""LMCache's own L2 adapter over onefill's connector: `lmcache_level.py PORT ADMIN_PID`, run with LMCache's
Python by client.py. Reads a line for each thing that was done to the store, and answers with checks.
"""

import os
import random
import sys
import time

sys.path.insert(0, os.environ["ONEFILL_PLUG"])

from lmcache.v1.distributed.api import ObjectKey
from lmcache.v1.distributed.l2_adapters.config import L2AdapterConfigBase  # noqa: F401  registers types
from lmcache.v1.distributed.l2_adapters.native_plugin_l2_adapter import (
    NativePluginL2AdapterConfig,
    _create_native_plugin_l2_adapter,
)

WAIT_S = 20.0


class Object:
    """What the adapter wants of a memory object."""

    def __init__(self, data):
        self.data = bytearray(data)
        self.byte_array = memoryview(self.data)

    def get_size(self):
        return len(self.data)


class Level:
    def __init__(self, port):
        config = {
            "module_path": "onefill.lmcache",
            "class_name": "OnefillConnector",
            "adapter_params": {
                "url": f"onefill://127.0.0.1:{port}",
                "namespace": "llama",
                "transfer_timeout_ms": 1000,
            },
        }
        self.l2 = _create_native_plugin_l2_adapter(NativePluginL2AdapterConfig.from_dict(config))

    def wait(self, ask):
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            if (answer := ask()) is not None:
                return answer
            time.sleep(0.001)
        raise TimeoutError("no completion")

    def store(self, keys, objects):
        task = self.l2.submit_store_task(keys, objects)
        return self.wait(lambda: self.l2.pop_completed_store_tasks().get(task))

    def lookup(self, keys):
        task = self.l2.submit_lookup_and_lock_task(keys, {})
        found = self.wait(lambda: self.l2.query_lookup_and_lock_result(task))
        return [found.test(index) for index in range(len(keys))]

    def load(self, keys, objects):
        task = self.l2.submit_load_task(keys, objects)
        found = self.wait(lambda: self.l2.query_load_result(task))
        self.l2.submit_unlock(keys)
        return [found.test(index) for index in range(len(keys))]


def key(number, salt=""):
    return ObjectKey(
        chunk_hash=number.to_bytes(32, "big"), model_name="llama", kv_rank=0x01000100, cache_salt=salt
    )


def round_trip(level, first):
    keys = [key(first + number) for number in range(8)]
    put = [Object(random.Random(first + number).randbytes(1 << 20)) for number in range(8)]
    level.store(keys, put)
    got = [Object(bytes(1 << 20)) for _ in keys]
    whole = level.lookup(keys) == [True] * 8 and level.load(keys, got) == [True] * 8
    return whole and [each.data for each in got] == [each.data for each in put]


def quick_misses(level):
    start = time.monotonic()
    keys = [key(number) for number in range(8)]
    found = level.lookup(keys) + level.load(keys, [Object(bytes(1 << 20)) for _ in keys])
    level.store([key(999)], [Object(bytes(1 << 20))])
    return not any(found) and time.monotonic() - start < 5


def came_back(level):
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        if round_trip(level, 100):
            return True
        time.sleep(0.2)
    return False


def main():
    level = Level(int(sys.argv[1]))
    steps = {
        "up": lambda: round_trip(level, 1),
        "away": lambda: quick_misses(level),
        "back": lambda: came_back(level),
    }
    for line in sys.stdin:
        print(steps[line.strip()](), flush=True)


if __name__ == "__main__":
    main()
