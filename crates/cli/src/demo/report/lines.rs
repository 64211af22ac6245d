//! A chart of lines.

use super::axis::Axis;
use std::fmt::Write as _;

/// One line.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// Class in the style sheet, which gives its colour.
    pub(super) class: &'static str,
    pub(super) points: Vec<(f64, f64)>,
    /// Points that are marked, each with what it says.
    pub(super) marked: Vec<((f64, f64), String)>,
}

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 250.0;
/// Room for marks and titles: left, right, top, bottom.
const ROOM: (f64, f64, f64, f64) = (52.0, 16.0, 14.0, 42.0);

/// Places on the drawing.
struct Plot<'a> {
    x: &'a Axis,
    y: &'a Axis,
}

impl Plot<'_> {
    fn at(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let (left, right, top, bottom) = ROOM;
        (
            left + self.x.place(x) * (WIDTH - left - right),
            HEIGHT - bottom - self.y.place(y) * (HEIGHT - top - bottom),
        )
    }
}

/// Draws lines over two axes.
pub(super) fn draw(label: &str, x: &Axis, y: &Axis, lines: &[Line]) -> String {
    let plot = Plot { x, y };
    let mut svg =
        format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{label}\">\n");
    grid(&plot, &mut svg);
    for line in lines {
        let mut path = String::new();
        for (place, point) in line.points.iter().enumerate() {
            let (x, y) = plot.at(*point);
            let pen = if place == 0 { 'M' } else { 'L' };
            _ = write!(path, "{pen}{x:.1} {y:.1}");
        }
        _ = writeln!(svg, "<path class=\"line {}\" d=\"{path}\"/>", line.class);
        for (point, says) in &line.marked {
            let (x, y) = plot.at(*point);
            _ = writeln!(
                svg,
                "<circle class=\"dot {}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\">\
                 <title>{says}</title></circle>",
                line.class
            );
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn grid(plot: &Plot<'_>, svg: &mut String) {
    let (left, right, top, bottom) = ROOM;
    let (end, floor) = (WIDTH - right, HEIGHT - bottom);
    for (value, text) in plot.y.marks() {
        let (_, y) = plot.at((plot.x.low, value));
        _ = writeln!(
            svg,
            "<path class=\"grid\" d=\"M{left} {y:.1}H{end}\"/>\
             <text class=\"mark\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
            left - 8.0,
            y + 4.0
        );
    }
    for (value, text) in plot.x.marks() {
        let (x, _) = plot.at((value, plot.y.low));
        _ = writeln!(
            svg,
            "<text class=\"mark\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{text}</text>",
            floor + 17.0
        );
    }
    _ = writeln!(
        svg,
        "<path class=\"base\" d=\"M{left} {floor}H{end}\"/>\
         <text class=\"title\" x=\"{end}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
         <text class=\"title\" x=\"{left}\" y=\"{:.1}\">{}</text>",
        HEIGHT - 6.0,
        plot.x.title,
        top - 4.0,
        plot.y.title
    );
}
