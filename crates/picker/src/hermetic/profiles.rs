use super::*;
use crate::profile::{NoHitLru, Prefix, Profile, Scorer, Take};
use onefill_kv::BlockKey;

/// Scores by one scorer alone.
fn scores(scorer: Scorer, endpoints: &[Endpoint], blocks: u32) -> Vec<f64> {
    let profile = Profile {
        scorers: vec![(scorer, 1.0)],
        ..Profile::default()
    };
    order(&profile, endpoints, blocks).scores
}

fn order(profile: &Profile, endpoints: &[Endpoint], blocks: u32) -> crate::profile::Order {
    let chain: Vec<BlockKey> = (0..u64::from(blocks)).map(BlockKey).collect();
    let ask = Ask {
        prompt_tokens: blocks * 16,
        chain: chain.into(),
        block_tokens: 16,
        output_tokens_max: None,
        session: None,
    };
    let whole = Whole::default();
    let scene = Scene {
        endpoints,
        ask: &ask,
        model: "m",
        headers: &whole.headers,
        now: Duration::ZERO,
    };
    let order = profile.choose(&scene, &mut || 0.5).expect("a choice");
    profile.chosen(&scene, order.places[0]);
    order
}

fn holding(place: u8, blocks: u32) -> Endpoint {
    let mut one = pod(place, 0, 0.0, &[]);
    one.candidate.overlap = Overlap::gpu(blocks);
    one
}

#[test]
fn queues_are_scored_beside_each_other() {
    let of = |queues: [u32; 3]| {
        let endpoints = [0, 1, 2].map(|place| pod(place, queues[usize::from(place)], 0.0, &[]));
        scores(Scorer::Queue, &endpoints, 0)
    };
    assert_eq!(of([10, 5, 0]), [0.0, 0.5, 1.0]);
    assert_eq!(of([7, 7, 7]), [1.0; 3]);
}

#[test]
fn a_prefix_is_scored_by_the_share_that_is_held() {
    let endpoints = [holding(0, 6), holding(1, 0), holding(2, 12)];
    let shares = scores(Scorer::Prefix(Prefix::default()), &endpoints, 12);
    assert_eq!(shares, [0.5, 0.0, 1.0]);
    let with_length = Prefix {
        length_weight: 0.5,
        length_scale_tokens: 192.0,
    };
    let both = scores(Scorer::Prefix(with_length), &endpoints, 12);
    assert_eq!(both, [0.25 + 0.125, 0.0, 1.0]);
    assert_eq!(
        scores(Scorer::Prefix(Prefix::default()), &endpoints, 0),
        [0.0; 3]
    );
}

#[test]
fn cold_prompts_go_round_and_warm_ones_do_not_count() {
    let lru = NoHitLru::default();
    let profile = Profile {
        scorers: vec![(Scorer::NoHitLru(lru), 1.0)],
        ..Profile::default()
    };
    let cold = [holding(0, 0), holding(1, 0), holding(2, 0)];
    let first = order(&profile, &cold, 4);
    assert_eq!(first.scores, [1.0, 0.5, 0.0], "never used: in their order");
    let second = order(&profile, &cold, 4);
    assert_eq!(
        second.scores,
        [0.0, 1.0, 0.5],
        "the one just used comes last"
    );
    let warm = [holding(0, 0), holding(1, 2), holding(2, 0)];
    assert_eq!(order(&profile, &warm, 4).scores, [0.5; 3]);
    let third = order(&profile, &cold, 4);
    assert_eq!(
        third.scores,
        [0.5, 0.0, 1.0],
        "a warm prompt has used nobody"
    );
    assert_eq!(order(&profile, &[holding(0, 0)], 4).scores, [1.0]);
}

#[test]
fn requests_in_flight_count_against_an_endpoint() {
    let busy = |place: u8, in_flight: u32| Endpoint {
        in_flight,
        ..pod(place, 0, 0.0, &[])
    };
    let endpoints = [busy(0, 0), busy(1, 2), busy(2, 4)];
    let scorer = Scorer::ActiveRequests {
        idle_threshold: 0,
        max_busy_score: 1.0,
    };
    assert_eq!(scores(scorer, &endpoints, 0), [1.0, 0.5, 0.0]);
    let scorer = Scorer::ActiveRequests {
        idle_threshold: 2,
        max_busy_score: 0.5,
    };
    assert_eq!(scores(scorer, &endpoints, 0), [1.0, 1.0, 0.0]);
}

#[test]
fn tokens_in_flight_count_with_those_of_the_request() {
    let mut loaded = holding(0, 2);
    loaded.in_flight_tokens = 36.0;
    let endpoints = [loaded, holding(1, 0)];
    // 36 in flight and 32 of 64 to compute; none in flight and all of 64.
    let scorer = Scorer::TokenLoad { threshold: 100.0 };
    assert_eq!(scores(scorer, &endpoints, 4), [1.0 - 0.68, 1.0 - 0.64]);
}

#[test]
fn adapters_are_scored_by_how_soon_they_can_serve() {
    let with = |running: &[&str], waiting: &[&str], max| Endpoint {
        adapters: Arc::new(Adapters {
            running: running.iter().map(ToString::to_string).collect(),
            waiting: waiting.iter().map(ToString::to_string).collect(),
            max,
        }),
        ..pod(0, 0, 0.0, &[])
    };
    let endpoints = [
        with(&["m"], &[], 1),
        with(&["a"], &[], 2),
        with(&["a"], &["m"], 1),
        with(&["a"], &[], 1),
    ];
    assert_eq!(
        scores(Scorer::LoraAffinity, &endpoints, 0),
        [1.0, 0.8, 0.6, 0.0]
    );
}

#[test]
fn weights_are_not_normalised_and_scores_are_kept_from_0_to_1() {
    let profile = Profile {
        scorers: vec![(Scorer::Queue, 2.0), (Scorer::KvUtilization, 3.0)],
        endpoints_max: 2,
        ..Profile::default()
    };
    let endpoints = [
        pod(0, 1, 0.0, &[]),
        pod(1, 0, 0.5, &[]),
        pod(2, 1, 1.5, &[]),
    ];
    let order = order(&profile, &endpoints, 0);
    assert_eq!(order.scores, [3.0, 3.5, 0.0]);
    assert_eq!(
        order.places,
        [1, 0],
        "the best first, and no more than asked for"
    );
}

#[test]
fn a_weighted_picker_takes_in_proportion_and_none_with_nothing() {
    let profile = Profile {
        scorers: vec![(Scorer::KvUtilization, 1.0)],
        take: Take::WeightedRandom,
        ..Profile::default()
    };
    let endpoints = [
        pod(0, 0, 0.25, &[]),
        pod(1, 0, 0.75, &[]),
        pod(2, 0, 1.0, &[]),
    ];
    let whole = Whole::default();
    let ask = Ask {
        prompt_tokens: 0,
        chain: Arc::from([]),
        block_tokens: 16,
        output_tokens_max: None,
        session: None,
    };
    let scene = Scene {
        endpoints: &endpoints,
        ask: &ask,
        model: "m",
        headers: &whole.headers,
        now: Duration::ZERO,
    };
    let mut state = 7_u64;
    let mut chance = || {
        state = onefill_kv::mix(state.wrapping_add(onefill_kv::GOLDEN));
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let mut taken = [0; 3];
    for _ in 0..4000 {
        taken[profile.choose(&scene, &mut chance).expect("one").places[0]] += 1;
    }
    assert_eq!(taken[2], 0);
    assert!((2900..3100).contains(&taken[0]), "three of four: {taken:?}");
}
