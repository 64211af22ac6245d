//! Rounds in which each index takes its turn, so that what else the machine does hits all alike.

use std::collections::BTreeMap;

use crate::meter::{heap_bytes, median};
use crate::report::{Bar, Report};
use crate::subjects::{Event, SUBJECTS, Subject, blocks};
use crate::trace::Request;
use crate::truth::Truth;
use crate::work::Work;
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
    ("wrong", "of 10,000 queries after holes"),
];

/// How often, and beside whom.
#[derive(Clone, Copy)]
pub struct Rounds {
    pub count: usize,
    /// Subjects in use: all, or ours alone.
    pub subjects: usize,
}

impl Rounds {
    /// The subjects, a different one first in each round.
    fn subjects(self, round: usize) -> impl Iterator<Item = Box<dyn Subject>> {
        (0..self.subjects).map(move |turn| SUBJECTS[(round + turn) % self.subjects]())
    }
}

/// Measures one workload.
pub fn measure(work: &Work, rounds: Rounds, report: &mut Report) {
    println!(
        "\n{}: {} pairs on {} blocks",
        work.name, work.pairs, work.distinct
    );
    let mut figures = Figures::default();
    for round in 0..rounds.count {
        // Subjects are made one by one, each after the one before is gone.
        let base = heap_bytes();
        for mut subject in rounds.subjects(round) {
            let name = subject.name();
            let per = |events: &[Event], ns: f64| ns / blocks(events) as f64;
            let ns = subject.apply(&work.stores);
            figures.add("store", name, per(&work.stores, ns));
            let heap = heap_bytes().saturating_sub(base);
            figures.add("heap", name, heap as f64 / work.pairs as f64);
            figures.add_lookups(subject.time(&work.queries));
            let ns = subject.apply(&work.removes);
            figures.add("remove", name, per(&work.removes, ns));
        }
    }
    check(work, rounds, &mut figures);
    figures.print(&UNITS);
    figures.judge_speed(report, work.name);
    if work.name == work::W1.name {
        figures.judge(report, work.name, "heap", "bytes a pair", Bar::AtMost(20.0));
    }
    figures.judge(report, work.name, "wrong", "queries", Bar::AtMost(0.0));
}

/// Each score of each query beside the brute-force one, after each phase.
fn check(work: &Work, rounds: Rounds, figures: &mut Figures) {
    let mut truth = Truth::default();
    let mut all: Vec<Box<dyn Subject>> = rounds.subjects(0).collect();
    let mut wrong = vec![0; all.len()];
    let phases = [
        &work.stores,
        &work.removes,
        &work.restores,
        &work.holes,
        &work.heals,
    ];
    for (number, events) in phases.into_iter().enumerate() {
        truth.apply(events);
        for (subject, wrong) in all.iter_mut().zip(&mut wrong) {
            subject.apply(events);
            let of = if number < 3 {
                &work.queries
            } else {
                &work.hole_queries
            };
            *wrong += truth.wrong(&mut **subject, of);
        }
    }
    for (subject, wrong) in all.iter().zip(&wrong) {
        figures.add("wrong", subject.name(), *wrong as f64);
    }
    // Peers leave copies to whoever feeds them.
    let ours = &mut *all[0];
    ours.apply(&work.second_copies);
    figures.add(
        "wrong copies",
        ours.name(),
        truth.wrong(ours, &work.hole_queries) as f64,
    );
}

/// Replays a trace: a lookup, then what the request made its replica tell.
pub fn replay(requests: &[Request], rounds: Rounds, report: &mut Report) {
    let name = "trace (Mooncake conversation)";
    println!("\n{name}: {} requests, 16 replicas", requests.len());
    let mut figures = Figures::default();
    for round in 0..rounds.count {
        for mut subject in rounds.subjects(round) {
            replay_once(requests, &mut *subject, &mut figures);
        }
    }
    let mut truth = Truth::default();
    let mut ours = SUBJECTS[0]();
    let mut wrong = 0;
    for request in requests {
        wrong += truth.wrong(&mut *ours, std::slice::from_ref(&request.query));
        truth.apply(&request.events);
        ours.apply(&request.events);
    }
    figures.add("wrong", ours.name(), wrong as f64);
    figures.print(&UNITS);
    figures.judge_speed(report, name);
    figures.judge(report, name, "wrong", "queries", Bar::AtMost(0.0));
}

fn replay_once(requests: &[Request], subject: &mut dyn Subject, figures: &mut Figures) {
    let is_store = |event: &&Event| matches!(event, Event::Store { .. });
    let (mut stored, mut removed) = ((0.0, 0), (0.0, 0));
    let mut took: BTreeMap<&'static str, Vec<u64>> = BTreeMap::new();
    for request in requests {
        for (who, latency) in subject.time(std::slice::from_ref(&request.query)) {
            took.entry(who).or_default().push(latency.p50 as u64);
        }
        let stores = request.events.iter().filter(is_store).count();
        let (stores, removes) = request.events.split_at(stores);
        for (events, sum) in [(stores, &mut stored), (removes, &mut removed)] {
            if !events.is_empty() {
                *sum = (sum.0 + subject.apply(events), sum.1 + blocks(events));
            }
        }
    }
    let latencies = took
        .into_iter()
        .map(|(who, took)| (who, meter::Latency::of(took)));
    figures.add_lookups(latencies.collect());
    figures.add("store", subject.name(), stored.0 / stored.1 as f64);
    figures.add(
        "remove",
        subject.name(),
        removed.0 / removed.1.max(1) as f64,
    );
}
