//! The policies on made-up traffic: what was chosen on real traces holds here too.

use super::Shelf;
use crate::{
    generate::{Kind, Volume, generate},
    sizing::hit_ratio,
};
use onefill_evict::Choice;

#[test]
fn density_hits_more_than_lru_where_little_fits_and_as_much_where_most_does() {
    let volume = Volume {
        requests: 4000,
        per_s: 20.0,
        ..Volume::default()
    };
    for kind in [Kind::Chat, Kind::Agent] {
        let trace = generate(kind, &volume);
        let all = trace.names.len();
        for (share, least) in [(150, 1.3), (30, 1.05), (2, 0.99)] {
            let hits = |choice| hit_ratio(&trace, all / share, choice, 0.0);
            let (lru, density) = (hits(Choice::Lru), hits(Choice::Density));
            println!(
                "{} in 1/{share}: lru {lru:.4} density {density:.4}",
                kind.name()
            );
            assert!(density >= least * lru, "{}: {density} {lru}", kind.name());
        }
    }
}

#[test]
fn what_a_prompt_needs_now_does_not_go_for_the_rest_of_it() {
    for choice in Choice::ALL {
        let mut shelf = Shelf::new(4, choice);
        let mut evicted = Vec::new();
        assert_eq!(shelf.touch(&[1, 2, 3], &mut evicted), 3);
        assert_eq!(
            shelf.touch(&[4, 5, 6, 7, 8, 9], &mut evicted),
            4,
            "{}",
            choice.name()
        );
        assert_eq!(shelf.hits(&[4, 5, 6, 7, 8, 9]), 4);
        assert_eq!(
            evicted,
            [3, 2, 1],
            "a chain goes from its end: {}",
            choice.name()
        );
    }
}
