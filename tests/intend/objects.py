"""Rendered objects as the servers would see them, and what the definition refuses. Environment: that of lab.py,
ONEFILL_KINDS (virtual environment with Node.js, and other projects' types in `kinds`).
"""

import itertools
import json
import os
import pathlib
import subprocess

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
TYPES = pathlib.Path(os.environ["ONEFILL_KINDS"])
# Checked by those types, without the rules that their definitions have in CEL.
TYPED = {"ScaledObject", "PodMonitor", "ServiceMonitor", "HTTPRoute", "Gateway"}
# Kinds whose definitions are not at hand.
UNCHECKED = set()


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


def unwrapped(objects):
    """Objects, and what is wrapped in them."""
    for thing in objects:
        yield thing
        if thing["kind"] == "Object":
            yield thing["spec"]["forProvider"]["manifest"]


def typed(objects):
    """What the types of their own projects say of objects."""
    things = [thing for thing in unwrapped(objects) if thing["kind"] in TYPED]
    command = [TYPES / "bin/node", lab.ROOT / "tests/intend/kinds.mjs", TYPES / "kinds"]
    done = subprocess.run(command, input=json.dumps(things), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    for thing, faults in zip(things, json.loads(done.stdout), strict=True):
        if faults is None:
            yield f"{thing['kind']}: not known in {thing['apiVersion']}"
        else:
            yield from (f"{thing['kind']}/{thing['metadata'].get('name')}{fault}" for fault in faults)


def checked(crds, objects):
    """What the servers would say of objects, and of what is wrapped in them."""
    for thing in unwrapped(objects):
        key = thing["apiVersion"], thing["kind"]
        name = f"{thing['kind']}/{thing['metadata'].get('name')}"
        if key in crds:
            yield from (f"{name}: {fault}" for fault in schema.faults(crds[key], thing))
        elif thing["kind"] not in UNCHECKED | TYPED:
            try:
                kubernetes_validate.validate(thing, KUBERNETES, strict=True)
            except Exception as error:
                yield f"{name}: {error}"


def valid(crds):
    xrd = schema.definitions(lab.documents(lab.CONTROL / "src/xrd.yaml"))
    definition = next(iter(xrd.values()))
    cases = [(path.name, lab.documents(path)[0]) for path in sorted(lab.CONTROL.glob("tests/cases/*.yaml"))]
    found, every = [], []
    for name, xr in [*cases, *matrix()]:
        found += [f"{name}: {fault}" for fault in schema.faults(definition, xr)]
        objects = lab.render(xr, "--settings", str(SETTINGS))
        every += objects
        found += [f"{name}: {fault}" for fault in checked(crds, objects)]
    found += typed(every)
    for fault in found[:20]:
        lab.say("      ", fault)
    kinds = {thing["kind"] for thing in unwrapped(every)}
    figure = f"({len(every)} objects of {len(kinds)} kinds)"
    lab.check("every mode, store, backend and wrapping is what the servers take", not found, figure)


def manifests(crds):
    """Those to deploy by hand."""
    names = ["picker/pool.yaml", "picker/rbac.yaml", "crossplane/rbac.yaml", "kustomize/qwen/objects.yaml"]
    for name in names:
        objects = lab.documents(lab.ROOT / "deploy" / name)
        found = [*checked(crds, objects), *typed(objects)]
        lab.check(f"deploy/{name} is what the servers take", objects and not found, " ".join(found)[:300])


def checker(crds):
    """The checkers can refuse: else their consent says nothing."""
    objects = lab.render(lab.inference(backend="Deployment", kvCache={"enabled": True}))
    engine = next(each for each in objects if each["kind"] == "Deployment")
    engine["spec"]["template"]["spec"]["containers"][0]["colour"] = "red"
    lab.check("a field that Kubernetes does not know is found", bool(list(checked({}, [engine]))))
    spec = {"backend": "Deployment", "scaling": {"maxReplicas": 3}, "kvCache": {"enabled": True}}
    spec["kvCache"]["routing"] = {"mode": "Gateway", "gatewayRef": {"name": "eg"}}
    objects = lab.render(lab.inference(**spec), "--settings", str(SETTINGS))
    things = {each["kind"]: each for each in objects}
    wrong = {
        "HTTPRoute": lambda spec: spec["rules"][0].update(colour="red"),
        "ScaledObject": lambda spec: spec["triggers"][0].update(metadata={"threshold": 4}),
        "PodMonitor": lambda spec: spec["podMetricsEndpoints"][0].update(interval="soon"),
    }
    if crds:
        wrong["InferencePool"] = lambda spec: spec["endpointPickerRef"].update(failureMode="Sometimes")
    before = [*checked(crds, things.values()), *typed(things.values())]
    for kind, spoil in wrong.items():
        spoil(things[kind]["spec"])
    after = [*checked(crds, things.values()), *typed(things.values())]
    lab.check(
        "and one that other projects don't know, or know otherwise",
        not before and all(any(fault.startswith(kind) for fault in after) for kind in wrong),
        f"({', '.join(wrong)})",
    )


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
    crds = schema.definitions(
        itertools.chain.from_iterable(map(lab.documents, lab.SHARED.glob("crds/*.yaml")))
    )
    if not crds:
        lab.say("skipped: the peers' definitions are not at hand; all other kinds are checked")
        UNCHECKED.update(["VLLMRuntime", "Object", "InferencePool"])
    checker(crds)
    valid(crds)
    manifests(crds)
    refused()
    same = lab.onefill("xrd")[1] == lab.documents(lab.CONTROL / "src/xrd.yaml")
    lab.check("onefill xrd prints the definition", same)


if __name__ == "__main__":
    tell()
    lab.end()
