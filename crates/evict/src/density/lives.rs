//! How long blocks wait for their next use, by class, and what that makes a block worth at an age.
//!
//! Worth is the most hits for the time spent waiting, over all times that one could go on waiting:
//!
//! ```text
//! worth(age) = max over t of  P(used within t | not used until age) / E[time waited, at most t]
//! ```
//!
//! That index makes evicting the least of them the best that can be done where waits are
//! independent (Gittins). Waits are in uses of any block, which are the cache's own time; ages are
//! told apart by half octaves.

use super::class::CLASSES;

/// Half octaves of age, from [`FIRST`] on.
const AGES: usize = 44;
/// Ages up to 2^this are of the first.
const FIRST: u32 = 4;
/// Waits lose half of their weight after uses in number of so many times the resident blocks.
const HALF_LIFE: f32 = 50.0;
/// What all classes together say counts for so many waits in each.
const COMMON: f32 = 6.0;
/// Before anything was seen, one wait in so many ends in each half octave.
const PRIOR: f32 = 0.05;
const PRIOR_WAITS: f32 = 2.0;

/// Waits that ended in each half octave: with a use, or unknown.
#[derive(Clone, Copy, Debug)]
struct Waits {
    used: [f32; AGES],
    lost: [f32; AGES],
}

const NONE: Waits = Waits {
    used: [0.0; AGES],
    lost: [0.0; AGES],
};

/// See the module.
#[derive(Debug)]
pub(super) struct Lives {
    waits: Vec<Waits>,
    worth: Vec<[f32; AGES]>,
}

impl Default for Lives {
    fn default() -> Self {
        let mut lives = Self {
            waits: vec![NONE; CLASSES],
            worth: vec![[0.0; AGES]; CLASSES],
        };
        lives.refresh(0);
        lives
    }
}

impl Lives {
    /// A block of the sample was used at that age.
    pub(super) fn used(&mut self, class: usize, age: u32) {
        self.waits[class].used[half_octave(age)] += 1.0;
    }

    /// One was forgotten at that age.
    pub(super) fn lost(&mut self, class: usize, age: u32) {
        self.waits[class].lost[half_octave(age)] += 1.0;
    }

    /// What a block of a class is worth at that age: hits a use.
    pub(super) fn value(&self, class: usize, age: u32) -> f32 {
        self.worth[class][half_octave(age)]
    }

    /// Makes all values anew; `resident` blocks are there.
    pub(super) fn refresh(&mut self, resident: u32) {
        let passed = (resident / super::REFRESH_SHARE).max(super::REFRESH_MIN) as f32;
        let kept = (-passed / (HALF_LIFE * resident.max(1) as f32)).exp2();
        let mut common = NONE;
        for waits in &mut self.waits {
            for age in 0..AGES {
                waits.used[age] *= kept;
                waits.lost[age] *= kept;
                common.used[age] += waits.used[age];
                common.lost[age] += waits.lost[age];
            }
        }
        let common = hazards(&common, &[PRIOR; AGES], PRIOR_WAITS);
        for (waits, worth) in self.waits.iter().zip(&mut self.worth) {
            *worth = worths(&hazards(waits, &common, COMMON));
        }
    }
}

/// Share of the waits that come to each half octave and end there with a use; where few came there,
/// `usual` weighs as much as so many.
fn hazards(waits: &Waits, usual: &[f32; AGES], weight: f32) -> [f32; AGES] {
    let mut hazards = [0.0; AGES];
    let mut came = 0.0;
    for age in (0..AGES).rev() {
        came += waits.used[age] + waits.lost[age];
        hazards[age] = (waits.used[age] + weight * usual[age]) / (came + weight);
    }
    hazards
}

fn worths(hazards: &[f32; AGES]) -> [f32; AGES] {
    let mut worths = [0.0_f32; AGES];
    for (age, worth) in worths.iter_mut().enumerate() {
        let (mut left, mut hits, mut waited) = (1.0_f32, 0.0_f32, 0.0_f32);
        for (later, hazard) in hazards.iter().enumerate().skip(age) {
            let ended = left * hazard;
            hits += ended;
            // Those that are used in it wait half of it.
            waited += (left - ended / 2.0) * width(later);
            left -= ended;
            *worth = worth.max(hits / waited);
        }
    }
    worths
}

/// The half octave of an age.
pub(super) fn half_octave(age: u32) -> usize {
    let octave = age.max(1).ilog2();
    if octave < FIRST {
        return 0;
    }
    let upper = age >> (octave - 1) & 1;
    ((2 * (octave - FIRST) + upper + 1) as usize).min(AGES - 1)
}

/// Ages in a half octave.
fn width(bucket: usize) -> f32 {
    match bucket.checked_sub(1) {
        None => (1_u32 << FIRST) as f32,
        Some(half) => {
            let octave = FIRST + half as u32 / 2;
            (1_u64 << octave) as f32 / 2.0
        }
    }
}
