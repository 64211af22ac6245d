//! What is wrong with a configuration, and where.

use std::fmt;

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// `FILE:LINE`, or the flag.
    pub place: String,
    /// What is wrong, and what was expected.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// All that is wrong.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Faults(pub Vec<Fault>);

impl Faults {
    /// One more.
    pub fn add(&mut self, place: impl Into<String>, what: impl Into<String>) {
        self.0.push(Fault {
            place: place.into(),
            what: what.into(),
        });
    }

    /// The value, or a fault at `place`.
    pub fn keep<T, E: fmt::Display>(&mut self, place: &str, parsed: Result<T, E>) -> Option<T> {
        parsed
            .map_err(|error| self.add(place, error.to_string()))
            .ok()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|fault| writeln!(f, "{fault}"))
    }
}
