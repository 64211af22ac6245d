"""Rendered objects with real vLLM on CPU: replica B answers what only A has computed, out of the store, and
the router knows. Environment: that of lab.py, ONEFILL_VLLM (folder made by `cargo xtask vllm`), ONEFILL_PLUG
(folder into which the Python package was installed).
"""

import json
import os
import pathlib
import re

import lab
import pods
import run

PEER = pathlib.Path(os.environ["ONEFILL_VLLM"])
SITE = lab.ROOT / "tests/vllm/peer/site"


def real(command, env):
    """`vllm serve` as it is said; around it what an image brings, and two cores for two replicas."""
    assert command[:2] == ["vllm", "serve"]
    image = {
        "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": "1", "VLLM_HOST_IP": "127.0.0.1",
        "PYTHONDONTWRITEBYTECODE": "", "PYTHONPATH": os.pathsep.join([str(SITE), os.environ["ONEFILL_PLUG"]]),
    }  # fmt: skip
    # vLLM binds only all addresses: replicas on one machine need ports of their own for events.
    free = lambda found: f"tcp://*:{lab.free_ports(1)[0]}"
    command = [re.sub(r"tcp://127\.0\.0\.\d+:\d+", free, argument) for argument in command]
    return [PEER / "vllm/bin/vllm", *command[1:]], image


def metric(url, name, **labels):
    text = lab.http("GET", url + "/metrics")[2].decode()
    samples = re.findall(rf"^{name}(?:\{{(.*)\}})? (\S+)$", text, re.M)
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    return sum(float(value) for said, value in samples if all(each in said for each in wanted))


def tell():
    model = str(PEER / "tinymodel")
    kv = {
        "enabled": True,
        "offload": {"cpu": "64Mi"},
        "store": {"size": "256Mi", "ttl": "1h", "generation": "test"},
    }
    xr = lab.inference("cpu", model=model, gpu=0, backend="Deployment", replicas=2, kvCache=kv)
    with pods.Pods(lab.render(xr), real) as running:
        running.probed("cpu-kvstore", "readinessProbe")
        running.probed("cpu", "readinessProbe", timeout_s=400)
        running.probed("cpu-router", "readinessProbe")
        router = running.programs["cpu-router"][0]
        door, admin = running.url("cpu-router", 8080), running.url("cpu-router", 9090)
        engines = [f"http://{address}:{running.ports[8000]}" for address in running.address["cpu"]]
        store = running.url("cpu-kvstore", 9180)
        lab.check("real vLLM starts with the rendered arguments", True)
        for engine in engines:
            run.ask(engine, "warm up " * 20, model=model)
        fleet = lambda: json.loads(lab.http("GET", admin + "/debug/fleet")[2])["replicas"]
        exact = lambda: len(fleet()) == 2 and all(not each.get("why") for each in fleet())
        router.until("both caches are known exactly", exact, 30)
        told = [turns for turns in conversations(door, model).values()]
        later = [turn for turns in told for turn in turns[1:]]
        right = [
            each
            for each in later
            if each[1]["state"] == "exact" and int(each[1]["overlap_tokens"]) == each[2]
        ]
        lab.check(
            "the overlap that the router tells is what vLLM reports as cached",
            len(right) == len(later),
            f"({len(right)} of {len(later)})",
        )
        shared(engines, store, router, model)
        status = running.status(xr)
        lab.check("status is Ready", status["phase"] == "Ready", f"({status['readyReplicas']} replicas)")
        running.programs["cpu-kvstore"][0].stop()
        answer = run.ask(door, "after the store is gone " * 20, model=model)[2]
        lab.check("without the store requests are computed", answer["usage"]["completion_tokens"] > 0)
        lab.check("and the status is Degraded", running.status(xr)["phase"] == "Degraded")


def conversations(url, model):
    """Chats that grow: (replica, receipt, tokens that vLLM had cached) of each turn."""
    told = {}
    for chat in range(4):
        text = f"chat {chat} begins with words of its own, which are many. " * 12
        told[chat] = []
        for _ in range(3):
            replica, receipt, answer = run.ask(url, text, model=model)
            cached = (answer["usage"].get("prompt_tokens_details") or {}).get("cached_tokens") or 0
            told[chat].append((replica, receipt, cached))
            text += answer["choices"][0]["text"] + " and then a turn of some more words. " * 4
    return told


def shared(engines, store, router, model):
    """Prompts that A computed are answered by B from the store. A prompt of this small model is computed within
    milliseconds, so that on a busy machine B rightly does not wait for the store: then another one is asked.
    """
    a, b = engines
    blocks = lambda: metric(store, "onefill_store_memory_blocks")
    loaded = lambda: metric(b, "vllm:prompt_tokens_cached_by_source_total", source="disk")
    answers, tokens = [], []

    def from_the_store():
        prompt = f"document {len(answers)} that both are asked about, one after the other. " * 30
        others = blocks()
        first = run.ask(a, prompt, model=model, tokens=8)[2]
        whole = first["usage"]["prompt_tokens"] // 32
        router.until(f"its {whole} blocks are stored", lambda: blocks() >= others + whole, 30)
        before = loaded()
        second = run.ask(b, prompt, model=model, tokens=8)[2]
        answers.append(first["choices"][0]["text"] == second["choices"][0]["text"])
        tokens.append((loaded() - before, whole * 32))
        return tokens[-1][0] >= 0.9 * tokens[-1][1]

    router.until("a prompt comes out of the store", from_the_store, 90)
    lab.check("replica B answers the same", all(answers), f"({len(answers)} prompts)")
    came, whole = tokens[-1]
    lab.check("out of the store", came >= 0.9 * whole, f"({came:.0f} of {whole} tokens in whole blocks)")
