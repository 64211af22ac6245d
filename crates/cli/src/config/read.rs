//! A TOML file becomes settings.

use super::{
    Faults, Replicas, Settings,
    reader::{Reading, Table},
    settings::{address, dns, endpoint, policy, url},
};
use onefill_fleet::{FeedPorts, ReplicaSpec};
use onefill_router::{CircuitLimits, Limits, Timeouts};
use std::{path::PathBuf, time::Duration};
use toml::de::DeTable;

const MS_MAX: u64 = 24 * 3600 * 1000;

/// Reads a configuration; `file` is its name in faults. What is not set keeps its default.
pub fn read(file: &str, text: &str) -> Result<Settings, Faults> {
    let reading = Reading {
        file,
        text,
        faults: Faults::default().into(),
    };
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let at = error.span().map_or(0, |span| span.start);
        reading.fault(at, error.message().trim_end());
    }
    let mut settings = Settings::default();
    fill(&mut settings, Table::root(&reading, document.get_ref()));
    let faults = reading.faults.into_inner();
    if faults.0.is_empty() {
        Ok(settings)
    } else {
        Err(faults)
    }
}

/// Sets `to` where there is something to set.
fn set<T>(to: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *to = value;
    }
}

fn fill(settings: &mut Settings, root: Table<'_, '_>) {
    set(&mut settings.listen, root.parsed("listen", address));
    settings.admin = root.parsed("admin", address);
    set(&mut settings.policy, root.parsed("policy", policy));
    set(&mut settings.events, root.flag("events"));
    settings.tokenizer = root.text("tokenizer");
    settings.tokenizers = root.table("tokenizers").pairs().into_iter().collect();
    settings.key_seed = root.number("key_seed", 0..=i64::MAX as u64);
    set(&mut settings.api_keys, root.texts("api_keys"));
    settings.threads = root
        .number("threads", 1..=1024)
        .and_then(|n| usize::try_from(n).ok());
    tls(settings, &root);
    replicas(settings, &root);
    record(settings, root.table("record"));
    fleet(settings, root.table("fleet"));
    limits(&mut settings.limits, root.table("limits"));
    timeouts(&mut settings.timeouts, root.table("timeouts"));
    circuit(&mut settings.circuit, root.table("circuit"));
    root.end();
}

fn tls(settings: &mut Settings, root: &Table<'_, '_>) {
    let tls = root.table("tls");
    let files = (tls.text("certificate"), tls.text("key"));
    settings.upstream_authorities = tls.text("upstream_authorities").map(PathBuf::from);
    tls.end();
    match files {
        (Some(certificate), Some(key)) => settings.tls = Some((certificate.into(), key.into())),
        (None, None) => {}
        _ => root.fault("tls", "tls: a certificate and its key are needed together"),
    }
}

fn replicas(settings: &mut Settings, root: &Table<'_, '_>) {
    let given: Vec<_> = root
        .tables("replica")
        .into_iter()
        .filter_map(replica)
        .collect();
    let discovery = root.table("discovery");
    let mut found = Vec::new();
    found.extend(
        discovery
            .text("file")
            .map(|path| Replicas::File(path.into())),
    );
    let port = |key| {
        let number = discovery.number(key, 1..=u64::from(u16::MAX));
        number.and_then(|port| u16::try_from(port).ok())
    };
    let feeds = FeedPorts {
        events: port("events_port"),
        replay: port("replay_port"),
    };
    let named = discovery.parsed("dns", dns);
    if named.is_none() && feeds != FeedPorts::default() {
        discovery.fault("events_port", "discovery: ports of feeds are for dns");
    }
    found.extend(named.map(|(name, port)| Replicas::Dns(name, port, feeds)));
    if discovery.has("kubernetes") {
        let table = discovery.table("kubernetes");
        let namespace = table.text("namespace");
        let port = table.number("port", 1..=u64::from(u16::MAX));
        let port = port.and_then(|port| u16::try_from(port).ok());
        match table.text("selector") {
            Some(selector) => found.push(Replicas::Kubernetes(namespace, selector, port)),
            None => discovery.fault("kubernetes", "discovery.kubernetes: needs a selector"),
        }
        table.end();
    }
    discovery.end();
    if !given.is_empty() {
        found.push(Replicas::Static(given));
    }
    if found.len() > 1 {
        root.fault(
            "discovery",
            "replicas come from one place: [[replica]] or one of [discovery]",
        );
    }
    set(&mut settings.replicas, found.pop());
}

fn replica(table: Table<'_, '_>) -> Option<ReplicaSpec> {
    let address = table.parsed("url", url);
    if address.is_none() && !table.has("url") {
        table.fault("url", "replica: needs a url");
    }
    let number = |key, most: u64| {
        table
            .number(key, 1..=most)
            .and_then(|n| u32::try_from(n).ok())
    };
    let spec = ReplicaSpec {
        url: address.unwrap_or_default(),
        events: table.parsed("events", endpoint),
        replay: table.parsed("replay", endpoint),
        block_tokens: number("block_tokens", 1 << 16),
        capacity_blocks: number("capacity_blocks", u64::from(u32::MAX)),
    };
    table.end();
    (!spec.url.is_empty()).then_some(spec)
}

fn record(settings: &mut Settings, table: Table<'_, '_>) {
    settings.record = table.text("folder").map(PathBuf::from);
    set(
        &mut settings.record_bytes,
        table.number("bytes", 1 << 20..=1 << 50),
    );
    table.end();
}

fn fleet(settings: &mut Settings, table: Table<'_, '_>) {
    size(
        &table,
        "index_memory_bytes",
        1 << 20..=1 << 40,
        &mut settings.index_memory_bytes,
    );
    time(
        &table,
        "load_interval_max_ms",
        &mut settings.load_interval_max,
    );
    time(&table, "probe_timeout_ms", &mut settings.probe_timeout);
    settings.snapshot = table.text("snapshot").map(PathBuf::from);
    table.end();
}

fn limits(limits: &mut Limits, table: Table<'_, '_>) {
    size(
        &table,
        "body_bytes",
        1024..=1 << 32,
        &mut limits.body_bytes_max,
    );
    size(&table, "in_flight", 1..=1 << 20, &mut limits.in_flight_max);
    size(&table, "queue", 0..=1 << 20, &mut limits.queue_max);
    size(
        &table,
        "idle_connections",
        0..=1 << 16,
        &mut limits.idle_connections_max,
    );
    size(
        &table,
        "connections",
        1..=1 << 20,
        &mut limits.connections_max,
    );
    size(
        &table,
        "tokenize_inline_bytes",
        0..=1 << 32,
        &mut limits.tokenize_inline_bytes,
    );
    let attempts = table.number("attempts", 1..=100);
    set(
        &mut limits.attempts_max,
        attempts.and_then(|number| u32::try_from(number).ok()),
    );
    table.end();
}

fn timeouts(timeouts: &mut Timeouts, table: Table<'_, '_>) {
    time(&table, "header_ms", &mut timeouts.header);
    time(&table, "body_idle_ms", &mut timeouts.body_idle);
    time(&table, "connect_ms", &mut timeouts.connect);
    time(&table, "first_byte_ms", &mut timeouts.first_byte);
    time(&table, "answer_idle_ms", &mut timeouts.answer_idle);
    time(&table, "queue_ms", &mut timeouts.queue);
    time(&table, "tokenize_ms", &mut timeouts.tokenize);
    time(&table, "upstream_idle_ms", &mut timeouts.upstream_idle);
    time(&table, "drain_ms", &mut timeouts.drain);
    table.end();
}

fn circuit(circuit: &mut CircuitLimits, table: Table<'_, '_>) {
    let failures = table.number("failures", 1..=1000);
    set(
        &mut circuit.failures,
        failures.and_then(|number| u32::try_from(number).ok()),
    );
    time(&table, "open_ms", &mut circuit.open);
    table.end();
}

fn size(
    table: &Table<'_, '_>,
    key: &'static str,
    bounds: std::ops::RangeInclusive<u64>,
    to: &mut usize,
) {
    set(
        to,
        table
            .number(key, bounds)
            .and_then(|number| usize::try_from(number).ok()),
    );
}

fn time(table: &Table<'_, '_>, key: &'static str, to: &mut Duration) {
    set(to, table.number(key, 1..=MS_MAX).map(Duration::from_millis));
}
