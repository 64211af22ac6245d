"""Programs on free ports of loopback: what every story starts, asks and waits for.

Environment: ONEFILL_LOGS (folder of logs; a new one where it is not said).
"""

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

LOGS = pathlib.Path(os.environ.get("ONEFILL_LOGS") or tempfile.mkdtemp(prefix="onefill-"))


def free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def http(method, url, body=None, headers=None, timeout=60):
    """(status, headers, bytes) of one request; never raises for a status."""
    data = json.dumps(body).encode() if isinstance(body, (dict, list)) else body
    request = urllib.request.Request(
        url, data, {"content-type": "application/json", **(headers or {})}, method=method
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def until(what, holds, timeout_s=30):
    """Asks until it holds; gives what it was told, and says what it waited for when that does not come."""
    end, pause = time.monotonic() + timeout_s, 0.005
    while time.monotonic() < end:
        with contextlib.suppress(OSError, AssertionError):
            if found := holds():
                return found
        time.sleep(pause)
        pause = min(2 * pause, 0.05)
    raise AssertionError(f"not within {timeout_s} s: {what}")


class Program:
    """A program in a process group of its own, with its log in a file; may be started again."""

    def __init__(self, name, command, env=None):
        self.name, self.command = name, [str(part) for part in command]
        self.env = {**os.environ, **(env or {})}
        self.process = None
        self.log = LOGS / f"{name}.log"

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.command, env=self.env, stdout=log, stderr=log, cwd=LOGS, start_new_session=True
            )
        return self

    def __enter__(self):
        return self if self.alive() else self.start()

    def __exit__(self, *_):
        self.stop()

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def stop(self, how=signal.SIGTERM, grace_s=15):
        """Ends it; whether it went when it was asked."""
        if self.process is None:
            return True
        with contextlib.suppress(ProcessLookupError):
            if how == signal.SIGKILL:
                os.killpg(self.process.pid, how)
            else:
                self.process.send_signal(how)
        try:
            self.process.wait(grace_s)
            return True
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            return False

    def tail(self, lines=15):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def until(self, what, holds, timeout_s=30):
        """Waits for an effect, while the program lives."""

        def lives_and_holds():
            if not self.alive():
                raise RuntimeError(f"{self.name} died, see {self.log}:\n{self.tail()}")
            return holds()

        try:
            until(what, lives_and_holds, timeout_s)
        except AssertionError as error:
            raise RuntimeError(f"{self.name}: {error}; {self.log} ends so:\n{self.tail()}") from None
        return self

    def answers(self, url, timeout_s=30):
        return self.until(f"{url} answers 200", lambda: http("GET", url, timeout=2)[0] == 200, timeout_s)


@contextlib.contextmanager
def running(*programs):
    """Starts programs and stops them whatever happens."""
    try:
        for program in programs:
            program.start()
        yield programs
    finally:
        for program in programs:
            program.stop()
