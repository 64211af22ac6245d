"""The picker, simulated replicas and an echo, behind a real Envoy.

Environment: ONEFILL_BIN (the onefill program), ONEFILL_ENVOY (the Envoy program).
"""

import hashlib
import http.server
import json
import os
import pathlib
import socket
import sys
import threading

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "common"))

from loopback import Program, free_ports, until  # noqa: E402
from loopback import http as request  # noqa: E402

ONEFILL = os.environ["ONEFILL_BIN"]


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
        self.start()
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
        self.start()
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
