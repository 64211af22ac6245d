//! Jobs that come within a second: each job an instruction and many inputs.

use super::{Maker, Volume};
use crate::random::Random;

const JOB_INPUTS: usize = 500;

pub(super) fn make(maker: &mut Maker, volume: &Volume) {
    let mut random = Random::new(volume.seed);
    let mut start_s = 0.0;
    while maker.requests.len() < volume.requests {
        let instruction = maker.text(random.between(800, 3000));
        let inputs = JOB_INPUTS.min(volume.requests - maker.requests.len());
        for _ in 0..inputs {
            let mut prompt = instruction.clone();
            prompt.push(&maker.text(random.log_normal(600.0, 0.8).clamp(20.0, 8000.0) as u32));
            let answer = maker.text(random.between(20, 200));
            maker.ask(start_s + random.unit(), &prompt, &answer, None);
        }
        start_s += JOB_INPUTS as f64 / volume.per_s;
    }
}
