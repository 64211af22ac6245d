"""Which vLLM this was tested with, and one clear error where its API has moved."""

from __future__ import annotations

import importlib
import inspect
import logging

TESTED = ("0.32",)
BASE, TIERING = "vllm.v1.kv_offload.base", "vllm.v1.kv_offload.tiering"
REGION = "vllm.v1.kv_offload.cpu.shared_offload_region"

# what is used of vLLM: module, name, names that it must have
USED = [
    (BASE, "Locality", ["REMOTE"]),
    (BASE, "LookupResult", ["MISS", "HIT", "RETRY"]),
    (BASE, "Medium", ["STORAGE"]),
    (BASE, "OffloadingEvent", []),
    (BASE, "OffloadingCounterMetadata", []),
    (BASE, "OffloadingWorker", ["submit_store", "submit_load", "get_finished", "wait", "shutdown"]),
    (BASE, "RequestOffloadingContext", []),
    (BASE, "TransferResult", []),
    (f"{TIERING}.base", "JobResult", []),
    (f"{TIERING}.base", "SecondaryTierManager", ["block_size_bytes"]),
    (f"{TIERING}.spec", "TieringOffloadingSpec", ["get_worker", "get_manager"]),
    (REGION, "SharedOffloadRegion", ["create_next_worker_view", "cleanup"]),
]
# what our tier implements: nothing else may be abstract
OURS = {
    "lookup", "submit_store", "submit_load", "get_finished_jobs", "on_new_request", "drain_jobs",
}  # fmt: skip
ARGUMENTS = {"offloading_spec", "primary_kv_view", "tier_type", "backpressure_detector"}


class Unsupported(ImportError):
    """This vLLM is not one that onefill can plug into."""


def check() -> None:
    import vllm

    version = vllm.__version__
    if faults := list(_faults()):
        raise Unsupported(
            f"onefill was tested with vLLM {', '.join(TESTED)}; vLLM {version} differs where it plugs in: "
            + "; ".join(faults)
        )
    if not version.startswith(tuple(f"{tested}." for tested in TESTED)):
        logging.getLogger("vllm.onefill").warning(
            "onefill was tested with vLLM %s, this is %s: its API looks the same", ", ".join(TESTED), version
        )


def _faults():
    for module, name, members in USED:
        try:
            found = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError):
            yield f"no {module}.{name}"
            continue
        yield from (f"no {name}.{member}" for member in members if not hasattr(found, member))
        if name == "SecondaryTierManager":
            yield from (f"{name}.{each} is new" for each in sorted(found.__abstractmethods__ - OURS))
            missing = ARGUMENTS - set(inspect.signature(found.__init__).parameters)
            yield from (f"{name} takes no {each}" for each in sorted(missing))
