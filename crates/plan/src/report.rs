//! Outcomes for people and programs.

mod html;
mod table;

pub use html::html;
pub use table::table;

use crate::sim::Outcome;

/// Outcomes of one topology, one for each policy.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Section {
    /// The topology, in words.
    pub title: String,
    /// Outcomes, in the order asked.
    pub outcomes: Vec<Outcome>,
}
