use super::*;

fn computed(seconds: f64, tokens: f64) -> Sample {
    Sample {
        seconds,
        computed_tokens: tokens,
        loaded_tokens: [0.0; 4],
    }
}

#[test]
fn the_fleets_rate_is_found_under_its_overhead() {
    let (mut rates, mut own) = (Rates::default(), Rate::default());
    for round in 0..400 {
        let tokens = f64::from(100 + (round * 37) % 900);
        rates.learn(&mut own, computed(0.05 + tokens * 3e-4, tokens));
    }
    let learned = rates.prefill_s_per_token(&own);
    assert!((learned / 3e-4 - 1.0).abs() < 0.25, "{learned}");
}

#[test]
fn replicas_that_differ_by_chance_have_one_rate() {
    let mut rates = Rates::default();
    let mut own = [Rate::default(); 2];
    for round in 0..600_u32 {
        // Up to four times as long, in no order.
        let busy = 1.0 + f64::from(round.wrapping_mul(2_654_435_761) >> 30);
        let mine = &mut own[(round % 2) as usize];
        rates.learn(mine, computed(0.02 + 500.0 * 2e-4 * busy, 500.0));
    }
    let [a, b] = own.map(|own| rates.prefill_s_per_token(&own));
    assert!((a - b).abs() < 1e-12, "{a} {b}");
}

#[test]
fn a_replica_that_is_slower_by_far_is_known_to_be() {
    let mut rates = Rates::default();
    let mut own = [Rate::default(); 2];
    for round in 0..600 {
        let place = usize::from(round % 2 == 1);
        let s_per_token = [1e-4, 4e-4][place];
        rates.learn(
            &mut own[place],
            computed(0.01 + 1000.0 * s_per_token, 1000.0),
        );
    }
    let [fast, slow] = own.map(|own| rates.prefill_s_per_token(&own));
    assert!(slow > 1.4 * fast, "{fast} {slow}");
}

#[test]
fn a_tiers_rate_is_what_its_loads_took() {
    let (mut rates, mut own) = (Rates::default(), Rate::default());
    let before = rates.transfer_s_per_token(Tier::Remote);
    for _ in 0..100 {
        rates.learn(&mut own, computed(0.02 + 1000.0 * 1e-4, 1000.0));
        rates.learn(&mut own, computed(0.02, 10.0));
        let loads = Sample {
            seconds: 0.02 + 10.0 * 1e-4 + 2000.0 * 5e-5,
            computed_tokens: 10.0,
            loaded_tokens: [0.0, 0.0, 0.0, 2000.0],
        };
        rates.learn(&mut own, loads);
    }
    let after = rates.transfer_s_per_token(Tier::Remote);
    assert!(before < 3e-5 && (after / 5e-5 - 1.0).abs() < 0.2, "{after}");
}
