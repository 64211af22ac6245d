//! The workloads: seeded streams of what 64 replicas store and drop, and queries.
//!
//! Sessions are a system prompt, a document and turns; prompts and documents are chosen by Zipf 0.9,
//! half of the sessions go to the replica of their document, half to a random one, 3 % are long.
//! 512 sessions are under way at a time, as continuous batching has it: a turn stores six tenths of
//! its blocks at once, then one block at a time. A replica tells of what it didn't hold yet.

use std::collections::HashMap;

use onefill_kv::{BlockKey, ContentHash, EngineHash};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::subjects::Event;

pub const REPLICAS: usize = 64;
pub const QUERIES: usize = 10_000;
const ACTIVE: usize = 512;
const SEED: u64 = 20_261_123;

/// The key that all chains start from.
pub const ROOT: BlockKey = BlockKey(0x0f1e_2d3c_4b5a_6978);

/// Seeded chance (splitmix64).
#[derive(Clone)]
pub struct Chance(pub u64);

impl Chance {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.unit() * bound as f64) as usize
    }

    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }
}

/// Choices with falling odds.
struct Zipf(Vec<f64>);

impl Zipf {
    fn new(choices: usize) -> Self {
        let mut sum = 0.0;
        let odds = (1..=choices).map(|rank| {
            sum += 1.0 / (rank as f64).powf(0.9);
            sum
        });
        Self(odds.collect())
    }

    fn pick(&self, chance: &mut Chance) -> usize {
        let at = chance.unit() * self.0.last().copied().unwrap_or(1.0);
        self.0
            .partition_point(|sum| *sum < at)
            .min(self.0.len() - 1)
    }
}

/// What makes W1 and W2 differ.
#[derive(Clone, Copy)]
pub struct Shape {
    pub name: &'static str,
    documents: usize,
    turns_max: usize,
    turn_blocks: (usize, usize),
    long_part: f64,
}

/// Chats: 1.3 replicas a block.
pub const W1: Shape = Shape {
    name: "W1 chat",
    documents: 50,
    turns_max: 7,
    turn_blocks: (6, 47),
    long_part: 0.03,
};
/// Shared documents: 4 replicas a block.
pub const W2: Shape = Shape {
    name: "W2 shared",
    documents: 10,
    turns_max: 1,
    turn_blocks: (6, 23),
    long_part: 0.0,
};
/// Pairs of a whole workload.
pub const PAIRS: usize = 2_000_000;

/// A block in all its names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Node {
    pub content: ContentHash,
    pub hash: EngineHash,
    pub key: BlockKey,
}

impl Node {
    /// The block after `before` (`None`: the first) with this content.
    pub fn after(before: Option<Self>, content: u64) -> Self {
        let content = ContentHash(content);
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&before.map_or(0, |node| node.hash.0).to_le_bytes());
        bytes[8..].copy_from_slice(&content.0.to_le_bytes());
        let hash = match before {
            None => EngineHash(content.0), // as the peers' own chain has it
            Some(_) => EngineHash(xxh3_64_with_seed(&bytes, 1337)),
        };
        Self {
            content,
            hash,
            key: before.map_or(ROOT, |node| node.key).extend(content),
        }
    }
}

/// One workload: phases of events in the order in which they are applied, and queries.
pub struct Work {
    pub name: &'static str,
    pub stores: Vec<Event>,
    /// A fifth of the pairs, tails first.
    pub removes: Vec<Event>,
    /// What was removed, stored again, heads first.
    pub restores: Vec<Event>,
    /// A block in the middle of each of some sessions' chains is dropped; then the session goes on.
    pub holes: Vec<Event>,
    /// Those blocks are stored again.
    pub heals: Vec<Event>,
    /// Blocks that are stored a second time, and dropped once.
    pub second_copies: Vec<Event>,
    pub queries: Vec<Vec<Node>>,
    /// Whole chains, half of them with holes.
    pub hole_queries: Vec<Vec<Node>>,
    pub pairs: usize,
    pub distinct: usize,
}

impl Work {
    pub fn empty(name: &'static str) -> Self {
        Self {
            name,
            stores: Vec::new(),
            removes: Vec::new(),
            restores: Vec::new(),
            holes: Vec::new(),
            heals: Vec::new(),
            second_copies: Vec::new(),
            queries: Vec::new(),
            hole_queries: Vec::new(),
            pairs: 0,
            distinct: 0,
        }
    }
}

#[derive(Default)]
struct Session {
    replica: u16,
    chain: Vec<Node>,
    /// Blocks of each turn that are still to come.
    turns: Vec<usize>,
    /// Blocks still to be decoded.
    decode: usize,
    /// Blocks of the chain that the replica holds for it.
    told: usize,
}

/// Who holds what, and for how many sessions.
#[derive(Default)]
struct Held {
    sessions: HashMap<(u16, u64), u32>,
}

impl Held {
    /// One more session holds a block; true if it was not held.
    fn add(&mut self, replica: u16, node: &Node) -> bool {
        let count = self.sessions.entry((replica, node.key.0)).or_insert(0);
        *count += 1;
        *count == 1
    }

    /// One session less; true if that was the last.
    fn sub(&mut self, replica: u16, node: &Node) -> bool {
        let Some(count) = self.sessions.get_mut(&(replica, node.key.0)) else {
            return false;
        };
        *count = count.saturating_sub(1);
        let last = *count == 0;
        if last {
            self.sessions.remove(&(replica, node.key.0));
        }
        last
    }
}

struct Maker {
    shape: Shape,
    pairs: usize,
    chance: Chance,
    prompts: Zipf,
    documents: Zipf,
    held: Held,
    work: Work,
    ended: Vec<Session>,
    fresh: u64,
}

/// Makes a workload of so many pairs.
pub fn make(shape: Shape, pairs: usize) -> Work {
    let mut maker = Maker {
        shape,
        pairs,
        chance: Chance(SEED),
        prompts: Zipf::new(200),
        documents: Zipf::new(shape.documents),
        held: Held::default(),
        work: Work::empty(shape.name),
        ended: Vec::new(),
        fresh: 0,
    };
    maker.store();
    maker.query();
    maker.remove();
    maker.punch();
    maker.copy();
    maker.work
}

impl Maker {
    fn begin(&mut self) -> Session {
        let prompt = self.prompts.pick(&mut self.chance);
        let document = self.documents.pick(&mut self.chance);
        let own = Chance(0x5157 ^ (prompt * 1000 + document) as u64);
        let blocks_of = |kind: u64, number: usize, low: usize, high: usize| {
            let mut chance = Chance(SEED ^ kind << 32 ^ number as u64);
            let blocks = chance.between(low, high);
            (0..blocks).map(|_| chance.next()).collect::<Vec<_>>()
        };
        let mut contents = blocks_of(1, prompt, 8, 63);
        contents.extend(blocks_of(2, prompt * 1000 + document, 16, 255));
        let mut chain: Vec<Node> = Vec::new();
        for content in contents {
            chain.push(Node::after(chain.last().copied(), content));
        }
        let affine = own.clone().below(REPLICAS) as u16;
        let random = self.chance.below(REPLICAS) as u16;
        let replica = if self.chance.unit() < 0.5 {
            affine
        } else {
            random
        };
        let mut turns: Vec<usize> = (0..self.chance.between(1, self.shape.turns_max))
            .map(|_| {
                self.chance
                    .between(self.shape.turn_blocks.0, self.shape.turn_blocks.1)
            })
            .collect();
        if self.chance.unit() < self.shape.long_part {
            while chain.len() + turns.iter().sum::<usize>() < 1_100 {
                turns.push(self.chance.between(6, 47));
            }
        }
        Session {
            replica,
            chain,
            turns,
            decode: 0,
            told: 0,
        }
    }

    fn fresh(&mut self) -> u64 {
        self.fresh += 1;
        Chance(SEED ^ self.fresh << 8).next()
    }

    fn store(&mut self) {
        let mut active: Vec<Session> = (0..ACTIVE).map(|_| self.begin()).collect();
        while self.work.pairs < self.pairs {
            let at = self.chance.below(ACTIVE);
            let mut session = std::mem::take(&mut active[at]);
            let goes_on = self.step(&mut session);
            active[at] = if goes_on {
                session
            } else {
                self.ended.push(session);
                self.begin()
            };
        }
        self.ended.append(&mut active);
        let mut keys: Vec<u64> = self.held.sessions.keys().map(|(_, key)| *key).collect();
        keys.sort_unstable();
        keys.dedup();
        self.work.distinct = keys.len();
    }

    /// A prompt, or one decoded block. False where the session is over.
    fn step(&mut self, session: &mut Session) -> bool {
        let known = session.told;
        let new = if session.decode > 0 {
            session.decode -= 1;
            1
        } else {
            let Some(turn) = session.turns.pop() else {
                return false;
            };
            session.decode = turn * 4 / 10;
            turn - session.decode
        };
        for _ in 0..new {
            self.go_on(&mut session.chain);
        }
        self.hold(session, known);
        true
    }

    /// The session's replica holds its chain from `known` on; tells what it didn't hold.
    fn hold(&mut self, session: &mut Session, known: usize) {
        let mut blocks = Vec::new();
        let mut parent = None;
        for (at, node) in session.chain.iter().enumerate().skip(known) {
            if self.held.add(session.replica, node) {
                if blocks.is_empty() {
                    parent = hash_before(&session.chain, at);
                }
                blocks.push(*node);
            }
        }
        session.told = session.chain.len();
        if !blocks.is_empty() {
            self.work.pairs += blocks.len();
            self.work.stores.push(Event::Store {
                replica: session.replica,
                parent,
                blocks,
            });
        }
    }

    fn query(&mut self) {
        for _ in 0..QUERIES {
            let long = (32.0 * 64_f64.powf(self.chance.unit())) as usize;
            let of = self.chance.below(self.ended.len());
            let chain = &self.ended[of].chain;
            let mut query: Vec<Node> = chain.iter().copied().take(long / 2).collect();
            while query.len() < long {
                let content = self.fresh();
                query.push(Node::after(query.last().copied(), content));
            }
            self.work.queries.push(query);
        }
    }

    /// A fifth of the pairs go, session by session, tails first, up to eight blocks at a time.
    fn remove(&mut self) {
        let mut removed = 0;
        while removed < self.work.pairs / 5 {
            let of = self.chance.below(self.ended.len());
            let Session { replica, chain, .. } = self.ended.swap_remove(of);
            let mut gone: Vec<Node> = Vec::new();
            for node in chain.iter().rev() {
                if self.held.sub(replica, node) {
                    gone.push(*node);
                }
            }
            // How often a block is held falls along a chain: what goes is a tail.
            let mut end = chain.len();
            for blocks in gone.chunks(8) {
                let first = end - blocks.len();
                let parent = hash_before(&chain, first);
                let again = chain[first..end].to_vec();
                self.work.restores.push(Event::Store {
                    replica,
                    parent,
                    blocks: again,
                });
                self.work.removes.push(Event::Remove {
                    replica,
                    blocks: blocks.to_vec(),
                });
                end = first;
            }
            removed += gone.len();
        }
        self.work.restores.reverse();
    }

    /// A block in the middle of every twentieth session is dropped; the session goes on below.
    fn punch(&mut self) {
        let mut ended = std::mem::take(&mut self.ended);
        for Session { replica, chain, .. } in ended.iter_mut().step_by(20) {
            let at = self.chance.below(chain.len() - 1);
            let hole = chain[at];
            if self.held.sessions.remove(&(*replica, hole.key.0)).is_none() {
                continue;
            }
            let blocks = vec![hole];
            self.work.holes.push(Event::Remove {
                replica: *replica,
                blocks: blocks.clone(),
            });
            let parent = hash_before(chain, at);
            self.work.heals.push(Event::Store {
                replica: *replica,
                parent,
                blocks,
            });
            let below: Vec<Node> = (0..3).map(|_| self.go_on(chain)).collect();
            let parent = hash_before(chain, chain.len() - below.len());
            self.work.holes.push(Event::Store {
                replica: *replica,
                parent,
                blocks: below,
            });
        }
        for number in 0..QUERIES {
            let step = if number % 2 == 0 { 20 } else { 1 };
            let of = self.chance.below(ended.len() / step) * step;
            self.work.hole_queries.push(ended[of].chain.clone());
        }
        self.ended = ended;
    }

    /// Appends a fresh block to a chain.
    fn go_on(&mut self, chain: &mut Vec<Node>) -> Node {
        let content = self.fresh();
        let node = Node::after(chain.last().copied(), content);
        chain.push(node);
        node
    }

    /// Every twentieth session's last blocks are stored again, then dropped once.
    fn copy(&mut self) {
        for Session { replica, chain, .. } in self.ended.iter().skip(7).step_by(20) {
            let first = chain.len().saturating_sub(10);
            let (replica, parent) = (*replica, hash_before(chain, first));
            let blocks = chain[first..].to_vec();
            self.work.second_copies.extend([
                Event::Store {
                    replica,
                    parent,
                    blocks: blocks.clone(),
                },
                Event::Remove { replica, blocks },
            ]);
        }
    }
}

fn hash_before(chain: &[Node], at: usize) -> Option<EngineHash> {
    Some(chain[at.checked_sub(1)?].hash)
}
