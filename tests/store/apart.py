"""Two tenants on one store, and memory that stays in its bounds: called by story.py."""

import contextlib
import pathlib
import subprocess
import tempfile
import threading
import time

import lab
from durable import Cli
from lab import check

CHURN_SECONDS = 20


def tenants():
    """The same key of two users, an open listener and a database of one of them."""
    with tempfile.TemporaryDirectory() as folder:
        port = lab.free_ports(1)[0]
        text = f'[[listener]]\ndoor = "resp"\naddress = "127.0.0.1:{port}"\nnamespace = "sized"\nblock_bytes = 5\n'
        for name in ("alice", "bob"):
            pathlib.Path(folder, f"{name}.secret").write_text(f"secret of {name}\n")
            text += f'[[user]]\nname = "{name}"\npassword_file = "{name}.secret"\nnamespace = "{name}"\n'
        config = pathlib.Path(folder, "store.toml")
        config.write_text(text)
        disk = ["--disk", pathlib.Path(folder, "disk"), "--disk-size", "1GiB"]
        crossed = 0
        for turn in range(2):  # the second time all comes from disk
            with lab.Store("tenants", "64MiB", "--config", config, *disk) as store:
                doors = [Cli(store.resp), Cli(store.resp)]
                check("nobody comes in without AUTH", doors[0].ask("GET", "k").startswith(b"-NOAUTH"))
                for door, name in zip(doors, ("alice", "bob")):
                    door.ask("AUTH", name, f"secret of {name}")
                for number in range(300):
                    mine, other = doors[number % 2], doors[1 - number % 2]
                    if turn == 0:
                        mine.ask("SET", f"k{number}", f"secret {number}")
                    check_own = mine.ask("GET", f"k{number}") == f"secret {number}".encode()
                    answers = [other.ask("GET", f"k{number}"), other.ask("EXISTS", f"k{number}"), other.ask("DEL", f"k{number}")]
                    crossed += answers != [None, b":0", b":0"] or not check_own
        check("two tenants, one key: never a cross-tenant hit, from memory or disk", crossed == 0, f"({crossed})")
        with lab.Store("sized", "64MiB", "--config", config) as store:
            door = Cli(port)
            door.ask("AUTH", "alice", "secret of alice")
            check("a listener's users still have their own namespace", door.ask("SET", "k", "123456") == b"+OK")


def bounded():
    """Sizes from 64 bytes to 4 MiB, put over one another as fast as can be."""
    memory = 256 << 20
    with lab.Store("bounded", "256MiB") as store:
        end = threading.Event()
        most = 0

        def watch():
            nonlocal most
            while not end.wait(0.05):
                with contextlib.suppress(OSError):
                    most = max(most, store.rss())

        watcher = threading.Thread(target=watch)
        watcher.start()
        start, puts, turn = time.monotonic(), 0, 0
        while time.monotonic() - start < CHURN_SECONDS:
            size, count = [(64, 20000), (5000, 10000), (70000, 3000), (1 << 20, 300), (4 << 20, 80)][turn % 5]
            command = ["redis-benchmark", "-p", store.resp, "-t", "set", "-d", size, "-n", count, "-r", 10**9, "-c", 8, "-q"]
            subprocess.run([*map(str, command)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
            puts, turn = puts + count, turn + 1
        end.set()
        watcher.join()
        bound = memory * 1.1 + (64 << 20)
        check("memory stays in its bound while all is put over", most <= bound, f"({most >> 20} of {int(bound) >> 20} MiB, {puts} puts)")
    # What a policy notes of a block comes on top of what every block takes.
    for policy, most in [("lru", 330), ("density", 370)]:
        records(policy, most)


def records(policy, most):
    with lab.Store("records", "4GiB", "--eviction", policy) as store:
        before, count = store.rss(), 200000
        command = ["redis-benchmark", "-p", store.resp, "-t", "set", "-d", 4096, "-n", count, "-r", 10**9, "-c", 8, "-P", 16, "-q"]
        subprocess.run([*map(str, command)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        blocks, used = store.metric("memory_blocks"), store.metric("memory_used_bytes")
        each = (store.rss() - before - used) / blocks
        check(f"bookkeeping of a block beside its key, {policy}", each - 16 <= most, f"({each:.0f} bytes with a key of 16)")
