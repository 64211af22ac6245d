"""Flow control behind a real Envoy: requests wait in the picker while the pool is full or empty.

One request an endpoint is all that may be in flight, so that what waits and goes next is told by the order of
the answers.
"""

import sys
import threading

from lab import Engine, Picker, free_ports, request, until  # first: it knows where the others are
from envoy import Envoy, listener, original_dst, picker_cluster
import promises
from loopback import LOGS
from promises import check

WAITING = "llm_d_epp_flow_control_queue_size"
SETUP = """
apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
featureGates: [flowControl]
plugins:
- type: queue-scorer
- type: round-robin-fairness-policy
- type: concurrency-detector
  parameters: {maxConcurrency: 1}
flowControl:
  defaultRequestTTL: 2s
  noEndpointRequestTTL: 3s
  defaultPriorityBand: {priority: 0, fairnessPolicyRef: round-robin-fairness-policy}
  defaultNegativePriorityBand: {priority: -1, maxRequests: 1}
  saturationDetector: {pluginRef: concurrency-detector}
"""


class World:
    def __init__(self):
        self.engine = Engine("engine", "--decode-rate", "50")
        self.file = LOGS / "endpoints.yaml"
        self.endpoints(self.engine)
        objectives = ["--objective", "vip=5", "--objective", "batch=-1"]
        flags = ["--endpoints-file", self.file, "--drain-timeout", "1s", "--config-text", SETUP, *objectives]
        self.picker = Picker("waiting", [], *flags, ready=False)
        self.up(1)
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}/v1/completions"
        front = listener("front", port, "original_dst", "picker")
        self.envoy = Envoy([front], [original_dst(), picker_cluster("picker", self.picker.port)])

    def endpoints(self, *engines):
        lines = [
            f'- {{name: e, address: 127.0.0.1, port: "{each.address.rsplit(":", 1)[1]}"}}' for each in engines
        ]
        self.file.write_text("\n".join(["endpoints:", *lines]) if lines else "endpoints: []")

    def up(self, count):
        up = lambda: sum(each["health"] == "up" for each in self.picker.fleet()) == count
        until(f"{count} endpoints are up", up)

    def send(self, answers, name, tokens=5, objective=None, tenant=None):
        """Sends a request from a thread; what comes of it is appended with its name."""
        headers = {"x-llm-d-inference-objective": objective, "x-llm-d-inference-fairness-id": tenant}
        headers = {key: value for key, value in headers.items() if value}

        def run():
            body = {"model": "tiny", "prompt": f"request {name}", "max_tokens": tokens}
            status, told, text = request("POST", self.url, body, headers)
            answers.append((name, status, told["x-llm-d-request-dropped-reason"], text))

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def waits(self, count):
        until(f"{count} requests wait", lambda: self.picker.metric(WAITING) == count)

    def busy(self, answers, tokens):
        """One request that takes the only place."""
        thread = self.send(answers, "first", tokens)
        until("it is in flight", lambda: self.picker.metric("onefill_picker_in_flight") == 1)
        return thread

    def stop(self):
        for program in (self.envoy, self.picker, self.engine):
            program.stop()


def told(answers, *threads):
    for thread in threads:
        thread.join()
    return [name for name, *_ in answers], [status for _, status, *_ in answers]


def priorities(world):
    answers = []
    threads = [world.busy(answers, 30)]
    for count, name in enumerate(("batch", "none", "vip"), 1):
        threads.append(world.send(answers, name, objective=name))
        world.waits(count)
    order, statuses = told(answers, *threads)
    check(
        "requests that wait go by their priority, whenever they came",
        order == ["first", "vip", "none", "batch"],
    )
    check("and all are answered", statuses == [200] * 4)
    outcome = 'llm_d_epp_flow_control_requests_total{outcome="Dispatched",priority="5"}'
    check("and counted", outcome in request("GET", world.picker.pages + "/metrics")[2].decode())


def tenants(world):
    answers = []
    threads = [world.busy(answers, 30)]
    for count in range(1, 6):
        threads.append(world.send(answers, f"many-{count}", tenant="many"))
        world.waits(count)
    threads.append(world.send(answers, "one", tenant="one"))
    world.waits(6)
    order, statuses = told(answers, *threads)
    check("a tenant with one request is not held up by one with many", order.index("one") <= 2, f"({order})")
    check("and nobody's is lost", statuses == [200] * 7)


def late(world):
    answers = []
    threads = [world.busy(answers, 250), world.send(answers, "late")]
    told(answers, *threads)
    found = {name: (status, reason) for name, status, reason, _ in answers}
    check(
        "who waits too long is told so", found["late"] == (429, "rejected-ttl-expired"), f"({found['late']})"
    )
    check("and whoever was sent on is let be", found["first"][0] == 200)


def full(world):
    answers = []
    threads = [world.busy(answers, 60), world.send(answers, "waits", objective="batch")]
    world.waits(1)
    threads.append(world.send(answers, "too many", objective="batch"))
    threads[-1].join()
    name, status, reason, text = answers[0]
    right = (name, status, reason) == ("too many", 429, "rejected-saturated") and b"queue is full" in text
    check("where the queue of a priority is full, requests are refused at once", right, f"({answers[0]})")
    _, statuses = told(answers, *threads)
    check("and only those", statuses == [429, 200, 200])


def left(world):
    answers = []
    thread = world.busy(answers, 60)
    gone = threading.Thread(target=lambda: leaves(world))
    gone.start()
    world.waits(1)
    gone.join()
    world.waits(0)
    told(answers, thread)
    until("its place is free again", lambda: world.picker.metric("onefill_picker_in_flight") == 0)
    outcome = 'outcome="EvictedContextCancelled",priority="0"} 1'
    text = lambda: request("GET", world.picker.pages + "/metrics")[2].decode()
    check(
        "a client that leaves the queue is forgotten", bool(until("it is counted", lambda: outcome in text()))
    )


def leaves(world):
    try:
        request("POST", world.url, {"model": "tiny", "prompt": "leaves", "max_tokens": 1}, timeout=0.5)
    except OSError:
        return


def empty(world):
    answers = []
    world.endpoints()
    until("there is no endpoint", lambda: not world.picker.fleet())
    thread = world.send(answers, "lost")
    thread.join()
    _, status, reason, _ = answers.pop()
    check(
        "while there is no endpoint, requests wait, and in vain",
        (status, reason) == (503, "rejected-no-endpoints"),
    )
    thread = world.send(answers, "early")
    world.waits(1)
    world.endpoints(world.engine)
    _, statuses = told(answers, thread)
    check("but not where one comes meanwhile", statuses == [200])


def main():
    print(f"logs: {LOGS}")
    world = World()
    try:
        for part in (priorities, tenants, full, left, late, empty):
            part(world)
    finally:
        world.stop()
    return promises.ending()


if __name__ == "__main__":
    sys.exit(main())
