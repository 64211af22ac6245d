//! Endpoints in a file, as `file-discovery` reads them.
//!
//! ```yaml
//! endpoints:
//! - name: a
//!   address: 10.0.0.1
//!   port: "8000"
//!   labels: {zone: one}
//! ```

use super::{
    Fault,
    node::{self, Node, Value},
    reader::{Faults, Table},
};
use crate::pods::Pod;
use std::collections::BTreeMap;

/// Reads such a file.
pub fn endpoints(text: &str) -> Result<Vec<Pod>, Vec<Fault>> {
    let root = node::parse(text).map_err(|(line, what)| vec![Fault { line, what }])?;
    let faults = Faults::default();
    let top = Table::of(&faults, &root, "the file of endpoints");
    let read = |table: Table<'_>| {
        let pod = pod(&faults, &table);
        table.end("an endpoint");
        pod
    };
    let pods = top.tables("endpoints").into_iter().filter_map(read);
    let pods = pods.collect();
    top.end("the file of endpoints");
    let found = faults.into_vec();
    if found.is_empty() {
        Ok(pods)
    } else {
        Err(found)
    }
}

fn pod(faults: &Faults, table: &Table<'_>) -> Option<Pod> {
    let name = table.text("name");
    if name.as_ref().is_none_or(String::is_empty) {
        table.fault("name", "an endpoint needs one");
    }
    let address = table.text("address").and_then(|text| text.parse().ok());
    if address.is_none() {
        table.fault("address", "an IP address is expected");
    }
    // A text in the reference; a number is as clear.
    let port = match table.get("port").map(|node| &node.value) {
        Some(Value::Text(text)) => text.parse().ok(),
        Some(Value::Number(_)) => table.count("port", 1).and_then(|port| port.try_into().ok()),
        _ => None,
    };
    if port.is_none_or(|port| port == 0) {
        table.fault("port", "a port is expected");
    }
    let namespace = table.text("namespace");
    let labels = labels(faults, table);
    Some(Pod {
        namespace: namespace.unwrap_or_else(|| "default".to_owned()),
        name: name?,
        address: core::net::SocketAddr::new(address?, port?),
        rank: 0,
        labels,
    })
}

fn labels(faults: &Faults, table: &Table<'_>) -> BTreeMap<String, String> {
    let Some(labels) = table.table("labels") else {
        return BTreeMap::new();
    };
    let read = |(key, node): (&str, &Node)| match &node.value {
        Value::Text(text) => Some((key.to_owned(), text.clone())),
        other => {
            faults.add(
                node.line,
                format!("{key}: a text is expected, not {}", other.kind()),
            );
            None
        }
    };
    labels.pairs().filter_map(read).collect()
}
