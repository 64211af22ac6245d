"""What the objects say really runs: for each mode, store, engines and router, and requests through the door."""

import json
import re
import socket
import struct

import lab
import pods

MODEL = "Qwen/Qwen2.5-1.5B-Instruct"
MODES = ["KV", "Prefix", "Session", "LeastLoad", "RoundRobin", "None"]
POLICY = {
    "KV": "kv",
    "Prefix": "prefix",
    "Session": "session",
    "LeastLoad": "least-load",
    "RoundRobin": "round-robin",
}


def ask(url, prompt, session=None, model=MODEL, tokens=4):
    """(replica, receipt, answer) of one completion."""
    body = {"model": model, "prompt": prompt, "max_tokens": tokens, "temperature": 0}
    if session:
        body["user"] = session
    status, headers, answer = lab.http("POST", url + "/v1/completions", json.dumps(body).encode())
    if status != 200:
        raise RuntimeError(f"{status}: {answer[:300]}")
    receipt = dict(part.split("=", 1) for part in (headers["x-onefill-reason"] or "").split())
    return headers["x-onefill-replica"], receipt, json.loads(answer)


def conversations(url, count=8, turns=3):
    """Chats that grow, in turn: their replicas and receipts, chat by chat."""
    told = {chat: [] for chat in range(count)}
    texts = {chat: f"chat {chat} has a beginning of its own. " * 30 for chat in told}
    for _ in range(turns):
        for chat, text in texts.items():
            told[chat].append(ask(url, text, session=f"user-{chat}")[:2])
            texts[chat] = text + "and a turn more, which nobody has seen before. " * 3
    return told


def mode(backend, name):
    spec = {
        "backend": backend,
        "replicas": 2,
        "kvCache": {"enabled": True, "routing": {"mode": name}, "store": {"size": "64Mi"}},
    }
    xr = lab.inference(f"{backend.lower()}-{name.lower()}", **spec)
    what = f"{backend} {name}"
    with pods.Pods(lab.render(xr), pods.simulated) as running:
        model = xr["metadata"]["name"]
        before = lab.render(xr, "--status")[-1]["status"]["kvCache"]["phase"]
        running.probed(model, "readinessProbe")
        running.probed(f"{model}-kvstore", "readinessProbe")
        running.probed(f"{model}-kvstore", "livenessProbe")
        if name == "None":
            url = running.url(model, 8000)
            ask(url, "hello")
        else:
            running.probed(f"{model}-router", "readinessProbe")
            running.probed(f"{model}-router", "livenessProbe")
            routed(running, model, name, what)
        after = running.status(xr)
        lab.check(
            f"{what}: status goes from Pending to Ready",
            (before, after["phase"]) == ("Pending", "Ready"),
            f"({after['readyReplicas']} of {after['replicas']} replicas)",
        )
        if backend == "VLLMRuntime":
            lab.check(f"{what}: the store takes LMCache's blocks at its url", block(running, model))
        running.programs[f"{model}-kvstore"][0].stop()
        lab.check(
            f"{what}: without its store it is Degraded and serves", running.status(xr)["phase"] == "Degraded"
        )
        url = running.url(*((model, 8000) if name == "None" else (f"{model}-router", 8080)))
        ask(url, "hello again")


def routed(running, model, name, what):
    url, admin = running.url(f"{model}-router", 8080), running.url(f"{model}-router", 9090)
    router = running.programs[f"{model}-router"][0]
    fleet = lambda: json.loads(lab.http("GET", admin + "/debug/fleet")[2])["replicas"]
    router.until("both replicas are found", lambda: len(fleet()) == 2 and ask(url, "warm"), 30)
    if name == "KV":
        exact = lambda: all("exact" in json.dumps(each).lower() and not each.get("why") for each in fleet())
        router.until("both caches are known exactly", exact, 30)
    told = conversations(url)
    replicas = {replica for turns in told.values() for replica, _ in turns}
    policies = {receipt["policy"] for turns in told.values() for _, receipt in turns}
    lab.check(
        f"{what}: requests come through the door, by that policy",
        policies == {POLICY[name]},
        f"(to {len(replicas)} replicas)",
    )
    if name == "KV":
        later = [receipt for turns in told.values() for _, receipt in turns[1:]]
        hits = sum(
            int(receipt.get("overlap_tokens", 0)) > 0 and receipt["state"] == "exact" for receipt in later
        )
        lab.check(
            f"{what}: each later turn goes where its beginning is known to be",
            hits == len(later),
            f"({hits} of {len(later)})",
        )
    if name in ("Prefix", "Session"):
        stays = all(len({replica for replica, _ in turns}) == 1 for turns in told.values())
        lab.check(f"{what}: a chat stays on its replica", stays)
    if name in ("RoundRobin", "LeastLoad"):
        lab.check(f"{what}: both replicas are used", len(replicas) == 2)
    status, _, metrics = lab.http("GET", admin + "/metrics")
    lab.check(
        f"{what}: metrics are where a PodMonitor looks",
        status == 200 and b"onefill_requests_total" in metrics,
    )


def block(running, model):
    """A block put and got over lm:// at the url that the engine was given."""
    host, port = re.search(r"lm://([^:]+):(\d+)", json.dumps(running.objects)).groups()
    key = f"{MODEL}@1@0@841744a44bda7c15@bfloat16".ljust(150).encode()
    body = bytes(range(256)) * 16
    head = lambda command, length: struct.pack("<9i", command, length, 2, 3, 0, 1, 1, 1, len(body)) + key
    address = running.address[f"{model}-kvstore"][0]
    with socket.create_connection((address, running.ports[int(port)]), 5) as store:
        file = store.makefile("rb")
        store.sendall(head(1, len(body)) + body + head(2, 0))
        code, length = struct.unpack("<2i", file.read(36)[:8])
        return host.startswith(f"{model}-kvstore.") and code == 200 and file.read(length) == body


def tell():
    for backend in ("Deployment", "VLLMRuntime"):
        for name in MODES:
            mode(backend, name)


if __name__ == "__main__":
    tell()
    lab.ending()
