"""A Kubernetes API server as far as watchers need one: lists in pages, watches, label and field
selectors, versions that are too old, groups that are not installed; TLS, service accounts and their roles.

KubernetesEmulator of PyPI's kmock knows neither selectors nor versions, on which watchers rest.
"""

import contextlib
import copy
import http.server
import json
import socket
import threading
import urllib.parse

KINDS = {
    "pods": ("", "v1", "Pod"),
    "inferencepools": ("inference.networking.k8s.io", "v1", "InferencePool"),
    "inferenceobjectives": ("inference.networking.x-k8s.io", "v1alpha2", "InferenceObjective"),
    "inferencemodelrewrites": ("inference.networking.x-k8s.io", "v1alpha2", "InferenceModelRewrite"),
}


# A rule of a Role, and the namespace that it is for; "*" is anything.
EVERYTHING = {"namespace": "*", "apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}


def allows(rule, namespace, plural, verb):
    said = lambda key, word: {word, "*"} & set(rule[key])
    there = rule["namespace"] in (namespace, "*")
    return there and said("apiGroups", KINDS[plural][0]) and said("resources", plural) and said("verbs", verb)


class ApiServer(http.server.ThreadingHTTPServer):
    """In memory; `cut` ends all watches, `forget` makes old versions too old.

    With `tls` (a context) it speaks TLS; with `accounts` (token: rules of its roles) it asks who is there and
    refuses what no rule allows.
    """

    daemon_threads = True

    def __init__(self, port=0, tls=None, accounts=None):
        super().__init__(("127.0.0.1", port), Handler)
        self.tls, self.accounts, self.refused = tls, accounts, []
        self.changed = threading.Condition()
        self.version, self.oldest, self.epoch = 1, 0, 0
        self.objects, self.history, self.lists, self.watches = {}, [], 0, 0
        self.connections = []
        self.start()

    def start(self):
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def handle_error(self, *_):
        pass  # watchers close connections as they like

    def get_request(self):
        connection, address = super().get_request()
        if self.tls:
            connection.settimeout(10)
            connection = self.tls.wrap_socket(connection, server_side=True)
            connection.settimeout(None)
        return connection, address

    def put(self, plural, name, body, namespace="default", **metadata):
        group, version, kind = KINDS[plural]
        with self.changed:
            self.version += 1
            old = self.objects.get((plural, name))
            created = (
                old["metadata"]["creationTimestamp"] if old else f"2026-01-01T00:00:{self.version % 60:02}Z"
            )
            made = {
                "apiVersion": f"{group}/{version}".lstrip("/"), "kind": kind, **body,
                "metadata": {
                    "name": name, "namespace": namespace, "resourceVersion": str(self.version),
                    "uid": f"{plural}-{name}", "creationTimestamp": created, **metadata,
                },
            }  # fmt: skip
            self.objects[plural, name] = made
            self.history.append((self.version, plural, "MODIFIED" if old else "ADDED", made))
            self.changed.notify_all()

    def delete(self, plural, name):
        with self.changed:
            self.version += 1
            gone = copy.deepcopy(self.objects.pop((plural, name)))
            gone["metadata"]["resourceVersion"] = str(self.version)
            self.history.append((self.version, plural, "DELETED", gone))
            self.changed.notify_all()

    def cut(self):
        with self.changed:
            self.epoch += 1
            self.changed.notify_all()

    def forget(self):
        with self.changed:
            self.history, self.oldest = [], self.version
        self.cut()

    def stop(self):
        self.cut()
        self.shutdown()
        self.server_close()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def setup(self):
        super().setup()
        self.server.connections.append(self.connection)

    def reply(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def status(self, code, reason):
        return {
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": reason, "reason": reason, "code": code,
        }  # fmt: skip

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = {key: values[0] for key, values in urllib.parse.parse_qs(url.query).items()}
        parts = url.path.strip("/").split("/")
        rules = self.rules()
        if rules is None:
            return self.reply(401, self.status(401, "Unauthorized"))
        if parts[0] == "apis" and len(parts) == 3:
            return self.discover(parts[1], parts[2])  # anybody's who has a name
        plural = parts[-1]
        if plural not in KINDS or "namespaces" not in parts:
            return self.reply(404, self.status(404, "NotFound"))
        namespace = parts[parts.index("namespaces") + 1]
        verb = "watch" if query.get("watch") in ("1", "true") else "list"
        if not any(allows(rule, namespace, plural, verb) for rule in rules):
            self.server.refused.append((namespace, plural, verb))
            return self.reply(403, self.status(403, "Forbidden"))
        query["namespace"] = namespace
        if verb == "watch":
            return self.watch(plural, query)
        self.list(plural, query)

    def rules(self):
        """What who is there may do; None of somebody unknown."""
        if self.server.accounts is None:
            return [EVERYTHING]
        kind, _, token = self.headers.get("authorization", "").partition(" ")
        return self.server.accounts.get(token) if kind == "Bearer" else None

    def discover(self, group, version):
        found = [
            {"name": plural, "singularName": "", "namespaced": True, "kind": kind, "verbs": ["list", "watch"]}
            for plural, (of, at, kind) in KINDS.items()
            if (of, at) == (group, version)
        ]
        if not found:
            return self.reply(404, self.status(404, "NotFound"))
        self.reply(200, {
            "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{group}/{version}",
            "resources": found,
        })  # fmt: skip

    def selects(self, query, made):
        if made["metadata"]["namespace"] != query["namespace"]:
            return False
        labels = made["metadata"].get("labels", {})
        for pair in filter(None, query.get("labelSelector", "").split(",")):
            key, value = pair.split("=", 1)
            if labels.get(key) != value.lstrip("="):
                return False
        for pair in filter(None, query.get("fieldSelector", "").split(",")):
            key, value = pair.split("=", 1)
            if key == "metadata.name" and made["metadata"]["name"] != value.lstrip("="):
                return False
        return True

    def list(self, plural, query):
        group, version, kind = KINDS[plural]
        with self.server.changed:
            self.server.lists += 1
            at = self.server.version
            every = [one for (of, _), one in sorted(self.server.objects.items()) if of == plural]
        selected = [one for one in every if self.selects(query, one)]
        start, limit = int(query.get("continue", 0)), int(query.get("limit", 0)) or len(selected)
        metadata = {"resourceVersion": str(at)}
        if start + limit < len(selected):
            metadata["continue"] = str(start + limit)
        self.reply(200, {
            "kind": kind + "List", "apiVersion": f"{group}/{version}".lstrip("/"),
            "metadata": metadata, "items": selected[start : start + limit],
        })  # fmt: skip

    def watch(self, plural, query):
        server, at = self.server, int(query.get("resourceVersion") or 0)
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        with server.changed:
            server.watches += 1
            epoch = server.epoch
            if at < server.oldest:
                self.send({"type": "ERROR", "object": self.status(410, "Expired")})
                epoch = -1
            while epoch == server.epoch:
                new = [one for one in server.history if one[0] > at]
                for version, of, kind, made in new:
                    at = version
                    if of == plural and self.selects(query, made):
                        self.send({"type": kind, "object": made})
                server.changed.wait(0.5)
        self.wfile.write(b"0\r\n\r\n")

    def send(self, event):
        line = json.dumps(event).encode() + b"\n"
        self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
        self.wfile.flush()
