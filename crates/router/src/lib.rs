//! The OpenAI-compatible front door.
#![forbid(unsafe_code)]
