//! `/metrics`: the ledgers and the tiers in Prometheus' text format.

use crate::{
    catalog::Gone,
    ledger::{Counter, Door, Ledger, Refusal},
    serve::{Connections, Windows},
    store::Store,
};
use std::{
    fmt::{Display, Write as _},
    sync::atomic::Ordering,
};

/// Everything, as text.
#[must_use]
pub(crate) fn text(store: &Store, connections: &Connections, shared: &Windows) -> String {
    let mut page = Page(String::with_capacity(8 << 10));
    tiers(&mut page, store);
    disk(&mut page, store);
    remote(&mut page, store);
    doors(&mut page, connections);
    windows(&mut page, shared);
    namespaces(&mut page, store);
    ledgers(&mut page, store);
    page.0
}

struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String does not fail, here and below.
        _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            self.0.push(if index == 0 { '{' } else { ',' });
            _ = write!(self.0, "{label}=\"{}\"", escape(text));
        }
        let end = if labels.is_empty() { "" } else { "}" };
        _ = writeln!(self.0, "{end} {value}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: usize) {
        self.family(name, "gauge", help);
        self.sample(name, &[], value);
    }
}

fn escape(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    text.replace('\n', "\\n")
}

fn tiers(page: &mut Page, store: &Store) {
    let stat = store.stat();
    let gauges = [
        (
            "memory_bytes",
            "Bytes that blocks may take in memory",
            stat.memory_bytes,
        ),
        (
            "memory_used_bytes",
            "Bytes that blocks take in memory",
            stat.used_bytes,
        ),
        ("memory_blocks", "Blocks in memory", stat.blocks),
        (
            "record_bytes",
            "Bytes that records and keys are charged",
            stat.record_bytes,
        ),
        (
            "leased_bytes",
            "Bytes that are promised to clients",
            stat.leased_bytes,
        ),
    ];
    for (name, help, value) in gauges {
        page.gauge(&format!("onefill_store_{name}"), help, value);
    }
}

fn disk(page: &mut Page, store: &Store) {
    let Some(disk) = store.disk() else {
        return;
    };
    let sizes = disk.sizes();
    page.gauge("onefill_store_disk_blocks", "Blocks on disk", sizes.blocks);
    let bytes = usize::try_from(sizes.bytes).unwrap_or(usize::MAX);
    page.gauge("onefill_store_disk_bytes", "Bytes of segments", bytes);
    page.gauge(
        "onefill_store_disk_waiting_bytes",
        "Bytes that wait to be written",
        sizes.waiting_bytes,
    );
    page.gauge(
        "onefill_store_disk_index_bytes",
        "Bytes of memory that what is known of blocks on disk takes",
        sizes.index_bytes,
    );
    let stat = disk.stat();
    let counters = [
        ("hits", "Blocks read from disk", &stat.hits),
        ("written", "Blocks written to disk", &stat.written),
        (
            "dropped",
            "Blocks not written, because too many waited",
            &stat.dropped,
        ),
        ("faults", "Writes and reads that failed", &stat.faults),
        (
            "corrupt",
            "Blocks on disk that failed their check",
            &stat.corrupt,
        ),
        (
            "broken",
            "Headers that the start found broken",
            &stat.broken,
        ),
    ];
    for (name, help, counter) in counters {
        let name = format!("onefill_store_disk_{name}_total");
        page.family(&name, "counter", help);
        page.sample(&name, &[], counter.get());
    }
}

fn remote(page: &mut Page, store: &Store) {
    let Some(remote) = store.remote() else {
        return;
    };
    page.gauge(
        "onefill_store_remote_waiting_bytes",
        "Bytes that wait to be written to the remote",
        remote.waiting_bytes(),
    );
    page.gauge(
        "onefill_store_remote_left_alone",
        "1 while the remote is left alone after failures",
        usize::from(remote.is_left_alone()),
    );
    let stat = remote.stat();
    let counters = [
        (
            "lookups",
            "Times that the remote was asked whether a block is there",
            &stat.lookups,
        ),
        ("hits", "Blocks read from the remote", &stat.hits),
        ("written", "Blocks written to the remote", &stat.written),
        ("known", "Blocks that the remote had already", &stat.known),
        (
            "dropped",
            "Blocks not written: too many waited, or it failed too often",
            &stat.dropped,
        ),
        (
            "faults",
            "Requests that failed or took too long",
            &stat.faults,
        ),
        (
            "corrupt",
            "Objects that are not what was asked for",
            &stat.corrupt,
        ),
    ];
    for (name, help, counter) in counters {
        let name = format!("onefill_store_remote_{name}_total");
        page.family(&name, "counter", help);
        page.sample(&name, &[], counter.get());
    }
}

fn doors(page: &mut Page, connections: &Connections) {
    let name = "onefill_store_connections";
    page.family(name, "gauge", "Open connections");
    for door in Door::SOCKETS {
        let open = connections.open(door);
        page.sample(name, &[("door", door.name())], open);
    }
    let name = "onefill_store_connections_total";
    page.family(name, "counter", "Connections that were taken");
    for door in Door::SOCKETS {
        let all = connections.opened(door).get();
        page.sample(name, &[("door", door.name())], all);
    }
    let name = "onefill_store_connection_faults_total";
    page.family(
        name,
        "counter",
        "Connections that ended by a fault, by which",
    );
    for (fault, count) in connections.faults() {
        page.sample(name, &[("fault", fault)], count.get());
    }
}

fn windows(page: &mut Page, windows: &Windows) {
    let stat = &windows.stat;
    let bytes = stat.bytes.load(Ordering::Relaxed);
    page.gauge(
        "onefill_store_window_bytes",
        "Bytes shared with clients on this machine, beside those for blocks",
        bytes,
    );
    let counters = [
        (
            "windows",
            "Connections that came to share memory",
            &stat.handed,
        ),
        (
            "windows_refused",
            "Those that would have, had there been room",
            &stat.refused,
        ),
        (
            "windows_missed",
            "Those that could not: another machine, or no common folder",
            &stat.missed,
        ),
    ];
    for (name, help, counter) in counters {
        let name = format!("onefill_store_{name}_total");
        page.family(&name, "counter", help);
        page.sample(&name, &[], counter.get());
    }
}

fn namespaces(page: &mut Page, store: &Store) {
    let all: Vec<_> = store.namespaces().all();
    let counts: Vec<_> = all.iter().map(|namespace| store.count(namespace)).collect();
    let families = [
        ("blocks", "gauge", "Blocks of a namespace"),
        ("bytes", "gauge", "Their bytes"),
        (
            "evicted_total",
            "counter",
            "Blocks of it that went for want of room",
        ),
    ];
    for (index, (name, kind, help)) in families.into_iter().enumerate() {
        let name = format!("onefill_store_namespace_{name}");
        page.family(&name, kind, help);
        for (namespace, count) in all.iter().zip(&counts) {
            let value = match index {
                0 => count.blocks as u64,
                1 => count.bytes as u64,
                _ => count.evicted,
            };
            page.sample(&name, &[("namespace", &namespace.name)], value);
        }
    }
}

type Figure = (&'static str, &'static str, fn(&Ledger) -> &Counter);

const FIGURES: [Figure; 8] = [
    ("lookups", "Questions whether a block is there", |ledger| {
        &ledger.lookups
    }),
    ("lookup_hits", "Those answered yes", |ledger| {
        &ledger.lookup_hits
    }),
    ("hits", "Blocks read", |ledger| &ledger.hits),
    ("hit_bytes", "Their bytes", |ledger| &ledger.hit_bytes),
    ("puts", "Blocks taken in", |ledger| &ledger.puts),
    ("put_bytes", "Their bytes", |ledger| &ledger.put_bytes),
    (
        "replaced",
        "Blocks put over one with other bytes",
        |ledger| &ledger.replaced,
    ),
    (
        "aborted",
        "Blocks whose client went before they were whole",
        |ledger| &ledger.aborted,
    ),
];

/// Name, help, the causes' names, and their counters.
type Causes = (
    &'static str,
    &'static str,
    Vec<&'static str>,
    fn(&Ledger) -> &[Counter],
);

fn ledgers(page: &mut Page, store: &Store) {
    let all = store.namespaces().all();
    let pairs = || {
        let doors = |namespace| Door::ALL.into_iter().map(move |door| (namespace, door));
        all.iter().flat_map(doors)
    };
    for (name, help, figure) in FIGURES {
        let name = format!("onefill_store_{name}_total");
        page.family(&name, "counter", help);
        for (namespace, door) in pairs() {
            let value = figure(namespace.ledger(door)).get();
            let labels = [
                ("namespace", namespace.name.as_str()),
                ("door", door.name()),
            ];
            if value > 0 {
                page.sample(&name, &labels, value);
            }
        }
    }
    let causes: [Causes; 2] = [
        (
            "misses",
            "Blocks asked for that were not there, by why",
            Gone::ALL.iter().map(|gone| gone.name()).collect(),
            |ledger| &ledger.misses,
        ),
        (
            "refused",
            "Blocks that were not taken in, by why",
            Refusal::ALL.iter().map(|refusal| refusal.name()).collect(),
            |ledger| &ledger.refused,
        ),
    ];
    for (name, help, names, counters) in causes {
        let name = format!("onefill_store_{name}_total");
        page.family(&name, "counter", help);
        for (namespace, door) in pairs() {
            let counters = counters(namespace.ledger(door));
            for (cause, counter) in names.iter().zip(counters) {
                let labels = [
                    ("namespace", namespace.name.as_str()),
                    ("door", door.name()),
                    ("cause", cause),
                ];
                if counter.get() > 0 {
                    page.sample(&name, &labels, counter.get());
                }
            }
        }
    }
}
