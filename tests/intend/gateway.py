"""A real Envoy that does what a Gateway's controller makes of the composed HTTPRoute and InferencePool: the route's
hosts and paths, the pool's pods, and its endpoint picker asked over TLS, as its failureMode says.
"""

import lab  # first: it knows where the next one is
import envoy
import pods

PICKER, POOL = "picker", "pool"
# What the controller of a Gateway adds to nothing: here, so that a client sees where its request went.
SEEN = {"x-destination": f"%REQ({envoy.DESTINATION})%", "x-served": "%UPSTREAM_REMOTE_ADDRESS%"}


class Gateway:
    """In front of `Pods` that run."""

    def __init__(self, running):
        one = lambda kind: next(each for each in running.objects if each["kind"] == kind)
        self.route, self.pool = one("HTTPRoute")["spec"], one("InferencePool")
        [self.port] = lab.free_ports(1)
        self.url = f"http://127.0.0.1:{self.port}"
        spec = self.pool["spec"]
        open_ = spec["endpointPickerRef"]["failureMode"] == "FailOpen"
        front = envoy.listener("front", self.port, POOL, PICKER, open_=open_, strip=True, host=self.host())
        [target] = spec["targetPorts"]
        selected = [
            f"{address}:{running.ports[target['number']]}"
            for name, addresses in running.address.items()
            if spec["selector"]["matchLabels"].items() <= labels(running.thing(name)).items()
            for address in addresses
        ]
        back = envoy.override_host(POOL, selected)
        # An endpoint that is gone is looked at again soon.
        picker = envoy.picker_cluster(
            PICKER, self.picked(running), tls=True, watched=open_, host=self.service()
        )
        self.endpoints = set(selected)
        self.envoy = envoy.Envoy([front], [back, picker], running.around())

    def service(self):
        name = self.pool["spec"]["endpointPickerRef"]["name"]
        return f"{name}.{self.pool['metadata']['namespace']}.svc"

    def picked(self, running):
        """The port behind the one that the pool names, by the picker's Service and its pods."""
        ref = self.pool["spec"]["endpointPickerRef"]
        services = [each for each in running.objects if each["kind"] == "Service"]
        service = next(each for each in services if each["metadata"]["name"] == ref["name"])
        [port] = [each for each in service["spec"]["ports"] if each["port"] == ref["port"]["number"]]
        assert port["appProtocol"] == "http2"
        container = running.container(running.thing(service["spec"]["selector"]["app"]))
        [number] = [
            each["containerPort"] for each in container["ports"] if each["name"] == port["targetPort"]
        ]
        return running.ports[number]

    def host(self):
        """Envoy's words for the route."""
        routes = []
        for rule in self.route["rules"]:
            [backend] = rule["backendRefs"]
            assert (backend["kind"], backend["name"]) == ("InferencePool", self.pool["metadata"]["name"])
            assert rule["timeouts"]["request"] == "0s"  # none, for Envoy too
            for match in rule["matches"]:
                assert match["path"]["type"] == "PathPrefix"
                to = {"cluster": POOL, "timeout": "0s", "retry_policy": {"retry_on": "connect-failure,reset"}}
                routes.append({"match": {"prefix": match["path"]["value"]}, "route": to})
        add = [{"header": {"key": key, "value": value}} for key, value in SEEN.items()]
        names = self.route.get("hostnames", ["*"])
        return {"name": "route", "domains": names, "routes": routes, "response_headers_to_add": add}

    def stop(self):
        self.envoy.stop()


def labels(thing):
    template = thing["spec"].get("template", {"metadata": {"labels": {"app": pods.app(thing)}}})
    return template["metadata"]["labels"]
