"""A pool in Kubernetes: pods that come and go, a pool that changes, an API server that is away.

Pods are addresses of 127.0.0.0/8 behind which one simulated replica (or an echo) answers.
"""

import json
import os
import signal
import sys
import time

from lab import Echo, Picker, Program, free_ports, request, until
from apiserver import ApiServer
from envoy import Envoy, listener, original_dst, picker_cluster
from loopback import LOGS

COMPLETIONS = "/v1/completions"


def ready(address, yes=True):
    state = "True" if yes else "False"
    return {"status": {"podIP": address, "conditions": [{"type": "Ready", "status": state}]}}


class World:
    def __init__(self):
        # One echo answers for every address; the header by which Envoy came says which one.
        self.echo = Echo("0.0.0.0")
        (self.second,) = free_ports(1)
        self.api = ApiServer()
        config = {
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{self.api.server_port}"}}],
            "users": [{"name": "u", "user": {}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": "default"}}],
        }  # fmt: skip
        path = LOGS / "kubeconfig.json"
        path.write_text(json.dumps(config))
        os.environ["KUBECONFIG"] = str(path)
        self.pool([self.echo.server_port])
        for n in (2, 3):
            self.pod(f"pod-{n}", f"127.0.0.{n}")
        self.picker = Picker("picker", [], "--pool-name", "pool", ready=False, interval="5s")
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}{COMPLETIONS}"
        self.envoy = Envoy(
            [listener("pool", port, "original_dst", "picker")],
            [original_dst(), picker_cluster("picker", self.picker.port)],
        )

    def pool(self, ports, app="vllm"):
        spec = {"selector": {"matchLabels": {"app": app}}, "targetPorts": [{"number": p} for p in ports]}
        self.api.put("inferencepools", "pool", {"spec": spec})

    def pod(self, name, address, yes=True, app="vllm", **metadata):
        self.api.put("pods", name, ready(address, yes), labels={"app": app}, **metadata)

    def known(self):
        return {each["url"].removeprefix("http://") for each in self.picker.fleet()}

    def at(self, *hosts):
        return {f"127.0.0.{host}:{self.echo.server_port}" for host in hosts}

    def send(self, headers=None, model="tiny"):
        body = {"model": model, "prompt": f"at {time.monotonic()}", "max_tokens": 1}
        return request("POST", self.url, body, headers)

    def used(self, count=12):
        answers = [self.send() for _ in range(count)]
        assert all(status == 200 for status, _, _ in answers), answers
        return {json.loads(said)["headers"]["x-gateway-destination-endpoint"] for _, _, said in answers}

    def stop(self):
        for program in (self.picker, self.envoy):
            program.stop(signal.SIGKILL)
        self.api.stop()


def ready_pods_of_the_pool_are_used(world):
    until("two pods", lambda: world.known() == world.at(2, 3))
    until("both are used", lambda: world.used() == world.at(2, 3))


def pods_come_and_go(world):
    world.pod("pod-4", "127.0.0.4")
    until("a new one is used", lambda: world.used() == world.at(2, 3, 4))
    world.pod("pod-2", "127.0.0.2", yes=False)
    until("one that is not ready is gone", lambda: world.used() == world.at(3, 4))
    world.pod("pod-5", "127.0.0.5", app="other")
    world.api.delete("pods", "pod-3")
    until("a deleted one is gone", lambda: world.used() == world.at(4))
    world.pod("pod-2", "127.0.0.2")
    until("ready again", lambda: world.used() == world.at(2, 4))
    assert world.known() == world.at(2, 4), "a pod of another kind never was one"


def a_pool_may_change_its_ports_and_its_pods(world):
    world.pool([world.echo.server_port, world.second])
    both = world.at(2, 4) | {f"127.0.0.{n}:{world.second}" for n in (2, 4)}
    until("each port is an endpoint", lambda: world.known() == both)
    annotation = {"llm-d.ai/active-ports": str(world.echo.server_port)}
    world.pod("pod-2", "127.0.0.2", annotations=annotation)
    until("a pod may limit its ports", lambda: world.known() == both - {f"127.0.0.2:{world.second}"})
    world.pool([world.echo.server_port], app="other")
    until("a pool may select others", lambda: world.known() == world.at(5))
    until("and they are used", lambda: world.used(4) == world.at(5))
    world.pool([world.echo.server_port])
    until("and the first ones again", lambda: world.used() == world.at(2, 4))


def watches_that_break_or_are_too_old_are_begun_again(world):
    world.api.cut()
    world.pod("pod-6", "127.0.0.6")
    until("after a cut", lambda: world.known() == world.at(2, 4, 6))
    lists = world.api.lists
    world.api.forget()
    world.api.delete("pods", "pod-6")
    until("after a version that is too old", lambda: world.known() == world.at(2, 4))
    until("it was listed anew", lambda: world.api.lists > lists)


def an_api_server_that_is_away_changes_nothing(world):
    port = world.api.server_port
    objects = dict(world.api.objects)
    world.api.stop()
    assert world.used() == world.at(2, 4)
    # It comes back with another pod and without one, of which no watch ever told.
    back = ApiServer(port)
    back.objects, back.version, back.oldest = objects, 1000, 1000
    world.api = back
    world.pod("pod-7", "127.0.0.7")
    del back.objects["pods", "pod-4"]
    until("what has changed meanwhile is known", lambda: world.known() == world.at(2, 7), 60)
    until("and used", lambda: world.used() == world.at(2, 7))


def objectives_and_rewrites_are_obeyed(world):
    pool = {"name": "pool"}
    rule = {
        "matches": [{"model": {"type": "Exact", "value": "wish"}}],
        "targets": [{"modelRewrite": "tiny"}],
    }
    world.api.put("inferencemodelrewrites", "wish", {"spec": {"poolRef": pool, "rules": [rule]}})
    world.api.put("inferenceobjectives", "batch", {"spec": {"poolRef": pool, "priority": -3}})
    sent = lambda: json.loads(world.send(model="wish")[2])
    # The echo says the model that it was sent, and the client reads its own name again.
    until("the model is rewritten", lambda: sent()["bytes"] and sent()["model"] == "wish")
    headers = {"x-llm-d-inference-objective": "batch"}
    world.send(headers)
    labels = 'priority="-3"'
    text = lambda: request("GET", world.picker.pages + "/metrics")[2].decode()
    until("the priority is known", lambda: world.send(headers)[0] == 200 and labels in text())
    assert 'model_name="wish",target_model_name="tiny"' in text()


def a_thousand_pods_are_endpoints(world):
    engine = world.thousand
    world.pool([engine.port])
    for n in range(1000):
        world.pod(f"many-{n}", f"127.0.{1 + n // 250}.{1 + n % 250}")
    started = time.monotonic()
    count = lambda: sum(url.endswith(f":{engine.port}") and url.startswith("127.0.") for url in world.known())
    until("a thousand pods are known", lambda: count() >= 1000, 60)
    up = lambda: sum(each["health"] == "up" for each in world.picker.fleet())
    until("and up", lambda: up() >= 1000, 120)
    print(f"   1,000 pods known and up after {time.monotonic() - started:.1f} s")
    assert world.send()[0] == 200
    for n in range(0, 1000, 2):
        world.api.delete("pods", f"many-{n}")
    until("half of them are gone", lambda: count() <= 502, 60)
    assert world.send()[0] == 200


class Everywhere(Program):
    """A simulated replica that answers for every address of this machine."""

    def __init__(self):
        (self.port,) = free_ports(1)
        command = [os.environ["ONEFILL_BIN"], "engine", "--listen", f"0.0.0.0:{self.port}", "--model", "tiny"]
        super().__init__("everywhere", command)
        self.start()


STORIES = [
    ready_pods_of_the_pool_are_used,
    pods_come_and_go,
    a_pool_may_change_its_ports_and_its_pods,
    watches_that_break_or_are_too_old_are_begun_again,
    an_api_server_that_is_away_changes_nothing,
    objectives_and_rewrites_are_obeyed,
    a_thousand_pods_are_endpoints,
]


def main():
    print(f"logs: {LOGS}")
    world, failed = World(), 0
    world.thousand = Everywhere()
    try:
        for story in STORIES:
            name, start = story.__name__.replace("_", " "), time.monotonic()
            try:
                story(world)
                print(f"ok {name} ({time.monotonic() - start:.1f} s)")
            except Exception as error:
                failed += 1
                print(f"FAILED {name}: {type(error).__name__}: {error}")
    finally:
        world.stop()
        world.thousand.stop(signal.SIGKILL)
    print(f"{len(STORIES) - failed} of {len(STORIES)} hold")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
