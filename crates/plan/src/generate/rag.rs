//! Questions about documents: an instruction all share, a document some share, a question.

use super::{Maker, Text, Volume};
use crate::random::Random;

const DOCUMENTS: usize = 300;

pub(super) fn make(maker: &mut Maker, volume: &Volume) {
    let mut random = Random::new(volume.seed);
    let instruction = maker.text(200);
    let documents: Vec<Text> = (0..DOCUMENTS)
        .map(|_| maker.text(random.log_normal(4000.0, 0.6).clamp(500.0, 30_000.0) as u32))
        .collect();
    let mut at_s = 0.0;
    for _ in 0..volume.requests {
        at_s += random.exponential(1.0 / volume.per_s);
        let mut prompt = instruction.clone();
        prompt.push(&documents[random.zipf(DOCUMENTS, 0.8)]);
        prompt.push(&maker.text(random.between(15, 120)));
        let answer = maker.text(random.between(40, 400));
        maker.ask(at_s, &prompt, &answer, None);
    }
}

/// Requests that share nothing.
pub(super) fn unrelated(maker: &mut Maker, volume: &Volume) {
    let mut random = Random::new(volume.seed);
    let mut at_s = 0.0;
    for _ in 0..volume.requests {
        at_s += random.exponential(1.0 / volume.per_s);
        let prompt = maker.text(random.log_normal(1500.0, 0.8).clamp(20.0, 16_000.0) as u32);
        let answer = maker.text(random.between(40, 400));
        maker.ask(at_s, &prompt, &answer, None);
    }
}
