//! The indexes, each driven through its own interface with its own types, made before the clock runs.

mod chain;
mod dynamo;
pub mod onefill;

use onefill_kv::EngineHash;

use crate::work::{Node, REPLICAS};

/// Hashes of one replica's neighbouring removals that are told in one call, to those who take
/// lists: a batch of an engine's events is told so, and both indexes gain by it.
const REMOVED_AT_ONCE: usize = 64;

/// One event.
#[derive(Clone, Debug)]
pub enum Event {
    Store {
        replica: u16,
        parent: Option<EngineHash>,
        blocks: Vec<Node>,
    },
    Remove {
        replica: u16,
        blocks: Vec<Node>,
    },
}

/// Blocks in events.
pub fn blocks(events: &[Event]) -> usize {
    let of = |event: &Event| match event {
        Event::Store { blocks, .. } | Event::Remove { blocks, .. } => blocks.len(),
    };
    events.iter().map(of).sum()
}

/// An index under test.
pub trait Subject {
    fn name(&self) -> &'static str;

    /// Applies events; CPU nanoseconds in all. Events in the subject's own types are made before:
    /// slices of one buffer for who takes slices, else owned and freed while the clock runs.
    fn apply(&mut self, events: &[Event]) -> f64;

    /// Looks queries up one by one, in each way that the subject has; nanoseconds of each.
    fn time(&mut self, queries: &[Vec<Node>]) -> Vec<(&'static str, Vec<u64>)>;

    /// One query's scores.
    fn scores(&mut self, query: &[Node]) -> [u32; REPLICAS];
}

/// All subjects, ours first, each made anew by a call.
pub const SUBJECTS: [fn() -> Box<dyn Subject>; 4] = [
    || Box::new(onefill::Onefill::default()),
    || Box::new(chain::Chain::new()),
    || Box::new(dynamo::Crtc::new()),
    || Box::new(dynamo::Radix::new()),
];
