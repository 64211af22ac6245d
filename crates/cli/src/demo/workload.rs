//! What clients ask: chats of several turns, questions about shared documents, and requests that
//! share nothing. The same for one seed.

use super::dice::Dice;

/// A kind of request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// A turn of a chat: carries all turns before.
    Chat,
    /// A question about one of a few documents.
    Document,
    /// Shares nothing with others.
    Single,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Chat, Self::Document, Self::Single];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Chat => "multi-turn chat",
            Self::Document => "shared documents",
            Self::Single => "unrelated",
        }
    }
}

/// Sizes, in words; a word is some two tokens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Scale {
    documents: usize,
    document_words: usize,
    turns: usize,
    turn_words: (usize, usize),
    single_words: (usize, usize),
    /// Tokens of each answer.
    pub(crate) answer_tokens: u32,
    /// Sessions that go on side by side.
    active: usize,
    /// Requests in flight.
    pub(crate) clients: usize,
}

impl Scale {
    /// For three simulated replicas of 768 blocks: one replica can't hold all documents and
    /// chats, the three together can.
    pub(crate) const SIMULATED: Self = Self {
        documents: 6,
        document_words: 1000,
        turns: 5,
        turn_words: (50, 110),
        single_words: (80, 160),
        answer_tokens: 16,
        active: 24,
        clients: 12,
    };

    /// For two real replicas on CPU: prompts under 4,096 tokens.
    pub(crate) const CPU: Self = Self {
        documents: 4,
        document_words: 420,
        turns: 4,
        turn_words: (30, 60),
        single_words: (100, 200),
        answer_tokens: 16,
        active: 12,
        clients: 4,
    };
}

/// One client's requests, one after the other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Session {
    pub(crate) kind: Kind,
    /// What stands before the first turn.
    pub(crate) system: String,
    pub(crate) turns: Vec<String>,
}

/// Sessions, and the order in which their turns begin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Workload {
    pub(crate) sessions: Vec<Session>,
    /// A session and its turn for each request.
    pub(crate) order: Vec<(usize, usize)>,
    pub(crate) scale: Scale,
}

impl Workload {
    /// Of 20 requests 9 are turns of chats, 8 ask about documents, 3 share nothing.
    pub(crate) fn new(seed: u64, requests: usize, scale: &Scale) -> Self {
        let mut dice = Dice::new(seed);
        let (chats, singles) = (requests * 9 / 20, requests * 3 / 20);
        let mut sessions = chat_sessions(&mut dice, scale, chats);
        sessions.extend(questions(&mut dice, scale, requests - chats - singles));
        sessions.extend((0..singles).map(|_| Session {
            kind: Kind::Single,
            system: String::new(),
            turns: vec![some_words(&mut dice, scale.single_words)],
        }));
        dice.shuffle(&mut sessions);
        Self {
            order: interleaved(&mut dice, &sessions, scale.active),
            sessions,
            scale: *scale,
        }
    }

    /// Requests that share nothing.
    pub(crate) fn unrelated(seed: u64, requests: usize, scale: &Scale) -> Self {
        let mut dice = Dice::new(seed);
        let single = |_| Session {
            kind: Kind::Single,
            system: String::new(),
            turns: vec![some_words(&mut dice, scale.single_words)],
        };
        let sessions: Vec<Session> = (0..requests).map(single).collect();
        Self {
            order: interleaved(&mut dice, &sessions, scale.active),
            sessions,
            scale: *scale,
        }
    }

    pub(crate) fn requests(&self) -> usize {
        self.order.len()
    }
}

fn some_words(dice: &mut Dice, (low, high): (usize, usize)) -> String {
    let count = dice.between(low, high);
    dice.words(count)
}

/// Chats with so many turns in all.
fn chat_sessions(dice: &mut Dice, scale: &Scale, turns: usize) -> Vec<Session> {
    let instructions = format!("You are a helpful assistant. {}", dice.words(60));
    let mut sessions = Vec::new();
    let mut left = turns;
    while left > 0 {
        let turns = scale.turns.min(left);
        left -= turns;
        sessions.push(Session {
            kind: Kind::Chat,
            system: instructions.clone(),
            turns: (0..turns)
                .map(|_| some_words(dice, scale.turn_words))
                .collect(),
        });
    }
    sessions
}

/// Questions, each about one document.
fn questions(dice: &mut Dice, scale: &Scale, count: usize) -> Vec<Session> {
    let document = |dice: &mut Dice| {
        format!(
            "Answer from this document. {}",
            dice.words(scale.document_words)
        )
    };
    let documents: Vec<String> = (0..scale.documents).map(|_| document(dice)).collect();
    let question = |_| Session {
        kind: Kind::Document,
        system: documents
            .get(dice.below(documents.len()))
            .cloned()
            .unwrap_or_default(),
        turns: vec![some_words(dice, (10, 30))],
    };
    (0..count).map(question).collect()
}

/// The order of requests: `active` sessions go on side by side.
fn interleaved(dice: &mut Dice, sessions: &[Session], active: usize) -> Vec<(usize, usize)> {
    let mut order = Vec::new();
    let mut waiting = 0..sessions.len();
    // Session, next turn, turns.
    let mut running: Vec<(usize, usize, usize)> = Vec::new();
    loop {
        while running.len() < active
            && let Some(session) = waiting.next()
        {
            let turns = sessions.get(session).map_or(0, |one| one.turns.len());
            running.push((session, 0, turns));
        }
        let place = dice.below(running.len());
        let Some((session, turn, turns)) = running.get_mut(place) else {
            return order;
        };
        order.push((*session, *turn));
        *turn += 1;
        if turn == turns {
            running.swap_remove(place);
        }
    }
}

#[cfg(test)]
mod tests;
