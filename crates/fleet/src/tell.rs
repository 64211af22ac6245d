//! What is known of the fleet, for people and for monitoring.

use crate::{FleetHandle, Health, Replica, Status, feed::FeedState};
use onefill_kv::Knowledge;
use serde_json::{Value as Json, json};
use std::sync::atomic::Ordering::Relaxed;

impl FleetHandle {
    /// All that is known, for people and tools.
    pub fn debug(&self) -> Json {
        let replicas: Vec<Json> = self
            .view
            .load()
            .replicas
            .iter()
            .map(|each| debug(each))
            .collect();
        let stats = self.writer.stats();
        json!({
            "replicas": replicas,
            "index": {
                "memory_bytes": stats.memory_bytes, "blocks": stats.blocks, "pairs": stats.pairs,
                "orphans": stats.orphans, "dropped": stats.dropped, "refused": stats.refused,
            },
        })
    }

    /// Figures in Prometheus' text format.
    pub fn prometheus(&self) -> String {
        let mut text = String::new();
        for family in FAMILIES {
            header(&mut text, family.name, family.help, family.kind);
            for replica in &self.view.load().replicas {
                let rank = replica
                    .rank
                    .map(|rank| rank.to_string())
                    .unwrap_or_default();
                let value = (family.value)(replica, &replica.status());
                let Family { name, .. } = family;
                let url = &replica.url;
                text.push_str(&format!(
                    "{name}{{replica=\"{url}\",rank=\"{rank}\"}} {value}\n"
                ));
            }
        }
        let stats = self.writer.stats();
        for (name, help, kind, value) in [
            (
                "onefill_index_memory_bytes",
                "Memory that the index takes.",
                "gauge",
                stats.memory_bytes as u64,
            ),
            (
                "onefill_index_blocks",
                "Distinct blocks known.",
                "gauge",
                stats.blocks,
            ),
            (
                "onefill_index_pairs",
                "Pairs of a block and a replica's tier that holds it.",
                "gauge",
                stats.pairs,
            ),
            (
                "onefill_index_orphans",
                "Blocks parked until their parent is told of.",
                "gauge",
                stats.orphans,
            ),
            (
                "onefill_index_dropped_total",
                "Blocks forgotten for lack of memory.",
                "counter",
                stats.dropped,
            ),
            (
                "onefill_index_refused_total",
                "Blocks refused: namespace not known, or no room.",
                "counter",
                stats.refused,
            ),
        ] {
            header(&mut text, name, help, kind);
            text.push_str(&format!("{name} {value}\n"));
        }
        text
    }
}

fn header(text: &mut String, name: &str, help: &str, kind: &str) {
    text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
}

/// A metric that every replica has.
struct Family {
    name: &'static str,
    help: &'static str,
    kind: &'static str,
    value: fn(&Replica, &Status) -> f64,
}

/// A counter of a replica's feed; 0 without a feed.
fn of_feed(replica: &Replica, read: impl Fn(&FeedState) -> u64) -> f64 {
    replica
        .feed
        .lock()
        .as_ref()
        .map_or(0.0, |feed| read(feed) as f64)
}

const FAMILIES: &[Family] = &[
    Family {
        name: "onefill_fleet_up",
        help: "Whether the replica answers its health path.",
        kind: "gauge",
        value: |_, status| f64::from(u8::from(status.health == Health::Up)),
    },
    Family {
        name: "onefill_fleet_exact",
        help: "Whether the replica's cache is known exactly, by its events.",
        kind: "gauge",
        value: |_, status| f64::from(u8::from(status.knowledge == Knowledge::Exact)),
    },
    Family {
        name: "onefill_fleet_held_blocks",
        help: "Blocks that the index says the replica holds in its own cache.",
        kind: "gauge",
        value: |replica, _| of_feed(replica, |feed| feed.applied.held_blocks.load(Relaxed)),
    },
    Family {
        name: "onefill_fleet_events_total",
        help: "Events applied to the index.",
        kind: "counter",
        value: |replica, _| of_feed(replica, |feed| feed.applied.events.load(Relaxed)),
    },
    Family {
        name: "onefill_fleet_unknown_events_total",
        help: "Events of an unknown type or medium, skipped.",
        kind: "counter",
        value: |replica, _| of_feed(replica, |feed| feed.applied.unknown_events.load(Relaxed)),
    },
    Family {
        name: "onefill_fleet_decode_errors_total",
        help: "Event batches that could not be read.",
        kind: "counter",
        value: |replica, _| of_feed(replica, |feed| feed.applied.decode_errors.load(Relaxed)),
    },
    Family {
        name: "onefill_fleet_gaps_total",
        help: "Holes in the numbers of event batches.",
        kind: "counter",
        value: |replica, _| of_feed(replica, |feed| feed.gaps.load(Relaxed)),
    },
    Family {
        name: "onefill_fleet_replays_total",
        help: "Times that old event batches were asked for.",
        kind: "counter",
        value: |replica, _| of_feed(replica, |feed| feed.replays.load(Relaxed)),
    },
    Family {
        name: "onefill_fleet_resyncs_total",
        help: "Times that what was known of the replica was thrown away.",
        kind: "counter",
        value: |replica, _| of_feed(replica, |feed| feed.resyncs.load(Relaxed)),
    },
];

fn debug(replica: &Replica) -> Json {
    let status = replica.status();
    let models: Vec<&str> = status
        .models
        .iter()
        .map(|model| model.id.as_str())
        .collect();
    json!({
        "id": replica.id.0,
        "url": replica.url,
        "rank": replica.rank,
        "health": match status.health { Health::Up => "up", Health::Down => "down", Health::Unknown => "unknown" },
        "knowledge": status.knowledge.name(),
        "why": status.why,
        "models": models,
        "block_tokens": status.block_tokens,
        "capacity_blocks": status.capacity_blocks,
        "held_blocks": of_feed(replica, |feed| feed.applied.held_blocks.load(Relaxed)) as u64,
        "history_blocks": replica.history.lock().len(),
        "running": status.load.running,
        "waiting": status.load.waiting,
        "kv_usage": status.load.kv_usage,
    })
}
