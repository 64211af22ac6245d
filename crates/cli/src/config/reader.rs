//! Takes a TOML table apart key by key, and names what nobody asked for.

use super::Faults;
use std::{cell::RefCell, collections::BTreeSet, fmt, ops::RangeInclusive};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// A file being read.
#[derive(Debug)]
pub(super) struct Reading<'t> {
    pub(super) file: &'t str,
    pub(super) text: &'t str,
    pub(super) faults: RefCell<Faults>,
}

impl Reading<'_> {
    /// `FILE:LINE` of a byte.
    pub(super) fn place(&self, byte: usize) -> String {
        let before = self.text.as_bytes().get(..byte).unwrap_or_default();
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        format!("{}:{line}", self.file)
    }

    pub(super) fn fault(&self, byte: usize, what: impl Into<String>) {
        let place = self.place(byte);
        self.faults.borrow_mut().add(place, what);
    }
}

/// One table of it. Each key may be asked for once; [`Table::end`] names the rest.
pub(super) struct Table<'r, 't> {
    reading: &'r Reading<'t>,
    table: Option<&'r DeTable<'t>>,
    /// Where it stands in the file, as in `limits.`
    path: String,
    asked: RefCell<BTreeSet<&'static str>>,
}

impl<'r, 't> Table<'r, 't> {
    pub(super) fn root(reading: &'r Reading<'t>, table: &'r DeTable<'t>) -> Self {
        Self {
            reading,
            table: Some(table),
            path: String::new(),
            asked: RefCell::default(),
        }
    }

    fn get(&self, key: &'static str) -> Option<&'r Spanned<DeValue<'t>>> {
        self.asked.borrow_mut().insert(key);
        self.table?.get(key)
    }

    /// A fault at a key; at the table's first key where it isn't there.
    pub(super) fn fault(&self, key: &'static str, what: &str) {
        let first = || self.table?.iter().next().map(|(key, _)| key.span().start);
        let at = self.get(key).map(|value| value.span().start).or_else(first);
        self.reading.fault(at.unwrap_or(0), what);
    }

    fn wrong(&self, key: &str, value: &Spanned<DeValue<'_>>, expected: &str) {
        let found = value.get_ref().type_str();
        let what = format!("{}{key}: expected {expected}, found {found}", self.path);
        self.reading.fault(value.span().start, what);
    }

    /// A text.
    pub(super) fn text(&self, key: &'static str) -> Option<String> {
        let value = self.get(key)?;
        let text = value.get_ref().as_str().map(str::to_owned);
        if text.is_none() {
            self.wrong(key, value, "a string");
        }
        text
    }

    /// A text that `parse` understands.
    pub(super) fn parsed<T, E: fmt::Display>(
        &self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(key)?;
        let fault = |error: E| {
            let at = self.get(key).map_or(0, |value| value.span().start);
            self.reading
                .fault(at, format!("{}{key}: {error}", self.path));
        };
        parse(&text).map_err(fault).ok()
    }

    /// A truth.
    pub(super) fn flag(&self, key: &'static str) -> Option<bool> {
        let value = self.get(key)?;
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            self.wrong(key, value, "true or false");
        }
        flag
    }

    /// A whole number in bounds.
    pub(super) fn number(&self, key: &'static str, bounds: RangeInclusive<u64>) -> Option<u64> {
        let value = self.get(key)?;
        let number = value
            .get_ref()
            .as_integer()
            .and_then(|digits| i128::from_str_radix(digits.as_str(), digits.radix()).ok());
        let (least, most) = (*bounds.start(), *bounds.end());
        match number.map(u64::try_from) {
            Some(Ok(number)) if bounds.contains(&number) => Some(number),
            Some(_) => {
                let what = format!("{}{key}: must be from {least} to {most}", self.path);
                self.reading.fault(value.span().start, what);
                None
            }
            None => {
                self.wrong(key, value, "a whole number");
                None
            }
        }
    }

    /// Texts.
    pub(super) fn texts(&self, key: &'static str) -> Option<Vec<String>> {
        let value = self.get(key)?;
        let texts = value.get_ref().as_array().map(|array| {
            array
                .iter()
                .map(|item| item.get_ref().as_str().map(str::to_owned))
                .collect()
        });
        match texts {
            Some(Some(texts)) => Some(texts),
            _ => {
                self.wrong(key, value, "a list of strings");
                None
            }
        }
    }

    /// A table within; an empty one where it isn't there.
    pub(super) fn table(&self, key: &'static str) -> Self {
        let value = self.get(key);
        let table = value.and_then(|value| value.get_ref().as_table());
        if let (Some(value), None) = (value, table) {
            self.wrong(key, value, "a table");
        }
        self.within(key, table)
    }

    /// Whether there is such a key.
    pub(super) fn has(&self, key: &'static str) -> bool {
        self.get(key).is_some()
    }

    /// Tables in a list.
    pub(super) fn tables(&self, key: &'static str) -> Vec<Self> {
        let Some(value) = self.get(key) else {
            return Vec::new();
        };
        let Some(array) = value.get_ref().as_array() else {
            self.wrong(key, value, "a list of tables");
            return Vec::new();
        };
        let table = |item: &'r Spanned<DeValue<'t>>| {
            let table = item.get_ref().as_table();
            if table.is_none() {
                self.wrong(key, item, "a table");
            }
            table.map(|table| self.within(key, Some(table)))
        };
        array.iter().filter_map(table).collect()
    }

    fn within(&self, key: &str, table: Option<&'r DeTable<'t>>) -> Self {
        let path = format!("{}{key}.", self.path);
        Self {
            reading: self.reading,
            table,
            path,
            asked: RefCell::default(),
        }
    }

    /// All pairs of a table whose keys are names of things.
    pub(super) fn pairs(&self) -> Vec<(String, String)> {
        let mut pairs = Vec::new();
        for (key, value) in self.table.into_iter().flatten() {
            match value.get_ref().as_str() {
                Some(text) => pairs.push((key.get_ref().to_string(), text.to_owned())),
                None => self.wrong(key.get_ref(), value, "a string"),
            }
        }
        pairs
    }

    /// Names the keys that nobody asked for.
    pub(super) fn end(self) {
        let asked = self.asked.borrow();
        for (key, _) in self.table.into_iter().flatten() {
            let name: &str = key.get_ref();
            if !asked.contains(name) {
                let guess = nearest(name, &asked)
                    .map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
                let what = format!("unknown key `{}{name}`{guess}", self.path);
                self.reading.fault(key.span().start, what);
            }
        }
    }
}

/// The key that differs least, if it differs little.
fn nearest<'k>(name: &str, keys: &BTreeSet<&'k str>) -> Option<&'k str> {
    let near = keys.iter().map(|key| (distance(name, key), *key)).min()?;
    (near.0 <= 1 + name.len() / 4).then_some(near.1)
}

/// Edits (insert, remove, replace) between two words; long ones are not compared.
fn distance(left: &str, right: &str) -> usize {
    const LONGEST: usize = 64;
    if left.len() > LONGEST {
        return LONGEST;
    }
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.bytes().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], i + 1);
        for (j, r) in right.bytes().enumerate() {
            let replaced = corner + usize::from(l != r);
            corner = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(corner + 1);
        }
    }
    row[right.len()]
}
