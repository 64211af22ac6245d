//! Tokens by a tokenizer in this process.

use bytes::Bytes;
use onefill_kv::TokenId;
use onefill_prompt::{Asked, Door, PromptError, Prompter};
use std::sync::Arc;

/// The prompt's tokens. Bodies of more than `inline_bytes_max` are tokenized on a thread aside, so that
/// other requests don't wait for them. `asked` is what was read in `body`.
pub async fn tokens(
    prompter: &Arc<Prompter>,
    asked: &Asked<'_>,
    (door, body): (Door, &Bytes),
    inline_bytes_max: usize,
) -> Result<Arc<[TokenId]>, PromptError> {
    if body.len() <= inline_bytes_max {
        return prompter.tokens(asked);
    }
    let (prompter, body) = (Arc::clone(prompter), body.clone());
    let work = move || {
        // Read once more, since what was read borrows from this task; a tenth of the time that follows.
        let asked = onefill_prompt::scan(door, &body).map_err(|e| PromptError(e.to_string()))?;
        prompter.tokens(&asked)
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(tokens) => tokens,
        Err(_panicked) => Err(PromptError("the tokenizer gave up".into())),
    }
}
