//! The index beside the literal one, on seeded streams of events.

use std::collections::HashMap;

use onefill_kv::{BlockKey, EngineHash, ReplicaId, Tier};

use super::world::{Chain, Chance, Family, Names, chains};
use crate::reference::Reference;
use crate::runs::Runs;
use crate::snapshot::{SavedReplica, load};
use crate::{IndexConfig, IndexReader, IndexWriter, Overlaps, Parent, index};

/// What a stream is made of.
#[derive(Clone, Copy)]
struct Plan {
    seed: u64,
    events: usize,
    replicas: usize,
    /// From one replica's number to the next one's.
    apart: usize,
    /// Tiers in use.
    tiers: usize,
    /// Chained hash families in use.
    families: u64,
    /// Replicas that count instead of hashing.
    counters: usize,
    /// Blocks of a chain's last part, at most.
    long: usize,
    /// Whether the index is written down and loaded again now and then.
    restarts: bool,
}

const PLAN: Plan = Plan {
    seed: 0,
    events: 1500,
    replicas: 6,
    apart: 1,
    tiers: 1,
    families: 1,
    counters: 0,
    long: 40,
    restarts: false,
};

impl Plan {
    fn replica(self, at: usize) -> ReplicaId {
        ReplicaId((at * self.apart) as u16)
    }
}

struct Both {
    plan: Plan,
    chance: Chance,
    names: Names,
    families: Vec<Family>,
    chains: Vec<Vec<Chain>>,
    writer: IndexWriter,
    reader: IndexReader,
    reference: Reference,
    /// Copies by the name that they were stored under.
    copies: HashMap<(ReplicaId, Tier, EngineHash), u32>,
    overlaps: Overlaps,
}

impl Both {
    fn new(plan: Plan) -> Self {
        let mut chance = Chance(plan.seed);
        let (writer, reader) = index(&IndexConfig::default());
        let is_counter = |number: usize| number >= plan.replicas - plan.counters;
        let families = (0..plan.replicas).map(|number| match is_counter(number) {
            true => Family::Counted(number as u16),
            false => Family::Chained(number as u64 % plan.families),
        });
        let families = families.collect();
        let shared = chains(&mut chance, BlockKey(7), 60, plan.long);
        let chains = (0..plan.replicas).map(|number| match is_counter(number) {
            true => chains(&mut chance, BlockKey(100 + number as u64), 20, plan.long),
            false => shared.clone(),
        });
        let chains = chains.collect();
        Self {
            plan,
            chance,
            names: Names::default(),
            families,
            chains,
            writer,
            reader,
            reference: Reference::default(),
            copies: HashMap::new(),
            overlaps: Overlaps::default(),
        }
    }

    fn pick(&mut self) -> (usize, Tier, Chain) {
        let of = self.chance.below(self.plan.replicas);
        let tier = Tier::ALL[self.chance.below(self.plan.tiers)];
        let chain = self.chance.below(self.chains[of].len());
        (of, tier, self.chains[of][chain].clone())
    }

    fn event(&mut self) {
        match self.chance.below(100) {
            0..50 => self.store(),
            50..60 => self.store_unknown_root(),
            60..80 => self.remove_tail(),
            80..98 => self.remove_any(),
            98 => self.clear(),
            _ => self.change_family(),
        }
    }

    fn store(&mut self) {
        let (of, tier, chain) = self.pick();
        let mut from = if self.chance.one_in(3) && self.plan.long < 1000 {
            self.chance.below(chain.blocks.len())
        } else {
            0
        };
        if matches!(self.families[of], Family::Counted(_)) {
            from = 0;
        }
        let blocks = 1 + self.chance.below(chain.blocks.len() - from);
        let (parent, blocks) = self
            .names
            .blocks(self.families[of], &chain, from..from + blocks);
        if let Parent::Hash(hash) = parent
            && self.plan.families > 1
            && self
                .copies
                .get(&(self.plan.replica(of), tier, hash))
                .is_none_or(|copies| *copies == 0)
        {
            return; // an engine that was restarted has stored the parent anew
        }
        self.stored(self.plan.replica(of), tier, parent, &blocks);
    }

    fn stored(&mut self, of: ReplicaId, tier: Tier, parent: Parent, blocks: &[crate::Block]) {
        for block in blocks {
            *self.copies.entry((of, tier, block.hash)).or_insert(0) += 1;
        }
        let told = self.writer.stored(of, tier, parent, blocks);
        let _ = self.reference.stored(of, tier, parent, blocks);
        let all = told.placed + told.parked + told.refused;
        assert!(
            all as usize >= blocks.len(),
            "{told:?} of {} blocks",
            blocks.len()
        );
    }

    /// A tier tells of blocks whose namespace it leaves out: the replica holds them elsewhere.
    fn store_unknown_root(&mut self) {
        let (of, tier, chain) = self.pick();
        let held = self
            .reference
            .overlap(self.plan.replica(of), &chain.keys())
            .blocks() as usize;
        if held > 0 {
            let (_, blocks) = self.names.blocks(self.families[of], &chain, 0..held);
            self.stored(self.plan.replica(of), tier, Parent::UnknownRoot, &blocks);
        }
    }

    fn remove_tail(&mut self) {
        let (of, tier, chain) = self.pick();
        let from = self.chance.below(chain.blocks.len());
        let (_, blocks) = self
            .names
            .blocks(self.families[of], &chain, from..chain.blocks.len());
        let hashes: Vec<EngineHash> = blocks.iter().rev().map(|block| block.hash).collect();
        self.removed(self.plan.replica(of), tier, &hashes);
    }

    fn remove_any(&mut self) {
        let (of, tier, chain) = self.pick();
        let hashes: Vec<EngineHash> = (0..1 + self.chance.below(3))
            .map(|_| {
                let at = self.chance.below(chain.blocks.len());
                self.names.name(self.families[of], chain.blocks[at].key)
            })
            .collect();
        self.removed(self.plan.replica(of), tier, &hashes);
    }

    /// Tells both of removals: in a fleet of one hash also of blocks never stored, else only of
    /// names in use, since what a name once meant is forgotten some time.
    fn removed(&mut self, of: ReplicaId, tier: Tier, hashes: &[EngineHash]) {
        let mut told = Vec::new();
        for hash in hashes {
            let copies = self.copies.entry((of, tier, *hash)).or_insert(0);
            if *copies > 0 || self.plan.families == 1 {
                told.push(*hash);
            }
            *copies = copies.saturating_sub(1);
        }
        let hashes = &told;
        self.writer.removed(of, tier, hashes);
        self.reference.removed(of, tier, hashes);
    }

    fn clear(&mut self) {
        let of = self.plan.replica(self.chance.below(self.plan.replicas));
        self.writer.cleared(of);
        self.reference.cleared(of);
        self.copies.retain(|(holder, _, _), _| *holder != of);
    }

    /// The index is written down, and made anew from that.
    fn restart(&mut self) {
        let names: Vec<String> = (0..self.plan.replicas).map(|at| at.to_string()).collect();
        let saved = |at: usize| SavedReplica {
            replica: self.plan.replica(at),
            name: &names[at],
            mark: at as u64,
        };
        let saved: Vec<_> = (0..self.plan.replicas).map(saved).collect();
        let mut bytes = Vec::new();
        self.writer.save(1, &saved, &mut bytes);
        let before = self.writer.stats();
        let loaded = load(&IndexConfig::default(), 1, &bytes, &mut |saved| {
            assert_eq!(saved.name, saved.mark.to_string());
            Some(saved.replica)
        });
        (self.writer, self.reader) = loaded.expect("it was just written");
        let after = self.writer.stats();
        assert_eq!((after.pairs, after.orphans), (before.pairs, before.orphans));
        assert!(after.blocks <= before.blocks, "some may be held by nobody");
    }

    /// A restart that nobody saw.
    fn change_family(&mut self) {
        let of = self.chance.below(self.plan.replicas);
        if let Family::Chained(_) = self.families[of] {
            let family = self.chance.below(self.plan.families as usize);
            self.families[of] = Family::Chained(family as u64);
        }
    }

    fn check(&mut self, step: usize) {
        let (of, _, chain) = self.pick();
        let keys = chain.keys();
        let keys = &keys[..1 + self.chance.below(keys.len())];
        self.reader.lookup(keys, &mut self.overlaps);
        for number in 0..self.plan.replicas {
            let expected = self.reference.overlap(self.plan.replica(number), keys);
            let found = self.overlaps.get(self.plan.replica(number));
            let seed = self.plan.seed;
            assert_eq!(
                found, expected,
                "seed {seed} step {step} replica {number} (chain of {of})"
            );
        }
    }

    /// No name points at a block that it doesn't mean.
    fn check_names(&mut self, step: usize) {
        let (m, writer) = self.writer.parts();
        for (name, place) in writer.names.iter() {
            if !Runs::is_live(m, place) {
                continue;
            }
            let key = Runs::key(m, place);
            let families = self.families.iter().copied();
            let mut meant = families.chain((0..self.plan.families).map(Family::Chained));
            let means = |family| writer.names.name(self.names.name(family, key)) == name;
            assert!(
                meant.any(means),
                "seed {} step {step}: {name:?} at {place:?}",
                self.plan.seed
            );
        }
    }

    fn check_counts(&self) {
        if self.writer.stats().orphans > 0 {
            return;
        }
        for number in 0..self.plan.replicas {
            for tier in Tier::ALL {
                let expected = self.reference.held(self.plan.replica(number), tier);
                let seed = self.plan.seed;
                assert_eq!(
                    self.writer.held(self.plan.replica(number), tier),
                    expected,
                    "seed {seed}"
                );
            }
        }
    }

    fn run(mut self) -> Self {
        for step in 0..self.plan.events {
            self.event();
            for _ in 0..4 {
                self.check(step);
            }
            if self.plan.restarts && step % 100 == 99 {
                self.restart();
            }
            if step % 64 == 0 {
                self.check_names(step);
                self.check_counts();
            }
        }
        self.check_counts();
        self
    }

    fn clear_all(mut self) {
        for number in 0..self.plan.replicas {
            self.writer.cleared(self.plan.replica(number));
        }
        let stats = self.writer.stats();
        assert_eq!(
            (stats.pairs, stats.blocks, stats.orphans),
            (0, 0, 0),
            "seed {}",
            self.plan.seed
        );
    }
}

fn seeds(plan: Plan) {
    for seed in 0..24 {
        Both::new(Plan { seed, ..plan }).run().clear_all();
    }
}

#[test]
fn holes_heals_clears_duplicates_and_orphans() {
    seeds(PLAN);
}

#[test]
fn tiers() {
    seeds(Plan { tiers: 4, ..PLAN });
}

#[test]
fn hash_families() {
    seeds(Plan {
        families: 3,
        ..PLAN
    });
}

#[test]
fn replicas_that_count() {
    seeds(Plan {
        families: 2,
        counters: 3,
        ..PLAN
    });
}

#[test]
fn many_replicas() {
    seeds(Plan {
        replicas: 200,
        tiers: 2,
        events: 600,
        long: 12,
        ..PLAN
    });
}

#[test]
fn replicas_with_high_numbers() {
    seeds(Plan {
        replicas: 40,
        apart: 210,
        tiers: 2,
        events: 600,
        long: 12,
        ..PLAN
    });
}

#[test]
fn long_chains() {
    for seed in 0..4 {
        Both::new(Plan {
            seed,
            replicas: 3,
            events: 60,
            long: 9000,
            tiers: 2,
            ..PLAN
        })
        .run()
        .clear_all();
    }
}

#[test]
fn restarts() {
    seeds(Plan {
        tiers: 4,
        restarts: true,
        ..PLAN
    });
    seeds(Plan {
        families: 3,
        counters: 2,
        restarts: true,
        ..PLAN
    });
    seeds(Plan {
        replicas: 100,
        apart: 3,
        events: 400,
        long: 12,
        restarts: true,
        ..PLAN
    });
}
