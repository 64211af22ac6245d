"""A real Envoy that asks the picker, in front of two real vLLM replicas: what the picker expects to be
cached is what the replicas report.

Environment: ONEFILL_VLLM too (folder made by `cargo xtask vllm`).
"""

import importlib.util
import json
import pathlib
import random
import signal
import sys

from lab import Picker, free_ports, request, until
from envoy import Envoy, listener, original_dst, picker_cluster
from loopback import LOGS

spec = importlib.util.spec_from_file_location(
    "replicas", pathlib.Path(__file__).parent.parent / "vllm" / "lab.py"
)
replicas = importlib.util.module_from_spec(spec)
spec.loader.exec_module(replicas)

ERROR = "onefill_picker_prediction_error_tokens"
CHATS, TURNS = 6, 4


def usage(answer):
    """(prompt tokens, cached tokens) of an answer or of a stream."""
    text = answer.decode()
    if text.startswith("data:"):
        events = [line[6:] for line in text.splitlines() if line.startswith("data: {")]
        told = [json.loads(event)["usage"] for event in events if '"usage":{' in event][-1]
    else:
        told = json.loads(text)["usage"]
    details = told.get("prompt_tokens_details") or {}
    return told["prompt_tokens"], details.get("cached_tokens") or 0


def talk(url):
    """Chats that share a system prompt, turn by turn, every third one streamed; (prompt, cached)."""
    rng = random.Random(7)
    system = {"role": "system", "content": "Be brief. " + replicas.words(rng, 120)}
    chats = [[system] for _ in range(CHATS)]
    told = []
    for turn in range(TURNS):
        for number, chat in enumerate(chats):
            chat.append({"role": "user", "content": replicas.words(rng, 60)})
            sent = {"model": "tiny", "messages": chat, "max_tokens": 8, "temperature": 0}
            if number % 3 == 2:
                sent |= {"stream": True, "stream_options": {"include_usage": True}}
            status, _, answer = request("POST", url, sent, timeout=120)
            assert status == 200, answer
            told.append(usage(answer))
            chat.append({"role": "assistant", "content": f"answer {turn}"})
    return told


def main():
    print(f"logs: {LOGS}")
    fleet = [replicas.Replica(f"vllm-{n}", 400).start() for n in range(2)]
    programs = []
    try:
        for replica in fleet:
            replica.wait_for("/health", 240)
            replica.warm()
        addresses = [replica.url.removeprefix("http://") for replica in fleet]
        picker = Picker("picker", addresses, tokenizer=replicas.PEER / "tinymodel")
        programs.append(picker)
        picker.exact()
        ports = free_ports(2)
        listeners = [
            listener("duplex", ports[0], "original_dst", "picker"),
            listener("buffered", ports[1], "original_dst", "picker", mode="BUFFERED"),
        ]
        programs.append(Envoy(listeners, [original_dst(), picker_cluster("picker", picker.port)]))
        told = []
        for port in ports:
            told += talk(f"http://127.0.0.1:{port}/v1/chat/completions")
        count = len(told)
        compared = lambda: picker.metric(ERROR + "_count") == count
        until("every answer was compared", compared)
        prompt, cached = (sum(each[part] for each in told) for part in (0, 1))
        wrong = picker.metric(ERROR + "_sum")
        print(f"{count} requests, {prompt} prompt tokens, {cached} cached, {wrong:.0f} expected otherwise")
        assert wrong == 0, "what is expected is what is reported"
        assert cached > prompt / 2, "and the prefix goes where it is held"
    except AssertionError as error:
        print(f"FAILED: {error}")
        return 1
    finally:
        for program in [*programs, *fleet]:
            program.stop(signal.SIGKILL)
    print("ok expected overlap is what real vLLM reports as cached")
    return 0


if __name__ == "__main__":
    sys.exit(main())
