"""vLLM replicas share KV blocks through `onefill store`: same answers, sooner; spoilt bytes and a
store that dies, hangs or crawls cost nothing but the saving. Run by `cargo xtask test plug`.
"""

import concurrent.futures
import json
import os
import signal
import statistics
import sys
import threading
import time

import plug
from plug import check, lab, timing

LOOKUP_MS, LOAD_MS = 1500, 3000  # busy cores are slow to answer; users have more of them
BOUND_S = 5.0  # the first bucket of vLLM's histogram above both time-outs
NO_LOAD = {"kv_transfer_params": {"onefill": {"load": False}}}


def prompts(seed, count, words):
    rng = lab.rng(seed)
    return [lab.words(rng, words) for _ in range(count)]


def share(store, a, b):
    """Replica B answers what only A has computed."""
    texts = prompts(1, 4, 420)
    first = [a.ask(text) for text in texts]
    whole = sum(answer.prompt // lab.BLOCK for answer in first)
    lab.wait_until(f"{whole} blocks stored", lambda: store.blocks() >= whole)
    before = b.from_store()
    second = [b.ask(text) for text in texts]
    came = b.from_store() - before
    check(
        "replica B's blocks come from the store",
        came >= 0.95 * whole * lab.BLOCK,
        f"({came:.0f} of {whole * lab.BLOCK} tokens in whole blocks)",
    )
    shared = store.metric("windows_total")
    check("and went there through memory that both share", shared > 0, f"({shared:.0f} windows)")
    check("text and logprobs are those of replica A", first == second)
    b.forget()
    alone = [b.ask(text, **NO_LOAD) for text in texts]
    check(
        "and those of a run without the store", alone == first and not any(answer.cached for answer in alone)
    )
    check("a request that asks for no store does not load", b.from_store() - before == came)
    b.forget()
    size = store.blocks()
    b.ask(lab.words(lab.rng(99), 300), kv_transfer_params={"onefill": {"store": False}})
    time.sleep(0.5)
    check("a request that asks for no store does not store", store.blocks() == size)


class Hands:
    """A client of the replicas' namespace, to look at blocks and to spoil them."""

    def __init__(self, store, replica):
        from onefill.client import connect

        self.client = connect(f"onefill://127.0.0.1:{store.native}", replica.namespace())

    def _do(self, ticket):
        while True:
            self.client.wait(5)
            for outcome in self.client.poll():
                assert outcome.ticket == ticket and not outcome.late, outcome.error
                return outcome.found

    def get(self, key):
        block = bytearray(plug.BLOCK_BYTES)
        return bytes(block) if self._do(self.client.get([key], [block], 5.0))[0] else None

    def put(self, key, block):
        self._do(self.client.delete([key], 5.0))
        assert self._do(self.client.put([key], [block], 5.0))[0]


def spoilt(store, proxy, a, b):
    """Bytes that changed anywhere on the way never reach an engine."""
    text = prompts(2, 1, 420)[0]
    right = a.ask(text)
    names = plug.keys(a.tokens(text))
    hands = Hands(store, a)
    lab.wait_until("its blocks are stored", lambda: hands.get(names[-1]) is not None)
    blocks = [hands.get(name) for name in names]

    def flipped(block):
        return block[:5000] + bytes([block[5000] ^ 1]) + block[5001:]

    def in_memory(index, bad):
        assert store.overwrite(blocks[index], bad) == 1, "the block lies once in the store's memory"

    ways = [
        ("a bit flipped in the store", lambda: in_memory(15, flipped(blocks[15]))),
        ("a block zeroed in the store", lambda: in_memory(12, bytes(plug.BLOCK_BYTES))),
        ("another block in its place in the store", lambda: in_memory(9, blocks[8])),
        ("a block of another length", lambda: hands.put(names[6], blocks[6][:-1])),
        ("a bit flipped on the wire", lambda: setattr(proxy, "flip", True)),
    ]
    corrupt = "vllm:kv_offload_onefill_loads_corrupt_total"
    for name, spoil in ways:
        spoil()
        b.forget()
        before, loaded = b.metric(corrupt), b.from_store()
        answer = b.ask(text)
        lab.wait_until("counted", lambda before=before: b.metric(corrupt) > before, 10)
        figure = f"({b.from_store() - loaded:.0f} of {right.prompt} tokens loaded)"
        check(
            f"{name} is a miss and the answer is right",
            answer == right and b.metric(corrupt) == before + 1,
            figure,
        )
        lab.wait_until("the block was stored again", lambda: [*map(hands.get, names)] == blocks, 10)
    b.forget()
    before = b.from_store()
    again = b.ask(text) == right and b.from_store() - before == len(names) * lab.BLOCK
    check("spoilt blocks are replaced by those computed anew", again)


def apart(a, b):
    """Salt and adapter keep blocks apart."""
    text = prompts(3, 1, 420)[0]

    def came(replica, **how):
        replica.forget()
        before = replica.from_store()
        answer = replica.ask(text, **how)
        return replica.from_store() - before, answer

    _, salted = came(a, salt="tenant-a")
    whole = salted.prompt // lab.BLOCK * lab.BLOCK
    time.sleep(1)
    check("the same salt shares", came(b, salt="tenant-a")[0] == whole)
    check("another salt does not", came(b, salt="tenant-b")[0] == 0)
    check("no salt does not", came(b)[0] == 0)
    _, adapted = came(a, model="my-lora", salt="tenant-c")
    time.sleep(1)
    check("an adapter does not share with its base model", came(b, salt="tenant-c")[0] == 0)
    tokens, again = came(b, model="my-lora", salt="tenant-c")
    figure = f"({tokens:.0f} of {whole} tokens; {adapted.text!r}, {again.text!r})"
    check("the same adapter shares, with the same answer", tokens == whole and again == adapted, figure)


def sooner(replica, pairs=12):
    """Time to one token, computed and loaded, on the same replica and prompt."""
    texts = prompts(4, pairs + 1, 1750)
    cold, warm = [], []
    for index, text in enumerate(texts):
        replica.forget()
        computed = replica.ask(text, tokens=1)
        time.sleep(0.5)
        replica.forget()
        loaded = replica.ask(text, tokens=1)
        if index:  # the first pair warms up
            cold.append(computed.seconds)
            warm.append(loaded.seconds)
        assert computed.prompt >= 3000, computed.prompt
        if loaded.cached < 0.95 * loaded.prompt:
            lab.say(f"  pair {index}: only {loaded.cached} of {loaded.prompt} tokens were loaded")
    ratios = sorted(c / w for c, w in zip(cold, warm, strict=True))
    median = statistics.median
    figure = (
        f"cold / warm: median {median(ratios):.2f}, {ratios[0]:.2f} to {ratios[-1]:.2f}; {len(ratios)} pairs"
    )
    figure = f"({figure}; medians {median(cold):.3f} s, {median(warm):.3f} s)"
    timing("a prompt of 3,000 tokens begins sooner from the store", median(ratios) > 1, figure)


def fresh(a, b):
    """A replica that has just started finds the fleet's blocks."""
    rng = lab.rng(5)
    systems = prompts(6, 5, 500)
    hot = [f"{rng.choice(systems)} {lab.words(rng, 15)}" for _ in range(50)]
    for text in hot:
        a.ask(text, tokens=1)
    time.sleep(1)
    b.stop()
    b.start()
    b.wait_for("/health", 300)
    first = b.ask(hot[0], tokens=1)
    check(
        "a restarted replica's first request hits the store",
        first.cached >= 0.9 * first.prompt,
        f"({first.cached} of {first.prompt} tokens)",
    )
    answers = [first, *(b.ask(text, tokens=1) for text in hot[1:])]
    # What a new replica alone would compute: each shared part once, and what follows it.
    seen, cold = set(), 0
    for text, answer in zip(hot, answers, strict=True):
        system = next(system for system in systems if text.startswith(system))
        cold += answer.prompt * (1 - len(system) / len(text) if system in seen else 1)
        seen.add(system)
    computed = sum(answer.prompt - answer.cached for answer in answers)
    figure = (
        f"({computed} of {sum(answer.prompt for answer in answers)} tokens; without the store {cold:.0f})"
    )
    check("its first 50 requests compute <= 20 % of what they would cold", computed <= 0.2 * cold, figure)


def routed(store, a, b):
    """The router knows from events what a replica can have from the store."""
    router = lab.Router("router", [a, b], arguments=["--tokenizer", lab.PEER / "tinymodel"])
    text = prompts(8, 1, 420)[0]
    with lab.running(router):
        router.wait_for("/ready", 60)
        exact = lambda: all(each["knowledge"] == "exact" for each in router.fleet().values())  # noqa: E731
        lab.wait_until("both replicas are known exactly", exact, 60)
        right = a.ask(text)
        whole = right.prompt // lab.BLOCK
        body = {"model": "tiny", "prompt": text, "max_tokens": 8, "temperature": 0}

        def tiers(replica):
            answer = json.loads(lab.http("POST", router.admin + "/debug/route", body)[2])
            rows = {row["replica"]: row for row in answer["candidates"]}
            return rows[replica.url].get("overlap_blocks", {})

        lab.wait_until("its blocks are known", lambda: tiers(a).get("gpu") == whole)

        def push_out():
            for other in prompts(9, 6, 1750):  # more than engine and host memory hold
                a.ask(other, tokens=1)
            gone = lambda: tiers(a)["gpu"] == tiers(a)["cpu"] == 0  # noqa: E731
            lab.wait_until("the engine's own copies are known to be gone", gone)

        push_out()
        lab.say(f"  blocks by tier then: {tiers(a)} for a, {tiers(b)} for b")
        check("the router knows the store's blocks as tier remote", tiers(a).get("remote") == whole)
        _, headers, answer = lab.http("POST", router.url + "/v1/completions", body, timeout=60)
        cached = json.loads(answer)["usage"]["prompt_tokens_details"]["cached_tokens"]
        reason = lab.receipt(headers)
        figure = f"({reason}, {cached} tokens cached)"
        check("its receipt counts them, and the replica loads them", cached == whole * lab.BLOCK, figure)
        check("and names the tier", reason.get("tier") == "remote", figure)
        store.stop()
        store.up()
        push_out()
        stale = tiers(a)["remote"]
        a.ask(text, kv_transfer_params={"onefill": {"store": False}})
        push_out()
        figure = f"({stale} blocks before, {tiers(a)['remote']} after)"
        check("what the store lost is known after the first request for it", tiers(a)["remote"] == 0, figure)


class Load:
    """Requests from four threads whose prompts do not fit the replicas' own caches."""

    def __init__(self, replicas):
        self.replicas, self.texts = replicas, prompts(7, 48, 380)
        self.stopped, self.seconds, self.errors, self.cached = threading.Event(), [], [], 0
        self.pool = concurrent.futures.ThreadPoolExecutor(4)

    def __enter__(self):
        self.tasks = [self.pool.submit(self._run, index) for index in range(4)]
        return self

    def _run(self, index):
        rng = lab.rng(100 + index)
        replica = self.replicas[index % len(self.replicas)]
        while not self.stopped.is_set():
            try:
                answer = replica.ask(rng.choice(self.texts), tokens=2, timeout=30)
                self.seconds.append(answer.seconds)
            except Exception as error:
                self.errors.append(repr(error))

    def __exit__(self, *_):
        self.stopped.set()
        self.pool.shutdown()

    def phase(self, name, seconds):
        """Requests of the next seconds: (rate, tokens from the store a second)."""
        count, came = len(self.seconds), sum(replica.from_store() for replica in self.replicas)
        start = time.monotonic()
        time.sleep(seconds)
        elapsed = time.monotonic() - start
        taken = self.seconds[count:]
        loaded = (sum(replica.from_store() for replica in self.replicas) - came) / elapsed
        figure = f"{len(taken) / elapsed:.1f} requests/s, slowest {max(taken, default=0):.2f} s"
        lab.say(f"  {name}: {figure}, {loaded:.0f} tokens/s from the store")
        return len(taken) / elapsed, loaded


def faults(store, proxy, a, b):
    """Whatever the store does, requests go on."""
    with Load([a, b]) as load:
        load.phase("filling the store", 5)
        healthy = load.phase("healthy", 5)
        store.stop(signal.SIGKILL)
        killed = load.phase("killed", 5)
        store.up()
        back = load.phase("restarted", 8)
        store.process.send_signal(signal.SIGSTOP)
        frozen = load.phase("frozen", 6)
        store.process.send_signal(signal.SIGCONT)
        load.phase("thawed", 3)
        proxy.delay_s = 0.1
        slow = load.phase("100 ms an answer, for one replica", 6)
        proxy.delay_s = 0.0
        store.stop()
        store.up("2MiB")
        full = load.phase("full", 6)
        store.stop()
        store.up("128MiB")
        again = load.phase("healthy again", 8)
    phases = {"killed": killed, "restarted": back, "frozen": frozen, "slow": slow, "full": full}
    check(
        "no request fails while the store dies, hangs, crawls, is full or restarts",
        not load.errors,
        f"({len(load.seconds)} requests) {load.errors[:2]}",
    )
    check(
        "requests go on in every phase",
        all(rate > 0.2 * healthy[0] for rate, _ in phases.values()),
        str({name: round(rate, 1) for name, (rate, _) in phases.items()}),
    )
    check(
        "loads come back by themselves",
        back[1] > 0 and again[1] > 0,
        f"({back[1]:.0f} and {again[1]:.0f} tokens/s; {healthy[1]:.0f} before)",
    )
    delays = "vllm:kv_offload_lookup_async_delay_seconds"
    waits = [
        (replica.metric(delays + "_count"), replica.metric(delays + "_bucket", le=str(BOUND_S)))
        for replica in (a, b)
    ]
    check(
        f"no request waits beyond the soft time-outs ({LOOKUP_MS} + {LOAD_MS} ms)",
        all(count == within for count, within in waits),
        f"({waits} waits, all and those within {BOUND_S} s; slowest request {max(load.seconds):.2f} s)",
    )


def main():
    start = time.monotonic()
    lab.say(f"logs in {lab.LOGS}")
    store = plug.Store("store").up()
    proxy = plug.Proxy(store.native)
    settings = {"lookup_timeout_ms": LOOKUP_MS, "load_timeout_ms": LOAD_MS, "load_floor_ms": LOAD_MS}
    settings["load_when"] = "always"  # the tiny model computes as quickly as two busy cores load
    a = plug.Replica("vllm-a", store.native, blocks=220, primary_mib=4, **settings)
    # Its bytes are met with on their way, which a window has none of.
    b = plug.Replica("vllm-b", proxy.port, blocks=220, primary_mib=4, window=False, **settings)
    try:
        with lab.running(a, b):
            for replica in (a, b):
                replica.wait_for("/health", 400)
                replica.warm()
            lab.say(f"two replicas up after {time.monotonic() - start:.0f} s")
            wanted = sys.argv[1:] or ["share", "spoilt", "apart", "sooner", "routed", "fresh", "faults"]
            stories = {
                "share": lambda: share(store, a, b),
                "spoilt": lambda: spoilt(store, proxy, a, b),
                "apart": lambda: apart(a, b),
                "sooner": lambda: sooner(a),
                "routed": lambda: routed(store, a, b),
                "fresh": lambda: fresh(a, b),
                "faults": lambda: faults(store, proxy, a, b),
            }
            for name in wanted:
                begun = time.monotonic()
                try:
                    stories[name]()
                except AssertionError as error:
                    check(f"{name}: comes to its end", False, str(error))
                lab.say(f"  {name}: {time.monotonic() - begun:.0f} s")
    finally:
        if store.process.poll() is None:
            os.kill(store.process.pid, signal.SIGCONT)
        store.stop()
    lab.say(f"{time.monotonic() - start:.0f} s")
    sys.exit(lab.ending())


if __name__ == "__main__":
    main()
