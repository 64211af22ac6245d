//! What is computed in which step, what is cached, and who waits.

use super::*;

fn small(blocks: u32, seqs_max: usize, batched_tokens_max: usize) -> Desk {
    let cache = cache(blocks, 4, Algorithm::Sha256Cbor, None);
    Desk::new(&cache, seqs_max, batched_tokens_max)
}

fn ask<'a>(prompt: &'a [u32], answer: &'a [u32]) -> Ask<'a> {
    Ask {
        prompt,
        answer,
        ..Ask::default()
    }
}

const fn work(prefill_tokens: usize, decodes: usize) -> Work {
    Work {
        prefill_tokens,
        decodes,
    }
}

fn prompt(first: u32, count: u32) -> Vec<u32> {
    (first..first + count).collect()
}

/// Blocks of each stored event.
fn stored(told: &[Vec<OutEvent>]) -> Vec<usize> {
    told.iter()
        .flatten()
        .filter_map(|event| match event {
            OutEvent::Stored(stored) => Some(stored.hashes.len()),
            _ => None,
        })
        .collect()
}

#[test]
fn a_long_prompt_is_computed_and_told_in_pieces() {
    let mut desk = small(32, 4, 10);
    desk.add(&ask(&prompt(0, 25), &[90, 91, 92, 93]));
    let steps = desk.drain();
    let prefill = [work(10, 0), work(10, 0), work(5, 0)];
    assert_eq!(steps, [&prefill[..], &[work(0, 1); 3]].concat());
    // 8 tokens of the first 10 fill blocks; the answer fills the seventh with its third token.
    assert_eq!(stored(&desk.told), [2, 3, 1, 1]);
}

#[test]
fn the_last_token_of_a_prompt_is_always_computed() {
    let mut desk = small(32, 4, 100);
    let prompt = prompt(0, 16);
    assert_eq!(desk.ask(&ask(&prompt, &[50])), 0);
    assert_eq!(
        desk.ask(&ask(&prompt, &[50])),
        12,
        "four whole blocks, but not the last"
    );
    assert_eq!(desk.ask(&ask(&prompt[..15], &[50])), 12);
    assert_eq!(desk.ask(&ask(&prompt[..4], &[50])), 0);
    let counters = &desk.scheduler.counters;
    assert_eq!(
        (counters.queries, counters.hits),
        (16 + 16 + 15 + 4, 12 + 12)
    );
}

#[test]
fn an_answer_is_cached_but_for_its_last_token() {
    let mut desk = small(32, 4, 100);
    let first = prompt(0, 6);
    desk.ask(&ask(&first, &[60, 61, 62]));
    let follow_up = [&first[..], &[60, 61, 62, 70, 71]].concat();
    assert_eq!(desk.ask(&ask(&follow_up, &[80])), 8);
    let mut shorter = small(32, 4, 100);
    shorter.ask(&ask(&first, &[60, 61]));
    let cached = shorter.ask(&ask(&follow_up, &[80]));
    assert_eq!(cached, 4, "token 61 was never computed");
}

#[test]
fn decodes_go_on_while_others_prefill_and_more_wait() {
    let mut desk = small(64, 2, 8);
    desk.add(&ask(&prompt(0, 4), &[1, 2, 3, 4]));
    desk.add(&ask(&prompt(100, 12), &[5]));
    desk.add(&ask(&prompt(200, 4), &[6]));
    assert_eq!(desk.step(), Some(work(8, 0)), "four of each");
    assert_eq!((desk.scheduler.running(), desk.scheduler.waiting()), (2, 1));
    assert_eq!(desk.step(), Some(work(7, 1)), "one is the decode's");
    assert_eq!(desk.step(), Some(work(1, 1)));
    assert_eq!(desk.step(), Some(work(4, 1)), "a place is free");
    assert_eq!(desk.drain(), []);
}

#[test]
fn without_blocks_the_last_admitted_waits_again_and_goes_on_later() {
    // Seven blocks: two prompts of three fit, their answers don't.
    let mut desk = small(8, 4, 100);
    let answer = prompt(50, 8);
    let first = desk.add(&ask(&prompt(0, 12), &answer));
    let second = desk.add(&ask(&prompt(100, 12), &answer));
    desk.step();
    assert_eq!(desk.scheduler.running(), 2);
    let steps = desk.drain();
    assert!(first.borrow().over && second.borrow().over);
    assert_eq!(second.borrow().generated, 8);
    assert_eq!(desk.scheduler.counters.preemptions, 1);
    let again: usize = steps.iter().map(|step| step.prefill_tokens).sum();
    assert!(again > 0, "what was given back is computed again");
    assert!(desk.scheduler.usage() < 1e-9);
    assert_eq!(
        desk.scheduler.counters.queries, 24,
        "a prompt is looked up once"
    );
}

#[test]
fn a_prompt_that_does_not_fit_yet_waits() {
    let mut desk = small(6, 4, 100);
    desk.add(&ask(&prompt(0, 12), &[1, 2]));
    desk.add(&ask(&prompt(100, 12), &[3]));
    assert_eq!(desk.step(), Some(work(12, 0)));
    assert_eq!(desk.scheduler.waiting(), 1);
    assert_eq!(desk.drain(), [work(0, 1), work(12, 0)]);
}

#[test]
fn a_cancelled_request_gives_its_blocks_back_at_once() {
    let mut desk = small(16, 4, 100);
    desk.add(&ask(&prompt(0, 8), &[1, 2, 3]));
    desk.add(&ask(&prompt(100, 8), &[1]));
    assert!(desk.scheduler.begin_step().is_some());
    desk.scheduler.cancel(0);
    desk.scheduler.end_step(Instant::now());
    assert_eq!(desk.drain(), []);
    assert!(desk.scheduler.usage() < 1e-9);
    assert_eq!(desk.scheduler.counters.aborted, 1);
    assert_eq!(
        desk.ask(&ask(&prompt(0, 9), &[1])),
        8,
        "its blocks are cached"
    );
}

#[test]
fn a_busy_cache_is_not_reset() {
    let mut desk = small(16, 4, 100);
    desk.add(&ask(&prompt(0, 8), &[1, 2, 3]));
    desk.step();
    assert!(!desk.scheduler.reset());
    desk.drain();
    assert!(desk.scheduler.reset());
    assert_eq!(desk.ask(&ask(&prompt(0, 8), &[1])), 0);
}

#[test]
fn the_last_block_of_equal_prompts_is_held_and_told_twice() {
    let mut desk = small(16, 4, 100);
    desk.add(&ask(&prompt(0, 8), &[1]));
    desk.add(&ask(&prompt(0, 8), &[1]));
    desk.drain();
    // The second is admitted when the first's blocks have their names, and finds all but the last.
    assert_eq!(stored(&desk.told), [2, 1]);
}

#[test]
fn without_an_answer_only_the_prompt_is_computed() {
    let mut desk = small(16, 4, 100);
    let progress = desk.add(&ask(&prompt(0, 8), &[]));
    assert_eq!(desk.drain(), [work(8, 0)]);
    assert!(progress.borrow().over);
    assert_eq!(stored(&desk.told), [2]);
}
