"""What all stories of intent have in common.

Environment: ONEFILL_BIN (the onefill program), ONEFILL_SHARED (folder with the peers' definitions, which
are read and not copied; where it is absent, what needs it is skipped with a word).
"""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
ONEFILL = os.environ["ONEFILL_BIN"]
SHARED = pathlib.Path(os.environ.get("ONEFILL_SHARED") or ROOT.parent / "shared")
CONTROL = ROOT / "crates/control"
FOLDER = pathlib.Path(os.environ.get("ONEFILL_LOGS") or tempfile.mkdtemp(prefix="onefill-intend-"))
PASSED, FAILED = [], []


def say(*parts):
    print(*parts, flush=True)


def check(promise, holds, figure=""):
    """One line a promise; the run goes on, so that one report shows all."""
    (PASSED if holds else FAILED).append(promise)
    say(f"{'ok    ' if holds else 'FAILED'} {promise} {figure}")
    return holds


def ending():
    say(f"{len(PASSED)} promises kept, {len(FAILED)} broken; logs in {FOLDER}")
    sys.exit(1 if FAILED else 0)


def documents(path):
    return [each for each in yaml.safe_load_all(pathlib.Path(path).read_text()) if each]


def onefill(*arguments, stdin=None):
    """(status, documents of standard output, standard error)."""
    done = subprocess.run([ONEFILL, *arguments], input=stdin, capture_output=True, text=True)
    printed = [each for each in yaml.safe_load_all(done.stdout) if each] if done.returncode == 0 else []
    return done.returncode, printed, done.stderr


def render(xr, *arguments):
    """Objects of an LLMInference; an error is raised with what was said."""
    status, objects, said = onefill("render", "-f", "-", *arguments, stdin=yaml.safe_dump(xr))
    if status:
        raise ValueError(said)
    return objects


def inference(name="m", **spec):
    return {
        "apiVersion": "inference.devopstoolkit.ai/v1alpha1",
        "kind": "LLMInference",
        "metadata": {"name": name, "namespace": "a"},
        "spec": {"model": "Qwen/Qwen2.5-1.5B-Instruct", **spec},
    }


def merge(to, over):
    """`over` put over `to`; null takes away."""
    for name, value in (over or {}).items():
        if value is None:
            to.pop(name, None)
        elif isinstance(value, dict) and isinstance(to.get(name), dict):
            merge(to[name], value)
        else:
            to[name] = value
    return to


def free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def http(method, url, body=None, headers=None, timeout=60):
    """(status, headers, bytes) of one request; never raises for a status."""
    request = urllib.request.Request(
        url, body, {"content-type": "application/json", **(headers or {})}, method=method
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


class Program:
    """A program in a process group of its own, with its log in a file."""

    def __init__(self, name, command, env=None):
        self.name, self.command, self.env = name, [str(part) for part in command], env
        self.log = FOLDER / f"{name}.log"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.command, env={**os.environ, **(env or {})}, stdout=log, stderr=log, cwd=FOLDER,
                start_new_session=True,
            )  # fmt: skip

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self, grace_s=15):
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(grace_s)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def alive(self):
        return self.process.poll() is None

    def tail(self, lines=15):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def until(self, what, condition, timeout_s=30):
        """Waits for an effect, while the program lives."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if not self.alive():
                raise RuntimeError(f"{self.name} died:\n{self.tail()}")
            with contextlib.suppress(OSError):
                if condition():
                    return self
            time.sleep(0.05)
        raise RuntimeError(f"{self.name}: not within {timeout_s} s: {what}\n{self.tail()}")

    def answers(self, url, timeout_s=30):
        return self.until(f"{url} answers 200", lambda: http("GET", url, timeout=2)[0] == 200, timeout_s)
