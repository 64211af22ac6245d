//! Siblings that come at the same moment: 64 prompts with one prefix over 8 endpoints. What endpoints
//! tell of their load is older than the whole burst.

use super::*;
use crate::choose::{Chosen, Wanted};
use onefill_kv::BlockKey;

const ENDPOINTS: u8 = 8;
const SIBLINGS: u32 = 64;
/// Blocks of the common prefix, and of each prompt's own end.
const PREFIX: u64 = 125;
const OWN: u64 = 31;

fn ask(sibling: u32) -> Ask {
    let own = (0..OWN).map(|block| BlockKey(1000 + u64::from(sibling) * 100 + block));
    let chain: Vec<BlockKey> = (0..PREFIX).map(BlockKey).chain(own).collect();
    Ask {
        prompt_tokens: u32::try_from((PREFIX + OWN) * 16 + 4).expect("small"),
        chain: chain.into(),
        block_tokens: 16,
        output_tokens_max: Some(100),
        session: None,
    }
}

/// Requests that each endpoint gets.
fn burst(choose: impl Fn(&Scene<'_>) -> Chosen) -> Vec<u32> {
    let mut endpoints: Vec<Endpoint> = (0..ENDPOINTS)
        .map(|place| pod(place, 0, 0.1, &[]))
        .collect();
    for one in &mut endpoints {
        one.candidate.knowledge = Knowledge::Approximate;
    }
    let mut got = vec![0; usize::from(ENDPOINTS)];
    let whole = Whole::default();
    for sibling in 0..SIBLINGS {
        let ask = ask(sibling);
        let scene = Scene {
            endpoints: &endpoints,
            ask: &ask,
            model: "m",
            headers: &whole.headers,
            now: Duration::from_micros(u64::from(sibling)),
        };
        let best = choose(&scene).places[0];
        got[best] += 1;
        // As the reference does: a prefix counts as held as soon as it is sent.
        endpoints[best].candidate.overlap = Overlap::gpu(u32::try_from(PREFIX).expect("small"));
    }
    got
}

#[test]
fn the_references_profile_sends_all_siblings_to_one_endpoint() {
    let setup = Setup::reference();
    let got = burst(|scene| {
        let scheduler = Scheduler::new(Policy::LeastLoad, 0);
        let chosen = choose::by_profile(&setup.profile, &scheduler, scene, &mut || 0.5);
        chosen.expect("a choice").0
    });
    assert_eq!(got.iter().max(), Some(&SIBLINGS), "the herd: {got:?}");
}

#[test]
fn the_cost_gives_no_endpoint_more_than_twice_its_share_beyond_what_the_prefix_pays_for() {
    let scheduler = Scheduler::new(Policy::Kv, 0);
    let wanted = Wanted {
        places: 1,
        scores: false,
    };
    let got = burst(|scene| {
        let candidates: Vec<_> = scene.endpoints.iter().map(|one| one.candidate).collect();
        choose::by_cost(&scheduler, (scene.now, scene.ask), &candidates, wanted)
            .expect("a choice")
            .0
    });
    let share = SIBLINGS / u32::from(ENDPOINTS);
    // An endpoint that computes the prefix anew could have computed the ends of so many siblings.
    let prefix_pays = u32::try_from(PREFIX / OWN).expect("small");
    let most = got.iter().max().copied().unwrap_or(0);
    assert!(most <= 2 * share + prefix_pays, "{got:?}");
    assert_eq!(got.iter().sum::<u32>(), SIBLINGS);
    let used = got.iter().filter(|count| **count > 0).count();
    assert!(used > 1, "nor do they scatter or herd: {got:?}");
}
