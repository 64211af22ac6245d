//! Generated traces are what they say, and the same for the same seed.

use super::{Kind, Text, Volume, generate};
use crate::trace::Arrivals;

#[test]
fn the_same_seed_makes_the_same_trace() {
    let volume = Volume {
        requests: 500,
        ..Volume::default()
    };
    for kind in Kind::ALL {
        let (one, two) = (generate(kind, &volume), generate(kind, &volume));
        let lengths = |trace: &crate::trace::Trace| -> Vec<(u32, usize)> {
            let each = trace.requests.iter();
            each.map(|request| (request.prompt_tokens, request.blocks.len()))
                .collect()
        };
        assert_eq!(lengths(&one), lengths(&two), "{}", kind.name());
        let other = generate(kind, &Volume { seed: 2, ..volume });
        assert_ne!(lengths(&one), lengths(&other), "{}", kind.name());
    }
}

#[test]
fn equal_text_makes_equal_blocks_as_far_as_it_goes() {
    let (head, one, two) = (Text::new(1, 100), Text::new(2, 100), Text::new(3, 100));
    let (a, b) = (head.with(&one).contents(16), head.with(&two).contents(16));
    let common = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    assert_eq!(common, 100 / 16);
    assert_eq!(a.len(), 200 / 16);
}

#[test]
fn a_turn_of_the_small_fleet_goes_on_from_the_answer_before() {
    let trace = generate(Kind::SmallFleet, &Volume::default());
    assert_eq!(trace.arrivals, Arrivals::Closed { in_flight: 4 });
    assert_eq!(trace.requests.len(), 28 * 8 + 16);
    for request in &trace.requests {
        let Some(before) = request.after else {
            continue;
        };
        let before = &trace.requests[before as usize];
        let kept: Vec<u32> = before
            .blocks
            .iter()
            .chain(&before.answer)
            .copied()
            .collect();
        assert!(request.blocks.starts_with(&kept));
    }
}

#[test]
fn the_agent_trace_has_the_published_means() {
    let trace = generate(Kind::Agent, &Volume::default());
    let mean = trace.prompt_tokens() as f64 / trace.requests.len() as f64;
    assert!((7000.0..10_500.0).contains(&mean), "{mean}");
}
