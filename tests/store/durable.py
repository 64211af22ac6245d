"""The disk tier under kill -9: `durable(rounds)` is called by story.py."""

import contextlib
import hashlib
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time

import lab
from lab import check

KEYS = 150


def value(key, version):
    """Bytes that name their key and version: any other bytes are wrong ones."""
    head = f"{key}/{version}/".encode()
    size = 200 + int.from_bytes(hashlib.sha256(head).digest()[:3], "big") % 60000
    return (head * (size // len(head) + 1))[:size]


class Cli:
    """RESP over a plain socket, no library needed."""

    def __init__(self, port):
        import socket

        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.file = self.socket.makefile("rb")

    def ask(self, *words):
        parts = [b"*%d\r\n" % len(words)]
        for word in words:
            word = word if isinstance(word, bytes) else str(word).encode()
            parts += [b"$%d\r\n" % len(word), word, b"\r\n"]
        self.socket.sendall(b"".join(parts))
        line = self.file.readline()
        if not line:
            raise ConnectionError("closed")
        if line[:1] != b"$":
            return line.strip()
        size = int(line[1:])
        return None if size < 0 else self.file.read(size + 2)[:-2]


def durable(rounds):
    """Kills the store at random moments of puts, deletes, evictions and its own start."""
    folder = tempfile.mkdtemp(prefix="onefill-disk-")
    dice = random.Random(11)
    versions, answered, promised = {}, {}, {}
    wrong = lost = kept = checked = kills = 0

    def put(client, key):
        versions[key] = versions.get(key, 0) + 1
        if client.ask("SET", f"key{key}", value(key, versions[key])) == b"+OK":
            answered[key] = versions[key]

    try:
        for turn in range(rounds):
            store = lab.Store("durable", "2MiB", "--disk", folder, "--disk-size", "8GiB")
            if turn % 5 == 4:  # killed while it starts
                with open(store.log, "ab") as log:
                    process = subprocess.Popen(store.command, stdout=log, stderr=log)
                time.sleep(dice.random() * 0.05)
                process.kill()
                process.wait()
                kills += 1
            store.__enter__()
            client = Cli(store.resp)
            for key, version in versions.items():
                got = client.ask("GET", f"key{key}")
                checked += 1
                if got is not None and got not in [value(key, old) for old in range(1, version + 1)]:
                    wrong += 1
                # What was put again since may have been in memory only.
                if promised.get(key) == version:
                    kept += 1
                    lost += got != value(key, version)
                answered.pop(key, None)
                if got == value(key, version):
                    answered[key] = version
            promised.clear()
            for _ in range(dice.randrange(10, 60)):
                key = dice.randrange(KEYS)
                put(client, key)
                lab.wait_until(lambda: store.metric("disk_waiting_bytes") == 0)
            promised.update(answered)  # what was written by now must be there after the kill
            killer = threading.Timer(dice.random() * 0.05, store.process.kill)
            killer.start()
            with contextlib.suppress(OSError):
                while True:
                    put(client, dice.randrange(KEYS))
            killer.join()
            store.process.wait(10)
            kills += 1
        check(f"{kills} kills: no wrong byte from disk", wrong == 0, f"({checked} reads)")
        check("no block lost that was on disk", lost == 0, f"({lost} of {kept} lost)")
        with lab.Store("durable", "64MiB", "--disk", folder, "--disk-size", "8GiB") as store:
            client = Cli(store.resp)
            there = sum(client.ask("GET", f"key{key}") is not None for key in versions)
            check("most blocks are there after the last kill", there > KEYS * 0.9, f"({there} of {len(versions)})")
        drained(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def drained(folder):
    """Asked to stop, the store writes what waits."""
    with lab.Store("drained", "64MiB", "--disk", folder, "--disk-size", "8GiB") as store:
        client = Cli(store.resp)
        for key in range(50):
            client.ask("SET", f"drain{key}", value(key, 1))
        store.process.send_signal(signal.SIGTERM)
        store.process.wait(15)
    with lab.Store("drained", "64MiB", "--disk", folder, "--disk-size", "8GiB") as store:
        client = Cli(store.resp)
        there = [client.ask("GET", f"drain{key}") == value(key, 1) for key in range(50)]
        check("a graceful stop loses nothing", all(there), f"({sum(there)} of 50)")
