"""What an API server checks before it stores an object: fields, types, defaults, CEL.

A definition is a CRD or a Crossplane XRD: both carry a structural schema.
"""

import copy

import cel
import jsonschema


def definitions(documents):
    """Schemas by (group/version, kind)."""
    found = {}
    for document in documents:
        if document and document["kind"] in ("CustomResourceDefinition", "CompositeResourceDefinition"):
            spec = document["spec"]
            for version in spec["versions"]:
                key = f"{spec['group']}/{version['name']}", spec["names"]["kind"]
                found[key] = version["schema"]["openAPIV3Schema"]
    return found


def faults(schema, thing):
    """Everything that is wrong with it, in words."""
    thing = copy.deepcopy(thing)
    found = list(unknown(schema, thing, ""))
    fill(schema, thing)
    validator = jsonschema.Draft202012Validator(plain(schema))
    for error in validator.iter_errors(thing):
        found.append(f"{'.'.join(map(str, error.absolute_path))}: {error.message[:200]}")
    # A server evaluates rules only on what has the right form.
    return found or list(rules(schema, thing, ""))


def unknown(schema, value, path):
    """Fields that are not in the schema: a server drops them, kubectl refuses them."""
    if schema.get("x-kubernetes-preserve-unknown-fields") or schema.get("x-kubernetes-embedded-resource"):
        return
    if isinstance(value, dict):
        known, others = schema.get("properties", {}), schema.get("additionalProperties")
        for name, inner in value.items():
            if path == "" and name in ("apiVersion", "kind", "metadata"):
                continue
            if name in known:
                yield from unknown(known[name], inner, f"{path}.{name}")
            elif isinstance(others, dict):
                yield from unknown(others, inner, f"{path}.{name}")
            elif not others:
                yield f"{path}.{name}: unknown field"
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from unknown(schema.get("items", {}), inner, f"{path}[{index}]")


def fill(schema, value):
    """Puts defaults in."""
    if isinstance(value, dict):
        for name, inner in schema.get("properties", {}).items():
            if name not in value and "default" in inner:
                value[name] = copy.deepcopy(inner["default"])
            if name in value:
                fill(inner, value[name])
    elif isinstance(value, list):
        for inner in value:
            fill(schema.get("items", {}), inner)


def plain(schema):
    """Without what JSON Schema does not know."""
    if isinstance(schema, dict):
        # A field may itself be called "default".
        return {
            name: plain(inner)
            for name, inner in schema.items()
            if not name.startswith("x-") and not (name == "default" and "type" in schema)
        }
    return [plain(inner) for inner in schema] if isinstance(schema, list) else schema


def rules(schema, value, path):
    for rule in schema.get("x-kubernetes-validations", []):
        if "oldSelf" not in rule["rule"] and cel.evaluate(rule["rule"], {"self": value}) is not True:
            yield f"{path}: {rule.get('message', rule['rule'])}"
    if isinstance(value, dict):
        for name, inner in schema.get("properties", {}).items():
            if name in value:
                yield from rules(inner, value[name], f"{path}.{name}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from rules(schema.get("items", {}), inner, f"{path}[{index}]")
