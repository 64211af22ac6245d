"""Rendered objects as the servers would see them, and what the definition refuses."""

import itertools

import kubernetes_validate
import lab
import schema
import yaml

MODES = ["KV", "Prefix", "Session", "LeastLoad", "RoundRobin", "Gateway", "None"]
STORES = ["Managed", "External", "None"]
BACKENDS = ["VLLMRuntime", "Deployment"]
WRAPPINGS = [None, "west"]
KUBERNETES = "1.34"  # newest whose kinds are all in use; the checker knows others
SETTINGS = lab.CONTROL / "tests/settings.yaml"
# Kinds of operators whose definitions are not at hand.
UNCHECKED = {"ScaledObject", "PodMonitor", "HTTPRoute"}


def published():
    """Without kvCache everything is as the published composition makes it."""
    golden = lab.SHARED / "design/published_output_test-qwen.yaml"
    if not golden.exists():
        return lab.say("skipped: the published composition's output is not at hand")
    xr = lab.inference(
        "test-qwen", gpu=2, ingressHost="qwen.127.0.0.1.nip.io", providerConfigName="incluster"
    )
    xr["metadata"]["namespace"] = "ns1"
    same = lab.render(xr) == lab.documents(golden)
    lab.check("an XR without kvCache gives what the published composition gave, field for field", same)


def matrix():
    """Every mode, store, backend and wrapping."""
    for mode, store, backend, provider in itertools.product(MODES, STORES, BACKENDS, WRAPPINGS):
        scheme = "lm" if backend == "VLLMRuntime" else "onefill"
        kv = {"enabled": True, "routing": {"mode": mode}, "store": {"mode": store}}
        if store == "External":
            kv["store"]["url"] = f"{scheme}://kv.shared:65432"
        if store == "Managed":
            kv["store"] |= {"diskSize": "100Gi"}
        if mode == "Gateway":
            kv["routing"]["gatewayRef"] = {"name": "eg"}
        spec = {"backend": backend, "replicas": 3, "ingressHost": "m.example.com", "kvCache": kv}
        if provider:
            spec |= {"providerConfigName": provider, "targetNamespace": "b"}
        yield f"{mode} {store} {backend} {provider}", lab.inference(**spec)


def checked(crds, objects):
    """What the servers would say of objects, and of what is wrapped in them."""
    for thing in objects:
        if thing["kind"] == "Object":
            yield from checked(crds, [thing["spec"]["forProvider"]["manifest"]])
        key = thing["apiVersion"], thing["kind"]
        name = f"{thing['kind']}/{thing['metadata'].get('name')}"
        if key in crds:
            yield from (f"{name}: {fault}" for fault in schema.faults(crds[key], thing))
        elif thing["kind"] not in UNCHECKED:
            try:
                kubernetes_validate.validate(thing, KUBERNETES, strict=True)
            except Exception as error:
                yield f"{name}: {error}"


def valid():
    crds = schema.definitions(
        itertools.chain.from_iterable(map(lab.documents, lab.SHARED.glob("crds/*.yaml")))
    )
    xrd = schema.definitions(lab.documents(lab.CONTROL / "src/xrd.yaml"))
    definition = next(iter(xrd.values()))
    if not crds:
        lab.say("skipped: the peers' definitions are not at hand; Kubernetes' own kinds are checked")
        UNCHECKED.update(["VLLMRuntime", "Object", "InferencePool"])
    cases = [(path.name, lab.documents(path)[0]) for path in sorted(lab.CONTROL.glob("tests/cases/*.yaml"))]
    found, count = [], 0
    for name, xr in [*cases, *matrix()]:
        found += [f"{name}: {fault}" for fault in schema.faults(definition, xr)]
        objects = lab.render(xr, "--settings", str(SETTINGS))
        count += len(objects)
        found += [f"{name}: {fault}" for fault in checked(crds, objects)]
    for fault in found[:20]:
        lab.say("      ", fault)
    lab.check(
        "every mode, store, backend and wrapping is what the servers take", not found, f"({count} objects)"
    )


def checker():
    """The checkers can refuse: else their consent says nothing."""
    objects = lab.render(lab.inference(backend="Deployment", kvCache={"enabled": True}))
    engine = next(each for each in objects if each["kind"] == "Deployment")
    engine["spec"]["template"]["spec"]["containers"][0]["colour"] = "red"
    lab.check("a field that Kubernetes does not know is found", bool(list(checked({}, [engine]))))


def refused():
    """The definition refuses what the function refuses, where a definition can."""
    xrd = schema.definitions(lab.documents(lab.CONTROL / "src/xrd.yaml"))
    definition = next(iter(xrd.values()))
    table = yaml.safe_load((lab.CONTROL / "tests/refused.yaml").read_text())
    wrong, by_cel = [], 0
    for row in table:
        xr = lab.inference(providerConfigName="p")
        lab.merge(xr, row.get("xr"))
        lab.merge(xr["spec"], row.get("spec"))
        faults = schema.faults(definition, xr)
        messages = [fault.split(": ", 1)[1] for fault in faults]
        cel = any(row["says"] in message for message in messages)
        by_cel += cel
        if row.get("by") == "function":
            if faults:
                wrong.append(f"{row['name']}: the definition refuses it: {faults}")
        elif not faults:
            wrong.append(f"{row['name']}: the definition takes it")
        status, _, said = lab.onefill("render", "-f", "-", stdin=yaml.safe_dump(xr))
        if status != 64 or row["says"] not in said:
            wrong.append(f"{row['name']}: render ends with {status} and says {said}")
    for fault in wrong:
        lab.say("      ", fault)
    figure = f"({len(table)} of them, {by_cel} by CEL in the same words)"
    lab.check("what is wrong is refused by the definition and by render", not wrong, figure)


def tell():
    published()
    checker()
    valid()
    refused()
    same = lab.onefill("xrd")[1] == lab.documents(lab.CONTROL / "src/xrd.yaml")
    lab.check("onefill xrd prints the definition", same)


if __name__ == "__main__":
    tell()
    lab.ending()
