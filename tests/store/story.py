"""The store with its real clients: LMCache 0.5.6 and 0.3.13 over lm://, redis:// and resp://, LMCache's
multi-process L2 adapter and benchmark, redis-py, redis-cli, redis-benchmark; and its remote tier on Redis,
a cluster of it, a server that speaks S3 and a folder. Run by `cargo xtask test store`.
"""

import contextlib
import shutil
import subprocess
import threading

import lab
from apart import bounded, tenants
from durable import durable
from lab import check
from operate import operate
from remote import remote
from secure import secure

LOOKUPS = 1000


def ran(promise, outcome):
    """A client's script passed all its checks."""
    status, output = outcome
    lines = output.strip().splitlines()
    for line in lines[:-1]:
        lab.say(f"       {line}")
    check(promise, status == 0, f"({lines[-1] if lines else 'it said nothing'})")


def connectors(store, state):
    """LMCache's own connectors, each against this store."""
    for version, door in [("0.5.6", "lm"), ("0.5.6", "redis"), ("0.5.6", "resp"), ("0.3.13", "lm"), ("0.3.13", "redis")]:
        port = store.lm if door == "lm" else store.resp
        url = f"{door}://127.0.0.1:{port}"
        ran(f"LMCache {version} over {door}://, {state}", lab.client(version, "connector.py", url))


@contextlib.contextmanager
def churn(store):
    """Another client puts blocks all the time, so that the store is full and evicts."""
    end = threading.Event()
    command = ["redis-benchmark", "-p", store.resp, "-t", "set", "-d", 1 << 20, "-r", 100000, "-n", 1000, "-c", 1]
    subprocess.run([*map(str, command), "-q"], check=True, stdout=subprocess.DEVNULL)
    command[command.index("-n") + 1] = 50

    def put():
        while not end.wait(0.3):
            subprocess.run([*map(str, command), "-q"], check=False, stdout=subprocess.DEVNULL)

    thread = threading.Thread(target=put)
    thread.start()
    yield
    end.set()
    thread.join()


def lmcache():
    with lab.Store("lmcache", "1GiB") as store:
        connectors(store, "room")
        command = ["bench", "l2", "--l2-adapter", f'{{"type":"resp","host":"127.0.0.1","port":{store.resp},"num_workers":4}}']
        command += ["--num-keys", "16", "--data-size-kb", "4096", "--rounds", "3", "--no-skip-verify"]
        with open(lab.LOGS / "bench-l2.log", "wb") as log:
            program = lab.PEER / "lmcache/bin/lmcache"
            done = subprocess.run([program, *command], stdout=log, stderr=log, timeout=300)
        text = (lab.LOGS / "bench-l2.log").read_text()
        check("`lmcache bench l2` runs clean", done.returncode == 0 and "rror" not in text)
    with lab.Store("full", "640MiB") as store, churn(store):
        connectors(store, "full and evicting")
        used = store.metric("memory_used_bytes") / store.metric("memory_bytes")
        evicted = store.metric("namespace_evicted_total")
        check("the store was full", used > 0.95 and evicted > 100, f"({used:.1%} used, {evicted:.0f} evicted)")
    with lab.Store("adapter", "64MiB") as store:
        ran("LMCache's multi-process L2 adapter", lab.client("0.5.6", "adapter.py", "checks", store.resp))


def deadlock():
    for leases, seconds in [("leases", 5), ("none", 0)]:
        with lab.Store(f"evicted-{leases}", "8MiB", "--lease-seconds", seconds) as store:
            outcome = lab.client("0.5.6", "adapter.py", "evicted", store.resp, LOOKUPS, leases)
            ran(f"{LOOKUPS} lookups with eviction before the load, leases: {seconds} s", outcome)


def plain():
    with lab.Store("plain", "64MiB") as store:
        ran("redis-py in RESP2 and RESP3", lab.client("0.5.6", "plain.py", store.resp))
        ask = lambda *words: subprocess.run(["redis-cli", "-p", str(store.resp), *words], capture_output=True, text=True).stdout.strip()
        check("redis-cli", [ask("SET", "k", "v"), ask("GET", "k"), ask("-3", "GET", "x")] == ["OK", "v", ""])
        command = ["redis-benchmark", "-p", str(store.resp), "-t", "ping,set,get,mset", "-n", "20000", "-d", "512", "-q", "-P", "8"]
        done = subprocess.run(command, capture_output=True, text=True)
        check("redis-benchmark", done.returncode == 0 and "rror" not in done.stdout + done.stderr)
        misses = store.metric("misses_total")
        check("the ledger counts misses by cause", misses > 0 and store.metric("hits_total") > 20000)


def main():
    lab.say(f"logs: {lab.LOGS}")
    for program in ("redis-cli", "redis-benchmark"):
        assert shutil.which(program), f"{program} is missing (Debian: apt-get install redis-tools)"
    plain()
    lmcache()
    deadlock()
    durable(20)
    tenants()
    bounded()
    operate()
    remote()
    secure()
    lab.end()


if __name__ == "__main__":
    main()
