"""Two real vLLM replicas that share blocks through `onefill store`, on free ports of loopback.

Environment: that of tests/vllm/lab.py, and ONEFILL_PLUG (folder into which the package was installed).
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import pickle
import re
import socket
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "vllm"))

import lab  # noqa: E402
from lab import check  # noqa: E402

BLOCK_BYTES = 16384  # of the tiny model

sys.path.insert(0, os.environ["ONEFILL_PLUG"])


def digest(thing):
    return hashlib.sha256(pickle.dumps(thing, protocol=5)).digest()


def keys(tokens):
    """vLLM's own names of the whole blocks of a prompt (sha256, no salt, no adapter, group 0)."""
    parent, found = digest("vllm-none-hash"), []
    for first in range(0, len(tokens) - lab.BLOCK + 1, lab.BLOCK):
        parent = digest((parent, tuple(tokens[first : first + lab.BLOCK]), None))
        found.append(parent + bytes(4))
    return found


def timing(promise, holds, figure=""):
    """A promise about speed. CI machines are shared, so there it is only told."""
    if os.environ.get("CI") == "true":
        lab.say(f"told   {promise} {figure}: {'holds' if holds else 'does not hold'} here; not judged in CI")
        return holds
    return check(promise, holds, figure)


class Store(lab.Program):
    """`onefill store` that keeps its ports when it is started again."""

    def __init__(self, name, memory="128MiB"):
        self.native, self.resp, admin = lab.free_ports(3)
        self.url = f"http://127.0.0.1:{admin}"
        command = [os.environ["ONEFILL_BIN"], "store", "--memory", memory, "--lm", "none"]
        for flag, port in (("native", self.native), ("resp", self.resp), ("admin", admin)):
            command += [f"--{flag}", f"127.0.0.1:{port}"]
        super().__init__(name, command)

    def up(self, memory=None):
        if memory:
            self.command[self.command.index("--memory") + 1] = memory
        self.start()
        return self.wait_for("/ready", 20)

    def metric(self, name, **labels):
        return total(self.url, f"onefill_store_{name}", labels)

    def blocks(self):
        return self.metric("memory_blocks")

    def overwrite(self, old, new):
        """Changes a block behind the store's back, in its memory."""
        process, found = self.process.pid, 0
        with (
            open(f"/proc/{process}/maps") as maps,
            open(f"/proc/{process}/mem", "r+b", buffering=0) as memory,
        ):
            for line in maps:
                place, rights = line.split()[:2]
                start, end = (int(part, 16) for part in place.split("-"))
                # Blocks are in its own memory; in what it shares with clients bytes only pass through.
                if rights != "rw-p":
                    continue
                try:
                    memory.seek(start)
                    offset = memory.read(end - start).find(old)
                except OSError:
                    continue
                if offset >= 0:
                    memory.seek(start + offset)
                    memory.write(new)
                    found += 1
        return found


def total(url, name, labels):
    """Sum of a metric's samples that carry these labels."""
    found = 0.0
    for line in lab.http("GET", url + "/metrics")[2].decode().splitlines():
        sample = re.fullmatch(rf"{name}(?:\{{(.*)\}})? (\S+)", line)
        if sample and all(f'{key}="{value}"' in (sample[1] or "") for key, value in labels.items()):
            found += float(sample[2])
    return found


class Proxy:
    """Passes connections on to the store: late (`delay_s` before each answer), or with one bit flipped
    in the next block that comes back."""

    def __init__(self, port):
        self.target, self.delay_s, self.flip = port, 0.0, False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            client, _ = self.listener.accept()
            try:
                server = socket.create_connection(("127.0.0.1", self.target), 5)
            except OSError:
                client.close()
                continue
            threading.Thread(target=self._pass, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client, True), daemon=True).start()

    def _pass(self, source, sink, answers):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 20):
                if answers and self.delay_s:
                    time.sleep(self.delay_s)
                if answers and self.flip and len(data) > BLOCK_BYTES // 2:
                    self.flip = False  # the last byte is one of a block's: header and table come first
                    data = data[:-1] + bytes([data[-1] ^ 1])
                sink.sendall(data)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


class Replica(lab.Replica):
    """A vLLM replica with the tier."""

    def __init__(self, name, store_port, blocks=600, primary_mib=64, **settings):
        tier = {
            "type": "OnefillTier",
            "module_path": "onefill.vllm",
            "url": f"onefill://127.0.0.1:{store_port}",
        }
        tier.update(settings)
        config = {
            "kv_connector": "OffloadingConnector",
            "kv_role": "kv_both",
            "kv_connector_extra_config": {
                "spec_name": "CpuTieringSpec",
                "spec_module_path": "onefill.vllm",
                "cpu_bytes_to_use": primary_mib << 20,
                "self_describing_kv_events": True,
                "secondary_tiers": [tier],
            },
        }
        super().__init__(name, blocks, lora=True, arguments=["--kv-transfer-config", json.dumps(config)])
        self.env["PYTHONPATH"] += os.pathsep + os.environ["ONEFILL_PLUG"]

    def ask(self, prompt, tokens=8, salt=None, model="tiny", timeout=60, **more):
        """One greedy completion: (text, logprobs, cached tokens, seconds)."""
        body = {
            "model": model,
            "prompt": prompt,
            "max_tokens": tokens,
            "temperature": 0,
            "logprobs": 1,
            **more,
        }
        if salt:
            body["cache_salt"] = salt
        start = time.monotonic()
        status, _, answer = lab.http("POST", self.url + "/v1/completions", body, timeout=timeout)
        seconds = time.monotonic() - start
        if status != 200:
            raise RuntimeError(f"{self.name} answered {status}: {answer[:300]}")
        answer = json.loads(answer)
        choice, usage = answer["choices"][0], answer["usage"]
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
        return Answer(
            choice["text"], choice["logprobs"]["token_logprobs"], cached, usage["prompt_tokens"], seconds
        )

    def forget(self):
        """Empties the engine's cache and the primary tier: only the store is left."""
        status = lab.http("POST", self.url + "/reset_prefix_cache?reset_external=true", timeout=30)[0]
        assert status == 200, status

    def metric(self, name, **labels):
        return total(self.url, name, labels)

    def namespace(self):
        """As its tier derived it."""
        return re.findall(r"namespace (\S+),", self.log.read_text(errors="replace"))[-1]

    def tokens(self, prompt):
        answer = lab.http("POST", self.url + "/tokenize", {"model": "tiny", "prompt": prompt})[2]
        return json.loads(answer)["tokens"]

    def from_store(self):
        """Prompt tokens that came out of the store so far."""
        return self.metric("vllm:prompt_tokens_cached_by_source_total", source="disk")


@dataclasses.dataclass
class Answer:
    """Equal to another one with the same text and logprobs."""

    text: str
    logprobs: list
    cached: int = dataclasses.field(compare=False)
    prompt: int = dataclasses.field(compare=False)
    seconds: float = dataclasses.field(compare=False)
