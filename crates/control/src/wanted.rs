//! What an `LLMInference` comes to: every size derived, every choice made. Wrong combinations can't be
//! written here.

use crate::{
    admit::admit,
    fault::Faults,
    quantity::{self, GIB},
    rules,
    settings::Settings,
    spec::{Backend, GatewayRef, KvCache, Mode, Remote, Scaling, Spec, StoreMode},
    xrd::{API_VERSION, KIND, spec_schema},
};
use onefill_kv::geometry::CacheDtype;
use onefill_plan::sizing::Model;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// CPU tier of a replica, for each GPU.
const CPU_TIER_BYTES: u64 = 4 * GIB;
/// A derived store is this many times all CPU tiers, within bounds: below, it holds little; above,
/// few nodes have so much.
const STORE_FACTOR: u64 = 4;
const STORE_BYTES_MIN: u64 = 8 * GIB;
const STORE_BYTES_MAX: u64 = 256 * GIB;
/// vLLM's own size of a block, and what its attention on CPU takes.
const BLOCK_TOKENS: u32 = 16;
const BLOCK_TOKENS_CPU: u32 = 32;
/// Longest suffix is `-replicas`; a label of a `StatefulSet`'s pods adds a dash and ten letters to
/// `-kvstore` and has 63 letters.
const NAME_MAX: usize = 44;

/// A model, wanted.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) name: String,
    /// Where the objects go.
    pub(crate) namespace: String,
    pub(crate) model: String,
    pub(crate) known: Option<Model>,
    pub(crate) gpu: i64,
    pub(crate) ingress_host: Option<String>,
    pub(crate) provider: Option<String>,
    pub(crate) replicas: u32,
    pub(crate) scaling: Option<Scaling>,
    pub(crate) backend: Backend,
    /// Whether there is a `kvCache` at all: without it nothing is told about it either.
    pub(crate) mentioned: bool,
    pub(crate) kv: Option<Kv>,
}

/// Sharing and routing, switched on.
#[derive(Clone, Debug)]
pub(crate) struct Kv {
    /// 0: no CPU tier.
    pub(crate) cpu_bytes: u64,
    pub(crate) disk_bytes: u64,
    pub(crate) store: Store,
    pub(crate) mode: Mode,
    /// Routers, or pickers.
    pub(crate) doors: u32,
    pub(crate) gateway: Option<GatewayRef>,
    pub(crate) block_tokens: u32,
    /// Whether somebody asked for that size of a block.
    pub(crate) block_tokens_said: bool,
    pub(crate) ttl_s: Option<u64>,
    pub(crate) generation: Option<String>,
    pub(crate) token_secret: Option<String>,
}

/// The shared store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Store {
    None,
    External(String),
    Managed(Managed),
}

/// A store that is made here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Managed {
    pub(crate) memory_bytes: u64,
    /// 0: no volume.
    pub(crate) disk_bytes: u64,
    pub(crate) class: Option<String>,
    pub(crate) remote: Option<Remote>,
    /// Stores that share by `remote`; 1 without one.
    pub(crate) replicas: u32,
    /// `onefill store --eviction`.
    pub(crate) policy: &'static str,
    /// What must agree before two engines may share, for clients that can't say it.
    pub(crate) namespace: String,
}

impl Wanted {
    /// Reads an `LLMInference`; every fault at once.
    pub(crate) fn read(xr: &Value, settings: &Settings) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        for (field, wanted) in [("apiVersion", API_VERSION), ("kind", KIND)] {
            if xr[field] != wanted {
                faults.add(field, format!("must be {wanted}, not {}", xr[field]));
            }
        }
        let spec = spec(xr, &mut faults);
        let name = xr["metadata"]["name"].as_str().unwrap_or_default();
        if name.is_empty() {
            faults.add("metadata.name", "is required");
        }
        let Some(spec) = spec.filter(|_| faults.0.is_empty()) else {
            return Err(faults);
        };
        rules::check(&spec, &mut faults);
        let enabled = spec.kv_cache.as_ref().filter(|kv| kv.enabled);
        if enabled.is_some() || spec.backend == Backend::Deployment {
            check_name(name, &mut faults);
        }
        let kv = enabled.map(|kv| Kv::of(&spec, kv, settings, &mut faults));
        faults.none()?;
        let home = xr["metadata"]["namespace"].as_str().unwrap_or("default");
        let said = |text: Option<String>| text.filter(|text| !text.is_empty());
        Ok(Self {
            name: name.to_owned(),
            namespace: said(spec.target_namespace).unwrap_or_else(|| home.to_owned()),
            // vLLM keeps bf16 unless told otherwise, and here nobody tells it.
            known: Model::find(&spec.model, CacheDtype::Auto).ok(),
            model: spec.model,
            gpu: spec.gpu,
            ingress_host: said(spec.ingress_host),
            provider: said(spec.provider_config_name),
            replicas: spec.replicas,
            scaling: spec.scaling,
            backend: spec.backend,
            mentioned: spec.kv_cache.is_some(),
            kv,
        })
    }

    /// GPUs as an engine counts them: on CPU there is one rank.
    pub(crate) fn ranks(&self) -> u64 {
        ranks(self.gpu)
    }

    pub(crate) fn on_cpu(&self) -> bool {
        self.gpu <= 0
    }

    /// Bytes of a token's keys and values, where the model is known.
    pub(crate) fn bytes_per_token(&self) -> Option<u64> {
        self.known.as_ref().map(|model| model.kv.bytes_per_token())
    }

    /// Most replicas that there may be.
    pub(crate) fn replicas_max(&self) -> u32 {
        let scaling = self.scaling.as_ref();
        scaling.map_or(self.replicas, |scaling| scaling.max_replicas)
    }

    /// Replicas that there are at least.
    pub(crate) fn replicas_min(&self) -> u32 {
        let scaling = self.scaling.as_ref();
        scaling.map_or(self.replicas, |scaling| scaling.min_replicas)
    }

    /// Name of an object that stands beside the model.
    pub(crate) fn named(&self, suffix: &str) -> String {
        format!("{}-{suffix}", self.name)
    }

    /// Where engines find the store that is made here: one is asked at its pod's own address, of
    /// several each engine has one.
    pub(crate) fn store_host(&self, managed: &Managed) -> String {
        let several = managed.replicas > 1;
        self.host(&self.named(if several { "kvstores" } else { "kvstore" }))
    }

    /// Name of a service inside the cluster, whatever the cluster's domain.
    pub(crate) fn host(&self, service: &str) -> String {
        format!("{service}.{}.svc", self.namespace)
    }
}

fn ranks(gpu: i64) -> u64 {
    u64::try_from(gpu).unwrap_or_default().max(1)
}

fn spec(xr: &Value, faults: &mut Faults) -> Option<Spec> {
    let mut spec = xr["spec"].clone();
    if let Some(fields) = spec.as_object_mut() {
        fields.remove("crossplane"); // Crossplane's own
    }
    admit(spec_schema(), &mut spec, "spec", faults);
    if !faults.0.is_empty() {
        return None;
    }
    let read = serde_json::from_value(spec);
    read.map_err(|error| faults.add("spec", error.to_string()))
        .ok()
}

/// Names of services are stricter than those of other objects.
fn check_name(name: &str, faults: &mut Faults) {
    let inner =
        |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'-';
    let good = name.bytes().all(inner)
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && !name.ends_with('-');
    if !good {
        let what = "must be lower case letters, digits and dashes, beginning with a letter: services are named after it";
        faults.add("metadata.name", what);
    }
    if name.len() > NAME_MAX {
        let what = format!(
            "must have at most {NAME_MAX} characters: names and labels of other objects are longer by their endings"
        );
        faults.add("metadata.name", what);
    }
}

impl Kv {
    fn of(spec: &Spec, kv: &KvCache, settings: &Settings, faults: &mut Faults) -> Self {
        let mut size = |field: &str, text: &str| {
            quantity::bytes(text).unwrap_or_else(|| {
                faults.add(
                    format!("spec.kvCache.{field}"),
                    format!("{text} is too much"),
                );
                0
            })
        };
        let cpu = kv
            .offload
            .cpu
            .as_deref()
            .map(|text| size("offload.cpu", text));
        let cpu_bytes = cpu.unwrap_or(CPU_TIER_BYTES * ranks(spec.gpu));
        let disk_bytes = size("offload.disk", &kv.offload.disk);
        let store_memory = kv
            .store
            .size
            .as_deref()
            .map(|text| size("store.size", text));
        let store_disk = size("store.diskSize", &kv.store.disk_size);
        if store_memory == Some(0) {
            faults.add(
                "spec.kvCache.store.size",
                "must not be 0: set store.mode to None for no store",
            );
        }
        let store = match (kv.store.mode, &kv.store.url) {
            (StoreMode::External, Some(url)) => Store::External(url.clone()),
            (StoreMode::Managed, _) => Store::Managed(Managed {
                memory_bytes: store_memory.unwrap_or_else(|| store_bytes(spec, cpu_bytes)),
                disk_bytes: store_disk,
                class: kv.store.storage_class_name.clone(),
                remote: kv.store.remote.clone(),
                replicas: kv.store.replicas,
                policy: kv.store.eviction_policy.policy(),
                namespace: store_namespace(spec, kv, settings),
            }),
            _ => Store::None,
        };
        let block_tokens = if spec.gpu == 0 {
            BLOCK_TOKENS_CPU
        } else {
            BLOCK_TOKENS
        };
        let tenancy = kv.tenancy.as_ref();
        Self {
            cpu_bytes,
            disk_bytes,
            store,
            mode: kv.routing.mode,
            doors: kv.routing.replicas,
            gateway: kv.routing.gateway_ref.clone(),
            block_tokens: kv.routing.block_size.unwrap_or(block_tokens),
            block_tokens_said: kv.routing.block_size.is_some(),
            ttl_s: kv.store.ttl.as_deref().map(seconds),
            generation: kv.store.generation.clone(),
            token_secret: tenancy.and_then(|tenancy| tenancy.token_secret_name.clone()),
        }
    }

    /// Whether the engine tells what it holds: somebody routes by it.
    pub(crate) fn events(&self) -> bool {
        matches!(self.mode, Mode::Kv | Mode::Gateway)
    }

    /// The store that is made here.
    pub(crate) fn managed(&self) -> Option<&Managed> {
        match &self.store {
            Store::Managed(managed) => Some(managed),
            _ => None,
        }
    }
}

fn store_bytes(spec: &Spec, cpu_bytes: u64) -> u64 {
    let scaling = spec.scaling.as_ref();
    let replicas = scaling.map_or(spec.replicas, |scaling| scaling.max_replicas);
    let tiers = u64::from(replicas).saturating_mul(cpu_bytes);
    let wanted = tiers.saturating_mul(STORE_FACTOR);
    quantity::to_mebibytes(wanted.clamp(STORE_BYTES_MIN, STORE_BYTES_MAX))
}

/// What `lm://` can't say and must agree: the weights' name, the engine's build, and the operator's
/// own word. Parallelism and data type are in `LMCache`'s keys.
fn store_namespace(spec: &Spec, kv: &KvCache, settings: &Settings) -> String {
    let generation = kv.store.generation.as_deref().unwrap_or_default();
    let image = settings.engine_image(spec.backend);
    digest("kv-", &[&spec.model, image, generation])
}

/// A short name of texts: the same for the same ones, another for any others.
pub(crate) fn digest(prefix: &str, texts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    }
    let bytes = hash.finalize();
    let letters: String = bytes
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{prefix}{letters}")
}

/// Seconds of `24h`; the XRD has checked the form.
fn seconds(text: &str) -> u64 {
    let (number, unit) = text.split_at(text.len().saturating_sub(1));
    let scale = match unit {
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => 1,
    };
    number.parse::<u64>().unwrap_or_default() * scale
}
