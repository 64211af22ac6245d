"""What the picker costs: `cargo xtask bench picker`. Through a real Envoy, with the picker's own clock
and the kernel's count of its processor time; clients, Envoy and replicas share the machine.

  idle      100 endpoints, no requests: cores
  long      10 requests/s of growing 400 kB conversations, exact: cores, time to decide
  wide      220 kB bodies, 150 at once, approximate: requests for each second of processor time
  many      5,000 endpoints: time to decide, memory
"""

import json
import os
import pathlib
import random
import re
import signal
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "pick"))
from lab import ONEFILL, Echo, Engine, Picker, Program, free_ports, request, until  # noqa: E402
from envoy import Envoy, listener, original_dst, picker_cluster  # noqa: E402

DECISION = "llm_d_epp_scheduler_e2e_duration_seconds"
TICKS = os.sysconf("SC_CLK_TCK")


class Cost:
    """Processor seconds of a program, and its decisions, from here on."""

    def __init__(self, picker):
        self.picker = picker
        self.cpu, self.at, self.decided = self.spent(), time.monotonic(), self.decisions()

    def spent(self):
        fields = pathlib.Path(f"/proc/{self.picker.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def decisions(self):
        """Decisions up to each bound in seconds."""
        text = request("GET", self.picker.pages + "/metrics")[2].decode()
        found = re.findall(DECISION + r'_bucket\{le="([^"]+)"\} (\d+)', text)
        return {float(bound): int(count) for bound, count in found}

    def cores(self):
        return (self.spent() - self.cpu) / (time.monotonic() - self.at)

    def cpu_s(self):
        return self.spent() - self.cpu

    def count(self):
        return max(self.decisions().values()) - max(self.decided.values())

    def under(self, share):
        """The bound under which so many of the decisions lie, in milliseconds."""
        now = {bound: count - self.decided[bound] for bound, count in self.decisions().items()}
        total = max(now.values())
        return min(bound for bound, count in now.items() if count >= share * total) * 1e3

    def memory_mib(self):
        status = pathlib.Path(f"/proc/{self.picker.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


class Everywhere(Program):
    """A simulated replica that answers for every address of this machine."""

    def __init__(self, *flags):
        (self.port,) = free_ports(1)
        super().__init__("everywhere", [ONEFILL, "engine", "--listen", f"0.0.0.0:{self.port}", "--model", "tiny", *flags])
        self.start()

    def addresses(self, count):
        return [f"127.0.{1 + n // 250}.{1 + n % 250}:{self.port}" for n in range(count)]


def through_envoy(picker):
    (port,) = free_ports(1)
    envoy = Envoy(
        [listener("l", port, "original_dst", "picker")], [original_dst(), picker_cluster("picker", picker.port)]
    )
    return envoy, f"http://127.0.0.1:{port}/v1/chat/completions"


def words(rng, count):
    return " ".join(str(rng.randrange(1000, 10_000)) for _ in range(count))


def idle(seconds):
    everywhere = Everywhere()
    picker = Picker("idle", everywhere.addresses(100), interval="5s")
    cost = Cost(picker)
    time.sleep(seconds)
    print(f"idle      100 endpoints: {cost.cores():.3f} cores, {cost.memory_mib():.0f} MiB")
    picker.stop(signal.SIGKILL)
    everywhere.stop(signal.SIGKILL)


def long(seconds):
    engines = [Engine(f"engine-{n}", "--blocks", "200000") for n in range(4)]
    picker = Picker("long", [engine.address for engine in engines], interval="1s")
    picker.exact()
    envoy, url = through_envoy(picker)
    rng = random.Random(7)
    chats = [[{"role": "user", "content": words(rng, 76_000)}] for _ in range(8)]

    def send(chat):
        chat += [{"role": "assistant", "content": "yes"}, {"role": "user", "content": words(rng, 200)}]
        sent = json.dumps({"model": "tiny", "messages": chat, "max_tokens": 1}).encode()
        return request("POST", url, sent, timeout=60)[0], len(sent)

    for chat in chats:
        send(chat)  # the first turn is new to everyone
    cost, wrong, sizes, threads = Cost(picker), [], [], []

    def one(chat):
        status, size = send(chat)
        sizes.append(size)
        if status != 200:
            wrong.append(status)

    for turn in range(seconds * 10):
        thread = threading.Thread(target=one, args=(chats[turn % len(chats)],))
        thread.start()
        threads.append(thread)
        time.sleep(0.1)
    [thread.join() for thread in threads]
    print(
        f"long      {len(sizes)} requests of {sum(sizes) / len(sizes) / 1e3:.0f} kB, {len(wrong)} failed: "
        f"{cost.cores():.3f} cores, decided within {cost.under(0.5):.2f} ms (p50) and {cost.under(0.95):.2f} ms (p95), "
        f"{cost.memory_mib():.0f} MiB"
    )
    for program in (picker, envoy, *engines):
        program.stop(signal.SIGKILL)


def wide(seconds):
    echoes = [Echo() for _ in range(4)]
    picker = Picker("wide", [echo.address for echo in echoes], interval="1s", tokenizer=None)
    envoy, url = through_envoy(picker)
    rng = random.Random(7)
    sent = [
        json.dumps({"model": "tiny", "messages": [{"role": "user", "content": words(rng, 44_000)}]}).encode()
        for _ in range(16)
    ]
    end, cost = time.monotonic() + seconds, Cost(picker)

    def client(n):
        while time.monotonic() < end:
            request("POST", url, sent[n % len(sent)], timeout=60)

    threads = [threading.Thread(target=client, args=(n,)) for n in range(150)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    count, spent = cost.count(), cost.cpu_s()
    print(f"wide      {count} requests of {len(sent[0]) / 1e3:.0f} kB, 150 at once: {count / spent:.0f} for each second of processor time")
    for program in (picker, envoy):
        program.stop(signal.SIGKILL)


def many(seconds, endpoints=5000):
    everywhere = Everywhere()
    picker = Picker("many", everywhere.addresses(endpoints), ready=False, interval="30s")
    up = lambda: sum(each["health"] == "up" for each in picker.fleet()) == endpoints
    until(f"{endpoints} endpoints", up, 240)
    envoy, url = through_envoy(picker)
    rng = random.Random(7)
    shared = [words(rng, 800) for _ in range(16)]
    cost, end = Cost(picker), time.monotonic() + seconds
    while time.monotonic() < end:
        messages = [{"role": "user", "content": rng.choice(shared) + words(rng, 50)}]
        status = request("POST", url, {"model": "tiny", "messages": messages, "max_tokens": 1}, timeout=60)[0]
        assert status == 200, status
    print(
        f"many      {endpoints:,} endpoints, {cost.count()} requests: decided within {cost.under(0.5):.2f} ms (p50) "
        f"and {cost.under(0.99):.2f} ms (p99), {cost.memory_mib():.0f} MiB"
    )
    for program in (picker, envoy, everywhere):
        program.stop(signal.SIGKILL)


PARTS = {"idle": idle, "long": long, "wide": wide, "many": many}


def main():
    named = [word for word in sys.argv[1:] if word in PARTS] or list(PARTS)
    seconds = next((int(word) for word in sys.argv[1:] if word.isdigit()), 20)
    for name in named:
        PARTS[name](seconds)


if __name__ == "__main__":
    main()
