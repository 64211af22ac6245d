//! An axis: where a value stands, and which values are marked.

use crate::demo::figures::number;

/// How values are spread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Spread {
    Even,
    /// Evenly, by one.
    Count,
    /// By powers of ten; values must be above 0.
    Log,
}

/// From `low` to `high`.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    pub(super) low: f64,
    pub(super) high: f64,
    spread: Spread,
    pub(super) title: &'static str,
    unit: &'static str,
}

impl Axis {
    /// From 0 to somewhat more than `most`.
    pub(super) fn even(most: f64, title: &'static str, unit: &'static str) -> Self {
        let step = step(most.max(1e-9));
        Self {
            low: 0.0,
            high: (most / step - 1e-9).ceil().max(1.0) * step,
            spread: Spread::Even,
            title,
            unit,
        }
    }

    /// Whole numbers from 1 on, each marked.
    pub(super) fn count(most: usize, title: &'static str) -> Self {
        Self {
            low: 1.0,
            high: most.max(2) as f64,
            spread: Spread::Count,
            title,
            unit: "",
        }
    }

    /// From the mark below `least` to the mark above `most`.
    pub(super) fn log(least: f64, most: f64, title: &'static str, unit: &'static str) -> Self {
        let least = least.max(0.1);
        let most = most.max(least * 2.0);
        Self {
            low: marks_of_powers(least / 10.0, least)
                .last()
                .copied()
                .unwrap_or(least),
            high: marks_of_powers(most, most * 10.0)
                .first()
                .copied()
                .unwrap_or(most),
            spread: Spread::Log,
            title,
            unit,
        }
    }

    /// From 0 at the low end to 1 at the high end.
    pub(super) fn place(&self, value: f64) -> f64 {
        let place = match self.spread {
            Spread::Even | Spread::Count => (value - self.low) / (self.high - self.low),
            Spread::Log => (value.max(self.low) / self.low).ln() / (self.high / self.low).ln(),
        };
        place.clamp(0.0, 1.0)
    }

    /// Marked values with their texts.
    pub(super) fn marks(&self) -> Vec<(f64, String)> {
        let values = match self.spread {
            Spread::Log => marks_of_powers(self.low, self.high),
            Spread::Even => steps(self.low, step(self.high), self.high),
            Spread::Count => steps(self.low, 1.0, self.high),
        };
        let text = |value: f64| (value, self.text(value));
        values.into_iter().map(text).collect()
    }

    fn text(&self, value: f64) -> String {
        let unit = self.unit;
        if self.unit == "%" {
            format!("{:.0} %", value * 100.0)
        } else if value >= 10_000.0 {
            format!("{}k{unit}", number(value / 1000.0))
        } else {
            format!("{}{unit}", number(value))
        }
    }
}

fn steps(low: f64, step: f64, high: f64) -> Vec<f64> {
    let marks = (0_u16..).map(|mark| low + f64::from(mark) * step);
    marks
        .take_while(|mark| *mark <= high + step * 1e-6)
        .collect()
}

/// A step of 1, 2 or 5 that makes four to eight marks.
fn step(high: f64) -> f64 {
    let power = 10_f64.powf((high / 4.0).log10().floor());
    let steps = [5.0, 2.0, 1.0].map(|step| step * power);
    steps
        .into_iter()
        .find(|step| high / step >= 3.9)
        .unwrap_or(power)
}

/// 1, 2 and 5 times powers of ten within bounds.
fn marks_of_powers(low: f64, high: f64) -> Vec<f64> {
    let powers = (-3..9).flat_map(|power| [1.0, 2.0, 5.0].map(|one| one * 10_f64.powi(power)));
    powers
        .filter(|mark| *mark >= low * 0.999 && *mark <= high * 1.001)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round_and_hold_all_values() {
        for most in [0.7, 1.0, 3.0, 240.0, 99_999.0] {
            let axis = Axis::even(most, "", "");
            assert!(axis.high >= most && axis.marks().len() >= 3 && axis.marks().len() <= 11);
            assert!((axis.place(0.0)).abs() < 1e-9 && (axis.place(axis.high) - 1.0).abs() < 1e-9);
        }
        let counted = Axis::count(3, "").marks();
        let texts: Vec<&str> = counted.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, ["1", "2", "3"]);
        let axis = Axis::log(7.0, 1300.0, "", "");
        assert!((axis.low - 5.0).abs() < 1e-9 && (axis.high - 2000.0).abs() < 1e-9);
        assert!((axis.place(100.0) - (20_f64).ln() / (400_f64).ln()).abs() < 1e-9);
    }

    #[test]
    fn long_numbers_are_shortened() {
        let text = |value, unit| Axis::even(1.0, "", unit).text(value);
        assert_eq!(text(0.25, "%"), "25 %");
        assert_eq!(text(20_000.0, ""), "20k");
        assert_eq!(text(2_000.0, " ms"), "2,000 ms");
    }
}
