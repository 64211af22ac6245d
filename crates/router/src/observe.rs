//! What a request looked like, for the record: no word of it.

use crate::{app::App, prompt::Prompt, roster::Member};
use onefill_record::{Ended, Observed};
use onefill_schedule::{Receipt, Usage};
use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// One request at one replica, over.
pub(crate) struct Seen<'a> {
    pub(crate) member: &'a Member,
    pub(crate) prompt: &'a Prompt,
    pub(crate) receipt: &'a Receipt,
    pub(crate) arrived: Instant,
    /// From its arrival to the first byte of its answer.
    pub(crate) first: Option<Duration>,
    pub(crate) usage: Usage,
    pub(crate) ended: onefill_schedule::Ended,
}

/// Hands it to the recorder, where there is one.
pub(crate) fn observe(app: &App, seen: &Seen<'_>) {
    let Some(recorder) = &app.config.record else {
        return;
    };
    if recorder.observe(observed(seen)) {
        app.metrics.record.kept.inc();
    } else {
        app.metrics.record.left_out.inc();
    }
}

fn observed(seen: &Seen<'_>) -> Observed {
    let Seen {
        prompt, receipt, ..
    } = seen;
    let whole = seen.arrived.elapsed();
    let arrived = SystemTime::now().checked_sub(whole).unwrap_or(UNIX_EPOCH);
    let at_ms = arrived.duration_since(UNIX_EPOCH).unwrap_or_default();
    let keys = prompt.recorded();
    let block_tokens = keys.map_or(prompt.question.ask.block_tokens, |keys| keys.block_tokens);
    let keyed = keys.map(|keys| &keys.keyed);
    let prompt_tokens = keyed.map_or(prompt.question.ask.prompt_tokens, |keyed| {
        keyed.prompt_tokens
    });
    let status = seen.member.replica.status();
    let blocks = u64::from(status.capacity_blocks.unwrap_or(0));
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    Observed {
        at_ms: u64::try_from(at_ms.as_millis()).unwrap_or(u64::MAX),
        prompt_tokens: seen.usage.prompt_tokens.unwrap_or(prompt_tokens),
        output_tokens: seen.usage.output_tokens,
        block_tokens,
        chain: keyed.map_or_else(|| Arc::from([]), |keyed| Arc::clone(&keyed.chain)),
        session: prompt.question.ask.session,
        replica: seen.member.replica.id.0,
        overlap_tokens: receipt.overlap_tokens,
        cached_tokens: seen.usage.cached_tokens,
        queue_ms: receipt.queue_s * 1e3,
        first_ms: seen.first.map(ms),
        whole_ms: ms(whole),
        capacity_tokens: blocks * u64::from(status.block_tokens.unwrap_or(0)),
        ended: match seen.ended {
            onefill_schedule::Ended::Done => Ended::Done,
            onefill_schedule::Ended::Failed => Ended::Failed,
            onefill_schedule::Ended::Cancelled => Ended::Cancelled,
        },
    }
}
