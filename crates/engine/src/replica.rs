//! One replica's state, and all that may be done to it.

use crate::{
    config::{Adapter, Config},
    faults::{Faults, Order},
    figures,
    names::Names,
    publish::{Addresses, Outbox, unix_time_s},
    scheduler::{Limits, Scheduler, Work},
    sequence::{Plan, Progress, Sequence},
    speech::Vocabulary,
};
use onefill_kv::engine_hash::Digest;
use onefill_prompt::{PromptError, Prompter};
use parking_lot::Mutex;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

/// A simulated replica.
#[derive(Debug)]
pub(crate) struct Replica {
    pub(crate) config: Config,
    pub(crate) prompter: Prompter,
    pub(crate) vocabulary: Vocabulary,
    pub(crate) adapters: Vec<Arc<Adapter>>,
    pub(crate) names: Names,
    /// Where events can be had.
    pub(crate) addresses: Option<Addresses>,
    /// Requests being answered.
    pub(crate) load: AtomicUsize,
    /// Held for one step's deciding at most, never over IO.
    state: Mutex<State>,
    /// Locked after `state` where both are.
    faults: Mutex<Faults>,
    next_id: AtomicU64,
    /// There is something to compute.
    work: Notify,
}

#[derive(Debug)]
struct State {
    scheduler: Scheduler,
    outbox: Outbox,
    process_start_s: f64,
}

/// A request's place in the replica. Dropped before its end it cancels the request.
#[derive(Debug)]
pub(crate) struct Ticket {
    replica: Arc<Replica>,
    id: u64,
    pub(crate) progress: watch::Receiver<Progress>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.progress.borrow().over {
            self.replica.state.lock().scheduler.cancel(self.id);
        }
    }
}

impl Replica {
    pub(crate) fn new(
        config: Config,
        outbox: Outbox,
        addresses: Option<Addresses>,
    ) -> Result<Self, PromptError> {
        let prompter = match &config.tokenizer {
            Some(folder) => {
                Prompter::load(folder).map_err(|error| PromptError(error.to_string()))?
            }
            None => Prompter::simulated(),
        };
        let mut faults = Faults::default();
        faults.take(&config.faults, Instant::now());
        let adapter = |(number, name): (u32, &String)| {
            Arc::new(Adapter {
                name: name.clone(),
                path: format!("/adapters/{name}"),
                number,
            })
        };
        Ok(Self {
            vocabulary: Vocabulary::new(&prompter)?,
            prompter,
            adapters: (1..).zip(&config.loras).map(adapter).collect(),
            names: Names::new(&config.cache),
            addresses,
            load: AtomicUsize::new(0),
            state: Mutex::new(State {
                scheduler: scheduler(&config),
                outbox,
                process_start_s: unix_time_s(),
            }),
            faults: Mutex::new(faults),
            next_id: AtomicU64::new(0),
            work: Notify::new(),
            config,
        })
    }

    /// Takes a request in. Where nothing takes time it is answered when this returns.
    pub(crate) fn submit(self: &Arc<Self>, plan: Plan) -> Ticket {
        let id = self.next_id.fetch_add(1, Relaxed);
        let now = Instant::now();
        let (sequence, progress) = Sequence::new(id, plan, now);
        let ticket = Ticket {
            replica: Arc::clone(self),
            id,
            progress,
        };
        let mut state = self.state.lock();
        state.scheduler.add(sequence);
        if self.is_instant() {
            while state.scheduler.begin_step().is_some() {
                state.scheduler.end_step(now);
            }
            self.tell(&mut state);
        } else {
            drop(state);
            self.work.notify_one();
        }
        ticket
    }

    /// Computes, step by step, for ever.
    pub(crate) async fn compute(&self) {
        let mut due = Instant::now();
        loop {
            let Some(work) = self.state.lock().scheduler.begin_step() else {
                self.work.notified().await;
                due = Instant::now();
                continue;
            };
            // From the time at which the last step should have ended: timers are late by up to a
            // millisecond, which would add up. But time lost to a busy machine is not made up for.
            due = due.max(Instant::now() - LAG_MAX) + self.step_time(work);
            tokio::time::sleep_until(due).await;
            tokio::task::yield_now().await; // a step may take no time at all
            let mut state = self.state.lock();
            state.scheduler.end_step(Instant::now());
            self.tell(&mut state);
        }
    }

    pub(crate) fn reset(&self) -> bool {
        self.state.lock().scheduler.reset()
    }

    pub(crate) fn order(&self, order: &Order) {
        if order.restart {
            let mut state = self.state.lock();
            // Requests in flight lose their senders, so their connections break.
            state.scheduler = scheduler(&self.config);
            state.outbox.restart();
            state.process_start_s = unix_time_s();
        }
        self.faults.lock().take(order, Instant::now());
    }

    pub(crate) fn faults(&self) -> parking_lot::MutexGuard<'_, Faults> {
        self.faults.lock()
    }

    pub(crate) fn metrics(&self) -> String {
        let state = self.state.lock();
        figures::page(&self.config, &state.scheduler, state.process_start_s)
    }

    /// Blocks that have a name.
    pub(crate) fn cached_blocks(&self) -> usize {
        self.state.lock().scheduler.cached_blocks()
    }

    /// Leading blocks of these names that are held now.
    pub(crate) fn held(&self, names: &[Digest]) -> usize {
        self.state.lock().scheduler.held(names)
    }

    /// Whether nothing takes time, so that requests need not wait for steps.
    pub(crate) fn is_instant(&self) -> bool {
        let speed = self.config.speed;
        speed.prefill_tokens_s <= 0.0 && speed.decode_tokens_s <= 0.0
    }

    fn step_time(&self, work: Work) -> Duration {
        let speed = self.config.speed;
        let time = |tokens: usize, tokens_s: f64| {
            if tokens_s > 0.0 {
                Duration::from_secs_f64(tokens as f64 / tokens_s)
            } else {
                Duration::ZERO
            }
        };
        // Decoding reads all weights once for the whole batch, so its time is one token's.
        time(work.prefill_tokens, speed.prefill_tokens_s)
            + time(work.decodes.min(1), speed.decode_tokens_s)
    }

    fn tell(&self, state: &mut State) {
        let events = state.scheduler.take_events();
        state
            .outbox
            .send(events, || self.faults.lock().next_batch());
    }
}

/// How far behind its time table a replica may fall before it gives the time up.
const LAG_MAX: Duration = Duration::from_millis(20);

fn scheduler(config: &Config) -> Scheduler {
    let limits = Limits {
        block_tokens: config.cache.block_tokens as usize,
        seqs_max: config.batch.seqs_max,
        batched_tokens_max: config.batch.batched_tokens_max,
    };
    Scheduler::new(limits, config.cache.blocks)
}

#[cfg(test)]
mod tests;
