"""Plain Redis clients against a store: `plain.py PORT` runs redis-py's checks in RESP2 and RESP3."""

import os
import sys
import time

import redis


def checks(port, protocol):
    db = redis.Redis(port=port, protocol=protocol)
    big = os.urandom(3 << 20)
    yield "PING", db.ping()
    yield "GET of nothing", db.get("absent") is None
    yield "SET and GET", db.set("k", b"v") and db.get("k") == b"v"
    yield "a value of 3 MiB", db.set("big", big) and db.get("big") == big
    yield "an empty value", db.set("empty", b"") and db.get("empty") == b""
    yield "STRLEN", db.strlen("big") == len(big) and db.strlen("absent") == 0
    yield "GETRANGE", db.getrange("big", 100, 1999) == big[100:2000]
    yield "GETRANGE from the end", db.getrange("big", -5, -1) == big[-5:]
    yield "GETRANGE of a long part", db.getrange("big", 1, -2) == big[1:-1]
    yield "SETNX", not db.setnx("k", b"w") and db.setnx(f"new{protocol}", b"w") and db.get("k") == b"v"
    yield "MSET and MGET", db.mset({"a": b"1", "b": big}) and db.mget("a", "x", "b") == [b"1", None, big]
    yield "EXISTS counts", db.exists("a", "b", "x", "a") == 3
    yield "DEL and UNLINK", db.delete("a", "x") == 1 and db.unlink("b") == 1 and db.exists("a", "b") == 0
    yield "SET NX and XX", db.set("k", b"w", nx=True) is None and db.set("nope", b"w", xx=True) is None
    yield "no end", db.ttl("k") == -1 and db.ttl("absent") == -2
    yield "PX and PTTL", db.set("t", b"v", px=60000) and 59000 < db.pttl("t") <= 60000
    yield "PERSIST", db.persist("t") and db.ttl("t") == -1
    yield "PEXPIRE", db.pexpire("t", 1) and wait(lambda: db.get("t") is None)
    yield "TYPE", db.type("k") == b"string" and db.type("absent") == b"none"
    keys = {f"scan:{number}".encode() for number in range(500)}
    db.mset({key: b"v" for key in keys})
    yield "SCAN finds all", set(db.scan_iter("scan:*")) == keys
    yield "SCAN with a pattern", set(db.scan_iter("scan:4?")) == {f"scan:4{n}".encode() for n in range(10)}
    yield "DBSIZE", db.dbsize() >= 500
    yield "SELECT is another namespace", redis.Redis(port=port, db=3).get("k") is None
    pipe = db.pipeline(transaction=False)
    for number in range(200):
        pipe.set(f"p{number}", str(number)).get(f"p{number}")
    yield "a pipeline", pipe.execute()[1::2] == [str(number).encode() for number in range(200)]
    yield "INFO", db.info()["role"] == "master"
    yield "CONFIG GET", "maxmemory" in db.config_get("maxm*")
    yield "ECHO", db.echo("hello") == b"hello"
    yield "an unknown command", refused(lambda: db.lpush("l", 1), "unknown command")
    yield "FLUSHDB is not allowed", refused(db.flushdb, "not allowed")
    yield "a value beyond the memory", refused(lambda: db.set("huge", bytes(80 << 20)), "larger")
    yield "and the connection goes on", db.get("k") == b"v"


def wait(holds):
    deadline = time.monotonic() + 5
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True


def refused(call, words):
    try:
        call()
    except redis.ResponseError as error:
        return words in str(error)
    return False


if __name__ == "__main__":
    passed = failed = 0
    for protocol in (2, 3):
        for promise, holds in checks(int(sys.argv[1]), protocol):
            passed, failed = passed + bool(holds), failed + (not holds)
            if not holds:
                print(f"FAILED RESP{protocol}: {promise}", flush=True)
    print(f"{passed} of {passed + failed}", flush=True)
    sys.exit(1 if failed else 0)
