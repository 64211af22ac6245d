//! From weighed candidates to one of them, by policy.

use crate::{Ask, Candidate, Policy, book::Book, cost::Terms};
use onefill_kv::mix;

/// A replica may hold so many times its even share of requests before a session leaves it.
const SESSION_LOAD_MAX: f64 = 1.25;
/// Costs closer than this are equal: measured rates are not that sharp.
const TIE_S: f64 = 1e-4;

/// The place of the chosen candidate.
pub(crate) fn choose(
    policy: Policy,
    seed: u64,
    book: &mut Book,
    ask: &Ask,
    candidates: &[Candidate],
    terms: &[Terms],
) -> Option<usize> {
    match policy {
        Policy::Kv | Policy::Prefix => least(book, candidates, |place| {
            terms.get(place).map_or(f64::INFINITY, Terms::cost_s)
        }),
        Policy::LeastLoad => least(book, candidates, |place| {
            terms
                .get(place)
                .map_or(f64::INFINITY, |terms| terms.queue_s + terms.decode_s)
        }),
        Policy::RoundRobin => {
            book.turn = book.turn.wrapping_add(1);
            book.turn.checked_rem(candidates.len())
        }
        Policy::Session => session(seed, book, ask, candidates),
    }
}

/// The least by cost; near ties go to fewer requests in flight, then to the least recently picked.
fn least(book: &Book, candidates: &[Candidate], cost_s: impl Fn(usize) -> f64) -> Option<usize> {
    let costs: Vec<f64> = (0..candidates.len()).map(cost_s).collect();
    let best = costs.iter().copied().fold(f64::INFINITY, f64::min);
    let tied = candidates
        .iter()
        .enumerate()
        .zip(&costs)
        .filter(|(_, cost)| **cost <= best + TIE_S);
    let order = |candidate: &Candidate| {
        let seen = book.seen(candidate.replica);
        (seen.in_flight, seen.picked)
    };
    tied.min_by_key(|((_, candidate), _)| order(candidate))
        .map(|((place, _), _)| place)
}

/// Rendezvous hashing (highest random weight), skipping replicas with more than their share.
fn session(seed: u64, book: &Book, ask: &Ask, candidates: &[Candidate]) -> Option<usize> {
    let name = ask
        .session
        .or_else(|| ask.chain.first().map(|key| key.0))
        .unwrap_or(seed);
    let in_flight = |candidate: &Candidate| f64::from(book.seen(candidate.replica).in_flight);
    let total: f64 = candidates.iter().map(in_flight).sum();
    let share = ((total + 1.0) / candidates.len().max(1) as f64 * SESSION_LOAD_MAX).ceil();
    let free = candidates
        .iter()
        .enumerate()
        .filter(|(_, candidate)| in_flight(candidate) < share);
    free.max_by_key(|(_, candidate)| mix(name ^ mix(seed ^ u64::from(candidate.replica.0))))
        .map(|(place, _)| place)
}
