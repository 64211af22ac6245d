"""One workload through each door in front of the same two real vLLM CPU replicas, in one run.

Run by `cargo xtask bench fleet [--seed N] [--doors NAME,...] [--rounds N]`. Each round has a seed of
its own and another door goes first; figures are over all rounds. The ceiling is one replica with
room for everything, asked directly. Exits 1 when onefill misses a goal.
"""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests/vllm"))

import os  # noqa: E402

import lab  # noqa: E402
import traffic  # noqa: E402

PEERS = pathlib.Path(os.environ["ONEFILL_PEERS"]) / "bin"


class Peer(lab.Program):
    def __init__(self, name, arguments):
        (port, spare) = lab.free_ports(2)
        self.url = f"http://127.0.0.1:{port}"
        fill = lambda part: str(part).format(port=port, spare=spare)
        super().__init__(name, [fill(part) for part in arguments])


def doors(replicas):
    """A program for each door."""
    urls = [replica.url for replica in replicas]
    smg = [PEERS / "smg", "launch", "--worker-urls", *urls, "--policy", "cache_aware"]
    smg += ["--host", "127.0.0.1", "--port", "{port}", "--prometheus-port", "{spare}"]
    vllm_router = [PEERS / "vllm-router", "--worker-urls", *urls, "--host", "127.0.0.1"]
    vllm_router += ["--port", "{port}", "--prometheus-port", "{spare}", "--policy"]
    kv_aware = ["kv_aware", "--kv-event-block-size", lab.BLOCK, "--kv-event-model", "tiny"]
    for replica in replicas:
        kv_aware += ["--kv-event-source", f"{replica.url}={replica.events}"]
        kv_aware += ["--kv-event-replay-source", f"{replica.url}={replica.replay}"]
    tokenizer = ["--tokenizer", lab.PEER / "tinymodel"]
    return {
        "round-robin": lambda: lab.Router("round-robin", replicas, "round-robin", tokenizer),
        "smg": lambda: Peer("smg", smg),
        "vllm-router": lambda: Peer("vllm-router", [*vllm_router, "cache_aware"]),
        "vllm-router-kv": lambda: Peer("vllm-router-kv", [*vllm_router, *kv_aware]),
        "onefill": lambda: lab.Router("onefill", replicas, "kv", tokenizer),
    }


def through(door, replicas, workload):
    """Runs the workload through a door on emptied replicas: results, and the imbalance of tokens
    computed."""
    for replica in replicas:
        replica.reset()
    before = [replica.counters() for replica in replicas]
    with lab.running(door):
        door.wait_for("/health", 60)
        if isinstance(door, Peer):
            lab.wait_until(f"{door.name} routes", lambda: answers(door.url), 60)
        else:
            known = "exact" if door.name == "onefill" else "approximate"  # only kv reads events
            ready = lambda: all(each["knowledge"] == known for each in door.fleet().values())
            lab.wait_until(f"{door.name} knows the fleet", ready, 60)
        results = traffic.Driver(door.url, *workload).run()
    for result in results:
        if result.error:
            lab.say(f"  {door.name}: {result.error[:200]}")
            break
    after = [replica.counters() for replica in replicas]
    computed = [(a[0] - a[1]) - (b[0] - b[1]) for a, b in zip(after, before)]
    return results, max(computed) * len(computed) / max(1, sum(computed))


def answers(url):
    body = {"model": "tiny", "prompt": "ready?", "max_tokens": 1}
    return lab.http("POST", url + "/v1/completions", body)[0] == 200


def ceiling(workloads):
    """One replica with room for everything, asked directly."""
    replica = lab.Replica("unlimited", blocks=8000)
    results = []
    with lab.running(replica):
        replica.wait_for("/health", 240)
        for workload in workloads:
            replica.reset()
            results += traffic.Driver(replica.url, *workload).run()
    return traffic.summary(results) | {"imbalance": 1.0}


def rounds(replicas, names, workloads):
    """Figures of each door over all workloads."""
    every = doors(replicas)
    results = {name: [] for name in names}
    imbalances = {name: [] for name in names}
    for place, workload in enumerate(workloads):
        first = place % len(names)
        for name in names[first:] + names[:first]:
            through_it, imbalance = through(every[name](), replicas, workload)
            results[name] += through_it
            imbalances[name].append(imbalance)
            show(f"  {place + 1} {name}", traffic.summary(through_it) | {"imbalance": imbalance})
    return {
        name: traffic.summary(results[name]) | {"imbalance": max(imbalances[name])} for name in names
    }


def show(name, figures):
    lab.say(
        f"{name:18} {figures['hit_ratio']:6.3f} {figures['computed']:9} {figures['imbalance']:9.2f}"
        f" {figures['ttft_p50_ms']:9.0f} {figures['ttft_p95_ms']:9.0f} {figures['errors']:7}"
    )


def goals(table):
    """Sentences, one for each goal missed."""
    ours = table["onefill"]
    peers = {name: row for name, row in table.items() if name not in ("onefill", "unlimited")}
    missed = []
    if "unlimited" in table and ours["hit_ratio"] < 0.97 * table["unlimited"]["hit_ratio"]:
        missed.append(f"hit ratio {ours['hit_ratio']:.3f} under 97 % of the unlimited replica's")
    for name, row in peers.items():
        if ours["hit_ratio"] < row["hit_ratio"]:
            missed.append(f"hit ratio under {name}'s")
    if peers and ours["ttft_p95_ms"] > min(row["ttft_p95_ms"] for row in peers.values()):
        missed.append("TTFT p95 over the best peer's")
    if ours["imbalance"] > 1.25:
        missed.append(f"one replica computes {ours['imbalance']:.2f} times its even share")
    return missed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--blocks", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--doors", default="round-robin,smg,vllm-router,vllm-router-kv,onefill")
    parser.add_argument("--no-ceiling", action="store_true")
    arguments = parser.parse_args()
    seeds = [arguments.seed + 1000 * place for place in range(arguments.rounds)]
    workloads = [traffic.fleet_workload(seed) for seed in seeds]
    requests = sum(len(order) for _, order in workloads)
    lab.say(f"seeds {seeds}: {requests} requests a door, logs in {lab.LOGS}")
    lab.say(f"{'door':18} {'hits':>6} {'computed':>9} {'imbalance':>9} {'p50 ms':>9} {'p95 ms':>9} errors")
    replicas = [lab.Replica(f"vllm-{name}", blocks=arguments.blocks) for name in "ab"]
    table = {}
    if not arguments.no_ceiling:
        table["unlimited"] = ceiling(workloads)
        show("unlimited", table["unlimited"])
    with lab.running(*replicas):
        for replica in replicas:
            replica.wait_for("/health", 240)
        table |= rounds(replicas, arguments.doors.split(","), workloads)
    lab.say("all rounds")
    for name, figures in table.items():
        show(name, figures)
    missed = goals(table) if "onefill" in table else []
    for sentence in missed:
        lab.say("MISSED:", sentence)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
