//! The table, and what must hold.

use crate::{
    doors::{Door, Kind},
    figures::Figures,
};

/// Prints the table and each goal; gives how many were missed.
pub fn report(table: &[(&Door, Figures)]) -> usize {
    let direct = of(table, Kind::Direct)
        .map(Figures::p50_us)
        .fold(f64::NAN, f64::min);
    println!(
        "{:16} {:>9} {:>9} | {:>9} {:>9} {:>9} {:>9}",
        "door", "p50 us", "added us", "16: req/s", "p50 us", "p99 us", "cpu us"
    );
    for (door, figures) in table {
        println!(
            "{:16} {:9.0} {:9.0} | {:9.0} {:9.0} {:9.0} {:9.0}",
            door.name,
            figures.p50_us(),
            figures.p50_us() - direct,
            figures.requests_s(),
            figures.loaded_us(0.5),
            figures.loaded_us(0.99),
            figures.cpu_us(),
        );
    }
    let best = |value: fn(&Figures) -> f64, better: fn(f64, f64) -> f64| {
        of(table, Kind::Peer).map(value).fold(f64::NAN, better)
    };
    let peer_rate = best(Figures::requests_s, f64::max);
    let peer_p99 = best(|figures| figures.loaded_us(0.99), f64::min);
    let mut missed = 0;
    let mut goal = |holds: bool, sentence: String| {
        println!("{} {sentence}", if holds { "ok    " } else { "FAILED" });
        missed += usize::from(!holds);
    };
    for (kind, most) in [(Kind::Prefix, 100.0), (Kind::Kv, 250.0)] {
        for figures in of(table, kind) {
            let added = figures.p50_us() - direct;
            goal(
                added <= most,
                format!("{kind:?} adds {added:.0} us at the median (at most {most})"),
            );
            let rate = figures.requests_s() / peer_rate;
            goal(
                rate >= 1.5,
                format!(
                    "{kind:?} serves {rate:.2} times the better peer's requests (at least 1.5)"
                ),
            );
            let p99 = figures.loaded_us(0.99) / peer_p99;
            goal(
                p99 <= 0.5,
                format!("{kind:?}'s p99 is {p99:.2} of the better peer's (at most 0.5)"),
            );
        }
    }
    missed
}

fn of<'a>(table: &'a [(&Door, Figures)], kind: Kind) -> impl Iterator<Item = &'a Figures> {
    table
        .iter()
        .filter(move |(door, _)| door.kind == kind)
        .map(|(_, figures)| figures)
}
