import pathlib
import tempfile
import unittest
from dataclasses import fields, replace

from onefill import model
from onefill.namespace import Identity

ENGINE = Identity(
    model="m", dtype="bfloat16", engine="vllm-0.32", platform="cpu-x86-amx_tile", layout="LBHNC",
    layers=(("model.layers.0", "model.layers.1"),), block_tokens=(32,), chunk_blocks=1, chunk_bytes=16384,
    tensor_parallel=1, pipeline_parallel=1, context_parallel=(1, 1), copies="each",
)  # fmt: skip
OTHER = {
    "model": "n", "dtype": "fp8_e4m3", "engine": "vllm-0.33", "platform": "cpu-x86", "layout": "LBNHC",
    "layers": (("model.layers.0",), ("model.layers.1",)), "block_tokens": (64,), "chunk_blocks": 2,
    "chunk_bytes": 32768, "tensor_parallel": 2, "pipeline_parallel": 2, "context_parallel": (1, 2),
    "copies": "one", "generation": "2",
}  # fmt: skip


class NamespaceTest(unittest.TestCase):
    def test_equal_engines_share(self):
        self.assertEqual(ENGINE.namespace(), replace(ENGINE).namespace())

    def test_an_engine_that_differs_in_anything_does_not(self):
        self.assertEqual(set(OTHER), {each.name for each in fields(Identity)})
        names = {replace(ENGINE, **{name: value}).namespace() for name, value in OTHER.items()}
        self.assertEqual(len(names | {ENGINE.namespace()}), len(OTHER) + 1)

    def test_it_stays_what_it_was(self):
        """A new derivation needs a new VERSION: a fleet shares only among equal ones."""
        self.assertEqual(ENGINE.namespace(), "kv-fed7adf9e9a49fd090dda0a0fd04d3cb")


class ModelTest(unittest.TestCase):
    def folder(self, weights: bytes, config: bytes = b"{}") -> str:
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        (folder / "config.json").write_bytes(config)
        (folder / "model.safetensors").write_bytes(weights)
        return str(folder)

    def test_the_same_weights_anywhere_are_the_same(self):
        weights = bytes(range(256)) * 20_000
        self.assertEqual(model.digest(self.folder(weights)), model.digest(self.folder(weights)))

    def test_other_weights_or_configuration_are_not(self):
        weights = bytes(range(256)) * 20_000
        found = {
            model.digest(self.folder(weights)),
            model.digest(self.folder(weights + b"x")),
            model.digest(self.folder(bytes(byte ^ 1 for byte in weights))),
            model.digest(self.folder(weights, b'{"rope_theta": 1}')),
        }
        self.assertEqual(len(found), 4)

    def test_weights_that_can_not_be_found_are_an_error(self):
        with self.assertRaises(model.UnknownModel):
            model.digest(str(pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))))


if __name__ == "__main__":
    unittest.main()
