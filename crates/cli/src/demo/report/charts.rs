//! Which charts there are, and what they show.

use super::{
    axis::Axis,
    bars::{self, Bar, Group},
    lines::{self, Line},
};
use crate::demo::{
    drive::{Record, Run},
    figures::{answered, by_replica, computed, hits, ms, number, percentile, share, time},
    workload::Kind,
};
use std::{fmt::Write as _, time::Duration};

/// Classes of the style sheet, by the place of a run.
const CLASSES: [&str; 2] = ["before", "after"];

/// All of them, as figures of the page.
pub(super) fn all(runs: &[Run]) -> Vec<String> {
    vec![
        first_tokens(runs),
        prefill(runs),
        hits_by_kind(runs),
        first_tokens_by_kind(runs),
        hits_by_turn(runs),
        replicas(runs),
    ]
}

fn figure(title: &str, says: &str, keys: &[(&str, &str)], drawing: &str) -> String {
    let mut legend = String::new();
    for (class, name) in keys {
        _ = write!(legend, "<span class=\"key {class}\">{name}</span>");
    }
    format!(
        "<figure><figcaption><h3>{title}</h3><p>{says}</p><p class=\"legend\">{legend}</p>\
         </figcaption>\n{drawing}</figure>\n"
    )
}

fn policies(runs: &[Run]) -> Vec<(&'static str, &'static str)> {
    let named = CLASSES.iter().zip(runs);
    named.map(|(class, run)| (*class, run.policy)).collect()
}

fn times<'r>(records: impl Iterator<Item = &'r Record>) -> Vec<Duration> {
    records.map(|record| record.first).collect()
}

/// How many requests had their first token by when.
fn first_tokens(runs: &[Run]) -> String {
    let line = |(class, run): (&&'static str, &Run)| {
        let mut ordered = times(answered(&run.records));
        ordered.sort_unstable();
        let count = ordered.len().max(1) as f64;
        let points = ordered.iter().zip(1..);
        let marked = [(50, "half of all requests"), (95, "95 % of all requests")];
        let marked = marked.map(|(percent, what)| {
            let time_at = percentile(&ordered, percent);
            let point = (ms(time_at), percent as f64 / 100.0);
            (
                point,
                format!("{}: {what} within {}", run.policy, time(time_at)),
            )
        });
        Line {
            class,
            points: points
                .map(|(first, rank)| (ms(*first), f64::from(rank) / count))
                .collect(),
            marked: marked.into(),
        }
    };
    let lines: Vec<Line> = CLASSES.iter().zip(runs).map(line).collect();
    let all = lines.iter().flat_map(|line| &line.points);
    let (least, most) = all.fold((f64::INFINITY, 0.0_f64), |(least, most), (x, _)| {
        (least.min(*x), most.max(*x))
    });
    let x = Axis::log(least, most, "time to first token, ms (log)", "");
    let y = Axis::even(1.0, "requests", "%");
    figure(
        "Time to first token",
        "Share of requests answered by then. Dots: median and 95th percentile.",
        &policies(runs),
        &lines::draw("Time to first token of all requests", &x, &y, &lines),
    )
}

/// Prompt tokens computed so far.
fn prefill(runs: &[Run]) -> String {
    let line = |(class, run): (&&'static str, &Run)| {
        let mut sum = 0;
        let sums = answered(&run.records).map(|record| {
            sum += computed(record);
            sum as f64
        });
        let points: Vec<(f64, f64)> = (1..)
            .zip(sums)
            .map(|(place, sum)| (f64::from(place), sum))
            .collect();
        let end = points.last().copied().unwrap_or_default();
        Line {
            class,
            marked: vec![(end, format!("{}: {} tokens", run.policy, number(end.1)))],
            points: [vec![(0.0, 0.0)], points].concat(),
        }
    };
    let lines: Vec<Line> = CLASSES.iter().zip(runs).map(line).collect();
    let ends = || lines.iter().filter_map(|line| line.points.last());
    let most = |of: fn(&(f64, f64)) -> f64| ends().map(of).fold(0.0, f64::max);
    let x = Axis::even(most(|end| end.0), "requests", "");
    let y = Axis::even(most(|end| end.1), "tokens", "");
    figure(
        "Prompt tokens computed",
        "What the replicas had to prefill because it was not in their cache.",
        &policies(runs),
        &lines::draw("Prompt tokens computed, request by request", &x, &y, &lines),
    )
}

fn of_kind(run: &Run, kind: Kind) -> impl Iterator<Item = &Record> {
    answered(&run.records).filter(move |record| record.kind == kind)
}

fn hits_by_kind(runs: &[Run]) -> String {
    let bar = |(class, run): (&&'static str, &Run), kind: Kind| {
        let ratio = hits(of_kind(run, kind));
        Bar {
            pieces: vec![(class, ratio, format!("{}: {}", run.policy, share(ratio)))],
            text: share(ratio),
        }
    };
    let group = |kind: Kind| Group {
        name: kind.name().into(),
        bars: CLASSES.iter().zip(runs).map(|run| bar(run, kind)).collect(),
    };
    figure(
        "Cache hits by kind of request",
        "Share of prompt tokens that the replica had cached.",
        &policies(runs),
        &bars::draw("Cache hits by kind of request", &Kind::ALL.map(group), 1.0),
    )
}

fn first_tokens_by_kind(runs: &[Run]) -> String {
    let figures = |run: &Run, kind: Kind| {
        let times = times(of_kind(run, kind));
        (percentile(&times, 50), percentile(&times, 95))
    };
    let bar = |(class, run): (&&'static str, &Run), kind: Kind| {
        let (p50, p95) = figures(run, kind);
        let (tail, policy) = (
            if *class == "before" {
                "before tail"
            } else {
                "after tail"
            },
            run.policy,
        );
        Bar {
            pieces: vec![
                (class, ms(p50), format!("{policy}: median {}", time(p50))),
                (
                    tail,
                    ms(p95) - ms(p50),
                    format!("{policy}: p95 {}", time(p95)),
                ),
            ],
            text: format!("{} · {}", number(ms(p50)), time(p95)),
        }
    };
    let group = |kind: Kind| Group {
        name: kind.name().into(),
        bars: CLASSES.iter().zip(runs).map(|run| bar(run, kind)).collect(),
    };
    let all = runs
        .iter()
        .flat_map(|run| Kind::ALL.map(|kind| ms(figures(run, kind).1)));
    let most = all.fold(1.0, f64::max);
    figure(
        "Time to first token by kind of request",
        "Median, and in a lighter tone up to the 95th percentile.",
        &policies(runs),
        &bars::draw("Time to first token by kind", &Kind::ALL.map(group), most),
    )
}

/// A chat's next turn carries all before: whoever answered them has most of it.
fn hits_by_turn(runs: &[Run]) -> String {
    let turns = runs
        .iter()
        .flat_map(|run| of_kind(run, Kind::Chat).map(|record| record.turn + 1))
        .max();
    let line = |(class, run): (&&'static str, &Run)| {
        let point = |turn: usize| {
            let ratio = hits(of_kind(run, Kind::Chat).filter(|record| record.turn + 1 == turn));
            (
                (turn as f64, ratio),
                format!("{}, turn {turn}: {}", run.policy, share(ratio)),
            )
        };
        let marked: Vec<((f64, f64), String)> = (1..=turns.unwrap_or(0)).map(point).collect();
        Line {
            class,
            points: marked.iter().map(|(point, _)| *point).collect(),
            marked,
        }
    };
    let lines: Vec<Line> = CLASSES.iter().zip(runs).map(line).collect();
    let x = Axis::count(turns.unwrap_or(1), "turn of the chat");
    let y = Axis::even(1.0, "cached", "%");
    figure(
        "Cache hits as chats go on",
        "A later turn carries all before it, and its replica computed them.",
        &policies(runs),
        &lines::draw("Cache hits by turn of a chat", &x, &y, &lines),
    )
}

/// Prompt tokens of each replica.
fn replicas(runs: &[Run]) -> String {
    let bar = |(cached, fresh): (usize, usize)| {
        let (cached, fresh) = (cached as f64, fresh as f64);
        Bar {
            pieces: vec![
                ("fresh", fresh, format!("{} computed", number(fresh))),
                ("cached", cached, format!("{} cached", number(cached))),
            ],
            text: format!("{} computed", number(fresh)),
        }
    };
    let group = |run: &Run| Group {
        name: run.policy.into(),
        bars: by_replica(run).into_iter().map(bar).collect(),
    };
    let groups: Vec<Group> = runs.iter().map(group).collect();
    let all = runs.iter().flat_map(by_replica);
    let most = all.map(|(cached, fresh)| cached + fresh).max().unwrap_or(1);
    figure(
        "Work of each replica",
        "Prompt tokens of its requests: computed, or found in its cache.",
        &[("fresh", "computed"), ("cached", "cached")],
        &bars::draw("Prompt tokens of each replica", &groups, most as f64),
    )
}
