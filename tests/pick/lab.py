"""A real Envoy, the picker, simulated replicas and an echo, on free ports of loopback.

Environment: ONEFILL_BIN (the onefill program), ONEFILL_ENVOY (the Envoy program).
"""

import contextlib
import hashlib
import http.server
import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

ONEFILL = os.environ["ONEFILL_BIN"]
ENVOY = os.environ["ONEFILL_ENVOY"]
LOGS = pathlib.Path(os.environ.get("ONEFILL_LOGS") or tempfile.mkdtemp(prefix="onefill-pick-"))
SERVICE = "envoy.service.ext_proc.v3.ExternalProcessor"
DESTINATION = "x-gateway-destination-endpoint"


def free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def request(method, url, body=None, headers=None, timeout=30):
    """(status, headers, bytes) of one request; never raises for a status."""
    data = json.dumps(body).encode() if isinstance(body, (dict, list)) else body
    asked = urllib.request.Request(
        url, data, {"content-type": "application/json", **(headers or {})}, method=method
    )
    try:
        with urllib.request.urlopen(asked, timeout=timeout) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def until(what, holds, timeout_s=30):
    """Asks until it holds; gives what it was told."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        with contextlib.suppress(OSError, AssertionError):
            if found := holds():
                return found
        time.sleep(0.05)
    raise AssertionError(f"not within {timeout_s} s: {what}")


class Program:
    """A program with its log in a file."""

    def __init__(self, name, command):
        self.log = LOGS / f"{name}.log"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([str(part) for part in command], stdout=log, stderr=log)

    def alive(self):
        return self.process.poll() is None

    def stop(self, how=signal.SIGTERM):
        if self.alive():
            self.process.send_signal(how)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def tail(self, lines=15):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


class Engine(Program):
    """A simulated replica with its events."""

    def __init__(self, name, *flags):
        port, events, replay = free_ports(3)
        self.address = f"127.0.0.1:{port}"
        self.url = f"http://{self.address}"
        command = [
            ONEFILL, "engine", "--listen", self.address, "--events", f"tcp://*:{events}",
            "--replay", f"tcp://*:{replay}", "--model", "tiny", *flags,
        ]  # fmt: skip
        super().__init__(name, command)
        until(f"{name} answers", lambda: request("GET", self.url + "/health")[0] == 200)


class Picker(Program):
    """`onefill picker` in front of endpoints."""

    def __init__(self, name, endpoints, *flags, ready=True, tls=False, tokenizer="simulated",
                 interval="200ms"):  # fmt: skip
        self.port, self.health_port, metrics = free_ports(3)
        self.pages = f"http://127.0.0.1:{metrics}"
        command = [
            ONEFILL, "picker", "--bind", "127.0.0.1", "--grpc-port", self.port, "--grpc-health-port",
            self.health_port, "--metrics-port", metrics, f"--secure-serving={str(tls).lower()}",
            "--load-interval-max", interval, *flags,
        ]  # fmt: skip
        if tokenizer:
            command += ["--tokenizer", tokenizer]
        for endpoint in endpoints:
            command += ["--endpoint", endpoint]
        super().__init__(name, command)
        until(f"{name} runs", self.runs)
        if ready:
            up = lambda: sum(each["health"] == "up" for each in self.fleet()) == len(endpoints)
            until(f"{name} knows its endpoints", up)

    def runs(self):
        if not self.alive():
            raise RuntimeError(f"{self.log} ends so:\n" + self.tail())
        return request("GET", self.pages + "/health")[0] == 200

    def fleet(self):
        return json.loads(request("GET", self.pages + "/debug/fleet")[2])["replicas"]

    def exact(self):
        until("caches are known exactly", lambda: all(e["knowledge"] == "exact" for e in self.fleet()))

    def metric(self, name):
        """The sum of a metric over its labels."""
        text = request("GET", self.pages + "/metrics")[2].decode()
        lines = [line for line in text.splitlines() if line.startswith((name + " ", name + "{"))]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


class Echo(http.server.ThreadingHTTPServer):
    """An endpoint that says what it was sent; `mode` says how it fails."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, host="127.0.0.1"):
        super().__init__((host, 0), EchoHandler)
        self.address = f"127.0.0.1:{self.server_port}"
        self.mode = "well"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):
        pass  # proxies close connections as they like


class EchoHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def reply(self, kind, body):
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        known = {
            "/v1/models": b'{"data":[{"id":"tiny"}]}',
            "/metrics": b"",
            "/health": b"",
            "/where": self.server.address.encode(),
        }
        if self.path not in known:
            return self.send_error(404)
        self.reply("text/plain", known[self.path])

    def read_body(self):
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # trailers
        return body

    def do_POST(self):
        body = self.read_body()
        if self.server.mode == "dead":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        said = {
            "where": self.server.address,
            "sha256": hashlib.sha256(body).hexdigest(),
            "bytes": len(body),
            "model": (json.loads(body) if body[:1] == b"{" else {}).get("model"),
            "headers": {key.lower(): value for key, value in self.headers.items()},
        }
        self.reply("application/json", json.dumps(said).encode())


# Envoy's configuration, as JSON (which is YAML too).

EXTENSION = "type.googleapis.com/envoy.extensions."
H2 = {
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": EXTENSION + "upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
}


def endpoints(name, addresses):
    def one(address):
        host, port = address.rsplit(":", 1)
        return {"endpoint": {"address": {"socket_address": {"address": host, "port_value": int(port)}}}}

    return {"cluster_name": name, "endpoints": [{"lb_endpoints": [one(each) for each in addresses]}]}


def picker_cluster(name, port, tls=False, watched=False):
    cluster = {
        "name": name, "type": "STATIC", "connect_timeout": "1s", "lb_policy": "LEAST_REQUEST",
        "typed_extension_protocol_options": H2,
        "load_assignment": endpoints(name, [f"127.0.0.1:{port}"]),
    }  # fmt: skip
    if tls:
        context = EXTENSION + "transport_sockets.tls.v3.UpstreamTlsContext"
        cluster["transport_socket"] = {
            "name": "envoy.transport_sockets.tls",
            "typed_config": {"@type": context, "common_tls_context": {"validation_context": {}}},
        }
    if watched:
        cluster["common_lb_config"] = {"healthy_panic_threshold": {"value": 0}}
        cluster["health_checks"] = [{
            "timeout": "1s", "interval": "0.2s", "no_traffic_interval": "0.2s",
            "unhealthy_threshold": 1, "healthy_threshold": 1,
            "grpc_health_check": {"service_name": SERVICE},
        }]  # fmt: skip
    return cluster


def original_dst():
    """The cluster of llm-d's standalone mode and of Envoy AI gateway: the header says where."""
    return {
        "name": "original_dst", "type": "ORIGINAL_DST", "connect_timeout": "5s",
        "lb_policy": "CLUSTER_PROVIDED",
        "original_dst_lb_config": {"use_http_header": True, "http_header_name": DESTINATION},
    }  # fmt: skip


def override_host(name, addresses):
    """The cluster of other gateways: metadata say where, in order of preference."""
    policies = EXTENSION + "load_balancing_policies."
    fallback = {"@type": policies + "round_robin.v3.RoundRobin"}
    config = {
        "@type": policies + "override_host.v3.OverrideHost",
        "override_host_sources": [{"metadata": {"key": "envoy.lb", "path": [{"key": DESTINATION}]}}],
        "selected_host_key": {"key": "envoy.lb", "path": [{"key": DESTINATION + "-served"}]},
        "fallback_policy": {"policies": [{"typed_extension_config": {
            "name": "envoy.load_balancing_policies.round_robin", "typed_config": fallback}}]},
    }  # fmt: skip
    policy = {"name": "envoy.load_balancing_policies.override_host", "typed_config": config}
    return {
        "name": name, "type": "STATIC", "connect_timeout": "1s",
        "load_balancing_policy": {"policies": [{"typed_extension_config": policy}]},
        "load_assignment": endpoints(name, addresses),
    }  # fmt: skip


def listener(name, port, cluster, picker, mode="FULL_DUPLEX_STREAMED", subset=None, open_=False, strip=False):
    ext_proc = {
        "@type": EXTENSION + "filters.http.ext_proc.v3.ExternalProcessor",
        "failure_mode_allow": open_,
        "grpc_service": {"envoy_grpc": {"cluster_name": picker}, "timeout": "10s"},
        "processing_mode": {
            "request_header_mode": "SEND", "response_header_mode": "SEND",
            "request_body_mode": mode, "response_body_mode": mode,
            "request_trailer_mode": "SEND", "response_trailer_mode": "SEND",
        },
        "message_timeout": "100s",
        "metadata_options": {
            "forwarding_namespaces": {"untyped": ["envoy.lb.subset_hint", "envoy.lb"]},
            "receiving_namespaces": {"untyped": ["envoy.lb"]},
        },
    }  # fmt: skip
    filters = [{"name": "envoy.filters.http.ext_proc", "typed_config": ext_proc}]
    if subset is not None:
        hint = {"x-gateway-destination-endpoint-subset": subset}
        filters.insert(0, {"name": "envoy.filters.http.set_metadata", "typed_config": {
            "@type": EXTENSION + "filters.http.set_metadata.v3.Config",
            "metadata": [{"metadata_namespace": "envoy.lb.subset_hint", "value": hint}]}})  # fmt: skip
    filters.append({"name": "envoy.filters.http.router", "typed_config": {
        "@type": EXTENSION + "filters.http.router.v3.Router"}})  # fmt: skip
    route = {"cluster": cluster, "timeout": "600s"}
    if cluster != "original_dst":
        route["retry_policy"] = {"retry_on": "connect-failure,reset,5xx", "num_retries": 2}
    host = {"name": "v", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": route}]}
    manager = {
        "@type": EXTENSION + "filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name, "route_config": {"virtual_hosts": [host]}, "http_filters": filters,
        "http_protocol_options": {"enable_trailers": True},
    }  # fmt: skip
    if strip:
        manager["early_header_mutation_extensions"] = [{
            "name": "envoy.http.early_header_mutation.header_mutation",
            "typed_config": {
                "@type": EXTENSION + "http.early_header_mutation.header_mutation.v3.HeaderMutation",
                "mutations": [{"remove": DESTINATION}],
            },
        }]  # fmt: skip
    chain = {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
    return {
        # llm-d's standalone value; what is to be buffered has to fit.
        "name": name, "per_connection_buffer_limit_bytes": 4 << 20 if mode == "BUFFERED" else 32768,
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [chain]}],
    }  # fmt: skip


class Envoy(Program):
    """A real Envoy with these listeners and clusters."""

    def __init__(self, listeners, clusters):
        (admin,) = free_ports(1)
        self.admin = f"http://127.0.0.1:{admin}"
        config = {
            "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": admin}}},
            "static_resources": {"listeners": listeners, "clusters": clusters},
        }
        path = LOGS / "envoy.json"
        path.write_text(json.dumps(config, indent=1))
        command = [ENVOY, "-c", path, "--concurrency", "1", "-l", "warning", "--disable-hot-restart"]
        super().__init__("envoy", command)
        until("envoy is ready", lambda: request("GET", self.admin + "/ready")[0] == 200)
