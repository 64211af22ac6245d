"""The remote tier on engines that exist: Redis, a cluster of it, a server that speaks S3, a folder.
Called by story.py.

Environment: ONEFILL_S3 (virtual environment with moto's server).
"""

import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

import lab
import s3
from durable import Cli
from lab import check

KEYS = 40
SIZE = 1 << 20


def value(key, version=1):
    head = f"{key}/{version}/".encode()
    return (head * (SIZE // len(head) + 1))[:SIZE]


@contextlib.contextmanager
def program(name, command, environment=None):
    with open(lab.LOGS / f"{name}.log", "ab") as log:
        process = subprocess.Popen([*map(str, command)], stdout=log, stderr=log, env={**os.environ, **(environment or {})})
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


def answers(port):
    with contextlib.suppress(OSError):
        return Cli(port).ask("PING") == b"+PONG"


def redis_command(port, *more):
    return ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", *more]


@contextlib.contextmanager
def redis(folder):
    (port,) = lab.free_ports(1)
    with program("remote-redis", redis_command(port)):
        lab.wait_until(lambda: answers(port))
        yield f"valkey://127.0.0.1:{port}/kv"


@contextlib.contextmanager
def cluster(folder):
    """Three masters. A node's bus is on its port + 10000."""
    with contextlib.ExitStack() as stack:
        ports = []
        while len(ports) < 3:
            (port,) = lab.free_ports(1)
            if port < 50000 and port not in ports:
                ports.append(port)
        for port in ports:
            more = ["--cluster-enabled", "yes", "--cluster-config-file", pathlib.Path(folder, f"nodes-{port}")]
            stack.enter_context(program(f"remote-cluster-{port}", redis_command(port, *more)))
            lab.wait_until(lambda: answers(port))
        nodes = [f"127.0.0.1:{port}" for port in ports]
        subprocess.run(["redis-cli", "--cluster", "create", *nodes, "--cluster-yes"], check=True, stdout=subprocess.DEVNULL)
        lab.wait_until(lambda: all(b"cluster_state:ok" in Cli(port).ask("CLUSTER", "INFO") for port in ports))
        yield f"valkey://{nodes[0]}/kv"


@contextlib.contextmanager
def objects(folder):
    with s3.serving() as address:
        os.environ.update(s3.CREDENTIALS)
        yield f"s3://{s3.BUCKET}/blocks?endpoint={address}"


@contextlib.contextmanager
def shared(folder):
    yield f"file://{folder}/shared"


def written(store):
    lab.wait_until(lambda: store.metric("remote_waiting_bytes") == 0, 60)


def story(kind, url):
    """One store writes, another one that starts empty reads."""
    with lab.Store(f"remote-{kind}-one", "16MiB", "--remote", url) as store:
        client = Cli(store.resp)
        for key in range(KEYS):
            client.ask("SET", f"key{key}", value(key))
            written(store)
        read = [client.ask("GET", f"key{key}") == value(key) for key in range(KEYS)]
        hits = store.metric("remote_hits_total")
        check(f"{kind}: what memory let go comes back", all(read) and hits > KEYS / 2, f"({sum(read)} of {KEYS}, {hits:.0f} from there)")
        client.ask("SET", "key1", value(1, 2))
        client.ask("DEL", "key2")
        written(store)
    with lab.Store(f"remote-{kind}-two", "256MiB", "--remote", url) as store:
        client = Cli(store.resp)
        there = client.ask("EXISTS", *[f"key{key}" for key in range(KEYS)])
        check(f"{kind}: another store has them at once", there == b":%d" % (KEYS - 1), f"({there.decode()})")
        wanted = {key: value(key, 1 + (key == 1)) for key in range(KEYS)} | {2: None}
        read = [client.ask("GET", f"key{key}") == wanted[key] for key in range(KEYS)]
        check(f"{kind}: byte for byte, the newest, none that is deleted", all(read), f"({sum(read)} of {KEYS})")
        other = Cli(store.resp)
        other.ask("SELECT", "1")
        crossed = [other.ask("GET", f"key{key}") is not None for key in range(KEYS)]
        check(f"{kind}: no key of another namespace", not any(crossed))
        check(f"{kind}: nothing was corrupt or failed", store.metric("remote_corrupt_total") + store.metric("remote_faults_total") == 0)


def outage():
    """The engine dies under load, and comes back."""
    (port,) = lab.free_ports(1)
    with lab.Store("remote-outage", "64MiB", "--remote", f"valkey://127.0.0.1:{port}") as store:
        client = Cli(store.resp)
        slowest = 0.0

        def use(rounds, base):
            nonlocal slowest
            fine = True
            for key in range(base, base + rounds):
                began = time.monotonic()
                fine &= client.ask("SET", f"key{key}", b"x" * 10000) == b"+OK"
                fine &= client.ask("GET", f"key{key}") == b"x" * 10000
                fine &= client.ask("GET", f"nothing{key}") is None
                slowest = max(slowest, time.monotonic() - began)
            return fine

        with program("remote-outage-redis", redis_command(port)):
            lab.wait_until(lambda: answers(port))
            before = use(50, 0)
        down = use(200, 1000)
        faults = store.metric("remote_faults_total")
        check("remote killed: every command is answered", before and down and faults > 0, f"(slowest {slowest * 1e3:.0f} ms, {faults:.0f} faults)")
        wrote = store.metric("remote_written_total")
        with program("remote-outage-redis", redis_command(port)):
            lab.wait_until(lambda: answers(port))
            lab.wait_until(lambda: use(1, 5000) and store.metric("remote_written_total") > wrote, 60)
            check("remote back: written to again by itself", store.metric("remote_left_alone") == 0)


def corrupt():
    """Bytes that change at the engine never reach a client."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"file://{folder}/shared"
        with lab.Store("remote-corrupt-one", "64MiB", "--remote", url) as store:
            client = Cli(store.resp)
            for key in range(KEYS):
                client.ask("SET", f"key{key}", value(key))
            written(store)
        files = sorted(path for path in pathlib.Path(folder).rglob("*") if path.is_file())
        for number, path in enumerate(files):
            at = (number * 7919 * 131) % path.stat().st_size
            with open(path, "r+b") as file:
                file.seek(at)
                (byte,) = file.read(1)
                file.seek(at)
                file.write(bytes([byte ^ 1 << number % 8]))
        with lab.Store("remote-corrupt-two", "64MiB", "--remote", url) as store:
            client = Cli(store.resp)
            read = [client.ask("GET", f"key{key}") for key in range(KEYS)]
            right = sum(got == value(key) for key, got in enumerate(read))
            wrong = sum(got not in (None, value(key)) for key, got in enumerate(read))
            caught = store.metric("remote_corrupt_total")
            check("a flipped bit in each object: misses, no wrong byte", wrong == 0 and caught == KEYS - right and caught > KEYS / 2, f"({caught:.0f} caught, {right} flips in padding)")


def remote():
    for make in (redis, cluster, objects, shared):
        folder = tempfile.mkdtemp(prefix="onefill-remote-")
        try:
            with make(folder) as url:
                story(make.__name__, url)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    outage()
    corrupt()
