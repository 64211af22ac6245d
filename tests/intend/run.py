"""What the objects say really runs: for each mode, store, engines and router or picker, and requests through the
door. Environment: that of lab.py, ONEFILL_ENVOY (the Envoy program).
"""

import dataclasses
import json
import re
import signal
import socket
import struct

import gateway
import lab
import pods
import s3

MODEL = "Qwen/Qwen2.5-1.5B-Instruct"
EVICTIONS = ["LRU", "Density", "S3FIFO"]
MODES = ["KV", "Prefix", "Session", "LeastLoad", "RoundRobin", "Gateway", "None"]
HOST = "m.example.com"
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
    # Each of them in some mode.
    spec["kvCache"]["store"]["evictionPolicy"] = EVICTIONS[MODES.index(name) % len(EVICTIONS)]
    if name == "Gateway":
        spec["kvCache"]["routing"] |= {"replicas": 2, "gatewayRef": {"name": "eg"}}
        spec["ingressHost"] = HOST
    xr = lab.inference(f"{backend.lower()}-{name.lower()}", **spec)
    what = f"{backend} {name}"
    with pods.Pods(lab.render(xr), pods.simulated) as running:
        model = xr["metadata"]["name"]
        before = lab.render(xr, "--status")[-1]["status"]["kvCache"]["phase"]
        running.probed(model, "readinessProbe")
        running.probed(f"{model}-kvstore", "readinessProbe")
        running.probed(f"{model}-kvstore", "livenessProbe")
        again = door(running, model, name, what)
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
        again()


def door(running, model, name, what):
    """Asks through the front door, and looks where requests go; gives what asks once more."""
    if name == "None":
        url = running.url(model, 8000)
        ask(url, "hello")
    elif name == "Gateway":
        return picked(running, model, what)
    else:
        running.probed(f"{model}-router", "readinessProbe")
        running.probed(f"{model}-router", "livenessProbe")
        routed(running, model, name, what)
        url = running.url(f"{model}-router", 8080)
    return lambda: ask(url, "hello again")


def picked(running, model, what):
    """Through a Gateway, where two pickers say where each request goes."""
    name = f"{model}-epp"
    running.probed(name, "livenessProbe")
    running.probed(name, "readinessProbe")
    pages = [f"http://{address}:{running.ports[9090]}" for address in running.address[name]]
    for picker, page in zip(running.programs[name], pages, strict=True):
        picker.until("both caches are known exactly", lambda page=page: known(page) == {"exact"}, 30)
    front = gateway.Gateway(running)
    running.programs["gateway"] = [front.envoy]
    told = {chat: [] for chat in range(8)}
    for _ in range(3):
        for chat, turns in told.items():
            text = f"chat {chat} has a beginning of its own. " * 30
            turns.append(
                through(front, text + "and a turn more, which nobody has seen before. " * 3 * len(turns))
            )
    every = [turn for turns in told.values() for turn in turns]
    right = all(turn.picked == turn.served and turn.served in front.endpoints for turn in every)
    used = {turn.served for turn in every}
    figure = f"(to {len(used)} replicas)"
    lab.check(f"{what}: requests come through the Gateway to the endpoint that is picked", right, figure)
    later = [turn for turns in told.values() for turn in turns[1:]]
    stays = all(len({turn.served for turn in turns}) == 1 for turns in told.values())
    hits = sum(turn.cached >= turn.prompt - 60 for turn in later)
    lab.check(
        f"{what}: each later turn goes where its beginning is known to be",
        stays and hits == len(later) and len(used) == 2,
        f"({hits} of {len(later)})",
    )
    error = "onefill_picker_prediction_error_tokens"
    compared = lambda: sum(metric(page, error + "_count") for page in pages)
    lab.until("every answer is compared", lambda: compared() == len(every))
    exact = [metric(page, 'onefill_picker_picks_total{state="exact"}') for page in pages]
    wrong = sum(metric(page, error + "_sum") for page in pages)
    lab.check(
        f"{what}: both pickers pick, exactly, and the engines had cached what they said",
        sum(exact) == len(every) and all(exact) and wrong == 0,
        f"({exact[0]:.0f} and {exact[1]:.0f} picks, {wrong:.0f} tokens off)",
    )
    guarded(front, running, what)

    def again():
        for picker in running.programs[name]:
            picker.stop(signal.SIGKILL)
        answers = lambda: {through(front, f"nobody picks {n}").served for n in range(8)}
        served = lab.until("it is noticed that they are away", lambda: passes(answers), 20)
        lab.check(f"{what}: without its pickers the Gateway goes on (FailOpen)", served <= front.endpoints)

    return again


def passes(asked):
    try:
        return asked()
    except RuntimeError:
        return None


def guarded(front, running, what):
    """Who may decide, and who may ask what."""
    forged = {gateway.envoy.DESTINATION: "127.0.0.1:1"}
    turn = through(front, "a client that names a destination of its own", **forged)
    lab.check(f"{what}: a destination that a client sends decides nothing", turn.served in front.endpoints)
    status = lab.http("GET", front.url + "/v1/models", headers={"host": "other.example.com"})[0]
    lab.check(f"{what}: the route is for its host only", status == 404)
    models = lab.http("GET", front.url + "/v1/models", headers={"host": HOST})
    lab.check(f"{what}: a request without a body finds an endpoint", MODEL.encode() in models[2])
    asked, refused = running.cluster.server.lists, running.cluster.refused
    lab.check(f"{what}: its role allows what the picker asks", asked and not refused, f"({asked} lists)")


@dataclasses.dataclass
class Turn:
    picked: str
    served: str
    prompt: int
    cached: int


def through(front, prompt, **headers):
    body = {"model": MODEL, "prompt": prompt, "max_tokens": 4, "temperature": 0}
    status, told, answer = lab.http("POST", front.url + "/v1/completions", body, {"host": HOST, **headers})
    if status != 200:
        raise RuntimeError(f"{status}: {answer[:300]}")
    usage = json.loads(answer)["usage"]
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    return Turn(told["x-destination"], told["x-served"], usage["prompt_tokens"], cached)


def known(page):
    """How the caches of the picker's endpoints are known; empty until both are there."""
    fleet = json.loads(lab.http("GET", page + "/debug/fleet")[2])["replicas"]
    return {each["knowledge"] for each in fleet} if len(fleet) == 2 else set()


def metric(page, name):
    """The sum of a metric's samples; of one where labels are said."""
    lines = lab.http("GET", page + "/metrics")[2].decode().splitlines()
    ends = (" ",) if "{" in name else (" ", "{")
    found = [line for line in lines if any(line.startswith(name + end) for end in ends)]
    return sum(float(line.rsplit(" ", 1)[1]) for line in found)


def routed(running, model, name, what):
    url, admin = running.url(f"{model}-router", 8080), running.url(f"{model}-router", 9090)
    router = running.programs[f"{model}-router"][0]
    fleet = lambda: json.loads(lab.http("GET", admin + "/debug/fleet")[2])["replicas"]
    router.until("both replicas are up", lambda: [each["health"] for each in fleet()] == ["up"] * 2, 30)
    ask(url, "warm")
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


def several():
    """Two stores: what one was given is found by the other, in the engine beyond them."""
    with s3.serving() as address:
        url = f"s3://{s3.BUCKET}/kv?endpoint={address}"
        store = {"size": "64Mi", "replicas": 2, "remote": {"url": url, "secretName": "s3"}}
        xr = lab.inference("several", replicas=2, kvCache={"enabled": True, "store": store})
        outside = [int(address.rsplit(":", 1)[1])]
        secrets = {"s3": s3.CREDENTIALS}
        with pods.Pods(lab.render(xr), pods.simulated, secrets, outside) as running:
            for name in ("several", "several-kvstore", "several-router"):
                running.probed(name, "readinessProbe")
            lab.check("two stores run, and status is Ready", running.status(xr)["phase"] == "Ready")
            host = re.search(r"lm://([^:]+):", json.dumps(running.objects))[1]
            service = next(each for each in running.objects if pods.host(each) == host)
            lab.check("each engine keeps one of them", service["spec"]["sessionAffinity"] == "ClientIP")
            found = lambda: block(running, "several", put=0, get=1)
            lab.check("and finds what the other was given", bool(lab.until("it is there", found, 60)))


def block(running, model, put=0, get=0):
    """A block put into one store over lm:// and got from one, at the url that the engine was given."""
    host, port = re.search(r"lm://([^:]+):(\d+)", json.dumps(running.objects)).groups()
    key = f"{MODEL}@1@0@841744a44bda7c15@bfloat16".ljust(150).encode()
    body = bytes(range(256)) * 16
    head = lambda command, length: struct.pack("<9i", command, length, 2, 3, 0, 1, 1, 1, len(body)) + key
    addresses = running.address[f"{model}-kvstore"]

    def asked(which, words):
        with socket.create_connection((addresses[which], running.ports[int(port)]), 5) as store:
            store.sendall(words)
            store.shutdown(socket.SHUT_WR)
            return store.makefile("rb").read()

    asked(put, head(1, len(body)) + body)
    answer = asked(get, head(2, 0))
    code = struct.unpack("<i", answer[:4])[0] if len(answer) >= 36 else None
    return host.startswith(f"{model}-kvstore") and code == 200 and answer[36:] == body


def tell():
    for backend in ("Deployment", "VLLMRuntime"):
        for name in MODES:
            mode(backend, name)
    several()


if __name__ == "__main__":
    tell()
    lab.end()
