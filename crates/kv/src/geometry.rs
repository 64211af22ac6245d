//! Bytes of keys and values per token, from a model's `config.json`.
