//! A plan: what a model's blocks take here, when loading them beats computing them, and how much
//! of which tier a workload needs.

use super::{Ask, Fault, LINKS, Machine, Model, Need, Site, Software, need::need};

pub(super) const GIB: f64 = (1_u64 << 30) as f64;
/// Prefixes that tables show, in tokens.
const PREFIXES: [u64; 3] = [4 << 10, 32 << 10, 128 << 10];
/// Peaks over the mean that links must carry.
pub(super) const PEAK: f64 = 3.0;
/// Accelerator memory that an engine takes beside weights and blocks, in bytes each.
const ENGINE_BYTES: f64 = 2.0 * GIB;
/// Host memory that is given for blocks unless told otherwise: for each accelerator.
const HOST_BYTES: f64 = 4.0 * GIB;
/// The least store worth running.
pub(super) const STORE_BYTES_MIN: f64 = 8.0 * GIB;
/// Stores that the object may ask for.
const STORES_MAX: u64 = 16;
/// Of less than this share nothing is to be gained.
const IDEAL_MIN: f64 = 0.05;

/// Computing a prefix beside loading it.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct Loading {
    /// Tokens of the prefix.
    pub prefix: u64,
    /// Tokens computed in a second.
    pub recompute_tokens_s: f64,
    /// Bandwidth from which on loading wins, in bytes a second.
    pub break_even_bytes_s: f64,
    /// How many times faster loading is, over each of [`LINKS`].
    pub times: Vec<f64>,
}

/// The plan.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct Plan {
    /// The model's name.
    pub model: String,
    /// Bytes that one token takes.
    pub token_bytes: u64,
    /// Tokens a block.
    pub block_tokens: u32,
    /// Bytes of a block.
    pub block_bytes: u64,
    /// Tokens in a GiB.
    pub tokens_per_gib: u64,
    /// The accelerators' name, and how many a replica has.
    pub gpu: &'static str,
    /// See `gpu`.
    pub gpus: u32,
    /// Replicas.
    pub replicas: u32,
    /// Tokens that one replica's accelerators hold.
    pub gpu_tokens: u64,
    /// Load or compute, by prefix.
    pub loading: Vec<Loading>,
    /// Bytes a second of the network that the plan stands on.
    pub network_bytes_s: f64,
    /// Tokens from which on loading over that network wins; `None`: never.
    pub least_tokens: Option<u64>,
    /// What the workload needs, where there is one.
    pub need: Option<Need>,
    /// Host memory of each replica for blocks, in bytes.
    pub cpu_bytes: f64,
    /// Memory of all stores, in bytes; 0: none.
    pub store_bytes: f64,
    /// Stores.
    pub stores: u64,
    /// Whether requests shall go where their prefix is.
    pub routed: bool,
    /// What the stores' memory costs an hour.
    pub store_price: f64,
    /// What the accelerators saved cost an hour.
    pub saved_price: f64,
    /// What to know before it is used.
    pub words: Vec<String>,
}

/// Makes a plan. `progress` hears what is being looked at.
pub fn plan(ask: &Ask<'_>, progress: &mut dyn FnMut(&str)) -> Result<Plan, Fault> {
    let (model, site) = (ask.model, &ask.site);
    let machine = Machine {
        model,
        gpu: site.gpu,
        gpus: site.gpus,
        software: Software::usual(model),
    };
    let token_bytes = model.kv.bytes_per_token();
    let mut plan = Plan {
        model: model.name.clone(),
        token_bytes,
        block_tokens: ask.block_tokens,
        block_bytes: model.kv.bytes_per_block(ask.block_tokens),
        tokens_per_gib: (1 << 30) / token_bytes.max(1),
        gpu: site.gpu.name,
        gpus: site.gpus,
        replicas: site.replicas,
        gpu_tokens: gpu_tokens(model, site)?,
        loading: PREFIXES.map(|prefix| loading(&machine, prefix)).to_vec(),
        network_bytes_s: site.network_bytes_s,
        least_tokens: least_tokens(&machine, site),
        need: None,
        cpu_bytes: site.host_bytes.unwrap_or(HOST_BYTES * f64::from(site.gpus)),
        store_bytes: 0.0,
        stores: 0,
        routed: site.replicas > 1,
        store_price: 0.0,
        saved_price: 0.0,
        words: Vec::new(),
    };
    match ask.trace {
        Some(trace) => plan.need = Some(need(ask, &mut plan, &machine, trace, progress)?),
        // Four times what the replicas have: chats outlive their replica's memory.
        None => {
            let all = f64::from(site.replicas) * plan.cpu_bytes;
            plan.store_bytes = (4.0 * all).max(STORE_BYTES_MIN);
        }
    }
    settle(&mut plan, ask);
    Ok(plan)
}

fn gpu_tokens(model: &Model, site: &Site) -> Result<u64, Fault> {
    let gpus = f64::from(site.gpus);
    let weights = model.parameters as f64 * site.weight_bits / 8.0;
    let memory = gpus * (site.gpu.memory_gb * 1e9 * site.gpu_memory_share - ENGINE_BYTES);
    let left = memory - weights;
    if left <= 0.0 {
        return Err(Fault::NoRoom {
            model: model.name.clone(),
            weights_gib: weights / GIB,
            gpu: site.gpu.name,
            gpus: site.gpus,
        });
    }
    let each = model.kv.bytes_per_token() as f64 * model.copies(site.gpus);
    Ok((left / each) as u64)
}

fn loading(machine: &Machine<'_>, prefix: u64) -> Loading {
    let break_even = machine.break_even_bytes_s(prefix, machine.model.kv.bytes_per_token());
    let times = LINKS.iter().map(|link| link.gb_s * 1e9 / break_even);
    Loading {
        prefix,
        recompute_tokens_s: machine.recompute_tokens_s(prefix),
        break_even_bytes_s: break_even,
        times: times.collect(),
    }
}

/// The longest prompt that is thought of.
const PROMPT_MAX: u64 = 1 << 20;

fn least_tokens(machine: &Machine<'_>, site: &Site) -> Option<u64> {
    let token_bytes = machine.model.kv.bytes_per_token();
    match site.prefill_tokens_s {
        None => machine.least_tokens(
            site.first_byte_s,
            site.network_bytes_s,
            token_bytes,
            PROMPT_MAX,
        ),
        Some(rate) => {
            let gain = 1.0 / rate - token_bytes as f64 / site.network_bytes_s;
            let tokens = site.first_byte_s / gain;
            (gain > 0.0 && tokens <= PROMPT_MAX as f64).then(|| tokens.ceil() as u64)
        }
    }
}

pub(super) fn whole_gib(bytes: f64) -> f64 {
    (bytes / GIB).ceil() * GIB
}

/// Rounds sizes to what can be asked for, counts stores, and says what is to be known.
fn settle(plan: &mut Plan, ask: &Ask<'_>) {
    let site = &ask.site;
    if plan.replicas < 2 {
        plan.store_bytes = 0.0;
        let words = "one replica: nobody to share with, nothing to route; its host memory can still keep blocks";
        plan.words.push(words.to_owned());
    } else if plan.store_bytes > 0.0 && plan.least_tokens.is_none() {
        plan.store_bytes = 0.0;
        let words =
            "loading over this network takes longer than computing, whatever the length: no store";
        plan.words.push(words.to_owned());
    }
    plan.cpu_bytes = whole_gib(plan.cpu_bytes);
    plan.store_bytes = whole_gib(plan.store_bytes);
    if plan.store_bytes > 0.0 {
        let by_memory = (plan.store_bytes / site.node_bytes).ceil();
        let peak = plan
            .need
            .as_ref()
            .map_or(0.0, |need| PEAK * need.store_bytes_s);
        let by_network = (peak / site.network_bytes_s).ceil();
        plan.stores = by_memory.max(by_network).max(1.0) as u64;
    }
    if plan.stores > STORES_MAX {
        let words = format!(
            "{} stores are needed, the object takes {STORES_MAX}: give nodes more memory (--node-memory) or want less (--hit)",
            plan.stores
        );
        plan.words.push(words);
    }
    plan.store_price = ask.prices.gib * plan.store_bytes / GIB;
    let saved = plan.need.as_ref().map_or(0.0, |need| need.gpus_saved);
    plan.saved_price = ask.prices.gpu * saved;
    if let Some(need) = &plan.need
        && need.ideal_ratio < IDEAL_MIN
    {
        let words = "these requests share next to nothing: neither routing nor sharing will help";
        plan.words.push(words.to_owned());
        plan.routed = false;
    }
}
