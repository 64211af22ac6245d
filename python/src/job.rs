//! One call of Python's, and what came of it.

use crate::buffer::Buffer;
use onefill_wire::{
    client::{Client, ClientError, GetBlock, PutBlock},
    native::Verdict,
};
use std::time::{Duration, Instant};

/// What is asked of the store.
pub enum Work {
    /// Whether blocks are there; with a lease they stay for a while.
    Exists { lease: bool },
    /// Blocks into buffers.
    Get(Vec<Buffer>),
    /// Buffers as new blocks; those that are there stay.
    Put {
        buffers: Vec<Buffer>,
        /// The key before each in its chain; empty: none.
        parents: Vec<Vec<u8>>,
        /// 0: without end.
        ttl_ms: u32,
    },
    /// They shall go later.
    Touch,
    /// They stay until they are unpinned.
    Pin,
    /// They may go again.
    Unpin,
    /// They shall go.
    Delete,
}

pub struct Job {
    pub ticket: u64,
    pub keys: Vec<Vec<u8>>,
    pub work: Work,
    pub deadline: Instant,
}

/// What came of a job. The buffers travel along: they are given back to Python where its lock is
/// held anyway, never from a thread that has blocks to move.
pub struct Done {
    pub ticket: u64,
    pub found: Vec<bool>,
    pub corrupt: usize,
    pub late: bool,
    pub error: Option<String>,
    pub seconds: f64,
    pub nbytes: usize,
    pub buffers: Vec<Buffer>,
}

impl Job {
    /// The job was not done.
    pub fn fail(self, error: Option<&ClientError>) -> Done {
        Done {
            ticket: self.ticket,
            found: vec![false; self.keys.len()],
            corrupt: 0,
            late: true,
            error: error.map(ToString::to_string),
            seconds: 0.0,
            nbytes: 0,
            buffers: self.work.buffers(),
        }
    }

    /// Does it, on the caller's thread.
    pub fn run(mut self, client: &Client) -> (Done, Option<ClientError>) {
        let start = Instant::now();
        let wait = self.deadline.saturating_duration_since(start);
        match answers(client, &self.keys, &mut self.work, wait) {
            Ok(answers) => {
                let sizes = self.work.sizes();
                let moved = answers.iter().zip(sizes).filter(|(answer, _)| answer.moved);
                let done = Done {
                    nbytes: moved.map(|(_, size)| size).sum(),
                    found: answers.iter().map(|answer| answer.found).collect(),
                    corrupt: answers.iter().filter(|answer| answer.corrupt).count(),
                    late: false,
                    error: None,
                    ticket: self.ticket,
                    seconds: start.elapsed().as_secs_f64(),
                    buffers: self.work.buffers(),
                };
                (done, None)
            }
            Err(error) => (self.fail(Some(&error)), Some(error)),
        }
    }
}

#[derive(Default)]
struct Answer {
    found: bool,
    moved: bool,
    corrupt: bool,
}

fn answers(
    client: &Client,
    keys: &[Vec<u8>],
    work: &mut Work,
    wait: Duration,
) -> Result<Vec<Answer>, ClientError> {
    let names: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    let sizes = match work {
        Work::Exists { lease } => client.exists(&names, *lease, wait)?,
        Work::Touch => client.touch(&names, wait)?,
        Work::Pin => client.pin(&names, wait)?,
        Work::Unpin => client.unpin(&names, wait)?,
        Work::Delete => client.delete(&names, wait)?,
        Work::Get(buffers) => return get(client, &names, buffers, wait),
        Work::Put {
            buffers,
            parents,
            ttl_ms,
        } => return put(client, &names, (buffers, parents), *ttl_ms, wait),
    };
    let answer = |size: Option<u64>| Answer {
        found: size.is_some(),
        ..Answer::default()
    };
    Ok(sizes.into_iter().map(answer).collect())
}

fn get(
    client: &Client,
    names: &[&[u8]],
    buffers: &mut [Buffer],
    wait: Duration,
) -> Result<Vec<Answer>, ClientError> {
    let pairs = names.iter().zip(buffers);
    let mut blocks: Vec<GetBlock<'_>> = pairs
        .map(|(key, buffer)| GetBlock {
            key,
            into: buffer.bytes_mut(),
        })
        .collect();
    let verdicts = client.get(&mut blocks, wait)?;
    let answer = |verdict| Answer {
        found: verdict == Verdict::Done,
        moved: verdict == Verdict::Done,
        corrupt: matches!(verdict, Verdict::Corrupt | Verdict::OtherSize),
    };
    Ok(verdicts.into_iter().map(answer).collect())
}

fn put(
    client: &Client,
    names: &[&[u8]],
    (buffers, parents): (&[Buffer], &[Vec<u8>]),
    ttl_ms: u32,
    wait: Duration,
) -> Result<Vec<Answer>, ClientError> {
    let deadline = Instant::now() + wait;
    // Only what is not there travels.
    let there = client.exists(names, false, wait)?;
    let missing: Vec<usize> = (0..names.len())
        .filter(|index| there[*index].is_none())
        .collect();
    let blocks: Vec<PutBlock<'_>> = missing
        .iter()
        .map(|index| PutBlock {
            key: names[*index],
            parent: &parents[*index],
            bytes: buffers[*index].bytes(),
            ttl_ms,
            only_new: true,
        })
        .collect();
    let mut answers: Vec<Answer> = there
        .iter()
        .map(|size| Answer {
            found: size.is_some(),
            ..Answer::default()
        })
        .collect();
    if blocks.is_empty() {
        return Ok(answers);
    }
    let verdicts = client.put(&blocks, deadline.saturating_duration_since(Instant::now()))?;
    for (index, verdict) in missing.into_iter().zip(verdicts) {
        answers[index].moved = verdict == Verdict::Done;
        answers[index].found = matches!(
            verdict,
            Verdict::Done | Verdict::Same | Verdict::Kept | Verdict::Replaced
        );
    }
    Ok(answers)
}

impl Work {
    fn sizes(&self) -> Vec<usize> {
        match self {
            Self::Get(buffers) | Self::Put { buffers, .. } => {
                buffers.iter().map(Buffer::len).collect()
            }
            _ => Vec::new(),
        }
    }

    fn buffers(self) -> Vec<Buffer> {
        match self {
            Self::Get(buffers) | Self::Put { buffers, .. } => buffers,
            _ => Vec::new(),
        }
    }
}
