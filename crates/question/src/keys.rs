//! Block keys of a prompt, once for each block size of the fleet.

use crate::BLOCK_TOKENS;
use onefill_fleet::Replica;
use onefill_kv::TokenId;
use onefill_prompt::{Asked, Input, Keyed, Namespace};
use smallvec::SmallVec;

/// Keys of one block size.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Tokens a block.
    pub block_tokens: u32,
    /// The keys.
    pub keyed: Keyed,
}

/// Keys of each block size; none where the prompt has none.
pub type Made = SmallVec<[Keys; 1]>;

/// The block sizes among these replicas; vLLM's default where none tells.
pub fn block_sizes<'a>(replicas: impl IntoIterator<Item = &'a Replica>) -> SmallVec<[u32; 2]> {
    let mut sizes: SmallVec<[u32; 2]> = SmallVec::new();
    for replica in replicas {
        if let Some(size) = replica.status().block_tokens
            && !sizes.contains(&size)
        {
            sizes.push(size);
        }
    }
    if sizes.is_empty() {
        sizes.push(BLOCK_TOKENS);
    }
    sizes
}

/// Keys over the text, where there is one; `space` gives the namespace of a block size.
pub fn text_keys<'a>(
    asked: &Asked<'_>,
    sizes: &[u32],
    space: impl Fn(u32) -> Namespace<'a>,
) -> Made {
    if matches!(asked.input, Input::None) {
        return Made::new();
    }
    let keys = |&block_tokens: &u32| Keys {
        block_tokens,
        keyed: onefill_prompt::text_keys(asked, space(block_tokens)),
    };
    sizes.iter().map(keys).collect()
}

/// Keys over the prompt's tokens; of the first prompt, where the body has several.
pub fn token_keys<'a>(
    asked: &Asked<'_>,
    tokens: &[TokenId],
    sizes: &[u32],
    space: impl Fn(u32) -> Namespace<'a>,
) -> Made {
    let all: Option<usize> = match &asked.input {
        Input::Tokens(lists) => Some(lists.iter().map(Vec::len).sum()),
        _ => None,
    };
    let keys = |&block_tokens: &u32| {
        let mut keyed = onefill_prompt::token_keys(tokens, space(block_tokens));
        if let Some(all) = all {
            keyed.prompt_tokens = u32::try_from(all).unwrap_or(u32::MAX);
        }
        Keys {
            block_tokens,
            keyed,
        }
    };
    sizes.iter().map(keys).collect()
}
