"""KV blocks shared through `onefill store`: for vLLM (`onefill.vllm`) and LMCache (`onefill.lmcache`)."""
