//! One address: asks how it is, follows its feeds, and says what is known of its replicas.

use crate::{
    FleetConfig, Health, Load, Replica, ReplicaSpec, ServedModel, Status,
    ask::{self, Asker, EventSource},
    feed::{self, FeedSource, FeedState},
    figures::Figures,
    registry::Registry,
    writer::Writer,
};
use onefill_kv::Knowledge;
use std::{
    sync::{
        Arc,
        atomic::{
            AtomicU64,
            Ordering::{Relaxed, Release},
        },
    },
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// Time between two readings while the replica works.
const INTERVAL_BUSY: Duration = Duration::from_millis(250);
/// Time between two probes of a replica that does not answer.
const INTERVAL_DOWN: Duration = Duration::from_millis(250);
/// How often the list of models is read again: adapters come and go.
const MODELS_INTERVAL: Duration = Duration::from_secs(5);
/// Prompt tokens computed without any event, in blocks, before a feed counts as silent.
const SILENT_BLOCKS: f64 = 4.0;
/// And for how long.
const SILENT_FOR: Duration = Duration::from_secs(3);
/// Capacity of a history where the replica does not tell its own: 16,384 blocks.
const HISTORY_BLOCKS: usize = 16_384;

/// What all supervisors share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) config: Arc<FleetConfig>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) writer: Writer,
    /// See [`crate::FleetHandle::facts`].
    pub(crate) facts: Arc<AtomicU64>,
}

/// A rank and its feed.
struct Rank {
    replica: Arc<Replica>,
    feed: Option<Arc<FeedState>>,
    silence: Silence,
}

/// Watches for work without events.
#[derive(Default)]
struct Silence {
    batches: u64,
    computed_tokens: f64,
    /// Whether `computed_tokens` was read after the last batch had come: a batch may come before
    /// the figure that counts its tokens.
    settled: bool,
    since: Option<Instant>,
    silent: bool,
}

impl Silence {
    fn judge(&mut self, now: Instant, figures: &Figures, batches: u64) {
        let block = f64::from(figures.block_tokens.unwrap_or(16));
        let heard = batches != self.batches || self.since.is_none();
        if heard || !self.settled || figures.computed_tokens < self.computed_tokens {
            *self = Self {
                batches,
                computed_tokens: figures.computed_tokens,
                settled: !heard,
                since: Some(now),
                silent: false,
            };
        }
        let worked = figures.computed_tokens - self.computed_tokens > SILENT_BLOCKS * block;
        if !worked && !self.silent {
            self.since = Some(now);
        }
        let long = self
            .since
            .is_some_and(|since| now.saturating_duration_since(since) > SILENT_FOR);
        self.silent |= worked && long;
    }
}

/// Follows one address until `stop`, then forgets it.
pub(crate) async fn run(spec: ReplicaSpec, shared: Shared, stop: CancellationToken) {
    let asker = Asker::new(ask::http(), &spec.url, shared.config.probe_timeout);
    let ranks = shared.registry.add(&spec.url, &[None]);
    let mut supervisor = Supervisor {
        spec,
        asker,
        ranks: Vec::new(),
        feeds: stop.child_token(),
        models: Arc::from([]),
        models_read: None,
        process_start_s: None,
        shared,
    };
    supervisor.ranks = supervisor.unfed(ranks);
    loop {
        let pause = supervisor.probe().await;
        let woken = supervisor
            .ranks
            .first()
            .map(|rank| Arc::clone(&rank.replica.wake));
        let wake = async {
            match woken {
                Some(wake) => wake.notified().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(pause) => {}
            () = wake => {}
        }
    }
    supervisor.feeds.cancel();
    supervisor.clear();
    supervisor.shared.registry.remove(&supervisor.spec.url);
}

struct Supervisor {
    spec: ReplicaSpec,
    shared: Shared,
    asker: Asker,
    ranks: Vec<Rank>,
    feeds: CancellationToken,
    models: Arc<[ServedModel]>,
    models_read: Option<Instant>,
    /// Start of the process behind the address; `None`: it was not up.
    process_start_s: Option<f64>,
}

impl Supervisor {
    fn unfed(&self, replicas: Vec<Arc<Replica>>) -> Vec<Rank> {
        let rank = |replica| Rank {
            replica,
            feed: None,
            silence: Silence::default(),
        };
        replicas.into_iter().map(rank).collect()
    }

    /// One round; gives the pause until the next.
    async fn probe(&mut self) -> Duration {
        if self.asker.get("/health").await.is_none() {
            self.publish(Health::Down, None);
            return INTERVAL_DOWN;
        }
        let text = self.asker.get("/metrics").await.unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let start_s = Figures::of(&text, None).process_start_s;
        if self
            .process_start_s
            .is_none_or(|known| (known - start_s).abs() > 0.5)
        {
            if !self.read_models().await {
                return INTERVAL_DOWN;
            }
            self.introduce(&text, start_s).await;
            self.process_start_s = Some(start_s);
        } else if self
            .models_read
            .is_none_or(|at| at.elapsed() > MODELS_INTERVAL)
        {
            self.read_models().await;
        }
        self.publish(Health::Up, Some(&text));
        let busy = self.ranks.iter().any(|rank| {
            let load = rank.replica.status().load;
            load.running + load.waiting > 0
        });
        // What a new feed tells is published with the next probe: an idle replica's is far away.
        let new = self.ranks.iter().any(|rank| {
            let feed = rank.feed.as_ref();
            feed.is_some_and(|feed| feed.is_new() || rank.replica.status().why == feed::NOT_READ)
        });
        if busy || new {
            INTERVAL_BUSY
        } else {
            self.shared.config.load_interval_max
        }
    }

    async fn read_models(&mut self) -> bool {
        self.models_read = Some(Instant::now());
        match self.asker.models().await {
            Some(models) => {
                self.models = models.into();
                true
            }
            None => false,
        }
    }

    /// A process that was not seen before: what is known of the address is void.
    async fn introduce(&mut self, metrics: &str, process_start_s: f64) {
        self.feeds.cancel();
        self.clear();
        self.feeds = CancellationToken::new();
        let sources = self.sources().await;
        if sources.len() > 1 && sources.len() != self.ranks.len() {
            let ranks: Vec<Option<u32>> = sources.iter().map(|source| Some(source.rank)).collect();
            let replicas = self.shared.registry.add(&self.spec.url, &ranks);
            self.ranks = self.unfed(replicas);
        }
        for (place, rank) in self.ranks.iter_mut().enumerate() {
            let figures = Figures::of(metrics, rank.replica.rank);
            let capacity_blocks = self.spec.capacity_blocks.or(figures.capacity_blocks);
            let capacity = capacity_blocks.map_or(HISTORY_BLOCKS, |blocks| blocks as usize);
            rank.replica.history.lock().set_capacity(capacity);
            // What the last run knew holds for the process that it knew.
            let kept = self.shared.registry.claim(&rank.replica);
            let resume = kept.filter(|mark| mark.is_of(process_start_s));
            if kept.is_some() && (resume.is_none() || place >= sources.len()) {
                self.shared.writer.forget(rank.replica.id);
            }
            let Some(source) = sources.get(place) else {
                continue;
            };
            let state = FeedState::new();
            rank.feed = Some(Arc::clone(&state));
            *rank.replica.feed.lock() = Some(Arc::clone(&state));
            let source = FeedSource {
                replica: rank.replica.id,
                events: source.events.clone(),
                replay: source.replay.clone(),
                block_tokens: self.spec.block_tokens.or(figures.block_tokens),
                capacity_blocks,
                process_start_s,
                resume,
            };
            let (writer, stop) = (self.shared.writer.clone(), self.feeds.clone());
            let feed = feed::run(source, state, writer, stop);
            self.shared.writer.spawn(feed);
        }
    }

    /// Where events come from: as configured, else as the replica tells.
    async fn sources(&self) -> Vec<EventSource> {
        if !self.shared.config.events {
            return Vec::new();
        }
        match &self.spec.events {
            Some(events) => {
                let replay = self.spec.replay.clone();
                vec![EventSource {
                    rank: 0,
                    events: events.clone(),
                    replay,
                }]
            }
            None => self.asker.event_sources().await,
        }
    }

    /// Forgets what these replicas hold.
    fn clear(&mut self) {
        for rank in &mut self.ranks {
            rank.silence = Silence::default();
            rank.replica.history.lock().clear();
            *rank.replica.feed.lock() = None;
            if let Some(feed) = rank.feed.take() {
                self.shared.writer.clear(rank.replica.id, &feed.applied);
            }
        }
    }

    /// Says what is known now.
    fn publish(&mut self, health: Health, metrics: Option<&str>) {
        for rank in &mut self.ranks {
            let before = rank.replica.status();
            let mut status = Status {
                health,
                models: Arc::clone(&self.models),
                ..Status::clone(&before)
            };
            if let Some(metrics) = metrics {
                let figures = Figures::of(metrics, rank.replica.rank);
                let batches = rank
                    .feed
                    .as_ref()
                    .map_or(0, |feed| feed.applied.batches.load(Relaxed));
                rank.silence.judge(Instant::now(), &figures, batches);
                status.block_tokens = self.spec.block_tokens.or(figures.block_tokens);
                status.capacity_blocks = self.spec.capacity_blocks.or(figures.capacity_blocks);
                if *status.adapters != figures.adapters {
                    status.adapters = Arc::new(figures.adapters.clone());
                }
                let Figures {
                    running,
                    waiting,
                    kv_usage,
                    ..
                } = figures;
                status.load = Load {
                    running,
                    waiting,
                    kv_usage,
                    heard: Some(Instant::now()),
                };
            }
            let why = why(&status, rank, self.shared.config.events);
            status.knowledge = match (&why, status.block_tokens) {
                (None, _) => Knowledge::Exact,
                (Some(_), Some(_)) => Knowledge::Approximate,
                (Some(_), None) => Knowledge::LoadOnly,
            };
            status.why = why.unwrap_or_default().to_owned();
            status.held_blocks = rank
                .feed
                .as_ref()
                .map_or(0, |feed| feed.applied.held_blocks.load(Relaxed));
            let is_same = status.health == before.health
                && status.models == before.models
                && status.block_tokens == before.block_tokens;
            rank.replica.status.store(Arc::new(status));
            if !is_same {
                self.shared.facts.fetch_add(1, Release);
            }
        }
    }
}

/// Why a replica's cache is not known exactly; `None`: it is.
fn why(status: &Status, rank: &Rank, events: bool) -> Option<&'static str> {
    if status.health == Health::Down {
        return Some("it does not answer");
    }
    let Some(feed) = &rank.feed else {
        return Some(if events {
            "it publishes no events"
        } else {
            "events are off"
        });
    };
    if status.block_tokens.is_none() {
        return Some("its block size is not known");
    }
    if feed.applied.refused_blocks.load(Relaxed) > 0 && status.held_blocks == 0 {
        return Some("its events were refused: another block size, or a namespace not known");
    }
    if rank.silence.silent {
        return Some("it works but its events don't come");
    }
    feed.why()
}

#[cfg(test)]
mod tests;
