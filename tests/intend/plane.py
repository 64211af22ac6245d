"""What a cluster is to the pods of rendered objects: an API server over TLS that knows their service accounts by
tokens, lets each do what its roles say, and holds the pods and the InferencePool.
"""

import json
import ssl

import certificates
import lab
from apiserver import ApiServer


class Cluster:
    """`refused`: what was asked for without a right."""

    def __init__(self, pods):
        self.pods, self.folder = pods, pods.folder / "cluster"
        certificates.authority(self.folder)
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(self.folder / "tls.crt", self.folder / "tls.key")
        accounts = [each for each in pods.objects if each["kind"] == "ServiceAccount"]
        tokens = {self.token(each["metadata"]["name"]): self.rules(each) for each in accounts}
        self.server = ApiServer(tls=tls, accounts=tokens)
        self.refused = self.server.refused
        for each in pods.objects:
            if each["kind"] == "InferencePool":
                self.pool(each)

    def token(self, account):
        return f"token-of-{account}"

    def rules(self, account):
        """Of all roles that are bound to it, each with its namespace."""
        found, of = [], lambda kind: [each for each in self.pods.objects if each["kind"] == kind]
        name, namespace = (account["metadata"][key] for key in ("name", "namespace"))
        for binding in of("RoleBinding"):
            subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
            if subject in binding["subjects"]:
                there = binding["metadata"]["namespace"]
                roles = [each for each in of("Role") if each["metadata"]["namespace"] == there]
                role = next(each for each in roles if each["metadata"]["name"] == binding["roleRef"]["name"])
                found += [{**rule, "namespace": there} for rule in role["rules"]]
        return found

    def pool(self, pool):
        spec = json.loads(json.dumps(pool["spec"]))
        for port in spec["targetPorts"]:
            port["number"] = self.pods.ports[port["number"]]
        self.server.put(
            "inferencepools", pool["metadata"]["name"], {"spec": spec}, pool["metadata"]["namespace"]
        )

    def ready(self, name):
        """The pods of an app have answered their probes."""
        thing = self.pods.thing(name)
        template = thing["spec"].get("template", {"metadata": {"labels": {"app": name}}})
        for index, address in enumerate(self.pods.address[name]):
            status = {"podIP": address, "conditions": [{"type": "Ready", "status": "True"}]}
            namespace, labels = thing["metadata"]["namespace"], template["metadata"]["labels"]
            self.server.put("pods", f"{name}-{index}", {"status": status}, namespace, labels=labels)

    def environment(self, thing):
        """What the node gives a pod of a workload: where the API server is, and who it is itself."""
        pod = thing["spec"].get("template", {}).get("spec", {})
        name = pod.get("serviceAccountName")
        accounts = [each for each in self.pods.objects if each["kind"] == "ServiceAccount"]
        account = next((each for each in accounts if each["metadata"]["name"] == name), {})
        mounted = pod.get("automountServiceAccountToken", account.get("automountServiceAccountToken", True))
        if not account or not mounted:
            return {}
        secrets = self.folder / name
        secrets.mkdir(exist_ok=True)
        (secrets / "ca.crt").write_bytes((self.folder / "ca.crt").read_bytes())
        (secrets / "token").write_text(self.token(name))
        (secrets / "namespace").write_text(thing["metadata"]["namespace"])
        host, port = "127.0.0.1", str(self.server.server_port)
        where = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
        # Nobody's own configuration stands in the way.
        return {**where, "ACCOUNT": str(secrets), "HOME": str(lab.FOLDER), "KUBECONFIG": ""}

    def stop(self):
        self.server.stop()
