"""Rendered objects, run on loopback with exactly their commands, arguments and environment.

What a cluster would do is done by hand: each pod has an address of its own (127.0.0.2 and on), ports are
mapped to free ones, services' names stand in a hosts file that only these programs see, volumes are
folders, probes are asked as they are written. Engines are simulated, or real vLLM.
"""

import json
import re

import lab
import yaml

MOUNT = 'mount --bind "$0" /etc/hosts && exec "$@"'


OPERATED_PORT = 8000  # of the operator's engines, which say none


class Pods:
    """The pods of rendered (plain) objects."""

    def __init__(self, objects, engine):
        self.objects, self.programs = objects, {}
        self.folder = lab.FOLDER / objects[0]["metadata"]["name"]
        self.folder.mkdir(exist_ok=True)
        said = re.findall(r"(?:port\"?: |:)(\d{2,5})\b", json.dumps(objects).lower())
        numbers = sorted({OPERATED_PORT, *map(int, said)})
        self.ports = dict(zip(numbers, lab.free_ports(len(numbers))))
        self.address = {}  # by app
        self.engine = engine

    def __enter__(self):
        for thing in self.objects:
            if thing["kind"] in ("Deployment", "StatefulSet", "VLLMRuntime"):
                self.place(thing)
        self.hosts()
        order = {"StatefulSet": 0, "VLLMRuntime": 1}
        for thing in sorted(self.addressed(), key=lambda thing: order.get(thing["kind"], 2)):
            self.run(thing)
        return self

    def __exit__(self, *_):
        for programs in self.programs.values():
            for program in programs:
                program.stop()

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
                name = f"{thing['metadata']['name']}.{thing['metadata']['namespace']}.svc"
                pods = self.address.get(thing["spec"]["selector"]["app"], [])
                # Only headless services have their pods' addresses; the others are not asked here.
                if thing["spec"].get("clusterIP") == "None":
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
            arguments = [self.mapped(argument, address) for argument in container["args"]]
            command = [*container["command"], *arguments]
            if name == app(self.engine_object()):
                command, more = self.engine(command, env)
                env |= more
            elif command[0] == "onefill":
                command[0] = lab.ONEFILL
            command = ["unshare", "-m", "sh", "-c", MOUNT, self.folder / "hosts", *command]
            program = lab.Program(f"{name}-{index}", command, env)
            self.programs.setdefault(name, []).append(program)

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
        for program, address in zip(self.programs[name], self.address[name]):
            program.answers(self.probe_url(name, probe, address), timeout_s)

    def probe_url(self, name, probe, address):
        thing = next(each for each in self.addressed() if app(each) == name)
        container = self.container(thing)
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        get = container[probe]["httpGet"]
        return f"http://{address}:{self.ports[ports[get['port']]]}{get['path']}"

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

    def works(self, name, index):
        url = self.probe_url(name, "readinessProbe", self.address[name][index])
        try:
            return lab.http("GET", url, timeout=2)[0] == 200
        except OSError:
            return False

    def status(self, xr):
        """status.kvCache of the LLMInference, with what is there."""
        everything = lab.render(xr, "--observed", str(self.observed()), "--status")
        return everything[-1]["status"]["kvCache"]


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
