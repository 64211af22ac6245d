//! Licences of everything that is built in, against `[licenses].allow` of deny.toml: what
//! `cargo deny check licenses` says, without cargo-deny.

use serde_json::Value;

/// Licences that deny.toml allows. Reads the one list by its own simple form: a text a line, which
/// cargo-deny's own formatter keeps.
pub fn allowed(deny_toml: &str) -> Vec<String> {
    let list = deny_toml
        .split_once("\nallow = [")
        .and_then(|(_, rest)| rest.split_once("\n]"))
        .map_or("", |(list, _)| list);
    let lines = list.lines().filter_map(|line| line.split('"').nth(1));
    lines.map(str::to_owned).collect()
}

/// Sentences, one for each package in the answer of `cargo metadata` whose licence is not allowed.
pub fn faults(metadata: &Value, allowed: &[String]) -> Vec<String> {
    let packages = metadata["packages"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let fault = |package: &Value| {
        let name = package["name"].as_str().unwrap_or_default();
        let Some(licence) = package["license"].as_str() else {
            return Some(format!("{name} names no licence"));
        };
        let fits = Expression::new(licence, allowed).fits();
        (!fits).then(|| format!("{name}: {licence} is not allowed by deny.toml"))
    };
    packages.iter().filter_map(fault).collect()
}

/// An SPDX expression being read; `/` means OR in manifests of old.
struct Expression<'a> {
    words: Vec<String>,
    at: usize,
    allowed: &'a [String],
}

impl<'a> Expression<'a> {
    fn new(text: &str, allowed: &'a [String]) -> Self {
        let spaced = text
            .replace('(', " ( ")
            .replace(')', " ) ")
            .replace('/', " OR ");
        Self {
            words: spaced.split_whitespace().map(str::to_owned).collect(),
            at: 0,
            allowed,
        }
    }

    /// Whether some choice that it leaves is allowed. What can't be read is not.
    fn fits(&mut self) -> bool {
        self.either() && self.at == self.words.len()
    }

    fn passes(&mut self, word: &str) -> bool {
        let passes = self.words.get(self.at).is_some_and(|next| next == word);
        self.at += usize::from(passes);
        passes
    }

    fn either(&mut self) -> bool {
        let mut fits = self.both();
        while self.passes("OR") {
            fits |= self.both();
        }
        fits
    }

    fn both(&mut self) -> bool {
        let mut fits = self.one();
        while self.passes("AND") {
            fits &= self.one();
        }
        fits
    }

    fn one(&mut self) -> bool {
        if self.passes("(") {
            let fits = self.either();
            return self.passes(")") && fits;
        }
        let word = self.words.get(self.at).cloned();
        self.at += 1; // also past the end, so that what ends too early does not fit
        let Some(mut name) = word else {
            return false;
        };
        if self.passes("WITH") {
            let exception = self.words.get(self.at).map_or("", String::as_str);
            name = format!("{name} WITH {exception}");
            self.at += 1;
        }
        self.allowed.contains(&name)
    }
}

#[cfg(test)]
mod tests;
