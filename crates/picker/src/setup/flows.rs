//! `flowControl`: how requests wait.

use super::{
    Reading,
    node::{Node, Value},
    plugins::Built,
    reader::Table,
};
use crate::flow::rules::{Band, Fairness, Flows, Room};

/// Units of Kubernetes' quantities, longer names before those that they begin with.
const UNITS: [(&str, u64); 9] = [
    ("Ti", 1 << 40),
    ("Gi", 1 << 30),
    ("Mi", 1 << 20),
    ("Ki", 1 << 10),
    ("T", 1_000_000_000_000),
    ("G", 1_000_000_000),
    ("M", 1_000_000),
    ("k", 1000),
    ("", 1),
];

impl Reading<'_> {
    pub(super) fn flows(&mut self, control: Table<'_>) -> Flows {
        let default = Flows::default();
        let time = |key, default| match control.time(key) {
            None => default,
            some => some.filter(|time| !time.is_zero()),
        };
        let ttl = time("defaultRequestTTL", default.ttl);
        let ttl_empty = time("noEndpointRequestTTL", default.ttl_empty);
        let room = self.room(&control, Room::ENDLESS);
        let band = control.table("defaultPriorityBand");
        let band = band.map_or_else(Band::default, |table| self.band(table).1);
        let negative = control.table("defaultNegativePriorityBand");
        let negative = negative.map(|table| self.band(table).1);
        let mut bands = std::collections::BTreeMap::new();
        for table in control.tables("priorityBands") {
            let line = table.line;
            let (priority, band) = self.band(table);
            match priority {
                Some(priority) if !bands.contains_key(&priority) => {
                    bands.insert(priority, band);
                }
                Some(priority) => {
                    let what = format!("priority: there are two bands of {priority}");
                    self.faults.add(line, what);
                }
                None => self.faults.add(line, "priority: a band needs one"),
            }
        }
        if control.truth("enableEviction") == Some(true) {
            control.fault(
                "enableEviction",
                "is not built in: what was sent on is let be",
            );
        }
        if control.text("usageLimitPolicyPluginRef").is_some() {
            let what = "is not built in: every priority may use the whole pool";
            control.fault("usageLimitPolicyPluginRef", what);
        }
        control.end("flowControl");
        Flows {
            room,
            ttl,
            ttl_empty,
            band,
            negative,
            bands,
        }
    }

    /// A band, and its priority where it says one.
    fn band(&mut self, table: Table<'_>) -> (Option<i32>, Band) {
        let default = Band::default();
        let priority = table.get("priority").and_then(|node| match node.value {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "checked: whole, and it fits"
            )]
            Value::Number(number)
                if number.fract() == 0.0
                    && (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&number) =>
            {
                Some(number as i32)
            }
            _ => {
                self.faults
                    .add(node.line, "priority: a whole number is expected");
                None
            }
        });
        let fairness = self.policy_of(&table, "fairnessPolicyRef");
        let ordering = self.policy_of(&table, "orderingPolicyRef");
        let fairness = match fairness.as_deref() {
            None | Some("global-strict-fairness-policy") => Fairness::Strict,
            Some("round-robin-fairness-policy") => Fairness::RoundRobin,
            Some(other) => {
                table.fault("fairnessPolicyRef", &format!("`{other}` is not built in"));
                Fairness::Strict
            }
        };
        if let Some(other) = ordering.filter(|kind| kind != "fcfs-ordering-policy") {
            table.fault("orderingPolicyRef", &format!("`{other}` is not built in"));
        }
        let room = self.room(&table, default.room);
        table.end("a priority band");
        (priority, Band { room, fairness })
    }

    /// The type of a policy that is named: by a plugin's name, or by its type alone.
    fn policy_of(&mut self, table: &Table<'_>, key: &'static str) -> Option<String> {
        let name = table.text(key)?;
        let named = self
            .plugins
            .iter()
            .find(|(named, built)| named.name == name && matches!(built, Some(Built::Given)));
        Some(named.map_or(name, |(named, _)| named.kind.clone()))
    }

    fn room(&mut self, table: &Table<'_>, default: Room) -> Room {
        let bound = |key, default| match table.get(key).map(|node| (node, quantity(node))) {
            None | Some((_, Some(0))) => default,
            Some((_, Some(number))) => number,
            Some((node, None)) => {
                let what = format!("{key}: a quantity such as 5000, 500M or 1Gi is expected");
                self.faults.add(node.line, what);
                default
            }
        };
        Room {
            requests: bound("maxRequests", default.requests),
            bytes: bound("maxBytes", default.bytes),
        }
    }
}

/// A whole quantity as Kubernetes writes it.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked: whole, and between 0 and 2^53"
)]
fn quantity(node: &Node) -> Option<u64> {
    match &node.value {
        Value::Number(number) => {
            let whole = number.fract() == 0.0 && (0.0..=9e15).contains(number);
            whole.then_some(*number as u64)
        }
        Value::Text(text) => {
            let (unit, scale) = UNITS.iter().find(|(unit, _)| text.ends_with(unit))?;
            let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
            number.checked_mul(*scale)
        }
        _ => None,
    }
}
