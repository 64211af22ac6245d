"""An API server that speaks the protocol (PyPI kmock), in a thread, and kubectl and helm for it."""

import asyncio
import contextlib
import json
import os
import pathlib
import subprocess
import threading
import urllib.request

import kmock
import lab

TOOLS = pathlib.Path(os.environ["ONEFILL_TOOLS"])  # folder with kubectl and helm
KINDS = {
    "v1": ["services:Service", "serviceaccounts:ServiceAccount", "configmaps:ConfigMap", "pods:Pod",
           "persistentvolumeclaims:PersistentVolumeClaim", "secrets:Secret"],
    "apps/v1": ["deployments:Deployment", "statefulsets:StatefulSet"],
    "networking.k8s.io/v1": ["ingresses:Ingress", "networkpolicies:NetworkPolicy"],
    "policy/v1": ["poddisruptionbudgets:PodDisruptionBudget"],
    "rbac.authorization.k8s.io/v1": ["roles:Role", "rolebindings:RoleBinding"],
    "inference.networking.k8s.io/v1": ["inferencepools:InferencePool"],
    "gateway.networking.k8s.io/v1": ["httproutes:HTTPRoute"],
    "production-stack.vllm.ai/v1alpha1": ["vllmruntimes:VLLMRuntime"],
    "keda.sh/v1alpha1": ["scaledobjects:ScaledObject"],
}  # fmt: skip
VERBS = {"get", "list", "watch", "create", "update", "patch", "delete"}


class Emulator(kmock.KubernetesEmulator):
    async def _serve_version(self, request):
        # The core group has no name: kubectl finds none of its kinds under "/v1".
        page = await super()._serve_version(request)
        return {**page, "groupVersion": page["groupVersion"].lstrip("/")}

    async def _serve_list(self, request):
        return {"apiVersion": "v1", "kind": "List", **await super()._serve_list(request)}


class Server:
    def __enter__(self):
        self.loop, started = asyncio.new_event_loop(), threading.Event()
        self.end = asyncio.Event()

        async def serve():
            async with Emulator() as emulator, kmock.Server(emulator) as server:
                for version, kinds in KINDS.items():
                    for plural, kind in (each.split(":") for each in kinds):
                        emulator.resources[f"{version}/{plural}"] = {
                            "kind": kind, "namespaced": True, "verbs": VERBS, "subresources": {"status"},
                        }  # fmt: skip
                self.url = str(server.url).rstrip("/")
                started.set()
                await self.end.wait()

        def run():
            asyncio.set_event_loop(self.loop)
            self.loop.run_until_complete(serve())

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()
        if not started.wait(30):
            raise RuntimeError("the API server does not start")
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.end.set)
        self.thread.join(10)

    def kubectl(self, *arguments, stdin=None):
        home = lab.FOLDER / "home"
        command = [TOOLS / "kubectl", "--server", self.url, "--cache-dir", home, *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, env={"HOME": str(home)})
        if done.returncode:
            raise RuntimeError(f"kubectl {' '.join(map(str, arguments))}: {done.stderr}")
        return done.stdout

    def get(self, path):
        return json.loads(lab.http("GET", self.url + path)[2])

    def patch(self, path, body):
        headers = {"content-type": "application/merge-patch+json"}
        status, _, answer = lab.http("PATCH", self.url + path, json.dumps(body).encode(), headers)
        assert status == 200, answer

    def post(self, path, body):
        status, _, answer = lab.http("POST", self.url + path, json.dumps(body).encode())
        assert status in (200, 201), answer

    def watch(self, path, events):
        """Puts each event of a watch into `events`, from a thread, until the server ends."""

        def read():
            with (
                contextlib.suppress(Exception),
                urllib.request.urlopen(f"{self.url}{path}?watch=true", timeout=120) as stream,
            ):
                for line in stream:
                    events.put(json.loads(line))

        threading.Thread(target=read, daemon=True).start()
