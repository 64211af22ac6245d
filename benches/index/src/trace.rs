//! Replay of a Mooncake trace: requests of real conversations against a fleet with LRU caches.
//!
//! A trace's 512-token blocks become 32 blocks of 16 tokens. Each request goes to the replica that
//! holds most of it, unless that has had twice its share; else to the one with the fewest. The
//! replica stores what it lacks and drops its oldest.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use crate::subjects::Event;
use crate::work::{Chance, Node};

const FILE: &str = "mooncake_conversation.jsonl";
const TOKENS: usize = 16;
const SPLIT: u64 = 512 / TOKENS as u64;
const FLEET: usize = 16;
/// Blocks of each replica's cache: 0.8 M tokens.
const CACHE_BLOCKS: usize = 50_000;

/// A request and what it makes its replica tell.
pub struct Request {
    pub query: Vec<Node>,
    pub events: Vec<Event>,
}

/// The folder with traces: the environment's, or the one beside the repository.
fn file() -> Result<PathBuf, String> {
    let (folder, from) = match std::env::var_os("ONEFILL_TRACES") {
        Some(folder) => (PathBuf::from(folder), "ONEFILL_TRACES"),
        None => {
            let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
            (
                root.join("../../../shared/traces"),
                "../shared/traces; set ONEFILL_TRACES",
            )
        }
    };
    let file = folder.join(FILE);
    if file.is_file() {
        Ok(file)
    } else {
        Err(format!("no {FILE} in {from}"))
    }
}

struct Replica {
    /// When each block was last used.
    used: HashMap<u64, u64>,
    /// The oldest first.
    order: BTreeMap<u64, Node>,
    requests: usize,
    now: u64,
}

impl Replica {
    fn holds(&self, query: &[Node]) -> usize {
        query
            .iter()
            .take_while(|node| self.used.contains_key(&node.key.0))
            .count()
    }

    /// Uses a chain, tail first, so that tails leave first.
    fn use_chain(&mut self, query: &[Node]) {
        for node in query.iter().rev() {
            self.now += 1;
            if let Some(before) = self.used.insert(node.key.0, self.now) {
                self.order.remove(&before);
            }
            self.order.insert(self.now, *node);
        }
        self.requests += 1;
    }

    fn evict(&mut self) -> Vec<Node> {
        let mut gone = Vec::new();
        while self.order.len() > CACHE_BLOCKS {
            let Some((_, node)) = self.order.pop_first() else {
                break;
            };
            self.used.remove(&node.key.0);
            gone.push(node);
        }
        gone
    }
}

/// Requests of the trace, at most so many; or why there is none.
pub fn requests(most: usize) -> Result<Vec<Request>, String> {
    let file = file()?;
    let opened = std::fs::File::open(&file).map_err(|error| format!("{FILE}: {error}"))?;
    let fresh = || Replica {
        used: HashMap::new(),
        order: BTreeMap::new(),
        requests: 0,
        now: 0,
    };
    let mut fleet: Vec<Replica> = (0..FLEET).map(|_| fresh()).collect();
    let mut requests = Vec::new();
    for line in BufReader::new(opened).lines().take(most) {
        let line = line.map_err(|error| format!("{FILE}: {error}"))?;
        let query = chain(&line)?;
        if !query.is_empty() {
            requests.push(serve(&mut fleet, requests.len(), query));
        }
    }
    Ok(requests)
}

fn chain(line: &str) -> Result<Vec<Node>, String> {
    let row: serde_json::Value =
        serde_json::from_str(line).map_err(|error| format!("{FILE}: {error}"))?;
    let blocks = row["input_length"].as_u64().unwrap_or(0) as usize / TOKENS;
    let ids = row["hash_ids"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let ids = ids.iter().filter_map(serde_json::Value::as_u64);
    let contents = ids.flat_map(|id| (0..SPLIT).map(move |part| Chance(id << 8 | part).next()));
    let mut before = None;
    Ok(contents
        .take(blocks)
        .map(|content| *before.insert(Node::after(before, content)))
        .collect())
}

fn serve(fleet: &mut [Replica], so_far: usize, query: Vec<Node>) -> Request {
    let fair = so_far / FLEET + 32;
    let may = |replica: &Replica| replica.requests < 2 * fair;
    let best = (0..FLEET).filter(|at| may(&fleet[*at])).max_by_key(|at| {
        // What all have in common is no reason to send all to one.
        let held = fleet[*at].holds(&query);
        (
            if held > SPLIT as usize { held } else { 0 },
            usize::MAX - fleet[*at].requests,
        )
    });
    let at = best.unwrap_or(0);
    let held = fleet[at].holds(&query);
    fleet[at].use_chain(&query);
    let gone = fleet[at].evict();
    let replica = at as u16;
    let mut events = Vec::new();
    if held < query.len() {
        let parent = held.checked_sub(1).map(|before| query[before].hash);
        events.push(Event::Store {
            replica,
            parent,
            blocks: query[held..].to_vec(),
        });
    }
    if !gone.is_empty() {
        events.push(Event::Remove {
            replica,
            blocks: gone,
        });
    }
    Request { query, events }
}
