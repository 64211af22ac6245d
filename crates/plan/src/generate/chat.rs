//! Conversations: sessions start at random, turns follow after a pause, prompts grow.

use super::{Maker, Text, Volume};
use crate::random::Random;

const SYSTEM_PROMPTS: usize = 20;
const TURNS_MEAN: f64 = 5.0;
const PAUSE_S: f64 = 40.0;

pub(super) fn make(maker: &mut Maker, volume: &Volume) {
    let mut random = Random::new(volume.seed);
    let systems: Vec<Text> = (0..SYSTEM_PROMPTS)
        .map(|_| maker.text(random.between(300, 2500)))
        .collect();
    let mut start_s = 0.0;
    let mut session = 0;
    while maker.requests.len() < volume.requests {
        start_s += random.exponential(TURNS_MEAN / volume.per_s);
        session += 1;
        let mut prompt = systems[random.zipf(SYSTEM_PROMPTS, 0.9)].clone();
        let turns = 1 + random.exponential(TURNS_MEAN - 1.0) as u32;
        let mut at_s = start_s;
        for _ in 0..turns {
            prompt.push(&maker.text(random.log_normal(90.0, 1.0).clamp(5.0, 8000.0) as u32));
            let answer = maker.text(random.log_normal(180.0, 0.8).clamp(5.0, 2000.0) as u32);
            maker.ask(at_s, &prompt, &answer, Some(session));
            prompt.push(&answer);
            at_s += f64::from(answer.tokens()) * 0.02 + random.exponential(PAUSE_S);
        }
    }
}
