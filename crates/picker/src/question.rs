//! A body becomes a question: how many tokens, with which block keys. And each endpoint an answer:
//! what it holds of them, and its load.

use crate::{app::App, roster::Member};
use onefill_fleet::{ServedModel, Status};
use onefill_index::Overlaps;
use onefill_kv::{Knowledge, Overlap, TokenId};
use onefill_prompt::{
    Asked, Door, Input, Keyed, Namespace, PromptError, Prompter, text_keys, token_keys,
};
use onefill_schedule::{Ask, Candidate, Policy, ReplicaLoad};
use smallvec::SmallVec;
use std::{
    cell::RefCell,
    sync::Arc,
    time::{Duration, Instant},
};

/// Tokens a block where no replica tells: vLLM's default.
const BLOCK_TOKENS: u32 = 16;
/// Bytes of JSON a token, where nothing better is known: English text has four to five.
const BYTES_A_TOKEN: usize = 4;

/// What a request asks of the fleet.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    /// For the scheduler; its chain is that of `keys[0]`.
    pub(crate) ask: Ask,
    /// Keys, once for each block size of the fleet; empty where there are none.
    keys: SmallVec<[Keys; 1]>,
    /// Whether the keys were made from the engine's own tokens.
    exact: bool,
}

/// Keys of one block size.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    block_tokens: u32,
    pub(crate) keyed: Keyed,
}

/// A readable body and what it is for.
#[derive(Debug)]
pub(crate) struct Body<'a> {
    pub(crate) door: Door,
    pub(crate) asked: &'a Asked<'a>,
    pub(crate) bytes: &'a bytes::Bytes,
    /// The model that is to answer; not what the body says where it is rewritten.
    pub(crate) model: Option<&'a str>,
}

/// What is asked of these replicas.
pub(crate) async fn question(app: &App, body: &Body<'_>, members: &[Arc<Member>]) -> Question {
    let sizes = block_sizes(members);
    let adapter = body.model.and_then(|model| adapter(model, members));
    let (lora, base) = match &adapter {
        Some(served) => (body.model, served.lora_of.as_deref()),
        None => (None, body.model),
    };
    let space = |block_tokens: u32| Namespace {
        seed: app.config.seed,
        block_tokens: block_tokens as usize,
        lora,
        salt: body.asked.cache_salt.as_deref(),
    };
    let tokens = match (app.config.policy, base) {
        (Policy::Kv, Some(base)) => tokens(app, body, base).await,
        _ => None,
    };
    let keyed = |&block_tokens: &u32| Keys {
        block_tokens,
        keyed: match &tokens {
            Some(tokens) => token_keys(tokens, space(block_tokens)),
            None => text_keys(body.asked, space(block_tokens)),
        },
    };
    let keys: SmallVec<[Keys; 1]> = match &body.asked.input {
        Input::None => SmallVec::new(),
        _ => sizes.iter().map(keyed).collect(),
    };
    Question {
        ask: ask(app, body, keys.first()),
        exact: keys.first().is_some_and(|keys| keys.keyed.exact),
        keys,
    }
}

/// The adapter of that name, where it is one.
fn adapter(model: &str, members: &[Arc<Member>]) -> Option<ServedModel> {
    members.iter().find_map(|member| {
        let status = member.replica.status();
        let mut served = status.models.iter();
        let found = served.find(|served| served.id == model && served.lora_of.is_some());
        found.cloned()
    })
}

/// The prompt's tokens as the engine makes them; `None` where that is not known here.
async fn tokens(app: &App, body: &Body<'_>, base: &str) -> Option<Arc<[TokenId]>> {
    if body.asked.multimodal {
        return None;
    }
    if let Input::Tokens(lists) = &body.asked.input {
        return lists.first().map(|tokens| tokens.as_slice().into());
    }
    let prompter = app.config.tokenizer_of(base)?;
    if !app.trust.is_good(base, prompter.dialects()) {
        return None;
    }
    if body.bytes.len() <= app.config.limits.tokenize_inline_bytes {
        return prompter.tokens(body.asked).ok();
    }
    aside(Arc::clone(prompter), body.door, body.bytes.clone())
        .await
        .ok()
}

/// Large prompts on a thread aside, so that others don't wait for them.
async fn aside(
    prompter: Arc<Prompter>,
    door: Door,
    body: bytes::Bytes,
) -> Result<Arc<[TokenId]>, PromptError> {
    let work = move || {
        let asked = onefill_prompt::scan(door, &body).map_err(|e| PromptError(e.to_string()))?;
        prompter.tokens(&asked)
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(tokens) => tokens,
        Err(_panicked) => Err(PromptError("the tokenizer gave up".into())),
    }
}

fn ask(app: &App, body: &Body<'_>, keys: Option<&Keys>) -> Ask {
    let session = body.asked.session.as_deref();
    let guessed = u32::try_from(body.bytes.len() / BYTES_A_TOKEN).unwrap_or(u32::MAX);
    Ask {
        prompt_tokens: keys.map_or(guessed, |keys| keys.keyed.prompt_tokens),
        chain: keys.map_or_else(|| Arc::from([]), |keys| Arc::clone(&keys.keyed.chain)),
        block_tokens: keys.map_or(BLOCK_TOKENS, |keys| keys.block_tokens),
        output_tokens_max: body.asked.output_tokens_max,
        session: session.map(|name| app.config.seed.content_of_bytes(name.as_bytes()).0),
    }
}

/// The block sizes among these replicas.
fn block_sizes(members: &[Arc<Member>]) -> SmallVec<[u32; 2]> {
    let mut sizes: SmallVec<[u32; 2]> = SmallVec::new();
    for member in members {
        if let Some(size) = member.replica.status().block_tokens
            && !sizes.contains(&size)
        {
            sizes.push(size);
        }
    }
    if sizes.is_empty() {
        sizes.push(BLOCK_TOKENS);
    }
    sizes
}

impl Question {
    /// The keys that fit a replica's block size.
    pub(crate) fn keys_of(&self, status: &Status) -> Option<&Keys> {
        match status.block_tokens {
            None => self.keys.first(),
            Some(size) => self.keys.iter().find(|keys| keys.block_tokens == size),
        }
    }

    /// An overlap in blocks of `keys`, in blocks of the question. An engine computes at least
    /// the prompt's last token, so a block that ends with it does not count.
    fn counted(&self, overlap: Overlap, keys: &Keys) -> Overlap {
        let usable = self.ask.prompt_tokens.saturating_sub(1) / keys.block_tokens.max(1);
        let scale = |blocks: u32| {
            let tokens = u64::from(blocks.min(usable)) * u64::from(keys.block_tokens);
            u32::try_from(tokens / u64::from(self.ask.block_tokens.max(1))).unwrap_or(u32::MAX)
        };
        Overlap {
            depth: overlap.depth.map(scale),
        }
    }

    /// How well a replica's cache is known for this prompt.
    fn knowledge(&self, status: &Status) -> Knowledge {
        match status.knowledge {
            _ if self.keys.is_empty() => Knowledge::LoadOnly,
            Knowledge::Exact if !self.exact => Knowledge::Approximate,
            known => known,
        }
    }

    /// Each replica with what it holds of the prompt, and its load.
    pub(crate) fn weigh(&self, app: &App, members: &[Arc<Member>]) -> SmallVec<[Candidate; 8]> {
        let (at, now) = (Instant::now(), app.now());
        let guess = |member: &Arc<Member>| self.guess(member, at, now);
        let mut candidates: SmallVec<[Candidate; 8]> = members.iter().map(guess).collect();
        for keys in &self.keys {
            if candidates
                .iter()
                .any(|each| each.knowledge == Knowledge::Exact)
            {
                self.look_up(app, keys, members, &mut candidates);
            }
        }
        candidates
    }

    /// What is known without the index: the picker's own history.
    fn guess(&self, member: &Member, at: Instant, now: Duration) -> Candidate {
        let status = member.replica.status();
        let knowledge = self.knowledge(&status);
        let mut load = load(&status, at);
        let mut overlap = Overlap::default();
        if let Some(keys) = self.keys_of(&status) {
            let history = member.replica.history().lock();
            load.idle = history.idle(keys.keyed.chain.len(), now);
            if knowledge == Knowledge::Approximate {
                load.held_blocks = u32::try_from(history.len()).unwrap_or(u32::MAX);
                let held = history.overlap(&keys.keyed.chain);
                overlap = self.counted(Overlap::gpu(held), keys);
            }
        }
        Candidate {
            replica: member.replica.id,
            overlap,
            knowledge,
            load,
        }
    }

    fn look_up(
        &self,
        app: &App,
        keys: &Keys,
        members: &[Arc<Member>],
        candidates: &mut [Candidate],
    ) {
        thread_local! {
            static OVERLAPS: RefCell<Overlaps> = RefCell::default();
        }
        OVERLAPS.with_borrow_mut(|overlaps| {
            app.fleet.index().lookup(&keys.keyed.chain, overlaps);
            for (member, candidate) in members.iter().zip(candidates) {
                let same = member.replica.status().block_tokens == Some(keys.block_tokens);
                if same && candidate.knowledge == Knowledge::Exact {
                    candidate.overlap = self.counted(overlaps.get(candidate.replica), keys);
                }
            }
        });
    }
}

fn load(status: &Status, now: Instant) -> ReplicaLoad {
    ReplicaLoad {
        running: status.load.running,
        waiting: status.load.waiting,
        kv_usage: status.load.kv_usage,
        capacity_blocks: status.capacity_blocks.unwrap_or(0),
        held_blocks: u32::try_from(status.held_blocks).unwrap_or(u32::MAX),
        age: status
            .load
            .heard
            .map(|heard| now.saturating_duration_since(heard)),
        idle: None,
    }
}
