"""Rendered objects, run on loopback with exactly their commands, arguments and environment.

What a cluster would do is done by hand: each pod has an address of its own (127.0.0.2 and on), ports are
mapped to free ones, services' names stand in a hosts file that only these programs see, volumes are
folders, probes are asked as they are written. Pods with a service account's token find an API server in
their environment, which lets them do what their roles say. Engines are simulated, or real vLLM.
"""

import json
import re

import plane
import grpc
import lab
import yaml

# Its own hosts, and under /run nothing but what a pod finds there.
MOUNT = """
mount --bind "$0" /etc/hosts
if [ -n "$ACCOUNT" ]; then
  mount -t tmpfs none /run
  mkdir -p /run/secrets/kubernetes.io/serviceaccount
  mount --bind "$ACCOUNT" /run/secrets/kubernetes.io/serviceaccount
fi
exec "$@"
"""
HEALTH = "/grpc.health.v1.Health/Check"
SERVING = b"\x08\x01"

OPERATED_PORT = 8000  # of the operator's engines, which say none


class Pods:
    """The pods of rendered (plain) objects. `secrets`: keys by name; `outside`: ports that are not a pod's."""

    def __init__(self, objects, engine, secrets=None, outside=()):
        self.objects, self.programs, self.secrets = objects, {}, secrets or {}
        self.folder = lab.FOLDER / objects[0]["metadata"]["name"]
        self.folder.mkdir(exist_ok=True)
        said = re.findall(r"(?:port\"?: |:)(\d{2,5})\b", json.dumps(objects).lower())
        numbers = sorted({OPERATED_PORT, *map(int, said)} - set(outside))
        self.ports = dict(zip(numbers, lab.free_ports(len(numbers))))
        self.address = {}  # by app
        self.engine = engine
        self.cluster = None

    def __enter__(self):
        for thing in self.objects:
            if thing["kind"] in ("Deployment", "StatefulSet", "VLLMRuntime"):
                self.place(thing)
        self.hosts()
        self.cluster = plane.Cluster(self)
        order = {"StatefulSet": 0, "VLLMRuntime": 1}
        for thing in sorted(self.addressed(), key=lambda thing: order.get(thing["kind"], 2)):
            self.run(thing)
        return self

    def __exit__(self, *_):
        for programs in self.programs.values():
            for program in programs:
                program.stop()
        self.cluster.stop()

    def addressed(self):
        return [thing for thing in self.objects if app(thing) in self.address]

    def place(self, thing):
        replicas = (thing["spec"].get("deploymentConfig") or thing["spec"]).get("replicas", 1)
        taken = sum(len(each) for each in self.address.values())
        self.address[app(thing)] = [f"127.0.0.{2 + taken + index}" for index in range(replicas)]

    def hosts(self):
        """Names of services, and the addresses of their pods."""
        lines = ["127.0.0.1 localhost"]
        for thing in self.objects:
            if thing["kind"] == "Service":
                name = host(thing)
                pods = self.address.get(thing["spec"]["selector"]["app"], [])
                # One that is not headless has an address of its own, behind which any pod answers.
                lines += [f"{address} {name}" for address in pods]
        (self.folder / "hosts").write_text("\n".join(lines) + "\n")

    def mapped(self, text, address):
        """Its ports as they are here, and all addresses of the pod the one that it has."""
        text = text.replace("0.0.0.0", address).replace("tcp://*", f"tcp://{address}")
        if text.isdigit() and int(text) in self.ports:
            return str(self.ports[int(text)])
        swap = lambda found: found[1] + str(self.ports.get(int(found[2]), int(found[2])))
        return re.sub(r"(:|-port=|--port=)(\d{2,5})\b", swap, text)

    def run(self, thing):
        container = self.container(thing)
        name = app(thing)
        for index, address in enumerate(self.address[name]):
            env = {each["name"]: each["value"] for each in container.get("env", []) if "value" in each}
            for source in container.get("envFrom", []):
                env |= self.secrets[source["secretRef"]["name"]]
            arguments = [self.mapped(argument, address) for argument in container["args"]]
            command = [*container["command"], *arguments]
            if name == app(self.engine_object()):
                command, more = self.engine(command, env)
                env |= more
            elif command[0] == "onefill":
                command[0] = lab.ONEFILL
                if command[1] == "picker":  # says no address, which is all of the pod's
                    command += ["--bind", address]
            env |= self.cluster.environment(thing)
            program = lab.Program(f"{name}-{index}", [*self.around(), *command], env)
            self.programs.setdefault(name, []).append(program.start())

    def around(self):
        """Before a command that is to see what pods see."""
        return ["unshare", "-m", "sh", "-ec", MOUNT, self.folder / "hosts"]

    def engine_object(self):
        kinds = {"VLLMRuntime", "Deployment"}
        named = [each for each in self.objects if each["kind"] in kinds]
        return min(named, key=lambda each: len(each["metadata"]["name"]))

    def container(self, thing):
        if thing["kind"] != "VLLMRuntime":
            return thing["spec"]["template"]["spec"]["containers"][0]
        return operated(thing["spec"])

    def url(self, name, port):
        """A program's address here; of its first pod."""
        return f"http://{self.address[name][0]}:{self.ports[port]}"

    def probed(self, name, probe, timeout_s=60):
        """Waits until every pod answers its probe."""
        for index, program in enumerate(self.programs[name]):
            program.until(f"{probe} succeeds", lambda index=index: self.works(name, index, probe), timeout_s)
        self.cluster.ready(name)

    def observed(self):
        """The objects as a cluster would show them: status from the probes."""
        seen = []
        for thing in self.objects:
            name = app(thing)
            if name in self.programs:
                count = sum(map(self.works, [name] * len(self.address[name]), range(len(self.address[name]))))
                status = {"availableReplicas": count, "readyReplicas": count}
                if thing["kind"] == "VLLMRuntime":
                    status["modelStatus"] = "Ready" if count else "NotReady"
                thing = {**thing, "status": status}
            seen.append(thing)
        path = self.folder / "observed.yaml"
        path.write_text(yaml.safe_dump_all(seen))
        return path

    def thing(self, name):
        return next(each for each in self.addressed() if app(each) == name)

    def works(self, name, index, probe="readinessProbe"):
        """Asks a pod as its probe says."""
        container, address = self.container(self.thing(name)), self.address[name][index]
        probe = container[probe]
        if "grpc" in probe:
            port = self.ports[probe["grpc"]["port"]]
            return serves(f"{address}:{port}", probe["grpc"]["service"])
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        get = probe["httpGet"]
        url = f"http://{address}:{self.ports[ports[get['port']]]}{get['path']}"
        try:
            return lab.http("GET", url, timeout=2)[0] == 200
        except OSError:
            return False

    def status(self, xr):
        """status.kvCache of the LLMInference, with what is there."""
        everything = lab.render(xr, "--observed", str(self.observed()), "--status")
        return everything[-1]["status"]["kvCache"]


def host(thing):
    """Name of a service within the cluster; of anything else, what it would be."""
    return f"{thing['metadata']['name']}.{thing['metadata']['namespace']}.svc"


def serves(address, service):
    """gRPC's own health check."""
    asked = b"\x0a" + bytes([len(service)]) + service.encode()
    with grpc.insecure_channel(address) as channel:
        try:
            return channel.unary_unary(HEALTH)(asked, timeout=2) == SERVING
        except grpc.RpcError:
            return False


def app(thing):
    """The label that a pod's services select by."""
    if thing["kind"] in ("Deployment", "StatefulSet", "VLLMRuntime"):
        return thing["metadata"]["name"]
    return None


def operated(spec):
    """What the operator makes of a VLLMRuntime (production-stack, vllmruntime_controller.go)."""
    config, cache = spec["vllmConfig"], spec.get("lmCacheConfig", {})
    arguments = [spec["model"]["modelURL"], "--host", "0.0.0.0", "--port", str(OPERATED_PORT)]
    for switch, flag in (
        ("enableChunkedPrefill", "chunked-prefill"),
        ("enablePrefixCaching", "prefix-caching"),
    ):
        arguments.append(f"--{'' if config.get(switch) else 'no-'}enable-{flag}")
    arguments += ["--dtype", spec["model"]["dtype"], *config.get("extraArgs", [])]
    env = [{"name": "VLLM_USE_V1", "value": "1" if config.get("v1") else "0"}]
    if cache.get("enabled"):
        env += [
            {"name": "LMCACHE_LOCAL_CPU", "value": "True"},
            {"name": "LMCACHE_MAX_LOCAL_CPU_SIZE", "value": cache["cpuOffloadingBufferSize"]},
            {"name": "LMCACHE_REMOTE_URL", "value": cache.get("remoteUrl", "")},
        ]
    env += config.get("env", [])
    probe = {"httpGet": {"path": "/health", "port": "http"}}
    ports = [{"name": "http", "containerPort": OPERATED_PORT}]
    return {
        "command": ["vllm", "serve"],
        "args": arguments,
        "env": env,
        "ports": ports,
        "readinessProbe": probe,
    }


def simulated(command, env):
    """The simulated replica that stands for `vllm serve` with these arguments."""
    text = " ".join(command)
    flag = lambda name, default=None: (re.search(rf"--{name}[= ](\S+)", text) or [None, default])[1]
    engine = [lab.ONEFILL, "engine", "--listen", f"{flag('host')}:{flag('port')}", "--model", command[2]]
    engine += ["--block-size", flag("block-size", "16"), "--prefill-rate", "50000"]
    engine += ["--prefix-caching-hash-algo", flag("prefix-caching-hash-algo", "sha256")]
    if "PYTHONHASHSEED" in env:
        engine += ["--hash-seed", env["PYTHONHASHSEED"]]
    if config := flag("kv-events-config"):
        config = json.loads(config)
        engine += [
            "--events",
            config["endpoint"],
            "--replay",
            config["replay_endpoint"],
            "--topic",
            config["topic"],
        ]
    return engine, {}
