"""Real vLLM replicas on CPU and onefill in front of them, on free ports of loopback.

Environment: ONEFILL_VLLM (folder made by `cargo xtask vllm`), ONEFILL_BIN (the onefill program).
"""

import json
import os
import pathlib
import random
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "common"))

import loopback  # noqa: E402
from loopback import LOGS, free_ports, http, running  # noqa: E402, F401
from loopback import until as wait_until  # noqa: E402, F401
from promises import FAILED, PASSED, check, ending, say  # noqa: E402, F401

PEER = pathlib.Path(os.environ["ONEFILL_VLLM"])
BLOCK = 32  # vLLM's CPU attention takes multiples of 32 only


class Program(loopback.Program):
    """A program that answers at `url`."""

    def wait_for(self, path, timeout_s):
        """Waits until GET path answers 200."""
        return self.answers(self.url + path, timeout_s)


class Replica(Program):
    """A vLLM server with the tiny model and its events."""

    def __init__(self, name, blocks, lora=False, events=True, arguments=()):
        port, events_port, replay_port = free_ports(3)
        self.url = f"http://127.0.0.1:{port}"
        self.events = f"tcp://127.0.0.1:{events_port}"
        self.replay = f"tcp://127.0.0.1:{replay_port}"
        events_config = {
            "enable_kv_cache_events": events,
            "publisher": "zmq",
            "endpoint": f"tcp://*:{events_port}",
            "replay_endpoint": f"tcp://*:{replay_port}",
            "topic": f"kv@127.0.0.1:{port}@tiny",
        }
        command = [
            PEER / "vllm/bin/vllm", "serve", PEER / "tinymodel", "--served-model-name", "tiny",
            "--host", "127.0.0.1", "--port", port, "--enforce-eager", "--max-model-len", 4096,
            "--max-num-seqs", 8, "--block-size", BLOCK, "--enable-prompt-tokens-details",
            "--num-gpu-blocks-override", blocks, "--kv-events-config", json.dumps(events_config),
        ]  # fmt: skip
        if lora:
            adapter = f"my-lora={PEER / 'tinylora'}"
            command += ["--enable-lora", "--max-lora-rank", 8, "--lora-modules", adapter]
        env = {
            "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1",
            "DO_NOT_TRACK": "1", "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind",
            "OMP_NUM_THREADS": "1", "VLLM_HOST_IP": "127.0.0.1", "VLLM_SERVER_DEV_MODE": "1",
            "PYTHONPATH": str(HERE / "peer/site"),
        }  # fmt: skip
        super().__init__(name, [*command, *arguments], env)
        # compiled sources make each start after the first 30 s shorter
        self.env.pop("PYTHONDONTWRITEBYTECODE", None)

    def warm(self):
        """One longer prompt, so that the first request that counts is like any other."""
        body = {"model": "tiny", "prompt": "warm up " * 20, "max_tokens": 2}
        http("POST", self.url + "/v1/completions", body, timeout=60)

    def reset(self):
        """Empties the prefix cache; the clear goes out with the next request's events."""
        assert http("POST", self.url + "/reset_prefix_cache")[0] == 200
        self.warm()

    def counters(self):
        """Prefix cache queries and hits so far, in tokens."""
        text = http("GET", self.url + "/metrics")[2].decode()
        total = lambda name: sum(map(float, re.findall(rf"^{name}\{{[^}}]*\}} (\S+)$", text, re.M)))
        return total("vllm:prefix_cache_queries_total"), total("vllm:prefix_cache_hits_total")


class Router(Program):
    """onefill router in front of replicas."""

    def __init__(self, name, replicas, policy="kv", arguments=()):
        port, admin = free_ports(2)
        self.url, self.admin = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{admin}"
        command = [os.environ["ONEFILL_BIN"], "router", "--listen", f"127.0.0.1:{port}"]
        command += ["--admin", f"127.0.0.1:{admin}", "--policy", policy]
        for replica in replicas:
            command += ["--replica", replica.url]
        super().__init__(name, [*command, *arguments])

    def fleet(self):
        """What the router knows of its replicas, by URL."""
        status, _, body = http("GET", self.admin + "/debug/fleet")
        assert status == 200, body
        return {each["url"]: each for each in json.loads(body)["replicas"]}


def receipt(headers):
    """x-onefill-reason as a dict."""
    return dict(part.split("=", 1) for part in headers["x-onefill-reason"].split())


WORDS = re.findall(r"[a-z]{3,9}", pathlib.Path(json.__file__).read_text().lower())


def words(rng, count):
    return " ".join(rng.choice(WORDS) for _ in range(count))


def rng(seed):
    return random.Random(seed)


if __name__ == "__main__":
    sys.exit("a library; run route.py")
