//! Settings become a TOML file again, every default written out.

use super::{Replicas, Settings};
use onefill_fleet::ReplicaSpec;
use std::{path::Path, time::Duration};
use toml::{Table, Value};

/// The file that [`super::read`] would make these settings of, but for API keys, which stay
/// hidden.
pub fn print(settings: &Settings) -> String {
    let mut root = Table::new();
    put(&mut root, "listen", settings.listen.as_str());
    put_some(&mut root, "admin", settings.admin.as_deref());
    put(&mut root, "policy", settings.policy.name());
    put(&mut root, "events", settings.events);
    put_some(&mut root, "tokenizer", settings.tokenizer.as_deref());
    put_some(&mut root, "key_seed", settings.key_seed.map(number));
    put_some(
        &mut root,
        "threads",
        settings.threads.map(|threads| number(threads as u64)),
    );
    if !settings.api_keys.is_empty() {
        put(
            &mut root,
            "api_keys",
            vec!["(hidden)"; settings.api_keys.len()],
        );
    }
    replicas(&mut root, &settings.replicas);
    let tokenizers = settings.tokenizers.iter();
    let tokenizers: Table = tokenizers
        .map(|(model, folder)| (model.clone(), folder.clone().into()))
        .collect();
    put(&mut root, "tokenizers", tokenizers);
    put(&mut root, "tls", tls(settings));
    put(&mut root, "record", record(settings));
    put(&mut root, "fleet", fleet(settings));
    put(&mut root, "limits", limits(settings));
    put(&mut root, "timeouts", timeouts(settings));
    put(&mut root, "circuit", circuit(settings));
    root.retain(|_, value| value.as_table().is_none_or(|table| !table.is_empty()));
    toml::to_string(&root).unwrap_or_else(|error| format!("# {error}\n"))
}

fn put(table: &mut Table, key: &str, value: impl Into<Value>) {
    table.insert(key.to_owned(), value.into());
}

fn put_some(table: &mut Table, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        put(table, key, value);
    }
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn replicas(root: &mut Table, replicas: &Replicas) {
    let mut discovery = Table::new();
    match replicas {
        Replicas::Static(specs) => {
            put(
                root,
                "replica",
                specs.iter().map(replica).collect::<Vec<Table>>(),
            );
        }
        Replicas::File(file) => put(&mut discovery, "file", path(file)),
        Replicas::Dns(name, port, feeds) => {
            put(&mut discovery, "dns", format!("{name}:{port}"));
            put_some(&mut discovery, "events_port", feeds.events.map(i64::from));
            put_some(&mut discovery, "replay_port", feeds.replay.map(i64::from));
        }
        Replicas::Kubernetes(namespace, selector, port) => {
            let mut table = Table::new();
            put_some(&mut table, "namespace", namespace.as_deref());
            put(&mut table, "selector", selector.as_str());
            put_some(&mut table, "port", port.map(i64::from));
            put(&mut discovery, "kubernetes", table);
        }
    }
    put(root, "discovery", discovery);
}

fn replica(spec: &ReplicaSpec) -> Table {
    let mut table = Table::new();
    put(&mut table, "url", spec.url.as_str());
    put_some(&mut table, "events", spec.events.as_deref());
    put_some(&mut table, "replay", spec.replay.as_deref());
    put_some(&mut table, "block_tokens", spec.block_tokens.map(i64::from));
    put_some(
        &mut table,
        "capacity_blocks",
        spec.capacity_blocks.map(i64::from),
    );
    table
}

fn tls(settings: &Settings) -> Table {
    let mut table = Table::new();
    if let Some((certificate, key)) = &settings.tls {
        put(&mut table, "certificate", path(certificate));
        put(&mut table, "key", path(key));
    }
    let authorities = settings.upstream_authorities.as_deref();
    put_some(&mut table, "upstream_authorities", authorities.map(path));
    table
}

fn record(settings: &Settings) -> Table {
    let mut table = Table::new();
    put_some(&mut table, "folder", settings.record.as_deref().map(path));
    put(&mut table, "bytes", number(settings.record_bytes));
    table
}

fn fleet(settings: &Settings) -> Table {
    let mut table = Table::new();
    put(
        &mut table,
        "index_memory_bytes",
        number(settings.index_memory_bytes as u64),
    );
    put(
        &mut table,
        "load_interval_max_ms",
        ms(settings.load_interval_max),
    );
    put(&mut table, "probe_timeout_ms", ms(settings.probe_timeout));
    put_some(
        &mut table,
        "snapshot",
        settings.snapshot.as_deref().map(path),
    );
    table
}

fn limits(settings: &Settings) -> Table {
    let limits = &settings.limits;
    let mut table = Table::new();
    for (key, value) in [
        ("body_bytes", limits.body_bytes_max),
        ("in_flight", limits.in_flight_max),
        ("queue", limits.queue_max),
        ("attempts", limits.attempts_max as usize),
        ("idle_connections", limits.idle_connections_max),
        ("connections", limits.connections_max),
        ("tokenize_inline_bytes", limits.tokenize_inline_bytes),
    ] {
        put(&mut table, key, number(value as u64));
    }
    table
}

fn timeouts(settings: &Settings) -> Table {
    let timeouts = &settings.timeouts;
    let mut table = Table::new();
    for (key, value) in [
        ("header_ms", timeouts.header),
        ("body_idle_ms", timeouts.body_idle),
        ("connect_ms", timeouts.connect),
        ("first_byte_ms", timeouts.first_byte),
        ("answer_idle_ms", timeouts.answer_idle),
        ("queue_ms", timeouts.queue),
        ("tokenize_ms", timeouts.tokenize),
        ("upstream_idle_ms", timeouts.upstream_idle),
        ("drain_ms", timeouts.drain),
    ] {
        put(&mut table, key, ms(value));
    }
    table
}

fn circuit(settings: &Settings) -> Table {
    let mut table = Table::new();
    put(&mut table, "failures", i64::from(settings.circuit.failures));
    put(&mut table, "open_ms", ms(settings.circuit.open));
    table
}
