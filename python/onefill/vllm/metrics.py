"""Counters of the tier, beside vLLM's own of every tier (`vllm:kv_offload_tiering_*`)."""

from __future__ import annotations

from vllm.distributed.kv_transfer.kv_connector.v1.offloading.metrics import OffloadingConnectorStats
from vllm.v1.kv_offload.base import OffloadingCounterMetadata

PREFIX = "vllm:kv_offload_onefill_"
COUNTERS = {
    "lookups_late": "Chunks asked for whose answer did not come within lookup_timeout_ms.",
    "loads_late": "Chunks that did not come within the load's time.",
    "loads_missed": "Chunks that were there when asked for and gone when loaded.",
    "loads_corrupt": "Chunks refused because of a wrong checksum or length.",
    "loads_declined": "Requests recomputed because that was expected to be quicker than loading.",
    "waits_given_up": "Requests that stopped waiting for the store.",
    "stores_failed": "Chunks that the store did not take.",
    "stores_refused": "Chunks not stored because store_queue_bytes were on their way.",
}


def definitions() -> dict[str, OffloadingCounterMetadata]:
    return {
        PREFIX + name: OffloadingCounterMetadata(documentation=text, labelnames=("tier",))
        for name, text in COUNTERS.items()
    }


class Counters:
    def __init__(self, tier: str):
        self.tier = tier
        self.counts: dict[str, int] = {}

    def add(self, name: str, count: int) -> None:
        if count:
            self.counts[name] = self.counts.get(name, 0) + count

    def take(self) -> OffloadingConnectorStats | None:
        """What was counted since the last call."""
        if not self.counts:
            return None
        stats = OffloadingConnectorStats()
        for name, count in self.counts.items():
            stats.increase_counter(PREFIX + name, count, (self.tier,))
        self.counts = {}
        return stats
