//! The loop: what happens next, and what that changes.

use super::{
    Config, Engine,
    batching::Batching,
    clock::{Clock, Event},
    fetch::{Found, find},
    known::{Change, Known, What},
    measure::{Measure, Outcome},
    queue::Queue,
};
use crate::{
    cache::Cache,
    policy::{Question, Route, Seat},
    shelf::Shelf,
    trace::{Arrivals, Request, Trace},
};
use onefill_kv::Tier;
use onefill_schedule::ReplicaLoad;
use std::time::Duration;

/// Requests between two calls of `progress`.
const PROGRESS_EVERY: u32 = 256;

pub(super) enum Machine {
    Queue(Queue),
    Batching(Batching),
}

pub(super) struct Replica {
    pub(super) gpu: Cache,
    pub(super) cpu: Option<Cache>,
    pub(super) machine: Machine,
}

pub(super) struct World<'a> {
    pub(super) trace: &'a Trace,
    pub(super) config: &'a Config,
    pub(super) clock: Clock,
    pub(super) replicas: Vec<Replica>,
    pub(super) store: Option<Shelf>,
    pub(super) known: Known,
    pub(super) measure: Measure,
    pub(super) route: &'a mut dyn Route,
    seats: Vec<Seat>,
    /// When each request was asked.
    asked: Vec<Duration>,
    done: Vec<bool>,
    /// In a closed loop: the next request to be sent, and those that wait for an answer, each
    /// holding one of the places in flight.
    next: u32,
    held_back: Vec<u32>,
    pub(super) evicted: Vec<u32>,
}

/// Runs `trace` through a fleet. `progress` hears how many requests have come, now and then.
pub fn simulate(
    trace: &Trace,
    config: &Config,
    name: &str,
    route: &mut dyn Route,
    progress: &mut dyn FnMut(u32),
) -> Outcome {
    let mut world = World::new(trace, config, route);
    world.begin();
    let mut come = 0;
    while let Some(event) = world.clock.next() {
        match event {
            Event::Arrival(number) => {
                come += 1;
                if come % PROGRESS_EVERY == 0 {
                    progress(come);
                }
                world.arrive(number);
            }
            Event::Worked(replica) => world.worked(usize::from(replica)),
            Event::Loaded(replica) => world.kick(usize::from(replica)),
            Event::Heard => world.known.heard(&trace.names),
        }
    }
    progress(come);
    world.measure.outcome(name)
}

impl<'a> World<'a> {
    fn new(trace: &'a Trace, config: &'a Config, route: &'a mut dyn Route) -> Self {
        let shape = &config.shape;
        let cache = |tokens| Cache::new(trace.blocks_of(tokens));
        let replica = |_| Replica {
            gpu: cache(shape.gpu_tokens),
            cpu: (shape.cpu_tokens > 0).then(|| cache(shape.cpu_tokens)),
            machine: match config.engine {
                Engine::Queue => Machine::Queue(Queue::default()),
                Engine::Batching => Machine::Batching(Batching::default()),
            },
        };
        let stored = trace.blocks_of(shape.store_tokens);
        Self {
            trace,
            config,
            clock: Clock::default(),
            replicas: (0..shape.replicas).map(replica).collect(),
            store: (stored > 0).then(|| Shelf::new(stored, config.eviction)),
            known: Known::new(config),
            measure: Measure::new(config, trace.requests.len()),
            route,
            seats: vec![Seat::default(); shape.replicas],
            asked: vec![Duration::ZERO; trace.requests.len()],
            done: vec![false; trace.requests.len()],
            next: 0,
            held_back: Vec::new(),
            evicted: Vec::new(),
        }
    }

    fn begin(&mut self) {
        match self.trace.arrivals {
            Arrivals::Open => {
                for (number, request) in self.trace.requests.iter().enumerate() {
                    self.clock.at(request.at, Event::Arrival(number as u32));
                }
            }
            Arrivals::Closed { in_flight } => (0..in_flight).for_each(|_| self.send_next()),
        }
    }

    /// In a closed loop: sends the next request, or holds it back until its session's answer.
    fn send_next(&mut self) {
        let number = self.next;
        let Some(request) = self.trace.requests.get(number as usize) else {
            return;
        };
        self.next += 1;
        match request.after {
            Some(before) if !self.done[before as usize] => self.held_back.push(number),
            _ => self.clock.after(0.0, Event::Arrival(number)),
        }
    }

    pub(super) fn request(&self, number: u32) -> &'a Request {
        &self.trace.requests[number as usize]
    }

    fn arrive(&mut self, number: u32) {
        self.asked[number as usize] = self.clock.now;
        let request = self.request(number);
        let question = Question {
            number,
            request,
            chain: self.trace.names.keys(&request.blocks),
            block_tokens: self.trace.block_tokens,
        };
        let mut seats = std::mem::take(&mut self.seats);
        for (seat, replica) in seats.iter_mut().zip(&self.replicas) {
            seat.load = load(self.trace, replica);
        }
        self.known.look_up(&question.chain, &mut seats);
        let replica = self.route.route(self.clock.now, &question, &seats);
        self.seats = seats;
        match &mut self.replicas[replica].machine {
            Machine::Queue(queue) => queue.push(number),
            Machine::Batching(batching) => batching.push(number),
        }
        self.kick(replica);
    }

    /// Lets a replica begin what it can.
    fn kick(&mut self, replica: usize) {
        match self.replicas[replica].machine {
            Machine::Queue(_) => self.kick_queue(replica),
            Machine::Batching(_) => self.kick_batching(replica),
        }
    }

    fn worked(&mut self, replica: usize) {
        match self.replicas[replica].machine {
            Machine::Queue(_) => self.queue_worked(replica),
            Machine::Batching(_) => self.batching_worked(replica),
        }
        self.kick(replica);
    }

    fn kick_queue(&mut self, place: usize) {
        let Machine::Queue(queue) = &mut self.replicas[place].machine else {
            return;
        };
        let Some(number) = queue.next() else {
            return;
        };
        let found = self.find(place, number);
        self.measure.found(number, place, &found);
        if let Machine::Queue(queue) = &mut self.replicas[place].machine {
            let seconds = queue.start(number, found, &self.config.rates);
            self.clock.after(seconds, Event::Worked(place as u16));
        }
    }

    fn queue_worked(&mut self, place: usize) {
        let Machine::Queue(queue) = &mut self.replicas[place].machine else {
            return;
        };
        let Some((number, _)) = queue.done() else {
            return;
        };
        let chain = &self.request(number).blocks;
        let mut evicted = std::mem::take(&mut self.evicted);
        let gpu = &mut self.replicas[place].gpu;
        let known = gpu.hits(chain);
        let kept = gpu.touch(chain, &mut evicted);
        self.tell_stored(place as u16, Tier::Gpu, &chain[..kept], known);
        self.tell_removed(place as u16, Tier::Gpu, &mut evicted);
        self.evicted = evicted;
        self.offload(place, chain);
        self.first_token(number);
        self.last_token(number);
    }

    /// What a request finds at a replica now.
    pub(super) fn find(&self, place: usize, number: u32) -> Found {
        let replica = &self.replicas[place];
        let (cpu, store) = (replica.cpu.as_ref(), self.store.as_ref());
        find(self.trace, self.request(number), &replica.gpu, cpu, store)
    }

    /// Writes a chain that a replica now holds through to the further tiers.
    pub(super) fn offload(&mut self, place: usize, chain: &[u32]) {
        let mut evicted = std::mem::take(&mut self.evicted);
        if let Some(cpu) = &mut self.replicas[place].cpu {
            let known = cpu.hits(chain);
            let kept = cpu.touch(chain, &mut evicted);
            self.tell_stored(place as u16, Tier::Cpu, &chain[..kept], known);
            self.tell_removed(place as u16, Tier::Cpu, &mut evicted);
        }
        if let Some(store) = &mut self.store {
            let known = store.hits(chain);
            let kept = store.touch(chain, &mut evicted);
            let written = kept.saturating_sub(known) as u64;
            self.measure.store_written_tokens += written * u64::from(self.trace.block_tokens);
            let holder = self.replicas.len() as u16;
            self.tell_stored(holder, Tier::Remote, &chain[..kept], known);
            self.tell_removed(holder, Tier::Remote, &mut evicted);
        }
        self.evicted = evicted;
    }

    pub(super) fn tell_stored(&mut self, holder: u16, tier: Tier, chain: &[u32], from: usize) {
        if from >= chain.len() {
            return;
        }
        let what = What::Stored {
            chain: chain.into(),
            from,
        };
        let change = Change { holder, tier, what };
        self.known.tell(&self.trace.names, &mut self.clock, change);
    }

    pub(super) fn tell_removed(&mut self, holder: u16, tier: Tier, evicted: &mut Vec<u32>) {
        if evicted.is_empty() {
            return;
        }
        let what = What::Removed(evicted.as_slice().into());
        evicted.clear();
        let change = Change { holder, tier, what };
        self.known.tell(&self.trace.names, &mut self.clock, change);
    }

    pub(super) fn first_token(&mut self, number: u32) {
        let (asked, now) = (self.asked[number as usize], self.clock.now);
        self.measure.first_token(number, asked, now);
        self.route.first_byte(now, number);
    }

    pub(super) fn last_token(&mut self, number: u32) {
        let (asked, now) = (self.asked[number as usize], self.clock.now);
        self.measure.last_token(number, asked, now);
        self.route.finished(now, number);
        self.done[number as usize] = true;
        if self.trace.arrivals == Arrivals::Open {
            return;
        }
        let waits = |held: &u32| self.trace.requests[*held as usize].after == Some(number);
        if let Some(place) = self.held_back.iter().position(waits) {
            let number = self.held_back.swap_remove(place);
            self.clock.after(0.0, Event::Arrival(number));
        }
        self.send_next();
    }
}

/// The figures that a replica's metrics would show.
fn load(trace: &Trace, replica: &Replica) -> ReplicaLoad {
    let (running, waiting, usage) = match &replica.machine {
        Machine::Queue(queue) => {
            let blocks = queue
                .working()
                .map_or(0, |number| trace.requests[number as usize].blocks.len());
            let usage = blocks as f64 / replica.gpu.capacity().max(1) as f64;
            (queue.running(), queue.waiting(), usage)
        }
        Machine::Batching(batching) => {
            let usage = replica.gpu.usage();
            (batching.running(), batching.waiting(), usage)
        }
    };
    ReplicaLoad {
        running: running as u32,
        waiting: waiting as u32,
        kv_usage: usage.min(1.0) as f32,
        capacity_blocks: replica.gpu.capacity() as u32,
        age: Some(Duration::ZERO),
        ..ReplicaLoad::default()
    }
}
