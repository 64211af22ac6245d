"""A store on free ports of loopback, and checks that are counted.

Environment: ONEFILL_BIN (the onefill program), ONEFILL_LMCACHE (folder made by `cargo xtask lmcache`).
"""

import contextlib
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
PEER = pathlib.Path(os.environ["ONEFILL_LMCACHE"])
PYTHON = PEER / "lmcache/bin/python"
LOGS = pathlib.Path(os.environ.get("ONEFILL_LOGS") or tempfile.mkdtemp(prefix="onefill-store-"))
PASSED, FAILED = [], []


def say(*words):
    print(*words, flush=True)


def check(promise, holds, figure=""):
    """One line a promise; the run goes on, so that one report shows all."""
    (PASSED if holds else FAILED).append(promise)
    say(f"{'ok    ' if holds else 'FAILED'} {promise} {figure}")
    return holds


def report():
    say(f"checks: {len(PASSED)} passed, {len(FAILED)} failed; logs in {LOGS}")
    sys.exit(1 if FAILED else 0)


def wait_until(holds, seconds=20):
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError("what was waited for did not come")
        time.sleep(0.001)


def free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class Store:
    """`onefill store`, killed at the end of the `with`."""

    def __init__(self, name, memory, *arguments):
        self.lm, self.resp, self.native, self.admin = free_ports(4)
        self.command = [os.environ["ONEFILL_BIN"], "store", "--memory", memory, *map(str, arguments)]
        for flag in ("lm", "resp", "native", "admin"):
            self.command += [f"--{flag}", f"127.0.0.1:{getattr(self, flag)}"]
        self.log = LOGS / f"{name}.log"

    def __enter__(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError):
                if self.page("/ready") == "ready\n":
                    return self
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError(f"the store did not start: {self.log.read_text()}")
            time.sleep(0.05)

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            check("the store ends when it is asked to", False)

    def page(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}{path}", timeout=10) as answer:
            return answer.read().decode()

    def metric(self, name, **labels):
        """Sum of a metric's samples that carry these labels."""
        total = 0.0
        for line in self.page("/metrics").splitlines():
            found = re.fullmatch(rf"onefill_store_{name}(?:\{{(.*)\}})? (\S+)", line)
            if found and all(f'{key}="{value}"' in (found[1] or "") for key, value in labels.items()):
                total += float(found[2])
        return total

    def rss(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024


def client(version, script, *arguments, timeout=300):
    """Runs a script with LMCache's own client of that version; (exit status, its output)."""
    env = {**os.environ, "LMCACHE_LOG_LEVEL": "ERROR", "LMCACHE_TRACK_USAGE": "false"}
    if version != "0.5.6":
        env["PYTHONPATH"] = str(PEER / f"lmcache-{version}")
    command = [PYTHON, "-u", HERE / script, *map(str, arguments)]
    with open(LOGS / "clients.log", "ab") as log:
        try:
            done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=log, timeout=timeout)
        except subprocess.TimeoutExpired as stuck:
            return None, (stuck.stdout or b"").decode() + "it never ended"
    return done.returncode, done.stdout.decode()
