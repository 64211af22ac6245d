//! Rounds in which each index takes its turn, so that what else the machine does hits all alike.

use std::collections::BTreeMap;

use crate::meter::{heap_bytes, median};
use crate::report::{Bar, Report};
use crate::subjects::{Event, SUBJECTS, Subject, blocks};
use crate::trace::Request;
use crate::truth::Truth;
use crate::work::{Node, Work};
use crate::{meter, work};

/// Figures by what was measured, by who, of each round.
#[derive(Default)]
pub struct Figures(BTreeMap<(&'static str, String), Vec<f64>>);

impl Figures {
    fn add(&mut self, what: &'static str, who: &str, figure: f64) {
        self.0
            .entry((what, who.to_owned()))
            .or_default()
            .push(figure);
    }

    fn add_lookups(&mut self, found: Vec<(&'static str, meter::Latency)>) {
        for (who, latency) in found {
            self.add("lookup p50", who, latency.p50);
            self.add("lookup p99", who, latency.p99);
            self.add("lookup mean", who, latency.mean);
        }
    }

    fn of(&self, what: &str) -> Vec<(String, f64)> {
        let of = self.0.iter().filter(|((of, _), _)| *of == what);
        of.map(|((_, who), rounds)| (who.clone(), median(rounds.iter().copied())))
            .collect()
    }

    fn print(&self, units: &[(&'static str, &str)]) {
        for (what, unit) in units {
            for (who, figure) in self.of(what) {
                println!("       {what:<12} {who:<24} {figure:>9.1} {unit}");
            }
        }
    }

    fn judge(&self, report: &mut Report, name: &str, what: &str, unit: &str, bar: Bar) {
        let all = self.of(what);
        let is_ours = |who: &str| who.starts_with("onefill");
        let ours = all
            .iter()
            .find(|(who, _)| who == "onefill")
            .map_or(f64::NAN, |of| of.1);
        let peers: Vec<_> = all.into_iter().filter(|(who, _)| !is_ours(who)).collect();
        report.bar(&format!("{name}: {what}"), unit, ours, &peers, bar);
    }

    fn judge_speed(&self, report: &mut Report, name: &str) {
        self.judge(report, name, "lookup p50", "ns", Bar::OfPeer(0.7));
        self.judge(report, name, "store", "ns CPU a block", Bar::OfPeer(0.6));
        self.judge(report, name, "remove", "ns CPU a block", Bar::OfPeer(0.8));
    }
}

const UNITS: [(&str, &str); 7] = [
    ("store", "ns CPU a block"),
    ("remove", "ns CPU a block"),
    ("lookup p50", "ns"),
    ("lookup p99", "ns"),
    ("lookup mean", "ns"),
    ("heap", "bytes a pair"),
    ("wrong", "queries of 50,000, after five phases"),
];

/// How often, and beside whom.
#[derive(Clone, Copy)]
pub struct Rounds {
    pub count: usize,
    /// Subjects in use: all, or ours alone.
    pub subjects: usize,
}

impl Rounds {
    fn lanes(self) -> impl Iterator<Item = Lane> {
        SUBJECTS
            .iter()
            .take(self.subjects)
            .map(|make| Lane::new(*make))
    }
}

/// Parts of a phase.
const PARTS: usize = 20;

/// Measures one workload. The subjects go through it side by side, a part each in turn.
pub fn measure(work: &Work, rounds: Rounds, report: &mut Report) {
    println!(
        "\n{}: {} pairs on {} blocks",
        work.name, work.pairs, work.distinct
    );
    let mut figures = Figures::default();
    for round in 0..rounds.count {
        let mut lanes: Vec<Lane> = rounds.lanes().collect();
        let stored = in_parts(&mut lanes, &work.stores, round, Lane::apply);
        for (lane, ns) in lanes.iter().zip(stored) {
            figures.add("store", lane.name(), ns / blocks(&work.stores) as f64);
            figures.add("heap", lane.name(), lane.heap / work.pairs as f64);
        }
        in_parts(&mut lanes, &work.queries, round, Lane::look_up);
        for lane in &mut lanes {
            figures.add_lookups(lane.latencies());
        }
        let removed = in_parts(&mut lanes, &work.removes, round, Lane::apply);
        for (lane, ns) in lanes.iter().zip(removed) {
            figures.add("remove", lane.name(), ns / blocks(&work.removes) as f64);
        }
    }
    check(work, rounds, &mut figures);
    figures.print(&UNITS);
    figures.judge_speed(report, work.name);
    if work.name == work::W1.name {
        figures.judge(report, work.name, "heap", "bytes a pair", Bar::AtMost(20.0));
    }
    figures.judge(report, work.name, "wrong", "queries", Bar::AtMost(0.0));
    figures.judge(
        report,
        work.name,
        "wrong copies",
        "queries",
        Bar::AtMost(0.0),
    );
}

/// A subject in a round.
struct Lane {
    subject: Box<dyn Subject>,
    heap: f64,
    took: BTreeMap<&'static str, Vec<u64>>,
}

impl Lane {
    fn new(make: fn() -> Box<dyn Subject>) -> Self {
        let before = heap_bytes();
        let subject = make();
        Self {
            subject,
            heap: heap_bytes() as f64 - before as f64,
            took: BTreeMap::new(),
        }
    }

    fn name(&self) -> &'static str {
        self.subject.name()
    }

    fn apply(&mut self, events: &[Event]) -> f64 {
        let before = heap_bytes();
        let ns = self.subject.apply(events);
        self.heap += heap_bytes() as f64 - before as f64;
        ns
    }

    fn look_up(&mut self, queries: &[Vec<Node>]) -> f64 {
        for (who, took) in self.subject.time(queries) {
            self.took.entry(who).or_default().extend(took);
        }
        0.0
    }

    fn latencies(&mut self) -> Vec<(&'static str, meter::Latency)> {
        let took = std::mem::take(&mut self.took).into_iter();
        took.map(|(who, took)| (who, meter::Latency::of(took)))
            .collect()
    }
}

/// Gives each lane a part of `items` in turn, a different lane first each time, so that whatever
/// else the machine does meets all alike. Sums what `go` returns, by lane.
fn in_parts<T>(
    lanes: &mut [Lane],
    items: &[T],
    round: usize,
    go: impl Fn(&mut Lane, &[T]) -> f64,
) -> Vec<f64> {
    let mut sums = vec![0.0; lanes.len()];
    for (number, part) in items.chunks(items.len().div_ceil(PARTS).max(1)).enumerate() {
        for turn in 0..lanes.len() {
            let at = (turn + number + round) % lanes.len();
            sums[at] += go(&mut lanes[at], part);
        }
    }
    sums
}

/// Each score of each query beside the brute-force one, after each phase.
fn check(work: &Work, rounds: Rounds, figures: &mut Figures) {
    let mut truth = Truth::default();
    let mut lanes: Vec<Lane> = rounds.lanes().collect();
    let phases = [
        ("stores", &work.stores, &work.queries),
        ("removals", &work.removes, &work.queries),
        ("restores", &work.restores, &work.queries),
        ("holes", &work.holes, &work.hole_queries),
        ("heals", &work.heals, &work.hole_queries),
    ];
    let mut sums = vec![0; lanes.len()];
    for (phase, events, queries) in phases {
        truth.apply(events);
        for (lane, sum) in lanes.iter_mut().zip(&mut sums) {
            lane.subject.apply(events);
            let wrong = truth.wrong(&mut *lane.subject, queries);
            if wrong > 0 {
                println!(
                    "       wrong        {} after {phase}: {wrong} of {}",
                    lane.name(),
                    queries.len()
                );
            }
            *sum += wrong;
        }
    }
    for (lane, sum) in lanes.iter().zip(&sums) {
        figures.add("wrong", lane.name(), *sum as f64);
    }
    // Peers leave copies to whoever feeds them.
    let ours = &mut lanes[0];
    ours.subject.apply(&work.second_copies);
    let wrong = truth.wrong(&mut *ours.subject, &work.hole_queries);
    figures.add("wrong copies", ours.name(), wrong as f64);
}

/// Replays a trace: a lookup, then what the request made its replica tell.
pub fn replay(requests: &[Request], rounds: Rounds, report: &mut Report) {
    let name = "trace (Mooncake conversation)";
    println!("\n{name}: {} requests, 16 replicas", requests.len());
    let mut figures = Figures::default();
    for round in 0..rounds.count {
        replay_once(requests, rounds.lanes().collect(), round, &mut figures);
    }
    let mut truth = Truth::default();
    let mut ours = Lane::new(SUBJECTS[0]);
    let mut wrong = 0;
    for request in requests {
        wrong += truth.wrong(&mut *ours.subject, std::slice::from_ref(&request.query));
        truth.apply(&request.events);
        ours.apply(&request.events);
    }
    figures.add("wrong", ours.name(), wrong as f64);
    figures.print(&UNITS);
    figures.judge_speed(report, name);
    figures.judge(report, name, "wrong", "queries", Bar::AtMost(0.0));
}

fn replay_once(requests: &[Request], mut lanes: Vec<Lane>, round: usize, figures: &mut Figures) {
    let is_store = |event: &&Event| matches!(event, Event::Store { .. });
    let all = |lanes: &[Lane]| vec![(0.0, 0); lanes.len()];
    let (mut stored, mut removed) = (all(&lanes), all(&lanes));
    // Some requests each in turn: one by one, each would find its caches full of the others.
    for (number, part) in requests.chunks(PART_REQUESTS).enumerate() {
        for turn in 0..lanes.len() {
            let at = (turn + number + round) % lanes.len();
            for request in part {
                let lane = &mut lanes[at];
                lane.look_up(std::slice::from_ref(&request.query));
                let stores = request.events.iter().filter(is_store).count();
                let (stores, removes) = request.events.split_at(stores);
                for (events, sums) in [(stores, &mut stored), (removes, &mut removed)] {
                    if !events.is_empty() {
                        sums[at].0 += lane.apply(events);
                        sums[at].1 += blocks(events);
                    }
                }
            }
        }
    }
    for ((lane, stored), removed) in lanes.iter_mut().zip(stored).zip(removed) {
        figures.add_lookups(lane.latencies());
        figures.add("store", lane.name(), stored.0 / stored.1 as f64);
        figures.add("remove", lane.name(), removed.0 / removed.1.max(1) as f64);
    }
}

/// Requests of a part of a replay.
const PART_REQUESTS: usize = 200;
