//! Classes: what blocks have in common that wait alike for their next use.
//!
//! Few, for what is learned of each comes from whole prompts, whose blocks wait together: a thousand
//! blocks of one prompt are one observation.

use super::lives::half_octave;

/// Uses that are told apart: none since it came, one, more.
const USES: u8 = 3;
/// Rhythms: none, then the time between a block's last two uses in steps of so many half octaves.
const RHYTHMS: u8 = 21;
const RHYTHM_STEP: usize = 2;
/// All classes; a ghost has six bits for its own.
pub(super) const CLASSES: usize = USES as usize * RHYTHMS as usize;

/// A class, by its place among all.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Class(pub(super) u8);

impl Class {
    /// Of a block of this class that is used again after so many uses of others.
    pub(super) fn again(self, age: u32) -> Self {
        let uses = (self.0 / RHYTHMS + 1).min(USES - 1);
        let rhythm = 1 + (half_octave(age) / RHYTHM_STEP).min(usize::from(RHYTHMS) - 2);
        Self(uses * RHYTHMS + rhythm as u8)
    }

    /// Its place.
    pub(super) fn place(self) -> usize {
        usize::from(self.0)
    }
}
