"""onefill as a tier of vLLM's OffloadingConnector.

OnefillTier keeps blocks in `onefill store`; CpuTieringSpec makes tiers work on vLLM's CPU platform.
docs/plug.md says how to switch them on.
"""

from onefill.vllm.gate import check

check()

from onefill.vllm.cpu import CpuTieringSpec  # noqa: E402  the gate comes first
from onefill.vllm.tier import OnefillTier  # noqa: E402

__all__ = ["CpuTieringSpec", "OnefillTier"]
