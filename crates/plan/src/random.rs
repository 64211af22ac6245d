//! Seeded randomness: `SplitMix64`, and the few distributions that workloads need.

use onefill_kv::{GOLDEN, mix};

/// A stream of numbers that its seed fixes.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The stream of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// Uniform from 0 (in) to 1 (out).
    pub fn unit(&mut self) -> f64 {
        (self.number() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform from 0 to `bound` (out).
    pub fn below(&mut self, bound: usize) -> usize {
        let product = u128::from(self.number()) * bound as u128;
        (product >> 64) as usize
    }

    /// Uniform from `least` to `most`, both in.
    pub fn between(&mut self, least: u32, most: u32) -> u32 {
        let span = most.saturating_sub(least) as usize + 1;
        least + self.below(span) as u32
    }

    /// Exponential with this mean: the gap of Poisson arrivals.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }

    /// Log-normal with this median, `sigma` wide.
    pub fn log_normal(&mut self, median: f64, sigma: f64) -> f64 {
        let (u, v) = (1.0 - self.unit(), self.unit());
        let normal = (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
        median * (sigma * normal).exp()
    }

    /// A place among `count`, the first ones oftener (Zipf's law with exponent `skew`).
    pub fn zipf(&mut self, count: usize, skew: f64) -> usize {
        let weight = |place: usize| (place as f64 + 1.0).powf(-skew);
        let total: f64 = (0..count).map(weight).sum();
        let mut left = self.unit() * total;
        for place in 0..count {
            left -= weight(place);
            if left < 0.0 {
                return place;
            }
        }
        count.saturating_sub(1)
    }

    /// A random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}
