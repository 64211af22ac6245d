//! Batches recorded from real vLLM 0.32 replicas: decoded, hashed again from their tokens, written
//! again byte for byte; and the shapes of other releases.
#![expect(clippy::expect_used, clippy::panic, reason = "a test")]

mod decode;
mod encode;
mod hashes;
mod hostile;
mod record;
mod shapes;
