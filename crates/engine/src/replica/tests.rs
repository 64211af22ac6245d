//! Time, on a clock that stands still unless all wait for it.

use super::*;
use crate::{config::Speed, publish, sequence::Finish};
use std::time::Duration;
use tokio::task::JoinHandle;

async fn replica(speed: Speed, batched_tokens_max: usize) -> (Arc<Replica>, JoinHandle<()>) {
    let mut config = Config {
        speed,
        ..Config::default()
    };
    config.batch.batched_tokens_max = batched_tokens_max;
    let (outbox, _, _) = publish::bind(None, config.cache.hash_form)
        .await
        .expect("bound");
    let replica = Arc::new(Replica::new(config, outbox, None).expect("a replica"));
    let computing = Arc::clone(&replica);
    let task = tokio::spawn(async move { computing.compute().await });
    (replica, task)
}

/// A request's times to its first and to its last token.
async fn times(replica: &Arc<Replica>, prompt: u32, answer: usize) -> (Duration, Duration) {
    let mut tokens: Vec<u32> = (prompt * 1000..prompt * 1000 + prompt).collect();
    tokens.resize(tokens.len() + answer, 7);
    let began = Instant::now();
    let mut ticket = replica.submit(Plan {
        digests: replica.names.of(&tokens, None, None),
        tokens,
        prompt_tokens: prompt as usize,
        lora: None,
        salt: None,
        finish: Finish::Length,
    });
    let mut wait = async |until: fn(Progress) -> bool| {
        while !until(*ticket.progress.borrow_and_update()) {
            ticket.progress.changed().await.expect("not broken");
        }
        began.elapsed()
    };
    (wait(|at| at.generated > 0).await, wait(|at| at.over).await)
}

fn near(time: Duration, expected_s: f64) {
    let off = (time.as_secs_f64() - expected_s).abs();
    assert!(off < 0.003, "{time:?} instead of {expected_s} s");
}

const SPEED: Speed = Speed {
    prefill_tokens_s: 1000.0,
    decode_tokens_s: 10.0,
};

#[tokio::test(start_paused = true)]
async fn prefill_and_decoding_take_their_time() {
    let (replica, _task) = replica(SPEED, 8192).await;
    let (first, last) = times(&replica, 500, 11).await;
    near(first, 0.5);
    near(last, 0.5 + 1.0);
    let (first, _) = times(&replica, 500, 1).await;
    near(first, 0.004); // the tail of 4 tokens that is no full block
}

#[tokio::test(start_paused = true)]
async fn prefills_of_two_share_the_rate_and_decodes_do_not() {
    let (replica, _task) = replica(SPEED, 8192).await;
    let (one, two) = tokio::join!(times(&replica, 300, 6), times(&replica, 200, 6));
    near(one.0, 0.5);
    near(two.0, 0.5);
    near(one.1, 1.0);
    near(two.1, 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_long_prefill_in_pieces_lets_decodes_go_on() {
    let (replica, _task) = replica(SPEED, 100).await;
    let short = times(&replica, 100, 4);
    let long = async {
        tokio::time::sleep(Duration::from_millis(120)).await;
        times(&replica, 990, 1).await
    };
    let (short, _) = tokio::join!(short, long);
    near(short.0, 0.1);
    // Three decode steps of 0.1 s; the second and third carry 99 tokens of the other's prefill.
    near(short.1, 0.1 + 0.1 + 2.0 * 0.199);
}

#[tokio::test(start_paused = true)]
async fn many_short_steps_do_not_add_up_their_timers_lateness() {
    let speed = Speed {
        prefill_tokens_s: 0.0,
        decode_tokens_s: 2500.0,
    };
    let (replica, _task) = replica(speed, 8192).await;
    let (_, last) = times(&replica, 10, 2501).await;
    near(last, 1.0);
}
