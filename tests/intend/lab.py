"""What all stories of intent have in common.

Environment: ONEFILL_BIN (the onefill program), ONEFILL_SHARED (folder with the peers' definitions, which
are read and not copied; where it is absent, what needs it is skipped with a word).
"""

import os
import pathlib
import subprocess
import sys

import yaml

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "common"))

from loopback import LOGS as FOLDER  # noqa: E402, F401
from loopback import Program, free_ports, http, until  # noqa: E402, F401
from promises import check, end, say  # noqa: E402, F401

ROOT = pathlib.Path(__file__).resolve().parents[2]
ONEFILL = os.environ["ONEFILL_BIN"]
SHARED = pathlib.Path(os.environ.get("ONEFILL_SHARED") or ROOT.parent / "shared")
CONTROL = ROOT / "crates/control"


def documents(path):
    return [each for each in yaml.safe_load_all(pathlib.Path(path).read_text()) if each]


def onefill(*arguments, stdin=None):
    """(status, documents of standard output, standard error)."""
    done = subprocess.run([ONEFILL, *arguments], input=stdin, capture_output=True, text=True)
    printed = [each for each in yaml.safe_load_all(done.stdout) if each] if done.returncode == 0 else []
    return done.returncode, printed, done.stderr


def render(xr, *arguments):
    """Objects of an LLMInference; an error is raised with what was said."""
    status, objects, said = onefill("render", "-f", "-", *arguments, stdin=yaml.safe_dump(xr))
    if status:
        raise ValueError(said)
    return objects


def inference(name="m", **spec):
    return {
        "apiVersion": "inference.devopstoolkit.ai/v1alpha1",
        "kind": "LLMInference",
        "metadata": {"name": name, "namespace": "a"},
        "spec": {"model": "Qwen/Qwen2.5-1.5B-Instruct", **spec},
    }


def merge(to, over):
    """`over` put over `to`; null takes away."""
    for name, value in (over or {}).items():
        if value is None:
            to.pop(name, None)
        elif isinstance(value, dict) and isinstance(to.get(name), dict):
            merge(to[name], value)
        else:
            to[name] = value
    return to
