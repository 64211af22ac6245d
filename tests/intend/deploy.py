"""What stands in deploy/: OCI layouts that are whole and run, a kustomization of rendered objects, dashboards of
metrics that exist.
"""

import gzip
import hashlib
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import tarfile

import lab
import schema
import yaml

DEPLOY = lab.ROOT / "deploy"


def layout(what):
    folder = lab.FOLDER / f"oci-{what}"
    command = [sys.executable, DEPLOY / "oci.py", what, "--binary", lab.ONEFILL, "--out", folder]
    subprocess.run(command, check=True, capture_output=True)
    return folder


def blob(folder, pointer):
    data = (folder / "blobs" / pointer["digest"].replace(":", "/")).read_bytes()
    assert (
        hashlib.sha256(data).hexdigest() == pointer["digest"].split(":")[1] and len(data) == pointer["size"]
    )
    return data


def whole(folder):
    """(configuration, layers as (annotations, tar)) of a layout whose digests are right."""
    [pointer] = json.loads((folder / "index.json").read_text())["manifests"]
    manifest = json.loads(blob(folder, pointer))
    config = json.loads(blob(folder, manifest["config"]))
    layers = [
        (each.get("annotations", {}), gzip.decompress(blob(folder, each))) for each in manifest["layers"]
    ]
    ids = ["sha256:" + hashlib.sha256(tar).hexdigest() for _, tar in layers]
    assert ids == config["rootfs"]["diff_ids"]
    return config, layers


def packaged(layers):
    """Documents of the package layer."""
    [tar] = [tar for notes, tar in layers if notes.get("io.crossplane.xpkg") == "base"]
    with tarfile.open(fileobj=io.BytesIO(tar)) as files:
        assert files.getnames() == ["package.yaml"]
        return [each for each in yaml.safe_load_all(files.extractfile("package.yaml").read()) if each]


def runs(folder, name, layers, config):
    """The image's program, in the image's files alone, as the image's user."""
    root = lab.FOLDER / f"root-{name}"
    for notes, tar in layers:
        if not notes:
            with tarfile.open(fileobj=io.BytesIO(tar)) as files:
                files.extractall(root, filter="tar")
    user = config["config"]["User"].split(":")[0]
    run = lambda *words: subprocess.run(
        ["chroot", f"--userspec={user}", root, *words], capture_output=True, text=True
    )
    return run


def images():
    first, again = layout("image"), layout("image")
    config, layers = whole(first)
    run = runs(first, "image", layers, config)
    done = run("/usr/local/bin/onefill", "xrd")
    lab.check(
        "the image's layout is whole and its program runs in it",
        done.stdout.startswith("# LLMInference"),
        done.stderr[:200],
    )
    router = run(*config["config"]["Entrypoint"], "--host", "127.0.0.1", "--routing-logic", "nonsense")
    server = run("/opt/venv/bin/lmcache_server")
    names = "nonsense is not supported" in router.stderr and "lmcache-server" in server.stderr
    lab.check("its entrypoint is the operator's router, and lmcache_server stands beside", names)
    lab.check(
        "the same input gives the same image",
        (first / "index.json").read_bytes() == (again / "index.json").read_bytes(),
    )
    config, layers = whole(layout("function"))
    kinds = [each["kind"] for each in packaged(layers)]
    right = kinds[0] == "Function" and set(kinds[1:]) <= {"CustomResourceDefinition"}
    lab.check("the function's package has one Function, and its input's schema", right)
    settings = schema.definitions(packaged(layers))
    example = lab.documents(lab.CONTROL / "tests/settings.yaml")[0]
    lab.check("settings are what that schema says", not schema.faults(next(iter(settings.values())), example))
    _, layers = whole(layout("configuration"))
    documents = packaged(layers)
    kinds = sorted(each["kind"] for each in documents)
    lab.check(
        "the configuration's has definition and composition",
        kinds == ["CompositeResourceDefinition", "Composition", "Configuration"],
    )


def dashboards():
    """Every metric that a dashboard asks for stands in the documentation."""
    pages = "".join((lab.ROOT / f"docs/{name}.md").read_text() for name in ("metrics", "store", "picker"))
    known = set(re.findall(r"`((?:onefill|llm_d_epp)_[a-z_]+)`", pages))
    store = pages[pages.index("All begin with `onefill_store_`") :]
    known |= {f"onefill_store_{name}" for name in re.findall(r"`([a-z_]+)`", store)}
    wrong, asked = [], 0
    for path in DEPLOY.glob("grafana/*.json"):
        dashboard = json.loads(path.read_text())
        for panel in dashboard["panels"]:
            for target in panel["targets"]:
                for name in re.findall(r"\b(?:onefill|llm_d_epp)_[a-z_]+\b", target["expr"]):
                    asked += 1
                    if re.sub(r"_(bucket|sum|count)$", "", name) not in known and name not in known:
                        wrong.append(f"{path.name}: {name}")
    lab.check(
        "dashboards ask for metrics that exist", not wrong and asked > 20, f"({asked} of them) {wrong or ''}"
    )


def kustomized():
    """For those without Crossplane: what kustomize makes is what onefill renders."""
    for folder in sorted(DEPLOY.glob("kustomize/*/")):
        kubectl = pathlib.Path(os.environ["ONEFILL_TOOLS"]) / "kubectl"
        done = subprocess.run([kubectl, "kustomize", folder], capture_output=True, text=True)
        made = by_name(yaml.safe_load_all(done.stdout))
        wanted = by_name(lab.onefill("render", "-f", str(folder / "llminference.yaml"))[1])
        same = made == wanted and len(wanted) > 10
        lab.check(
            "kustomize makes the objects that onefill renders",
            same,
            f"({len(wanted)} of {folder.name}) {done.stderr}",
        )


def by_name(documents):
    return {f"{each['kind']}/{each['metadata']['name']}": each for each in documents if each}


def tell():
    images()
    dashboards()
    kustomized()


if __name__ == "__main__":
    tell()
    lab.end()
