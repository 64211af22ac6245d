"""The store as a secondary tier of vLLM: engine <-> primary tier (host memory) <-> store.

Runs in the scheduler's process and never waits there. A failure is a miss.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from functools import partial
from itertools import pairwise
from typing import Any, ClassVar

from vllm.distributed.kv_transfer.kv_connector.v1.offloading.metrics import OffloadingConnectorStats
from vllm.v1.kv_offload.base import (
    Locality,
    LookupResult,
    Medium,
    OffloadingEvent,
    RequestOffloadingContext,
)
from vllm.v1.kv_offload.tiering.base import JobResult, SecondaryTierManager

from onefill.client import Outcome, connect
from onefill.lookups import Answer, Lookups, Question
from onefill.namespace import Identity
from onefill.rates import Judge
from onefill.settings import Settings, Wishes
from onefill.vllm.identity import identity
from onefill.vllm.metrics import Counters, definitions

log = logging.getLogger("vllm.onefill")

ANSWERS = {Answer.MISS: LookupResult.MISS, Answer.HIT: LookupResult.HIT, Answer.RETRY: LookupResult.RETRY}
GROUP_BYTES = 4  # of the KV cache group, at the end of a key
DRAIN_S = 1.0  # between looks while draining: every call has a deadline of its own


def split(keys: list, found: list[bool]) -> tuple[list, list]:
    """Keys that were found, and those that were not."""
    pairs = list(zip(keys, found, strict=True))
    return [key for key, there in pairs if there], [key for key, there in pairs if not there]


class OnefillTier(SecondaryTierManager):
    medium: ClassVar[Medium] = Medium.STORAGE

    def __init__(self, offloading_spec, primary_kv_view, tier_type, backpressure_detector=None, **words):
        super().__init__(offloading_spec, primary_kv_view, tier_type, backpressure_detector)
        self.locality = Locality.REMOTE
        words.pop("locality", None)
        self.settings = settings = Settings.parse(words)
        self.namespace = settings.namespace or self._identity(offloading_spec).namespace()
        self.client = connect(
            settings.url,
            self.namespace,
            settings.token,
            settings.threads,
            settings.window,
            settings.tls,
        )
        self.bytes = primary_kv_view.cast("B")
        self.chunk_tokens = min(offloading_spec.tokens_per_block) * offloading_spec.blocks_per_chunk
        self.judge = Judge(self.chunk_tokens, self.block_size_bytes, settings)
        self.lookups = Lookups(settings.lookup_timeout_ms / 1000, self.judge.worth, self.judge.patience)
        self.store_s = settings.store_timeout_ms / 1000
        self.takers: dict[int, Callable[[Outcome], None]] = {}  # by ticket
        self.jobs: dict[int, Any] = {}  # on their way, by job id
        self.finished: list[JobResult] = []
        self.error: str | None = None  # of the store, the latest
        self.storing_bytes = 0
        self.started: dict[str, float] = {}  # requests whose prefill is being timed
        self.events: list[OffloadingEvent] | None = (
            [] if offloading_spec.kv_events_config.enable_kv_cache_events else None
        )
        self.counters = Counters(tier_type)
        log.info(
            "onefill at %s, namespace %s, chunks of %d bytes",
            settings.url,
            self.namespace,
            self.block_size_bytes,
        )

    def _identity(self, spec) -> Identity:
        return identity(spec, self.block_size_bytes, self.settings)

    # requests

    def on_new_request(self, req_context) -> RequestOffloadingContext:
        wishes = Wishes.parse(req_context.kv_transfer_params)
        req_context.set_state(wishes)
        self.lookups.open(req_context.req_id, loads=wishes.load)
        return RequestOffloadingContext()

    def on_request_finished(self, req_context) -> None:
        self.lookups.close(req_context.req_id)
        self.started.pop(req_context.req_id, None)

    def lookup(self, key, req_context) -> LookupResult:
        if not self.client.reachable:
            return LookupResult.MISS
        return ANSWERS[self.lookups.answer(req_context.req_id, key, time.monotonic())]

    def on_schedule_end(self, context) -> None:
        now = time.monotonic()
        self.started.update(dict.fromkeys(context.new_req_ids, now))
        if questions := self.lookups.take_questions():
            keys = [question.key for question in questions]
            self._expect(self.client.exists(keys, self.lookups.ask_s), partial(self._answered, questions))
        # Whoever believes that the store holds more of a chain learns from the first request that asks.
        self._tell(self.lookups.take_absent(), removed=True)

    def _answered(self, questions: list[Question], outcome: Outcome) -> None:
        self.counters.add("lookups_late", len(questions) if outcome.late else 0)
        self.lookups.settle(questions, outcome.found, sure=not outcome.late)

    # jobs

    def submit_load(self, job_metadata) -> None:
        job = job_metadata
        seconds = self.lookups.patience_left(job.req_context.req_id, len(job.keys), time.monotonic())
        self.jobs[job.job_id] = job
        ticket = self.client.get(list(job.keys), self._views(job.chunk_ids), max(0.0, seconds))
        self._expect(ticket, partial(self._loaded, job))

    def submit_store(self, job_metadata) -> None:
        job = job_metadata
        wishes = job.req_context.get_state(Wishes) or Wishes()
        self._time_prefill(job)
        nbytes = len(job.keys) * self.block_size_bytes
        if not wishes.store or not self.client.reachable:
            self._end(job, wishes.store is False)
        elif self.storing_bytes + nbytes > self.settings.store_queue_bytes:
            self.counters.add("stores_refused", len(job.keys))
            self._end(job, False)
        else:
            self.jobs[job.job_id] = job
            self.storing_bytes += nbytes
            keys, chunks, parents = self._chain(job)
            ttl_s = wishes.ttl_s or self.settings.ttl_s
            ticket = self.client.put(keys, self._views(chunks), self.store_s, ttl_s, parents)
            self._expect(ticket, partial(self._stored, job, keys))

    def get_finished_jobs(self) -> Iterable[JobResult]:
        self._collect()
        finished, self.finished = self.finished, []
        return finished

    def has_pending_work(self) -> bool:
        return bool(self.takers)

    def drain_jobs(self) -> None:
        while self.jobs:
            self._collect()
            if self.jobs:
                self.client.wait(DRAIN_S)

    def shutdown(self) -> None:
        self.client.close()
        self._collect()  # gives back what the client held of the primary tier
        self.bytes.release()

    def _loaded(self, job, outcome: Outcome) -> None:
        keys = list(job.keys)
        good, lost = split(keys, outcome.found)
        if lost:
            self.lookups.failed(job.req_context.req_id, lost)
            self.counters.add("loads_late" if outcome.late else "loads_missed", len(lost) - outcome.corrupt)
            self.counters.add("loads_corrupt", outcome.corrupt)
            if not outcome.late:
                self._tell(lost, removed=True)
            if outcome.corrupt:  # so that who computes them next can store them again
                self.client.delete(lost, self.store_s)
        else:
            self.judge.loads.observe(outcome.nbytes, outcome.seconds, time.monotonic())
        self._end(job, not lost, outcome, good)

    def _stored(self, job, keys: list, outcome: Outcome) -> None:
        self.storing_bytes -= len(keys) * self.block_size_bytes
        there, refused = split(keys, outcome.found)
        self.counters.add("stores_failed", len(refused))
        self._tell(there, removed=False)
        self._end(job, not refused, outcome)

    def _end(self, job, success: bool, outcome: Outcome | None = None, good: list | None = None) -> None:
        self.jobs.pop(job.job_id, None)
        result = JobResult(job.job_id, success, successful_keys=None if success else good)
        if outcome is not None:
            result.transfer_time, result.transfer_bytes = outcome.seconds, outcome.nbytes
        self.finished.append(result)

    # the client

    def _expect(self, ticket: int, taker: Callable[[Outcome], None]) -> None:
        self.takers[ticket] = taker

    def _collect(self) -> None:
        for outcome in self.client.poll():
            if outcome.error and outcome.error != self.error:  # a new one: said once
                self.error = outcome.error
                log.warning("onefill at %s: %s", self.settings.url, outcome.error)
            if (taker := self.takers.pop(outcome.ticket, None)) is not None:
                taker(outcome)

    def _views(self, chunks: Iterable[int]) -> list[memoryview]:
        size = self.block_size_bytes
        return [self.bytes[chunk * size : (chunk + 1) * size] for chunk in map(int, chunks)]

    def _chain(self, job) -> tuple[list, list, list]:
        """Keys of a store job in the order of their chains (vLLM gives a set), their chunks, and the key
        before each where that is in the job: the store evicts no block before those that follow it."""
        position = job.req_context.get_offload_key_position
        rows = sorted(
            (key[-GROUP_BYTES:], position(key) or 0, key, chunk)
            for key, chunk in zip(job.keys, job.chunk_ids, strict=True)
        )
        parents = [b""]
        for (group, place, key, _), (next_group, next_place, _, _) in pairwise(rows):
            parents.append(key if group == next_group and place + self.chunk_tokens == next_place else b"")
        return [row[2] for row in rows], [row[3] for row in rows], parents

    # what is measured and told

    def _time_prefill(self, job) -> None:
        """The first chunks that a request stores were computed since it was scheduled."""
        if (start := self.started.pop(job.req_context.req_id, None)) is not None:
            self.judge.prefill.observe(len(job.keys) * self.chunk_tokens, time.monotonic() - start)

    def _tell(self, keys: list, removed: bool) -> None:
        if self.events is not None and keys:
            self.events.append(
                OffloadingEvent(
                    keys=keys,
                    medium=self.medium,
                    removed=removed,
                    locality=self.locality,
                    ownership=self.tier_type,
                )
            )

    def take_events(self) -> Iterable[OffloadingEvent]:
        if not self.events:
            return ()
        events, self.events = self.events, []
        return events

    @classmethod
    def build_metric_definitions(cls, extra_config):
        return definitions()

    def get_stats(self) -> OffloadingConnectorStats | None:
        self.counters.add("loads_declined", self.lookups.declined)
        self.counters.add("waits_given_up", self.lookups.timed_out)
        self.lookups.declined = self.lookups.timed_out = 0
        return self.counters.take()
