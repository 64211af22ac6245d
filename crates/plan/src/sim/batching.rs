//! A replica with continuous batching, as vLLM's scheduler does it: every step decodes one token
//! for each running request and gives the rest of its budget to prefills, first come first served.
//! A request is admitted when its prompt and its answer have room, so nothing is ever preempted.

use super::{
    clock::Event,
    fetch::Found,
    world::{Machine, World},
};
use onefill_kv::Tier;
use std::{collections::VecDeque, time::Duration};

#[derive(Debug)]
struct Running {
    number: u32,
    /// Leading blocks of its prompt that have room; all but where the cache is too small.
    blocks: usize,
    /// Those that were there when it was admitted.
    known: usize,
    /// Blocks for what has no name yet.
    unnamed: usize,
    /// Prompt tokens to be computed.
    left: u64,
    /// Tokens of them in the step that runs.
    chunk: u64,
    /// When what other tiers hold has been loaded.
    ready: Duration,
    generated: u32,
    decodes: bool,
}

#[derive(Debug, Default)]
pub(super) struct Batching {
    waiting: VecDeque<u32>,
    running: Vec<Running>,
    stepping: bool,
}

impl Batching {
    pub(super) fn push(&mut self, number: u32) {
        self.waiting.push_back(number);
    }

    pub(super) fn running(&self) -> usize {
        self.running.len()
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Fills a step: tokens to prefill and requests that decode.
    fn plan(&mut self, now: Duration, budget: u32) -> (u64, usize) {
        let decoding = self.running.iter_mut().filter(|each| each.left == 0);
        let mut decodes = 0;
        for each in decoding {
            each.decodes = true;
            decodes += 1;
        }
        let mut budget = u64::from(budget).saturating_sub(decodes as u64);
        let mut prefilled = 0;
        let ready = |each: &&mut Running| each.left > 0 && each.ready <= now;
        for each in self.running.iter_mut().filter(ready) {
            each.chunk = each.left.min(budget);
            budget -= each.chunk;
            prefilled += each.chunk;
        }
        (prefilled, decodes)
    }
}

impl World<'_> {
    pub(super) fn kick_batching(&mut self, place: usize) {
        self.admit(place);
        let (now, rates) = (self.clock.now, self.config.rates);
        let Machine::Batching(batching) = &mut self.replicas[place].machine else {
            return;
        };
        if batching.stepping {
            return;
        }
        let (tokens, decodes) = batching.plan(now, rates.step_tokens_max);
        if tokens == 0 && decodes == 0 {
            let loading = batching.running.iter().map(|each| each.ready);
            if let Some(ready) = loading.filter(|ready| *ready > now).min() {
                self.clock.at(ready, Event::Loaded(place as u16));
            }
            return;
        }
        batching.stepping = true;
        let prefill_s = tokens as f64 / rates.prefill_tokens_s;
        let step_s = rates.step_s + prefill_s + decodes as f64 * rates.decode_s;
        self.clock.after(step_s, Event::Worked(place as u16));
    }

    /// Admits waiting requests while there is room. Only between two steps.
    fn admit(&mut self, place: usize) {
        loop {
            let replica = &self.replicas[place];
            let Machine::Batching(batching) = &replica.machine else {
                return;
            };
            let is_full = batching.running.len() >= self.config.rates.batch_max;
            let Some(number) = batching.waiting.front().copied().filter(|_| !is_full) else {
                return;
            };
            let request = self.request(number);
            let tokens = u64::from(request.prompt_tokens + request.output_tokens);
            let all = tokens.div_ceil(u64::from(self.trace.block_tokens)) as usize;
            let unnamed = all.saturating_sub(request.blocks.len());
            let fits = replica.gpu.fits(&request.blocks, unnamed);
            if batching.stepping || (!fits && !batching.running.is_empty()) {
                return;
            }
            let found = self.find(place, number);
            self.measure.found(number, place, &found);
            let blocks = request.blocks.len().min(replica.gpu.capacity());
            let unnamed = unnamed.min(replica.gpu.capacity() - blocks);
            self.seat(place, number, found, (blocks, unnamed));
        }
    }

    fn seat(&mut self, place: usize, number: u32, found: Found, room: (usize, usize)) {
        let request = self.request(number);
        let (blocks, unnamed) = room;
        let mut evicted = std::mem::take(&mut self.evicted);
        let replica = &mut self.replicas[place];
        let known = replica.gpu.hits(&request.blocks);
        replica
            .gpu
            .pin(&request.blocks[..blocks], unnamed, &mut evicted);
        let load = Duration::from_secs_f64(found.load_s(&self.config.rates));
        if let Machine::Batching(batching) = &mut replica.machine {
            batching.waiting.pop_front();
            batching.running.push(Running {
                number,
                blocks,
                known,
                unnamed,
                // An engine computes at least the last token: the logits come from it.
                left: found.computed.max(1),
                chunk: 0,
                ready: self.clock.now + load,
                generated: 0,
                decodes: false,
            });
        }
        self.tell_removed(place as u16, Tier::Gpu, &mut evicted);
        self.evicted = evicted;
    }

    pub(super) fn batching_worked(&mut self, place: usize) {
        let Machine::Batching(batching) = &mut self.replicas[place].machine else {
            return;
        };
        batching.stepping = false;
        let mut begun = Vec::new();
        let mut over = Vec::new();
        for (at, each) in batching.running.iter_mut().enumerate() {
            if std::mem::take(&mut each.decodes) {
                each.generated += 1;
            }
            let chunk = std::mem::take(&mut each.chunk);
            each.left -= chunk;
            if chunk > 0 && each.left == 0 {
                each.generated = 1; // the step that ends a prefill gives the first token
                begun.push((each.number, each.blocks, each.known));
            }
            let output = self.trace.requests[each.number as usize].output_tokens;
            if each.left == 0 && each.generated >= output.max(1) {
                over.push(at);
            }
        }
        let leaving = over.into_iter().rev();
        let over: Vec<Running> = leaving.map(|at| batching.running.remove(at)).collect();
        for (number, blocks, known) in begun {
            let chain = &self.request(number).blocks[..blocks];
            self.tell_stored(place as u16, Tier::Gpu, chain, known);
            self.offload(place, chain);
            self.first_token(number);
        }
        for each in over.into_iter().rev() {
            self.leave(place, &each);
        }
    }

    /// A request is over: its blocks may be evicted, the answer's full blocks have names now.
    fn leave(&mut self, place: usize, over: &Running) {
        let request = self.request(over.number);
        let replica = &mut self.replicas[place];
        let blocks = &request.blocks[..over.blocks];
        let mut evicted = std::mem::take(&mut self.evicted);
        let whole = over.blocks == request.blocks.len();
        if whole && request.answer.len() <= over.unnamed {
            let chain: Vec<u32> = blocks.iter().chain(&request.answer).copied().collect();
            let known = replica.gpu.hits(&chain);
            replica.gpu.unpin(&[], over.unnamed);
            replica.gpu.pin(&request.answer, 0, &mut evicted);
            replica.gpu.unpin(&chain, 0);
            self.tell_stored(place as u16, Tier::Gpu, &chain, known);
        } else {
            replica.gpu.unpin(blocks, over.unnamed);
        }
        self.tell_removed(place as u16, Tier::Gpu, &mut evicted);
        self.evicted = evicted;
        self.last_token(over.number);
    }
}
