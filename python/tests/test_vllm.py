"""What needs vLLM but no engine."""

import importlib.util
import types
import unittest
from unittest import mock

if importlib.util.find_spec("vllm") is None:
    raise unittest.SkipTest("vLLM is not installed")

import torch
from onefill.vllm import gate
from onefill.vllm.cpu import CpuCopyWorker
from vllm.v1.kv_offload.base import BlockIDsLoadStoreSpec, GPULoadStoreSpec


class Region:
    """Chunks of all tensors, one behind the other in a row."""

    def __init__(self, chunks, width):
        self.memory, self.offset = torch.zeros(chunks, width, dtype=torch.int8), 0

    def create_next_worker_view(self, width):
        view = self.memory[:, self.offset : self.offset + width]
        self.offset += width
        return view


def worker(blocks_per_chunk, pages=(24, 40), groups=((0, 1),)):
    torch.manual_seed(1)
    tensors = [torch.randint(-128, 128, (16, page), dtype=torch.int8) for page in pages]
    caches = types.SimpleNamespace(
        tensors=[types.SimpleNamespace(tensor=each, page_size_bytes=each.shape[1]) for each in tensors],
        group_data_refs=[
            [types.SimpleNamespace(tensor_idx=index, page_size_bytes=pages[index]) for index in group]
            for group in groups
        ],
    )
    region = Region(8, sum(pages) * blocks_per_chunk)
    return CpuCopyWorker(caches, blocks_per_chunk, region), tensors, region


class CopyTest(unittest.TestCase):
    def there_and_back(self, blocks_per_chunk, engine, chunks, groups=((0, 1),)):
        """What was stored comes back, into other blocks at that, and nothing else changes."""
        copier, tensors, _ = worker(blocks_per_chunk, groups=groups)
        before = [each.clone() for each in tensors]
        primary = BlockIDsLoadStoreSpec(chunks)
        self.assertTrue(copier.submit_store(1, engine, primary))
        for each in tensors:
            each.fill_(0)
        self.assertTrue(copier.submit_load(2, primary, engine))
        self.assertEqual(
            [(each.job_id, each.success) for each in copier.get_finished()], [(1, True), (2, True)]
        )
        start = 0
        for refs, count in zip(groups, engine.group_sizes, strict=True):
            blocks = list(engine.block_ids[start : start + count])
            start += count
            for index in refs:
                self.assertTrue(torch.equal(tensors[index][blocks], before[index][blocks]))
        used = sorted({int(block) for block in engine.block_ids})
        rest = [block for block in range(16) if block not in used]
        self.assertFalse(any(each[rest].any() for each in tensors))

    def test_a_block_a_chunk(self):
        self.there_and_back(1, GPULoadStoreSpec([3, 9, 4], [3], [0]), [5, 0, 7])

    def test_chunks_of_several_blocks_begun_in_the_middle(self):
        self.there_and_back(4, GPULoadStoreSpec([1, 2, 3, 4, 5, 6], [6], [3]), [6, 2, 1])

    def test_groups_with_layers_of_their_own(self):
        engine = GPULoadStoreSpec([1, 2, 3, 7, 8], [3, 2], [1, 0])
        self.there_and_back(2, engine, [0, 4, 5], groups=((0,), (1,)))

    def test_a_group_without_blocks(self):
        engine = GPULoadStoreSpec([7, 8], [0, 2], [0, 0])
        self.there_and_back(2, engine, [3], groups=((0,), (1,)))

    def test_a_block_lies_where_its_chunk_says(self):
        copier, tensors, region = worker(2, pages=(8,), groups=((0,),))
        copier.submit_store(1, GPULoadStoreSpec([5, 6], [2], [1]), BlockIDsLoadStoreSpec([3, 1]))
        self.assertTrue(torch.equal(region.memory[3, 8:], tensors[0][5]))
        self.assertTrue(torch.equal(region.memory[1, :8], tensors[0][6]))


class GateTest(unittest.TestCase):
    def test_this_vllm_passes(self):
        gate.check()

    def test_an_api_that_moved_is_one_clear_error(self):
        gone = [*gate.USED, ("vllm.v1.nowhere", "Thing", []), (gate.BASE, "Medium", ["TAPE"])]
        with mock.patch.object(gate, "USED", gone), self.assertRaises(gate.Unsupported) as caught:
            gate.check()
        for word in ("no vllm.v1.nowhere.Thing", "no Medium.TAPE", *gate.TESTED):
            self.assertIn(word, str(caught.exception))

    def test_a_new_duty_of_tiers_is_named(self):
        with mock.patch.object(gate, "OURS", gate.OURS - {"drain_jobs"}), self.assertRaises(gate.Unsupported):
            gate.check()


if __name__ == "__main__":
    unittest.main()
