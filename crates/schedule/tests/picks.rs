//! What each policy promises.
#![expect(clippy::expect_used, reason = "a test")]

use onefill_kv::{BlockKey, ContentHash, Knowledge, Overlap, ReplicaId};
use onefill_schedule::{Ask, Candidate, Ended, Pick, Policy, ReplicaLoad, Scheduler, Usage};
use std::{sync::Arc, time::Duration};

fn ask(prompt_tokens: u32, first: u64) -> Ask {
    let mut key = BlockKey(first);
    let extend = |block: u32| {
        key = key.extend(ContentHash(u64::from(block)));
        key
    };
    let chain: Arc<[BlockKey]> = (0..prompt_tokens / 16).map(extend).collect();
    Ask {
        prompt_tokens,
        chain,
        block_tokens: 16,
        output_tokens_max: None,
        session: None,
    }
}

fn candidate(replica: u16, overlap_blocks: u32) -> Candidate {
    Candidate {
        replica: ReplicaId(replica),
        overlap: Overlap::gpu(overlap_blocks),
        knowledge: Knowledge::Exact,
        load: ReplicaLoad::default(),
    }
}

fn pick(scheduler: &Scheduler, ask: &Ask, candidates: &[Candidate]) -> Pick {
    scheduler
        .pick(Duration::ZERO, ask, candidates)
        .expect("a candidate")
}

#[test]
fn kv_goes_where_the_prefix_is() {
    let scheduler = Scheduler::new(Policy::Kv, 1);
    let picked = pick(
        &scheduler,
        &ask(1000, 1),
        &[candidate(0, 0), candidate(1, 40), candidate(2, 10)],
    );
    assert_eq!(picked.replica, ReplicaId(1));
    assert_eq!(picked.receipt.overlap_tokens, 640);
    assert_eq!(picked.receipt.tier, "gpu");
}

#[test]
fn the_last_token_is_always_computed() {
    let scheduler = Scheduler::new(Policy::Kv, 1);
    let picked = pick(&scheduler, &ask(64, 1), &[candidate(0, 4)]);
    assert_eq!(
        picked.receipt.overlap_tokens, 48,
        "vLLM computes at least one token"
    );
}

#[test]
fn kv_leaves_a_holder_with_a_long_queue() {
    let scheduler = Scheduler::new(Policy::Kv, 1);
    for first in 0..20 {
        let only = [candidate(0, 0)];
        pick(&scheduler, &ask(8000, 100 + first), &only);
    }
    let picked = pick(
        &scheduler,
        &ask(1000, 1),
        &[candidate(0, 30), candidate(1, 0)],
    );
    assert_eq!(picked.replica, ReplicaId(1));
}

#[test]
fn a_burst_of_siblings_neither_herds_nor_scatters() {
    let scheduler = Scheduler::new(Policy::Kv, 1);
    let candidates: Vec<Candidate> = (0..8).map(|replica| candidate(replica, 0)).collect();
    let mut counts = [0_u32; 8];
    for _ in 0..64 {
        // 1,600 shared tokens, 16 of their own
        let picked = pick(&scheduler, &ask(1616, 7), &candidates);
        counts[usize::from(picked.replica.0)] += 1;
    }
    assert!(counts.iter().all(|count| *count <= 32), "herds: {counts:?}");
    let used = counts.iter().filter(|count| **count > 0).count();
    assert!(
        (2..8).contains(&used) || counts.iter().max() <= Some(&16),
        "scatters: {counts:?}"
    );
}

#[test]
fn equal_candidates_share_the_picks() {
    let scheduler = Scheduler::new(Policy::Kv, 1);
    let candidates = [candidate(0, 0), candidate(1, 0), candidate(2, 0)];
    let mut counts = [0; 3];
    for first in 0..30 {
        let picked = pick(&scheduler, &ask(100, 1000 + first), &candidates);
        counts[usize::from(picked.replica.0)] += 1;
        scheduler.finished(Duration::ZERO, picked.ticket, Ended::Done, Usage::default());
    }
    assert!(
        counts.iter().all(|count| (8..=12).contains(count)),
        "{counts:?}"
    );
}

#[test]
fn round_robin_takes_turns_and_sessions_stay() {
    let candidates = [candidate(0, 0), candidate(1, 0), candidate(2, 0)];
    let scheduler = Scheduler::new(Policy::RoundRobin, 1);
    let turns: Vec<u16> = (0..6)
        .map(|_| pick(&scheduler, &ask(100, 1), &candidates).replica.0)
        .collect();
    assert_eq!(turns[..3], turns[3..]);
    let scheduler = Scheduler::new(Policy::Session, 1);
    let stays = |session: u64| {
        let asked = Ask {
            session: Some(session),
            ..ask(100, session)
        };
        let picked = pick(&scheduler, &asked, &candidates);
        let replica = picked.replica;
        scheduler.finished(Duration::ZERO, picked.ticket, Ended::Done, Usage::default());
        replica
    };
    let first: Vec<ReplicaId> = (0..50).map(stays).collect();
    let again: Vec<ReplicaId> = (0..50).map(stays).collect();
    assert_eq!(first, again);
    assert!((0..3).all(|replica| first.contains(&ReplicaId(replica))));
}

#[test]
fn the_book_is_empty_after_all_is_over() {
    let scheduler = Scheduler::new(Policy::Kv, 1);
    let candidates = [candidate(0, 0), candidate(1, 0)];
    let picks: Vec<Pick> = (0..10)
        .map(|first| pick(&scheduler, &ask(500, first), &candidates))
        .collect();
    assert_eq!(
        scheduler.in_flight(ReplicaId(0)) + scheduler.in_flight(ReplicaId(1)),
        10
    );
    for (place, picked) in picks.into_iter().enumerate() {
        if place % 2 == 0 {
            scheduler.first_byte(Duration::from_millis(50), &picked.ticket);
        }
        scheduler.finished(
            Duration::from_secs(1),
            picked.ticket,
            Ended::Done,
            Usage::default(),
        );
    }
    assert_eq!(
        scheduler.in_flight(ReplicaId(0)) + scheduler.in_flight(ReplicaId(1)),
        0
    );
    let later = scheduler.explain(Duration::from_secs(9), &ask(500, 3), &candidates);
    assert!(
        later
            .iter()
            .all(|each| each.terms.contains(&("queue_s", 0.0)))
    );
}
