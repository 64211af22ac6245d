//! What happened to blocks, as events (the wire's form stands in `onefill_events::encode`).

use crate::sequence::Plan;
use onefill_events::encode::{ExtraKey, OutEvent, OutRemoved, OutStored};
use onefill_kv::engine_hash::Digest;
use std::ops::Range;

/// One evicted block: vLLM tells of each by itself.
pub(crate) fn removed(name: Digest) -> OutEvent {
    OutEvent::Removed(OutRemoved {
        hashes: vec![name],
        medium: Some("GPU".into()),
        group: Some(0),
        ..OutRemoved::default()
    })
}

/// Blocks of a request that are full now.
pub(crate) fn stored(plan: &Plan, blocks: Range<usize>, block_tokens: usize) -> OutStored {
    let tokens = blocks.start * block_tokens..blocks.end * block_tokens;
    let parent = blocks.start.checked_sub(1);
    OutStored {
        hashes: plan
            .digests
            .get(blocks.clone())
            .unwrap_or_default()
            .to_vec(),
        parent: parent.and_then(|parent| plan.digests.get(parent).copied()),
        tokens: plan.tokens.get(tokens).unwrap_or_default().to_vec(),
        block_size: u32::try_from(block_tokens).unwrap_or(u32::MAX),
        lora_id: plan.lora.as_ref().map(|lora| lora.number),
        lora_name: plan.lora.as_ref().map(|lora| lora.name.clone()),
        extra_keys: Some(blocks.map(|block| extra_keys(plan, block)).collect()),
        ..OutStored::default()
    }
}

/// The adapter in every block, the salt in the first.
fn extra_keys(plan: &Plan, block: usize) -> Vec<ExtraKey> {
    let lora = plan.lora.as_ref().map(|lora| lora.name.clone());
    let salt = plan.salt.clone().filter(|_| block == 0);
    lora.into_iter().chain(salt).map(ExtraKey::Text).collect()
}
