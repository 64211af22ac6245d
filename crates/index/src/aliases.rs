//! Names that single replicas give to blocks, where the fleet means another block by them: engines
//! whose hashes are not chained alike, that count instead of hashing, or that were restarted unseen.

use hashbrown::HashMap;
use onefill_kv::{EngineHash, ReplicaId};

use crate::hasher::BuildFold;
use crate::names::Place;

/// Disagreements after which a replica's names are trusted for itself only. Names are kept by most
/// of their bits, so that a few in a billion differ by accident.
const ESTRANGED_FROM: u32 = 4;

/// Names by replica.
#[derive(Debug)]
pub(crate) struct Aliases {
    places: HashMap<(u16, u64), Place, BuildFold>,
    disagreements: Vec<u32>,
}

impl Aliases {
    pub(crate) fn new() -> Self {
        Self {
            places: HashMap::default(),
            disagreements: vec![0; onefill_kv::REPLICAS_MAX],
        }
    }

    /// Whether there are none at all.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Whether the replica means its own by its hashes.
    #[inline]
    pub(crate) fn is_estranged(&self, replica: ReplicaId) -> bool {
        self.disagreements[usize::from(replica.0)] >= ESTRANGED_FROM
    }

    /// What a replica itself means by a hash.
    #[inline]
    pub(crate) fn get(&self, replica: ReplicaId, hash: EngineHash) -> Option<Place> {
        if self.is_empty() {
            return None;
        }
        self.places.get(&(replica.0, hash.0)).copied()
    }

    /// The replica means `place`, the fleet doesn't.
    pub(crate) fn put(&mut self, replica: ReplicaId, hash: EngineHash, place: Place) {
        self.places.insert((replica.0, hash.0), place);
    }

    /// Counts a disagreement.
    pub(crate) fn disagree(&mut self, replica: ReplicaId) {
        let count = &mut self.disagreements[usize::from(replica.0)];
        *count = count.saturating_add(1);
    }

    pub(crate) fn remove(&mut self, replica: ReplicaId, hash: EngineHash) {
        self.places.remove(&(replica.0, hash.0));
    }

    /// The replica begins anew.
    pub(crate) fn clear(&mut self, replica: ReplicaId) {
        self.places.retain(|(of, _), _| *of != replica.0);
        self.disagreements[usize::from(replica.0)] = 0;
    }

    pub(crate) fn retain(&mut self, is_live: impl Fn(Place) -> bool) {
        self.places.retain(|_, place| is_live(*place));
    }

    /// All names that single replicas give.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (ReplicaId, EngineHash, Place)> {
        let places = self.places.iter();
        places.map(|((replica, hash), place)| (ReplicaId(*replica), EngineHash(*hash), *place))
    }

    /// Replicas that have disagreed, and how often.
    pub(crate) fn strangers(&self) -> impl Iterator<Item = (ReplicaId, u32)> {
        let all = (0..).map(ReplicaId).zip(self.disagreements.iter().copied());
        all.filter(|(_, disagreements)| *disagreements > 0)
    }

    pub(crate) fn set_disagreements(&mut self, replica: ReplicaId, disagreements: u32) {
        if let Some(count) = self.disagreements.get_mut(usize::from(replica.0)) {
            *count = disagreements;
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.places.allocation_size() + 4 * self.disagreements.capacity()
    }
}
