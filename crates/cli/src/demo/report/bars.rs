//! A chart of bars that lie, in groups.

use std::fmt::Write as _;

/// Bars with one name.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) bars: Vec<Bar>,
}

/// Pieces one after the other, and a text behind them.
#[derive(Clone, Debug)]
pub(super) struct Bar {
    /// Class in the style sheet, length, and what it says.
    pub(super) pieces: Vec<(&'static str, f64, String)>,
    pub(super) text: String,
}

const WIDTH: f64 = 480.0;
/// Where bars begin.
const LEFT: f64 = 124.0;
/// A letter of the texts behind bars, at most.
const LETTER: f64 = 6.6;
const THICK: f64 = 18.0;
const BETWEEN_BARS: f64 = 4.0;
const BETWEEN_GROUPS: f64 = 22.0;

/// Draws groups of bars from 0 to `most`.
pub(super) fn draw(label: &str, groups: &[Group], most: f64) -> String {
    let bars: usize = groups.iter().map(|group| group.bars.len()).sum();
    let height = bars as f64 * (THICK + BETWEEN_BARS) + groups.len() as f64 * BETWEEN_GROUPS;
    let mut svg =
        format!("<svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"{label}\">\n");
    let texts = groups.iter().flat_map(|group| &group.bars);
    let longest = texts.map(|bar| bar.text.chars().count()).max().unwrap_or(0);
    let scale = (WIDTH - LEFT - 10.0 - longest as f64 * LETTER) / most.max(1e-9);
    let mut y = BETWEEN_GROUPS / 2.0;
    for group in groups {
        let middle = y + group.bars.len() as f64 * (THICK + BETWEEN_BARS) / 2.0;
        _ = writeln!(
            svg,
            "<text class=\"name\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 10.0,
            middle + 3.0,
            group.name
        );
        for bar in &group.bars {
            one(bar, y, scale, &mut svg);
            y += THICK + BETWEEN_BARS;
        }
        y += BETWEEN_GROUPS;
    }
    _ = writeln!(
        svg,
        "<path class=\"base\" d=\"M{LEFT} 0V{height:.0}\"/></svg>"
    );
    svg
}

fn one(bar: &Bar, y: f64, scale: f64, svg: &mut String) {
    let mut x = LEFT;
    for (class, length, says) in &bar.pieces {
        let width = length * scale;
        _ = writeln!(
            svg,
            "<rect class=\"bar {class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" \
             height=\"{THICK}\"><title>{says}</title></rect>"
        );
        x += width;
    }
    _ = writeln!(
        svg,
        "<text class=\"value\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
        x + 7.0,
        y + THICK - 5.0,
        bar.text
    );
}
