//! The options, cheapest first.

use crate::{
    policy,
    sim::{Config, Outcome, Shape, simulate},
    trace::Trace,
};
use onefill_schedule::Policy;

/// Something that could be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
pub enum Choice {
    /// Requests go where their prefix is.
    Route,
    /// Each replica keeps more in host memory, requests go as before.
    Cpu,
    /// Both.
    RouteCpu,
    /// A store that all share, requests go as before.
    Store,
    /// Requests go where their prefix is, and a store.
    RouteStore,
    /// Requests go where least is to do: a yardstick, which shares nothing.
    Balance,
    /// One more replica, requests go as before: another one.
    Replica,
}

/// Host memory of a replica and the fleet's store, in parts of what accelerators hold: what a
/// machine usually has of both.
const CPU_SHARE: u64 = 4;
/// See [`CPU_SHARE`].
const STORE_SHARE: u64 = 16;

impl Choice {
    /// All of them, cheapest first.
    pub const ALL: [Self; 7] = [
        Self::Route,
        Self::Cpu,
        Self::RouteCpu,
        Self::Store,
        Self::RouteStore,
        Self::Balance,
        Self::Replica,
    ];

    /// In a few words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Route => "route by content",
            Self::Cpu => "host memory",
            Self::RouteCpu => "route by content + host memory",
            Self::Store => "a store",
            Self::RouteStore => "route by content + a store",
            Self::Balance => "balance by load",
            Self::Replica => "one more replica",
        }
    }

    /// What to do for it.
    #[must_use]
    pub fn how(self, shape: &Shape) -> String {
        let cpu = shape.cpu_tokens;
        let store = shape.store_tokens;
        match self {
            Self::Route => "start the router with --policy kv".to_owned(),
            Self::Cpu => format!("give each replica host memory for {cpu} tokens (docs/plug.md)"),
            Self::RouteCpu => format!(
                "start the router with --policy kv, and give each replica host memory for {cpu} tokens \
                 (docs/plug.md)"
            ),
            Self::Store => {
                format!("start `onefill store` with memory for {store} tokens (docs/store.md)")
            }
            Self::RouteStore => format!(
                "start the router with --policy kv, and `onefill store` with memory for {store} tokens \
                 (docs/store.md)"
            ),
            Self::Balance => "start the router with --policy least-load".to_owned(),
            Self::Replica => format!("start {} replicas", shape.replicas),
        }
    }

    /// Whether it finds more of what was computed.
    pub(super) const fn shares(self) -> bool {
        !matches!(self, Self::Balance | Self::Replica)
    }

    const fn routes(self) -> bool {
        matches!(self, Self::Route | Self::RouteCpu | Self::RouteStore)
    }

    /// Whether a fleet like this could do it.
    pub(super) fn is_possible(self, config: &Config) -> bool {
        config.shape.replicas > 1 || !(self.routes() || self == Self::Balance)
    }

    /// The fleet with it.
    pub(super) fn shape(self, shape: &Shape) -> Shape {
        let replicas = shape.replicas as u64;
        let mut shape = *shape;
        match self {
            Self::Route | Self::Balance => {}
            Self::Cpu | Self::RouteCpu => shape.cpu_tokens = CPU_SHARE * shape.gpu_tokens,
            Self::Store | Self::RouteStore => {
                shape.store_tokens = STORE_SHARE * replicas * shape.gpu_tokens;
            }
            Self::Replica => shape.replicas += 1,
        }
        shape
    }

    /// The requests on a fleet with it; `policy` picks where it changes nothing about that.
    pub(super) fn run(self, trace: &Trace, config: &Config, policy: &str) -> Outcome {
        let config = Config {
            shape: self.shape(&config.shape),
            ..*config
        };
        let name = match self {
            _ if self.routes() => policy::Name::Ours(Policy::Kv),
            Self::Balance => policy::Name::Ours(Policy::LeastLoad),
            _ => policy::Name::find(policy).unwrap_or(policy::Name::Ours(Policy::RoundRobin)),
        };
        let mut route = name.build(&config.shape, trace.block_tokens, 1);
        simulate(trace, &config, self.name(), route.as_mut(), &mut |_| {})
    }
}

/// An option and what it would bring.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct Tried {
    /// The option.
    pub choice: Choice,
    /// What to do for it.
    pub how: String,
    /// The fleet with it, simulated.
    pub outcome: Outcome,
    /// Share of the mean time to the first byte that it saves; negative: it costs.
    pub ttft_saved: f64,
    /// Share of prompt tokens that are found and were not before.
    pub hits_gained: f64,
}

impl Tried {
    pub(super) fn new(choice: Choice, shape: &Shape, before: &Outcome, outcome: Outcome) -> Self {
        Self {
            choice,
            how: choice.how(&choice.shape(shape)),
            ttft_saved: 1.0 - outcome.ttft_s.mean / before.ttft_s.mean.max(1e-9),
            hits_gained: outcome.hit_ratio() - before.hit_ratio(),
            outcome,
        }
    }
}
