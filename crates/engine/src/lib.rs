//! A simulated vLLM replica that speaks what a real one speaks.
#![forbid(unsafe_code)]
