//! Who may come in, and to which namespace.

use crate::door::secret::is_same;
use std::{collections::BTreeMap, fmt};

/// A user of AUTH.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// What proves it.
    pub password: String,
    /// Where its keys are.
    pub namespace: String,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut user = f.debug_struct("User");
        user.field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

/// All users, by name.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Users(pub BTreeMap<String, User>);

impl Users {
    /// Whether anybody may come in.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.is_empty()
    }

    /// The user of that name, if the password is its own.
    #[must_use]
    pub fn check(&self, name: &[u8], password: &[u8]) -> Option<&User> {
        let user = self.0.get(std::str::from_utf8(name).ok()?)?;
        is_same(user.password.as_bytes(), password).then_some(user)
    }
}
