//! The engines' own block hashes, recomputed: which algorithm, which seed, which extra keys.
