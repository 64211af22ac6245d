"""What a person asks a running store: `onefill store stat|ls|get|rm|pin|flush|verify`. Called by story.py."""

import json
import os
import pathlib
import subprocess
import tempfile

import lab
from durable import Cli
from lab import check


def asked(store, *words):
    command = [os.environ["ONEFILL_BIN"], "store", *words, "--admin", f"127.0.0.1:{store.admin}"]
    done = subprocess.run([*map(str, command)], capture_output=True, timeout=60)
    return done.returncode, done.stdout, done.stderr.decode()


def damage(folder, needle):
    """Flips a bit of a block on disk."""
    for path in pathlib.Path(folder).rglob("*"):
        text = path.read_bytes() if path.is_file() else b""
        at = text.find(needle)
        if at >= 0:
            with open(path, "r+b") as file:
                file.seek(at)
                file.write(bytes([needle[0] ^ 1]))
            return True
    return False


def operate():
    with tempfile.TemporaryDirectory() as folder:
        tiers = ["--disk", f"{folder}/disk", "--disk-size", "1GiB", "--remote", f"file://{folder}/remote"]
        with lab.Store("operate", "64MiB", *tiers) as store:
            client = Cli(store.resp)
            for key in range(100):
                client.ask("SET", f"model@key {key}", f"value {key} ".encode() * 1000)
            client.ask("SET", b"\xff\x00 raw", b"odd")
            lab.wait_until(lambda: store.metric("disk_waiting_bytes") + store.metric("remote_waiting_bytes") == 0)
            stat = json.loads(asked(store, "stat", "--json")[1])
            (space,) = [space for space in stat["namespaces"] if space["name"] == "default"]
            table = asked(store, "stat")[1].decode()
            check("stat: tiers and namespaces", space["blocks"] == 101 and stat["disk"]["blocks"] == 101 and "default" in table, f"({space['blocks']} blocks)")
            lines = asked(store, "ls", "default")[1].decode().splitlines()
            check("ls: every key, as it may be given back", len(lines) == 101 and any("%FF%00%20raw" in line for line in lines))
            got = [asked(store, "get", "default", "model%40key%207")[1], asked(store, "get", "default", "%FF%00%20raw")[1]]
            check("get: a block's bytes", got == [b"value 7 " * 1000, b"odd"])
            missing = asked(store, "get", "default", "nothing")
            check("get: a block that is not there is said", missing[0] == 1 and "no such block" in missing[2], f"({missing[2].strip()})")
            pinned = asked(store, "pin", "default", "%FF%00%20raw")[0], asked(store, "unpin", "default", "%FF%00%20raw")[0]
            removed = asked(store, "rm", "default", "model%40key%200")
            check("pin, unpin, rm", pinned == (0, 0) and removed[0] == 0 and client.ask("GET", "model@key 0") is None)
            status, _, said = asked(store, "verify")
            check("verify: all is whole", status == 0 and "100 blocks read" in said and "0 damaged" in said, f"({said.strip()})")
            check("a block on disk is damaged", damage(f"{folder}/disk", b"value 9 value 9"))
            status, _, said = asked(store, "verify")
            check("verify: finds it", status == 1 and "1 damaged" in said, f"({said.strip()})")
            check("verify: and nobody gets it", client.ask("GET", "model@key 9") == b"value 9 " * 1000 and asked(store, "verify")[0] == 0)
            refused = asked(store, "flush", "default")
            check("flush asks for --yes", refused[0] != 0 and "--yes" in refused[2] and client.ask("GET", "model@key 1") is not None)
            status, _, said = asked(store, "flush", "default", "--yes")
            left = [path for path in pathlib.Path(folder, "remote").rglob("*") if path.is_file()]
            gone = all(client.ask("GET", f"model@key {key}") is None for key in range(100))
            check("flush: gone from memory, disk and remote", status == 0 and gone and not left, f"({said.strip()}; {len(left)} objects left)")
            nobody = subprocess.run([os.environ["ONEFILL_BIN"], "store", "stat", "--admin", "127.0.0.1:1"], capture_output=True)
            check("a store that is not there is named", nobody.returncode == 1 and b"127.0.0.1:1" in nobody.stderr)
        token = pathlib.Path(folder, "token")
        token.write_text("s3cret\n")
        with lab.Store("operate-token", "64MiB", "--admin-token-file", token) as store:
            refused, allowed = asked(store, "stat"), asked(store, "stat", "--token-file", token)
            check("with a token: only who shows it", refused[0] == 1 and "token" in refused[2] and allowed[0] == 0)
