"""Tiers on vLLM's CPU platform.

vLLM's own spec refuses the CPU only because its copy worker is made of CUDA streams. Here a worker
copies between the KV cache and the shared region of the primary tier with torch; everything else is
vLLM's own.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch
from vllm.v1.kv_offload.base import OffloadingWorker, TransferResult
from vllm.v1.kv_offload.cpu.shared_offload_region import SharedOffloadRegion
from vllm.v1.kv_offload.tiering.spec import TieringOffloadingSpec


class CpuCopyWorker(OffloadingWorker):
    """Copies whole blocks, as opaque bytes: on CPU the order inside a block depends on the ISA."""

    def __init__(self, kv_caches, blocks_per_chunk: int, region: SharedOffloadRegion):
        self.region, self.blocks_per_chunk = region, blocks_per_chunk
        self.groups = kv_caches.group_data_refs
        # (block, byte) of the KV cache and (chunk, block in chunk, byte) of the region, tensor by tensor
        self.blocks = [each.tensor for each in kv_caches.tensors]
        self.chunks = [
            region.create_next_worker_view(each.page_size_bytes * blocks_per_chunk).unflatten(
                1, (blocks_per_chunk, each.page_size_bytes)
            )
            for each in kv_caches.tensors
        ]
        self.finished: list[TransferResult] = []

    def submit_store(self, job_id, src_spec, dst_spec) -> bool:
        return self._copy(job_id, src_spec, dst_spec, store=True)

    def submit_load(self, job_id, src_spec, dst_spec) -> bool:
        return self._copy(job_id, dst_spec, src_spec, store=False)

    def get_finished(self) -> list[TransferResult]:
        finished, self.finished = self.finished, []
        return finished

    def wait(self, job_ids) -> None:
        """Nothing to wait for: a copy is done when it was submitted."""

    def shutdown(self) -> None:
        self.blocks, self.chunks = [], []
        self.region.cleanup()

    def _copy(self, job_id: int, engine, primary, store: bool) -> bool:
        start, nbytes = time.monotonic(), 0
        for group, blocks, chunks, places in self._parts(engine, primary):
            for ref in self.groups[group]:
                cache, region = self.blocks[ref.tensor_idx], self.chunks[ref.tensor_idx]
                width = ref.page_size_bytes
                if store:
                    region[chunks, places, :width] = cache[blocks, :width]
                else:
                    cache[blocks, :width] = region[chunks, places, :width]
                nbytes += width * len(blocks)
        self.finished.append(TransferResult(job_id, True, nbytes, time.monotonic() - start))
        return True

    def _parts(self, engine, primary) -> Iterator[tuple[int, torch.Tensor, torch.Tensor, torch.Tensor]]:
        """For each KV cache group: its blocks, and for each block its chunk and its place in the chunk.

        A group's first block may lie inside its first chunk.
        """
        all_blocks = torch.from_numpy(engine.block_ids).long()
        all_chunks = torch.from_numpy(primary.block_ids).long()
        for group, (count, first) in enumerate(zip(engine.group_sizes, engine.block_indices, strict=True)):
            if not count:
                continue
            places = torch.arange(count) + first % self.blocks_per_chunk
            used = int(places[-1]) // self.blocks_per_chunk + 1
            blocks, all_blocks = all_blocks[:count], all_blocks[count:]
            chunks, all_chunks = all_chunks[:used], all_chunks[used:]
            yield group, blocks, chunks[places // self.blocks_per_chunk], places % self.blocks_per_chunk


class CpuTieringSpec(TieringOffloadingSpec):
    """`TieringOffloadingSpec` for CPU."""

    def get_worker(self, kv_caches):
        if self._worker is None:
            if self.config.canonical_layout:
                raise ValueError("CpuTieringSpec knows no canonical_layout")
            region = SharedOffloadRegion(
                engine_id=self._engine_id,
                num_chunks=self.num_chunks,
                rank=0 if self.replicated_layout else self.config.parallel.rank,
                kv_bytes_per_chunk=self.kv_bytes_per_chunk,
                cpu_page_size=self.cpu_page_size_per_worker,
            )
            try:
                self._worker = CpuCopyWorker(kv_caches, self.blocks_per_chunk, region)
            except BaseException:
                region.cleanup()
                raise
        return self._worker
