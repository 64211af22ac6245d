"""The composition function and Crossplane's own client library: a whole life, insecurely and over mTLS."""

import concurrent.futures
import pathlib
import time

import certificates
import grpc
import lab
from crossplane.function import resource
from crossplane.function.proto.v1 import run_function_pb2 as fnv1
from crossplane.function.proto.v1 import run_function_pb2_grpc as grpcv1
from google.protobuf import json_format

SPEC = {
    "backend": "Deployment",
    "replicas": 3,
    "ingressHost": "m.example.com",
    "kvCache": {"enabled": True},
}


class Cluster:
    """Does what Crossplane does with an answer: makes, changes and removes objects, stores status."""

    def __init__(self, stub):
        self.stub, self.objects, self.status, self.found = stub, {}, {}, {}

    def request(self, spec, **more):
        request = fnv1.RunFunctionRequest(meta=fnv1.RequestMeta(tag="t"))
        xr = {**lab.inference(**spec), "status": self.status}
        request.observed.composite.resource.update(xr)
        for key, thing in self.objects.items():
            request.observed.resources[key].resource.update(thing)
        for key, things in self.found.items():
            request.required_resources[key].SetInParent()
            for thing in things:
                request.required_resources[key].items.add().resource.update(thing)
        for name, value in more.items():
            getattr(request, name).update(value)
        return request

    def call(self, spec, **more):
        return self.stub.RunFunction(self.request(spec, **more), wait_for_ready=True, timeout=20)

    def store(self, answer):
        made = {key: resource.struct_to_dict(each.resource) for key, each in answer.desired.resources.items()}
        statuses = {key: thing.get("status") for key, thing in self.objects.items()}
        self.objects = {
            key: {**thing, "status": statuses[key]} if statuses.get(key) else thing
            for key, thing in made.items()
        }
        composite = resource.struct_to_dict(answer.desired.composite.resource)
        self.status = composite.get("status", {})

    def runs(self, **replicas):
        for key, count in replicas.items():
            self.objects[key]["status"] = {"availableReplicas": count, "readyReplicas": count}


def ready(answer):
    return {key for key, each in answer.desired.resources.items() if each.ready == fnv1.READY_TRUE}


def says(answer):
    return [each.message for each in answer.results]


def phase(answer):
    return resource.struct_to_dict(answer.desired.composite.resource)["status"]["kvCache"]["phase"]


def life(stub, how):
    """Made, seen, ready, changed, switched off, gone."""
    cluster = Cluster(stub)
    made = cluster.call(SPEC)
    again = cluster.call(SPEC)
    same = made.SerializeToString(deterministic=True) == again.SerializeToString(deterministic=True)
    lab.check(f"{how}: the same input gives the same output and no results", same and not made.results)
    kept = made.meta.tag == "t" and made.meta.ttl.seconds > 0
    lab.check(f"{how}: the tag comes back, with a time to live", kept)
    cluster.store(made)
    seen = cluster.call(SPEC)
    idle = {"engine", "store", "router"}
    lab.check(
        f"{how}: what is stored but does not run is not ready",
        ready(seen) == set(seen.desired.resources) - idle,
    )
    cluster.runs(engine=3, store=1, router=1)
    serves = cluster.call(SPEC)
    is_ready = phase(serves) == "Ready" and ready(serves) == set(serves.desired.resources)
    lab.check(
        f"{how}: ready when the workloads are",
        is_ready and says(serves) == ["kvCache was Pending and is Ready"],
    )
    conditions = {each.type: each.status for each in serves.conditions}
    true = fnv1.STATUS_CONDITION_TRUE
    wanted = {"CacheConfigured": true, "KVStoreReady": true, "RouterReady": true}
    lab.check(f"{how}: conditions tell the parts", conditions == wanted)
    cluster.store(serves)
    lab.check(f"{how}: nothing is said when nothing has changed", not cluster.call(SPEC).results)
    changed = {**SPEC, "kvCache": {"enabled": True, "store": {"mode": "None"}}}
    smaller = cluster.call(changed)
    gone = set(serves.desired.resources) - set(smaller.desired.resources)
    lab.check(f"{how}: without a store its objects go", gone and all(key.startswith("store") for key in gone))
    cluster.store(smaller)
    off = cluster.call({**SPEC, "kvCache": {"enabled": False}})
    left = {"engine", "engine_account", "engine_budget", "engine_service", "ingress"}
    lab.check(
        f"{how}: switched off, the engine is left",
        set(off.desired.resources) == left and phase(off) == "Disabled",
    )
    cluster.store(off)
    plain = cluster.call({key: value for key, value in SPEC.items() if key != "kvCache"})
    lab.check(
        f"{how}: without kvCache nothing is told of it",
        not plain.desired.HasField("composite") and not plain.conditions,
    )


def manners(stub):
    cluster = Cluster(stub)
    request = cluster.request(SPEC)
    request.desired.resources["bucket"].resource.update({"kind": "Bucket"})
    request.desired.resources["bucket"].ready = fnv1.READY_TRUE
    request.context.update({"theirs": [1, {"a": True}]})
    answer = stub.RunFunction(request, timeout=20)
    kept = answer.desired.resources["bucket"] == request.desired.resources["bucket"]
    lab.check("what other functions want is passed on", kept and answer.context == request.context)
    gateway = {"kvCache": {"enabled": True, "routing": {"mode": "Gateway", "gatewayRef": {"name": "eg"}}}}
    need = cluster.call({**SPEC, **gateway}).requirements.resources["gateway"]
    lab.check(
        "a Gateway is asked for", (need.kind, need.match_name, need.namespace) == ("Gateway", "eg", "a")
    )
    cluster.found = {"gateway": []}
    told = str(cluster.call({**SPEC, **gateway}).desired.composite)
    lab.check("and missed when it is not there", "no Gateway eg" in told)
    images = {"images": {"onefill": "registry.example.com/onefill:9"}}
    router = cluster.call(SPEC, input=images).desired.resources["router"]
    lab.check(
        "the input sets images",
        "registry.example.com/onefill:9" in json_format.MessageToJson(router.resource),
    )


def bad(stub):
    """A fatal result that names the field; the server lives on."""
    cluster = Cluster(stub)
    wrong = []
    table = lab.documents(lab.CONTROL / "tests/refused.yaml")[0]
    for row in table:
        request = cluster.request({})
        xr = lab.merge(lab.inference(providerConfigName="p"), row.get("xr"))
        lab.merge(xr["spec"], row.get("spec"))
        request.observed.composite.resource.Clear()
        request.observed.composite.resource.update(xr)
        answer = stub.RunFunction(request, timeout=20)
        fatal = [each for each in answer.results if each.severity == fnv1.SEVERITY_FATAL]
        if len(fatal) != 1 or row["says"] not in fatal[0].message or answer.desired.resources:
            wrong.append(row["name"])
    for empty in [fnv1.RunFunctionRequest(), cluster.request({}, input={"colour": "red"})]:
        if stub.RunFunction(empty, timeout=20).results[0].severity != fnv1.SEVERITY_FATAL:
            wrong.append(str(empty)[:50])
    lab.check(
        "bad input is a fatal result that names the field",
        not wrong,
        f"({len(table) + 2} of them) {wrong or ''}",
    )


def garbage(port):
    """Bytes that are no request."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        path = "/apiextensions.fn.proto.v1.FunctionRunnerService/RunFunction"
        raw = channel.unary_unary(path, request_serializer=bytes, response_deserializer=bytes)
        codes = []
        for body in (b"\xff" * 100, b"\x0a\xff\xff\xff\xff\x0f", b"\x12" * 3, bytes(range(256)) * 40):
            try:
                raw(body, timeout=20)
                codes.append(None)
            except grpc.RpcError as error:
                codes.append(error.code())
        other = channel.unary_unary(
            path.replace(".v1.", ".v1beta1."), request_serializer=bytes, response_deserializer=bytes
        )
        try:
            other(b"", timeout=20)
        except grpc.RpcError as error:
            lab.check(
                "another version is UNIMPLEMENTED, as Crossplane expects",
                error.code() == grpc.StatusCode.UNIMPLEMENTED,
            )
        lab.check(
            "bytes that are no request are an error of the call",
            None not in codes,
            f"({[str(code) for code in codes][:1]})",
        )


def speed(port, pid):
    """Calls a second, and what of a core each took."""
    stat = lambda: (
        sum(map(int, pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13])) / 100
    )
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = grpcv1.FunctionRunnerServiceStub(channel)
        request = Cluster(stub).request(SPEC)
        count, before = 2000, stat()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            start = time.monotonic()
            list(pool.map(lambda _: stub.RunFunction(request, timeout=60), range(count)))
        seconds, core = time.monotonic() - start, stat() - before
    rate = count / core
    figure = f"({rate:.0f} a second and core; {count / seconds:.0f} a second from this client)"
    lab.check("1,000 LLMInferences a second on one core", rate >= 1000, figure)


def refuses(port, ca, pair):
    key, certificate = (pair[1], pair[0]) if pair else (None, None)
    credentials = grpc.ssl_channel_credentials(ca, key, certificate)
    with grpc.secure_channel(f"localhost:{port}", credentials) as channel:
        try:
            grpcv1.FunctionRunnerServiceStub(channel).RunFunction(fnv1.RunFunctionRequest(), timeout=5)
            return False
        except grpc.RpcError:
            return True


def serving(name, *arguments, env=None):
    [port] = lab.free_ports(1)
    command = [lab.ONEFILL, "function", "--address", f"127.0.0.1:{port}", *arguments]
    program = lab.Program(name, command, env).start()
    program.until("it listens", lambda: "listening" in program.log.read_text())
    return program, port


def tell():
    program, port = serving("insecure", "--insecure")
    with program, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = grpcv1.FunctionRunnerServiceStub(channel)
        life(stub, "insecure")
        manners(stub)
        bad(stub)
        garbage(port)
        speed(port, program.process.pid)
        lab.check("the function lives on", program.alive())
    folder = lab.FOLDER / "tls"
    ca, client, stranger = certificates.authority(folder)
    program, port = serving("mtls", env={"TLS_SERVER_CERTS_DIR": str(folder)})
    with program:
        credentials = grpc.ssl_channel_credentials(ca, client[1], client[0])
        with grpc.secure_channel(f"localhost:{port}", credentials) as channel:
            life(grpcv1.FunctionRunnerServiceStub(channel), "mTLS")
        lab.check("mTLS: a caller without a certificate is refused", refuses(port, ca, None))
        lab.check("mTLS: a caller with a stranger's certificate is refused", refuses(port, ca, stranger))
    program, port = serving("both", "--insecure", "--tls-certs-dir", str(folder), "--debug")
    with program, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = grpcv1.FunctionRunnerServiceStub(channel)
        lab.check("--insecure wins over certificates", bool(Cluster(stub).call(SPEC).desired.resources))
    status, _, said = lab.onefill("function")
    lab.check("without either it says what is missing", status == 64 and "--tls-certs-dir" in said)


if __name__ == "__main__":
    tell()
    lab.end()
