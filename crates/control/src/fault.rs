//! What is wrong with an input, in words for the person who wrote it.

use std::fmt;

/// One fault, and the field that has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Path of the field: `spec.kvCache.store.url`.
    pub field: String,
    /// What is wrong, in words.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}: {}", self.field, self.what)
    }
}

/// All faults at once; never empty where it is an error.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Faults(pub Vec<Fault>);

impl Faults {
    pub(crate) fn add(&mut self, field: impl Into<String>, what: impl Into<String>) {
        self.0.push(Fault {
            field: field.into(),
            what: what.into(),
        });
    }

    /// An error if there is a fault.
    pub(crate) fn none(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            let between = if index == 0 { "" } else { "; " };
            write!(to, "{between}{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}
