//! Reads a table's fields by name, and names those that nobody asked for.

use super::{
    Fault,
    node::{Node, Value},
};
use std::{cell::RefCell, collections::BTreeSet, time::Duration};

/// Faults found so far.
#[derive(Debug, Default)]
pub(super) struct Faults(RefCell<Vec<Fault>>);

impl Faults {
    pub(super) fn add(&self, line: usize, what: impl Into<String>) {
        let what = what.into();
        self.0.borrow_mut().push(Fault { line, what });
    }

    /// All, in order of their lines.
    pub(super) fn into_vec(self) -> Vec<Fault> {
        let mut all = self.0.into_inner();
        all.sort_by_key(|fault| fault.line);
        all
    }
}

/// A table that is being read.
pub(super) struct Table<'a> {
    faults: &'a Faults,
    fields: &'a [(String, Node)],
    pub(super) line: usize,
    asked: RefCell<BTreeSet<&'static str>>,
}

impl<'a> Table<'a> {
    /// The table that `node` is; an empty one, and a fault, where it is none.
    pub(super) fn of(faults: &'a Faults, node: &'a Node, what: &str) -> Self {
        let fields: &[(String, Node)] = match &node.value {
            Value::Table(fields) => fields,
            Value::Null => &[],
            other => {
                faults.add(
                    node.line,
                    format!("{what}: a table is expected, not {}", other.kind()),
                );
                &[]
            }
        };
        Self {
            faults,
            fields,
            line: node.line,
            asked: RefCell::default(),
        }
    }

    pub(super) fn get(&self, key: &'static str) -> Option<&'a Node> {
        self.asked.borrow_mut().insert(key);
        let found = self.fields.iter().find(|(name, _)| name == key);
        found
            .map(|(_, node)| node)
            .filter(|node| node.value != Value::Null)
    }

    /// A fault at a field, or where the table begins.
    pub(super) fn fault(&self, key: &'static str, what: &str) {
        let line = self.get(key).map_or(self.line, |node| node.line);
        self.faults.add(line, format!("{key}: {what}"));
    }

    fn wrong(&self, key: &str, node: &Node, expected: &str) {
        let found = node.value.kind();
        self.faults.add(
            node.line,
            format!("{key}: {expected} is expected, not {found}"),
        );
    }

    pub(super) fn text(&self, key: &'static str) -> Option<String> {
        let node = self.get(key)?;
        match &node.value {
            Value::Text(text) => Some(text.clone()),
            _ => {
                self.wrong(key, node, "a text");
                None
            }
        }
    }

    pub(super) fn truth(&self, key: &'static str) -> Option<bool> {
        let node = self.get(key)?;
        match node.value {
            Value::Truth(truth) => Some(truth),
            _ => {
                self.wrong(key, node, "true or false");
                None
            }
        }
    }

    /// A number from `least` on.
    pub(super) fn number(&self, key: &'static str, least: f64) -> Option<f64> {
        let node = self.get(key)?;
        match node.value {
            Value::Number(number) if number >= least => Some(number),
            Value::Number(_) => {
                self.faults
                    .add(node.line, format!("{key}: at least {least} is expected"));
                None
            }
            _ => {
                self.wrong(key, node, "a number");
                None
            }
        }
    }

    /// A whole number from `least` on, that fits.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked: whole, and between 0 and 2^32"
    )]
    pub(super) fn count(&self, key: &'static str, least: u32) -> Option<u32> {
        let line = self.get(key)?.line;
        let number = self.number(key, f64::from(least))?;
        if number.fract() != 0.0 || number > f64::from(u32::MAX) {
            self.faults
                .add(line, format!("{key}: a whole number is expected"));
            return None;
        }
        Some(number as u32)
    }

    /// A time as Go writes it.
    pub(super) fn time(&self, key: &'static str) -> Option<Duration> {
        let text = self.text(key)?;
        let line = self.get(key).map_or(self.line, |node| node.line);
        match crate::time::parse(&text) {
            Ok(time) => Some(time),
            Err(error) => {
                self.faults.add(line, format!("{key}: {error}"));
                None
            }
        }
    }

    pub(super) fn table(&self, key: &'static str) -> Option<Table<'a>> {
        Some(Table::of(self.faults, self.get(key)?, key))
    }

    pub(super) fn list(&self, key: &'static str) -> &'a [Node] {
        let Some(node) = self.get(key) else {
            return &[];
        };
        match &node.value {
            Value::List(each) => each,
            _ => {
                self.wrong(key, node, "a list");
                &[]
            }
        }
    }

    pub(super) fn tables(&self, key: &'static str) -> Vec<Table<'a>> {
        let each = self.list(key).iter();
        each.map(|node| Table::of(self.faults, node, key)).collect()
    }

    pub(super) fn texts(&self, key: &'static str) -> Vec<String> {
        let read = |node: &Node| match &node.value {
            Value::Text(text) => Some(text.clone()),
            _ => {
                self.wrong(key, node, "a text");
                None
            }
        };
        self.list(key).iter().filter_map(read).collect()
    }

    /// All pairs of a table whose keys are names of things.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&'a str, &'a Node)> {
        self.fields.iter().map(|(name, node)| (name.as_str(), node))
    }

    /// Names the fields that nobody asked for.
    pub(super) fn end(self, what: &str) {
        let asked = self.asked.borrow();
        for (name, node) in self.fields {
            if !asked.contains(name.as_str()) {
                self.faults
                    .add(node.line, format!("{what} has no field `{name}`"));
            }
        }
    }
}
