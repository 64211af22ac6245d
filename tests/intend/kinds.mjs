// What the types of other projects say of objects: faults of each, as JSON. Objects are read from standard input;
// the first argument is the folder with the packages (PyPI has none of these; npm @kubernetes-models has).
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const KINDS = {
  "gateway.networking.k8s.io/v1 HTTPRoute": "gateway-api/gateway.networking.k8s.io/v1/HTTPRoute",
  "gateway.networking.k8s.io/v1 Gateway": "gateway-api/gateway.networking.k8s.io/v1/Gateway",
  "keda.sh/v1alpha1 ScaledObject": "keda/keda.sh/v1alpha1/ScaledObject",
  "monitoring.coreos.com/v1 PodMonitor": "prometheus-operator/monitoring.coreos.com/v1/PodMonitor",
  "monitoring.coreos.com/v1 ServiceMonitor": "prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor",
};

// A value whose fields are noted when they are read: the checkers read what they know and nothing else.
function noted(value, read) {
  if (value === null || typeof value !== "object") return value;
  const inner = new Map();
  return new Proxy(value, {
    get(target, name) {
      if (!inner.has(name)) {
        const deeper = { value: target[name], fields: new Map() };
        inner.set(name, noted(target[name], deeper.fields));
        if (typeof name === "string") read.set(name, deeper);
      }
      return inner.get(name);
    },
  });
}

function* unknown(value, read, path) {
  if (value === null || typeof value !== "object") return;
  for (const name of Object.keys(value)) {
    const at = Array.isArray(value) ? `${path}[${name}]` : `${path}.${name}`;
    if (read.has(name)) yield* unknown(value[name], read.get(name).fields, at);
    else yield `${at}: unknown field`;
  }
}

async function faults(folder, object) {
  const path = KINDS[`${object.apiVersion} ${object.kind}`];
  if (path === undefined) return null;
  const [, validator] = /from"([^"]*_schemas[^"]*)"/.exec(readFileSync(`${folder}/${path}.js`, "utf8"));
  const { validate } = await import(new URL(validator, pathToFileURL(`${folder}/${path}.js`)));
  const read = new Map();
  const holds = validate(noted(object, read));
  const wrong = holds ? [] : validate.errors.map((error) => `${error.instancePath}: ${error.message}`);
  // Metadata are Kubernetes' own, and known to others.
  return [...wrong, ...unknown({ spec: object.spec }, read, "")];
}

const folder = `${process.argv[2]}/node_modules/@kubernetes-models`;
const objects = JSON.parse(readFileSync(0, "utf8"));
console.log(JSON.stringify(await Promise.all(objects.map((object) => faults(folder, object)))));
