"""onefill as LMCache's second level, through its `native_plugin` seam (tested with LMCache 0.5.6).

    lmcache server ... --l2-adapter '{"type": "native_plugin", "module_path": "onefill.lmcache",
        "class_name": "OnefillConnector", "adapter_params": {"url": "onefill://HOST:65433",
        "namespace": "llama-3.1-8b-bf16"}}'

LMCache's keys name model, rank, tokens and salt, but neither the weights nor the KV dtype or the layout:
two engines that differ in those need two namespaces.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from onefill.client import Outcome, Tls, connect

Completion = tuple[int, bool, str, list[bool]]


class OnefillConnector:
    """What `NativeConnectorL2Adapter` asks of a client. Every call has a deadline, and each gets its
    completion: a store that is away, hangs or lost a block is a miss, and is found again when it is
    back."""

    def __init__(
        self,
        url: str,
        namespace: str,
        token_env: str | None = None,
        lookup_timeout_ms: int = 500,
        transfer_timeout_ms: int = 10_000,
        threads: int = 4,
        window: bool = True,
        tls_authorities: str | None = None,
        tls_certificate: str | None = None,
        tls_key: str | None = None,
    ):
        if not namespace:
            raise ValueError("namespace must name what LMCache's keys leave out: weights, KV dtype, layout")
        token = os.environ[token_env] if token_env else ""
        tls = Tls(tls_authorities, tls_certificate, tls_key)
        self.client = connect(url, namespace, token, threads, window, tls)
        self.puts: set[int] = set()  # tickets of stores on their way
        self.lookup_s, self.transfer_s = lookup_timeout_ms / 1000, transfer_timeout_ms / 1000

    def event_fd(self) -> int:
        return self.client.fileno()

    def submit_batch_exists(self, keys: Sequence[str]) -> int:
        return self.client.exists(names(keys), self.lookup_s)

    def submit_batch_get(self, keys: Sequence[str], buffers: Sequence[memoryview]) -> int:
        return self.client.get(names(keys), list(buffers), self.transfer_s)

    def submit_batch_set(self, keys: Sequence[str], buffers: Sequence[memoryview]) -> int:
        ticket = self.client.put(names(keys), list(buffers), self.transfer_s)
        self.puts.add(ticket)
        return ticket

    def submit_batch_delete(self, keys: Sequence[str]) -> int:
        return self.client.delete(names(keys), self.transfer_s)

    def drain_completions(self) -> list[Completion]:
        return [
            (outcome.ticket, self._is_done(outcome), outcome.error or "", outcome.found)
            for outcome in self.client.poll()
        ]

    def _is_done(self, outcome: Outcome) -> bool:
        """A batch of which the store refused a block is not stored; the other calls answer key by key."""
        puts_done = all(outcome.found) if outcome.ticket in self.puts else True
        self.puts.discard(outcome.ticket)
        return puts_done and not outcome.late

    def close(self) -> None:
        self.client.close()


def names(keys: Sequence[str]) -> list[bytes]:
    return [key.encode() for key in keys]
