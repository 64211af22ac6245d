"""Rendered objects applied by kubectl to an API server, a status that follows a watch, and the operator's own
router and cache server replaced by ours.
"""

import json
import queue
import re
import socket
import struct
import time

import api
import lab
import run
import yaml

APPS = "/apis/apps/v1/namespaces/a"
SPEC = {"backend": "Deployment", "replicas": 2, "kvCache": {"enabled": True}}


def applied(server):
    xr = lab.inference(**SPEC)
    objects = lab.render(xr)
    text = yaml.safe_dump_all(objects)
    first = server.kubectl("apply", "--validate=false", "-f", "-", stdin=text)
    again = server.kubectl("apply", "--validate=false", "-f", "-", stdin=text)
    made = first.count(" created")
    lab.check(
        "kubectl apply makes every rendered object", made == len(objects), f"({made} of {len(objects)})"
    )
    # kubectl sends a budget's selector again whatever is there.
    same = [
        line for line in again.splitlines() if " unchanged" in line or line.startswith("poddisruptionbudget")
    ]
    lab.check("and changes nothing the second time", len(same) == len(objects))
    return xr


def seen(server):
    """Deployments and StatefulSets as the server has them."""
    path = lab.FOLDER / "seen.yaml"
    items = []
    for plural in ("deployments", "statefulsets"):
        items += server.get(f"{APPS}/{plural}")["items"]
    path.write_text(yaml.safe_dump_all(items))
    return str(path)


def followed(server, xr):
    """A controller in a few lines: at each event of a watch, the status anew."""
    events, phases = queue.Queue(), []
    for plural in ("deployments", "statefulsets"):
        server.watch(f"{APPS}/{plural}", events)

    def after(what, path, replicas):
        status = {"status": {"availableReplicas": replicas, "readyReplicas": replicas}}
        end = time.monotonic() + 20
        server.patch(f"{APPS}/{path}", status)
        while time.monotonic() < end:
            event = events.get(timeout=20)
            name = path.split("/")[1]
            if (
                event["object"]["metadata"]["name"] == name
                and event["object"].get("status") == status["status"]
            ):
                told = lab.render(xr, "--observed", seen(server), "--status")[-1]["status"]["kvCache"]
                phases.append(told["phase"])
                return
        raise AssertionError(f"no event: {what}")

    after("an engine", "deployments/m", 1)
    after("the router", "deployments/m-router", 1)
    after("the store", "statefulsets/m-kvstore", 1)
    after("the other engine", "deployments/m", 2)
    after("the store goes", "statefulsets/m-kvstore", 0)
    after("the engines go", "deployments/m", 0)
    wanted = ["Pending", "Degraded", "Degraded", "Ready", "Degraded", "Pending"]
    lab.check("the status follows what a watch tells", phases == wanted, f"({', '.join(phases)})")


def pod(address, port, ready=True):
    return {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": f"m-{address.rsplit('.', 1)[1]}", "namespace": "a", "labels": {"app": "m"}},
        "spec": {"containers": [{"name": "vllm", "ports": [{"containerPort": port}]}]},
        "status": {"podIP": address, "conditions": [{"type": "Ready", "status": "True" if ready else "False"}]},
    }  # fmt: skip


def router(server):
    """Started by exactly what the operator makes of a VLLMRouter, under its program's name."""
    link = lab.FOLDER / "vllm-router"
    link.symlink_to(lab.ONEFILL)
    port, engine_port, events, replay = lab.free_ports(4)
    engines = []
    for last in (2, 3, 4):
        address = f"127.0.0.{last}"
        command = [lab.ONEFILL, "engine", "--listen", f"{address}:{engine_port}", "--model", run.MODEL]
        command += ["--events", f"tcp://{address}:{events}", "--replay", f"tcp://{address}:{replay}"]
        engines.append(lab.Program(f"engine-{last}", command).start())
        server.post("/api/v1/namespaces/a/pods", pod(address, engine_port, ready=last < 4))
    # vllmrouter_controller.go's order of flags; extraArgs come last
    operator = f"""--host 127.0.0.1 --port {port} --service-discovery k8s --k8s-namespace a
        --k8s-label-selector app=m --routing-logic kvaware --session-key x-session --engine-stats-interval 15
        --request-stats-window 60 --k8s-port {engine_port} --log-stats --colour red"""
    program = lab.Program("router", [link, *operator.split()], {"ONEFILL_KUBERNETES_API": server.url}).start()
    try:
        url = f"http://127.0.0.1:{port}"
        fleet = lambda: json.loads(lab.http("GET", url + "/debug/fleet")[2])["replicas"]
        program.until("its ready pods are found", lambda: len(fleet()) == 2, 30)
        exact = lambda: all(not each.get("why") for each in fleet())
        program.until("their caches are known", lambda: run.ask(url, "warm") and exact(), 30)
        told = run.conversations(url, count=4)
        policies = {receipt["policy"] for turns in told.values() for _, receipt in turns}
        lab.check("the operator's router is replaced: kvaware by pods of a selector", policies == {"kv"})
        said = program.log.read_text()
        warned = all(
            each in said for each in ("--colour is not known here", "without effect here", "--session-key")
        )
        lab.check("flags that mean nothing here are warned of", warned)
        lab.check("and its health page answers", lab.http("GET", url + "/health")[0] == 200)
        server.patch(
            "/api/v1/namespaces/a/pods/m-4", {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
        )
        program.until("a pod that became ready is found", lambda: len(fleet()) == 3, 30)
        lab.http("DELETE", server.url + "/api/v1/namespaces/a/pods/m-2")
        program.until("a pod that went is gone", lambda: len(fleet()) == 2, 30)
        lab.check("pods that come and go are followed", True)
    finally:
        for each in [program, *engines]:
            each.stop()


def cache_server():
    """Started as CacheServer's command, under its program's name."""
    link = lab.FOLDER / "lmcache_server"
    link.symlink_to(lab.ONEFILL)
    [port] = lab.free_ports(1)
    key = f"{run.MODEL}@1@0@841744a44bda7c15@bfloat16".ljust(150).encode()
    body = bytes(range(256)) * 64
    head = lambda command, length: struct.pack("<9i", command, length, 2, 3, 0, 1, 1, 1, len(body)) + key
    with lab.Program("lmcache", [link, "127.0.0.1", str(port)]) as program:
        program.until("it listens", lambda: "listening" in program.log.read_text())
        with socket.create_connection(("127.0.0.1", port), 5) as store:
            file = store.makefile("rb")
            store.sendall(head(1, len(body)) + body + head(2, 0))
            code, length = struct.unpack("<2i", file.read(36)[:8])
            same = code == 200 and file.read(length) == body
        lab.check("LMCache's server is replaced under its name", same)
        bounded = re.search(r"(\d+) bytes of memory", program.log.read_text())
        lab.check("and its memory has a bound", bool(bounded), f"({int(bounded[1]) >> 20} MiB here)")


def tell():
    with api.Server() as server:
        followed(server, applied(server))
        router(server)
    cache_server()


if __name__ == "__main__":
    tell()
    lab.end()
