//! The load that real small replicas are measured with: chats side by side, half of them about
//! one of a few shared documents, and unrelated requests between; four requests in flight.

use super::{Maker, Text, Volume};
use crate::{
    random::Random,
    trace::{Arrivals, Trace},
};

const BLOCK_TOKENS: u32 = 32;
const CHATS: usize = 28;
const TURNS: usize = 8;
const SIDE_BY_SIDE: usize = 24;
const UNRELATED: usize = 16;
const DOCUMENTS: usize = 4;
const DOCUMENT_TOKENS: u32 = 1300;
const SYSTEM_TOKENS: u32 = 200;
const ANSWER_TOKENS: u32 = 24;
const IN_FLIGHT: u32 = 4;

struct Session {
    prompt: Text,
    turns: usize,
    turn_tokens: (u32, u32),
    last: Option<u32>,
}

pub(super) fn make(seed: u64) -> Trace {
    let volume = Volume {
        block_tokens: BLOCK_TOKENS,
        seed,
        ..Volume::default()
    };
    let mut maker = Maker::new(&volume);
    let mut random = Random::new(seed);
    let mut sessions = sessions(&mut maker, &mut random);
    let mut waiting: Vec<usize> = (0..sessions.len()).rev().collect();
    let mut running: Vec<usize> = Vec::new();
    loop {
        while running.len() < SIDE_BY_SIDE
            && let Some(next) = waiting.pop()
        {
            running.push(next);
        }
        if running.is_empty() {
            break;
        }
        let place = random.below(running.len());
        let number = running[place];
        let session = &mut sessions[number];
        let (least, most) = session.turn_tokens;
        session
            .prompt
            .push(&maker.text(random.between(least, most)));
        let answer = maker.text(ANSWER_TOKENS);
        let request = maker.ask(0.0, &session.prompt, &answer, Some(number as u64));
        session.prompt.push(&answer);
        maker.requests[request as usize].after = session.last.replace(request);
        session.turns -= 1;
        if session.turns == 0 {
            running.swap_remove(place);
        }
    }
    let in_flight = IN_FLIGHT;
    maker.finish("small-fleet", Arrivals::Closed { in_flight })
}

fn sessions(maker: &mut Maker, random: &mut Random) -> Vec<Session> {
    let documents: Vec<Text> = (0..DOCUMENTS)
        .map(|_| maker.text(DOCUMENT_TOKENS))
        .collect();
    let mut sessions: Vec<Session> = (0..CHATS)
        .map(|number| Session {
            prompt: match number % 2 {
                0 => documents[random.below(DOCUMENTS)].clone(),
                _ => maker.text(SYSTEM_TOKENS),
            },
            turns: TURNS,
            turn_tokens: (90, 270),
            last: None,
        })
        .collect();
    sessions.extend((0..UNRELATED).map(|_| Session {
        prompt: Text::default(),
        turns: 1,
        turn_tokens: (300, 600),
        last: None,
    }));
    random.shuffle(&mut sessions);
    sessions
}
