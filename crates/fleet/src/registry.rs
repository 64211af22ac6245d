//! Replicas and their numbers: given when an address appears, free again when it is gone.

use crate::{
    Fleet, Health, Load, Replica, Status,
    warm::{Kept, Mark},
};
use onefill_index::History;
use onefill_kv::{Knowledge, REPLICAS_MAX, ReplicaId};
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc};

/// Capacity of a history before the replica has told its own.
const HISTORY_BLOCKS: usize = 16_384;

/// All replicas.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    by_url: Mutex<BTreeMap<String, Vec<Arc<Replica>>>>,
    view: Arc<arc_swap::ArcSwap<Fleet>>,
    /// Replicas of the last run that have not appeared in this one.
    kept: Mutex<Kept>,
}

impl Registry {
    pub(crate) fn with_kept(kept: Kept) -> Self {
        Self {
            kept: Mutex::new(kept),
            ..Self::default()
        }
    }

    /// How far the index has the feed of a replica of the last run. Answered once.
    pub(crate) fn claim(&self, replica: &Replica) -> Option<Mark> {
        let name = (replica.url.clone(), replica.rank);
        let (_, mark) = self.kept.lock().remove(&name)?;
        Some(mark)
    }

    /// Those of the last run that did not appear; their numbers are free from now on.
    pub(crate) fn unclaimed(&self) -> Vec<ReplicaId> {
        let kept = std::mem::take(&mut *self.kept.lock());
        kept.into_values().map(|(replica, _)| replica).collect()
    }

    pub(crate) fn view(&self) -> Arc<arc_swap::ArcSwap<Fleet>> {
        Arc::clone(&self.view)
    }

    /// Makes the replicas of an address, one a rank, in place of those it had.
    pub(crate) fn add(&self, url: &str, ranks: &[Option<u32>]) -> Vec<Arc<Replica>> {
        let mut by_url = self.by_url.lock();
        by_url.remove(url);
        let mut replicas: Vec<Arc<Replica>> = Vec::new();
        for rank in ranks {
            let kept = self.kept.lock();
            let own = kept.get(&(url.to_owned(), *rank)).map(|(id, _)| id.0);
            let numbers = by_url.values().flatten().chain(&replicas);
            let numbers = numbers.map(|replica| replica.id);
            let numbers = numbers.chain(kept.values().map(|(id, _)| *id));
            let free = own.or_else(|| lowest_free(numbers));
            match free {
                Some(id) => replicas.push(Arc::new(replica(ReplicaId(id), url, *rank))),
                None => tracing::error!(
                    url,
                    max = REPLICAS_MAX,
                    "too many replicas: this one is left out"
                ),
            }
        }
        by_url.insert(url.to_owned(), replicas.clone());
        self.publish(&by_url);
        replicas
    }

    /// Takes an address out.
    pub(crate) fn remove(&self, url: &str) {
        let mut by_url = self.by_url.lock();
        by_url.remove(url);
        self.publish(&by_url);
    }

    fn publish(&self, by_url: &BTreeMap<String, Vec<Arc<Replica>>>) {
        let mut replicas: Vec<Arc<Replica>> = by_url.values().flatten().cloned().collect();
        replicas.sort_by_key(|replica| replica.id);
        self.view.store(Arc::new(Fleet { replicas }));
    }
}

/// Numbers are as low as can be: sets of replicas are as long as the highest.
fn lowest_free(taken: impl Iterator<Item = ReplicaId>) -> Option<u16> {
    let mut is_taken = vec![false; REPLICAS_MAX];
    for id in taken {
        if let Some(one) = is_taken.get_mut(usize::from(id.0)) {
            *one = true;
        }
    }
    let free = is_taken.iter().position(|taken| !taken);
    free.and_then(|number| u16::try_from(number).ok())
}

fn replica(id: ReplicaId, url: &str, rank: Option<u32>) -> Replica {
    let status = Status {
        health: Health::Unknown,
        models: Arc::from([]),
        block_tokens: None,
        capacity_blocks: None,
        load: Load::default(),
        adapters: Arc::default(),
        knowledge: Knowledge::LoadOnly,
        why: "it was not asked yet".to_owned(),
        held_blocks: 0,
    };
    Replica {
        id,
        url: url.to_owned(),
        rank,
        status: arc_swap::ArcSwap::from_pointee(status),
        history: Mutex::new(History::new(HISTORY_BLOCKS)),
        feed: Mutex::default(),
        wake: Arc::default(),
    }
}
