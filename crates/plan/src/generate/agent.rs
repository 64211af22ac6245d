//! Tool-using sessions. The long-run means are those published for the tool and agent trace of
//! Mooncake: about 8,600 tokens in, 180 out, 59 % of the tokens asked for again.

use super::{Maker, Text, Volume};
use crate::random::Random;

const TOOL_SETS: usize = 12;
const STEPS_MEAN: f64 = 4.0;
const PAUSE_S: f64 = 6.0;

pub(super) fn make(maker: &mut Maker, volume: &Volume) {
    let mut random = Random::new(volume.seed);
    let tools: Vec<Text> = (0..TOOL_SETS)
        .map(|_| maker.text(random.between(1200, 4500)))
        .collect();
    let mut start_s = 0.0;
    let mut session = 0;
    while maker.requests.len() < volume.requests {
        start_s += random.exponential(STEPS_MEAN / volume.per_s);
        session += 1;
        let mut prompt = tools[random.zipf(TOOL_SETS, 1.0)].clone();
        prompt.push(&maker.text(random.log_normal(1500.0, 0.9).clamp(50.0, 30_000.0) as u32));
        let steps = 1 + random.exponential(STEPS_MEAN - 1.0) as u32;
        let mut at_s = start_s;
        for _ in 0..steps {
            let answer = maker.text(random.log_normal(140.0, 0.7).clamp(5.0, 2000.0) as u32);
            maker.ask(at_s, &prompt, &answer, Some(session));
            prompt.push(&answer);
            prompt.push(&maker.text(random.log_normal(700.0, 1.0).clamp(20.0, 20_000.0) as u32));
            at_s += f64::from(answer.tokens()) * 0.02 + random.exponential(PAUSE_S);
        }
    }
}
