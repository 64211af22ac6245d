"""A store on free ports of loopback, and checks that are counted.

Environment: ONEFILL_BIN (the onefill program), ONEFILL_LMCACHE (folder made by `cargo xtask lmcache`).
"""

import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "common"))

from loopback import LOGS, Program, free_ports, http, until  # noqa: E402, F401
from promises import check, end, say  # noqa: E402, F401

PEER = pathlib.Path(os.environ["ONEFILL_LMCACHE"])
PYTHON = PEER / "lmcache/bin/python"


def wait_until(holds, seconds=20):
    until("what was waited for", holds, seconds)


class Store(Program):
    """`onefill store`, ended at the end of the `with`."""

    def __init__(self, name, memory, *arguments):
        self.lm, self.resp, self.native, self.admin = free_ports(4)
        command = [os.environ["ONEFILL_BIN"], "store", "--memory", memory, *arguments]
        for flag in ("lm", "resp", "native", "admin"):
            command += [f"--{flag}", f"127.0.0.1:{getattr(self, flag)}"]
        super().__init__(name, command)

    def __enter__(self):
        self.start()
        return self.answers(f"http://127.0.0.1:{self.admin}/ready", 20)

    def __exit__(self, *_):
        if not self.stop():
            check("the store ends when it is asked to", False)

    def page(self, path):
        return http("GET", f"http://127.0.0.1:{self.admin}{path}", timeout=10)[2].decode()

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
