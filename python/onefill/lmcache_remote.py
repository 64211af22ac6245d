"""onefill as LMCache's remote backend in the engine's process (tested with LMCache 0.3.13 and 0.5.6).

    remote_url: "external://host:0/onefill.lmcache_remote/?connector_name=OnefillRemote"
    extra_config:
      onefill_url: "onefill://HOST:65433"
      onefill_namespace: "llama-3.1-8b-digest"

Whole chunks only: LMCache asks for the last, partial one nowhere but in the same conversation.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import TimeoutError as LateError

from lmcache.v1.storage_backend.connector.base_connector import RemoteConnector

from onefill.client import Client, Outcome, Tls, connect

GRACE_S = 1.0  # past a call's deadline its outcome is on its way


class Calls:
    """A client's outcomes as futures of one event loop."""

    def __init__(self, client: Client, loop: asyncio.AbstractEventLoop):
        self.client, self.loop = client, loop
        self.waiting: dict[int, asyncio.Future[Outcome]] = {}
        loop.call_soon_threadsafe(loop.add_reader, client.fileno(), self._drain)

    def outcome(self, ticket: int) -> asyncio.Future[Outcome]:
        """To be called on the loop, in the step that made the call."""
        self.waiting[ticket] = self.loop.create_future()
        return self.waiting[ticket]

    def _drain(self) -> None:
        for outcome in self.client.poll():
            future = self.waiting.pop(outcome.ticket, None)
            if future is not None and not future.done():
                future.set_result(outcome)

    def close(self) -> None:
        self.loop.remove_reader(self.client.fileno())
        self.client.close()


class OnefillRemote(RemoteConnector):
    """Every call has a deadline; a store that is away or hangs is a miss, and is found again."""

    def __init__(self, loop, local_cpu_backend, config):
        super().__init__(local_cpu_backend.config, local_cpu_backend.metadata)
        words = config.extra_config or {}
        faults = [
            f"{word} is missing" for word in ("onefill_url", "onefill_namespace") if not words.get(word)
        ]
        if faults:
            raise ValueError("extra_config: " + "; ".join(faults))
        self.loop, self.pool = loop, local_cpu_backend
        self.chunk_bytes = (
            getattr(self, "full_chunk_size_bytes", None) or self.full_chunk_size
        )  # 0.5.6, 0.3.13
        self.lookup_s = words.get("onefill_lookup_timeout_ms", 500) / 1000
        self.transfer_s = words.get("onefill_transfer_timeout_ms", 5000) / 1000
        token = os.environ[words["onefill_token_env"]] if words.get("onefill_token_env") else ""
        namespace = f"{words['onefill_namespace']}-{self._layout()}"
        window = words.get("onefill_window", True)
        tls = Tls(*(words.get(f"onefill_tls_{each}") for each in ("authorities", "certificate", "key")))
        client = connect(words["onefill_url"], namespace, token, threads=4, window=window, tls=tls)
        self.calls = Calls(client, loop)
        self.client = self.calls.client

    def _layout(self) -> str:
        """LMCache's keys leave out what a chunk's bytes are."""
        text = repr((self.meta_shapes, self.meta_dtypes, self.meta_fmt))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    async def exists(self, key) -> bool:
        return (await self._there([key]))[0]

    def exists_sync(self, key) -> bool:
        asked = asyncio.run_coroutine_threadsafe(self.exists(key), self.loop)
        try:
            return asked.result(self.lookup_s + GRACE_S)
        except LateError:
            return False

    async def batched_async_contains(self, lookup_id, keys, pin=False) -> int:
        there = await self._there(keys)
        return there.index(False) if False in there else len(there)

    async def get(self, key):
        return (await self.batched_get([key]))[0]

    def support_batched_get(self) -> bool:
        return True

    async def batched_get(self, keys) -> list:
        chunks = [self.pool.allocate(self.meta_shapes, self.meta_dtypes, self.meta_fmt) for _ in keys]
        asked = [(key, chunk) for key, chunk in zip(keys, chunks, strict=True) if chunk is not None]
        found = await self._transfer(self.client.get, asked)
        whole = {id(chunk) for (_, chunk), there in zip(asked, found, strict=True) if there}
        for _, chunk in asked:
            if id(chunk) not in whole:
                chunk.ref_count_down()
        return [chunk if id(chunk) in whole else None for chunk in chunks]

    async def put(self, key, memory_obj) -> None:
        await self.batched_put([key], [memory_obj])

    def support_batched_put(self) -> bool:
        return True

    async def batched_put(self, keys, memory_objs) -> None:
        pairs = zip(keys, memory_objs, strict=True)
        await self._transfer(self.client.put, [pair for pair in pairs if self._is_whole(pair[1])])

    async def list(self) -> list[str]:
        return []

    async def close(self) -> None:
        self.calls.close()

    async def _there(self, keys) -> list[bool]:
        outcome = await self.calls.outcome(self.client.exists(names(keys), self.lookup_s))
        return outcome.found

    async def _transfer(self, call, pairs: Sequence[tuple]) -> list[bool]:
        if not pairs:
            return []
        views = [memoryview(chunk.byte_array).cast("B") for _, chunk in pairs]
        outcome = await self.calls.outcome(call(names(key for key, _ in pairs), views, self.transfer_s))
        return outcome.found

    def _is_whole(self, chunk) -> bool:
        return len(chunk.byte_array) == self.chunk_bytes


def names(keys) -> list[bytes]:
    return [key.to_string().encode() for key in keys]
