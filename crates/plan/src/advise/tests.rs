//! Advice names what helps, and says where nothing does.

use super::*;
use crate::generate::{Kind, Volume, generate};

fn trace(kind: Kind) -> Trace {
    generate(
        kind,
        &Volume {
            requests: 1500,
            per_s: 10.0,
            ..Volume::default()
        },
    )
}

fn asked(trace: &Trace, replicas: u16, gpu_tokens: u64) -> Advice {
    let question = Question {
        asked: Asked::Trace(trace),
        known: Known {
            replicas: Some(replicas),
            gpu_tokens: Some(gpu_tokens),
            ..Known::default()
        },
    };
    advise(&question, &mut |_| {})
}

#[test]
fn chats_on_several_replicas_are_to_be_routed_by_content() {
    let advice = asked(&trace(Kind::Chat), 4, 60_000);
    let best = &advice.tried[advice.best.expect("something helps")];
    assert!(
        matches!(
            best.choice,
            Choice::Route | Choice::RouteCpu | Choice::RouteStore
        ),
        "{best:?}"
    );
    let words = text(&advice);
    assert!(words.contains("--policy kv"), "{words}");
    assert_ne!(advice.confidence.level, Level::Low, "{words}");
}

#[test]
fn of_requests_that_share_nothing_it_says_that_nothing_helps() {
    let advice = asked(&trace(Kind::Unrelated), 4, 60_000);
    assert_eq!(advice.best, None, "{:?}", advice.tried);
    let words = text(&advice);
    assert!(
        words.contains("nothing will help by sharing: these requests share next to nothing"),
        "{words}"
    );
}

#[test]
fn one_replica_is_not_told_to_route() {
    let advice = asked(&trace(Kind::Chat), 1, 60_000);
    let routed = |each: &Tried| each.how.contains("--policy");
    assert!(!advice.tried.iter().any(routed), "{:?}", advice.tried);
}
