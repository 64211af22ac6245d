"""The router's main job on two real vLLM replicas: exact receipts, saved prompt tokens, a replica
killed and back, and what remains with events off. Run by `cargo xtask test vllm`.
"""

import collections
import signal
import sys
import threading
import time

import lab
import traffic
from lab import check

TOKENIZER = ["--tokenizer", lab.PEER / "tinymodel"]


def chats(seed, chats=32, turns=7, active=5):
    """Chats and completions of several turns, a sixth with the adapter, a third with one of two
    salts; some share a system prompt."""
    rng = lab.rng(seed)
    systems = ["You are a helpful assistant. " + lab.words(rng, 90) for _ in range(3)]
    sessions = []
    for index in range(chats):
        asked = [traffic.Turn(index, " " + lab.words(rng, rng.randint(40, 80)), 24) for _ in range(turns)]
        session = traffic.Session(systems[index % 3], asked, chat=index % 4 != 3)
        session.model = "my-lora" if index % 6 == 5 else "tiny"
        session.salt = {1: "tenant-a", 4: "tenant-b"}.get(index % 6)
        sessions.append(session)
    return sessions, traffic.interleaved(rng, sessions, active)


def computed(replicas, before):
    """Prompt tokens computed since `before`, in all."""
    after = [replica.counters() for replica in replicas]
    return sum((a[0] - a[1]) - (b[0] - b[1]) for a, b in zip(after, before))


def drive(router, workload, **options):
    return traffic.Driver(router.url, *workload, **options).run()


def ready(router, knowledge):
    router.wait_for("/ready", 60)
    known = lambda: [each["knowledge"] for each in router.fleet().values()]
    lab.wait_until(f"{router.name}: every replica {knowledge}", lambda: set(known()) == {knowledge}, 60)


def run(name, replicas, workload, policy, knowledge, arguments=()):
    """One policy on emptied replicas: (results, prompt tokens computed)."""
    for replica in replicas:
        replica.reset()
    before = [replica.counters() for replica in replicas]
    router = lab.Router(name, replicas, policy, [*TOKENIZER, *arguments])
    with lab.running(router):
        ready(router, knowledge)
        results = drive(router, workload)
    errors = [each.error for each in results if each.error]
    check(f"{name}: no request fails", not errors, f"({len(results)} requests) {errors[:1]}")
    return results, computed(replicas, before)


def explain(result):
    """Why a receipt may differ from what the replica reports, or nothing."""
    overlap, cached = int(result.reason["overlap_tokens"]), result.cached_tokens
    held = int(result.reason.get("held_tokens", overlap))
    if cached > overlap:
        return f"the replica stored {cached - overlap} tokens after the pick"
    if cached >= held:
        return f"{overlap - cached} tokens that a request in flight was to leave were not there yet"
    return f"the replica evicted {overlap - cached} tokens between the pick and its schedule"


def exact_receipts(results):
    exact = [each for each in results if not each.error and each.reason["state"] == "exact"]
    differ = [each for each in exact if int(each.reason["overlap_tokens"]) != each.cached_tokens]
    for each in differ:
        lab.say(f"  session {each.session} turn {each.turn}: {each.reason} cached={each.cached_tokens}: {explain(each)}")
    share = 1 - len(differ) / max(1, len(exact))
    check("receipts equal cached_tokens for >= 99 %", share >= 0.99 and len(exact) >= 200, f"({share:.4f} of {len(exact)})")
    tokens = [each for each in exact if int(each.reason["prompt_tokens"]) != each.prompt_tokens]
    check("prompt_tokens are the replica's own", not tokens, f"({len(tokens)} differ)")
    salted = collections.Counter(each.reason["state"] for each in results)
    lab.say(f"  states: {dict(salted)}")


def saved_tokens(replicas, workload):
    """kv beside round robin and beside one replica that never forgets."""
    robin, robin_tokens = run("round-robin", replicas, workload, "round-robin", "approximate")
    results, kv_tokens = run("kv", replicas, workload, "kv", "exact")
    more, _ = run("kv, more chats", replicas, chats(seed=2), "kv", "exact")
    exact_receipts(results + more)
    blind, blind_tokens = run("events-off", replicas, workload, "kv", "approximate", ["--no-events"])
    states = {each.reason["state"] for each in blind}
    check("with events off the state is approximate", states == {"approximate"}, str(states))
    check("with events off it still beats round robin", blind_tokens < 0.9 * robin_tokens, f"({blind_tokens / robin_tokens:.3f})")
    return robin_tokens, kv_tokens


def ceiling(replicas, workload):
    """All on one replica, large enough to keep everything."""
    _, tokens = run("one-replica", replicas[:1], workload, "kv", "exact")
    return tokens


def killed_and_back(replicas):
    """SIGKILL under load: no client sees an error but on streams already begun."""
    for replica in replicas:
        replica.reset()
    router = lab.Router("killed", replicas, "kv", TOKENIZER)
    victim = replicas[1]
    with lab.running(router):
        ready(router, "exact")
        workload = chats(seed=5, chats=24, turns=4, active=8)
        driver = traffic.Driver(router.url, *workload)
        runner = threading.Thread(target=driver.run)
        runner.start()
        lab.wait_until("a third of the requests are answered", lambda: len(driver.results) > 30, 60)
        held = router.fleet()[victim.url]["held_blocks"]
        victim.stop(signal.SIGKILL)
        runner.join()
        lost = [each for each in driver.results if each.error and not each.began]
        begun = [each for each in driver.results if each.error and each.began]
        check("a killed replica costs no client an error before its stream begins", not lost, f"({len(driver.results)} requests, {len(begun)} streams cut) {[each.error for each in lost][:2]}")
        check("the victim held blocks before", held > 0, f"({held})")
        victim.start()
        victim.wait_for("/health", 240)
        back = lambda: router.fleet()[victim.url]["knowledge"] == "exact"
        lab.wait_until("the replica is back and exact", back, 60)
        held = router.fleet()[victim.url]["held_blocks"]
        check("its old blocks are gone from the index", held == 0, f"({held})")
        again = drive(router, chats(seed=6, chats=8, turns=3, active=8))
        errors = [each.error for each in again if each.error]
        replicas_used = {each.replica for each in again if not each.error}
        check("it serves again", not errors and victim.url in replicas_used, f"{errors[:1]}")
        wrong = [each for each in again if each.reason["state"] == "exact" and int(each.reason["overlap_tokens"]) > each.cached_tokens]
        check("no receipt promises what the restart lost", not wrong, f"({len(wrong)})")


def main():
    start = time.monotonic()
    lab.say(f"logs in {lab.LOGS}")
    replicas = [lab.Replica(f"vllm-{name}", blocks=3000, lora=True) for name in "ab"]
    with lab.running(*replicas):
        for replica in replicas:
            replica.wait_for("/health", 240)
            replica.warm()
        lab.say(f"two replicas up after {time.monotonic() - start:.0f} s")
        workload = chats(seed=1)
        robin, kv = saved_tokens(replicas, workload)
        best = ceiling(replicas, workload)
        lab.say(f"  computed tokens: round robin {robin:.0f}, kv {kv:.0f}, one replica {best:.0f}")
        check("kv computes at most 0.65 of round robin's tokens (ceiling 0.57)", kv / robin <= 0.65 and kv / robin <= best / robin * 0.65 / 0.57, f"({kv / robin:.3f}, ceiling {best / robin:.3f})")
        killed_and_back(replicas)
    return lab.ending()


if __name__ == "__main__":
    sys.exit(main())
