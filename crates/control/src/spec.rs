//! `LLMInference.spec` as a person writes it, defaults filled in. What it comes to is
//! [`crate::wanted`].

use serde::Deserialize;

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Spec {
    pub(crate) model: String,
    pub(crate) gpu: i64,
    pub(crate) ingress_host: Option<String>,
    pub(crate) provider_config_name: Option<String>,
    pub(crate) target_namespace: Option<String>,
    pub(crate) replicas: u32,
    pub(crate) backend: Backend,
    pub(crate) scaling: Option<Scaling>,
    pub(crate) kv_cache: Option<KvCache>,
}

/// Who runs the engine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
pub(crate) enum Backend {
    #[serde(rename = "VLLMRuntime")]
    Operator,
    Deployment,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Scaling {
    pub(crate) min_replicas: u32,
    pub(crate) max_replicas: u32,
    pub(crate) queue_depth: u32,
    pub(crate) kv_usage_percent: Option<u32>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct KvCache {
    pub(crate) enabled: bool,
    pub(crate) offload: Offload,
    pub(crate) store: Store,
    pub(crate) routing: Routing,
    pub(crate) tenancy: Option<Tenancy>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Offload {
    pub(crate) cpu: Option<String>,
    pub(crate) disk: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Store {
    pub(crate) mode: StoreMode,
    pub(crate) url: Option<String>,
    pub(crate) size: Option<String>,
    pub(crate) disk_size: String,
    pub(crate) storage_class_name: Option<String>,
    pub(crate) replicas: u32,
    pub(crate) eviction_policy: Eviction,
    pub(crate) ttl: Option<String>,
    pub(crate) generation: Option<String>,
    pub(crate) remote: Option<Remote>,
}

/// An engine beyond the store.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Remote {
    pub(crate) url: String,
    pub(crate) secret_name: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
pub(crate) enum StoreMode {
    Managed,
    External,
    None,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
pub(crate) enum Eviction {
    #[serde(rename = "LRU")]
    Lru,
    Density,
    #[serde(rename = "S3FIFO")]
    S3Fifo,
}

impl Eviction {
    /// `onefill store --eviction`.
    pub(crate) fn policy(self) -> &'static str {
        match self {
            Self::Lru => "lru",
            Self::Density => "density",
            Self::S3Fifo => "s3-fifo",
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Routing {
    pub(crate) mode: Mode,
    pub(crate) replicas: u32,
    pub(crate) block_size: Option<u32>,
    pub(crate) gateway_ref: Option<GatewayRef>,
}

/// How requests are spread.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
pub(crate) enum Mode {
    #[serde(rename = "KV")]
    Kv,
    Prefix,
    Session,
    LeastLoad,
    RoundRobin,
    Gateway,
    None,
}

impl Mode {
    /// As in the XRD.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Kv => "KV",
            Self::Prefix => "Prefix",
            Self::Session => "Session",
            Self::LeastLoad => "LeastLoad",
            Self::RoundRobin => "RoundRobin",
            Self::Gateway => "Gateway",
            Self::None => "None",
        }
    }

    /// The router's name of its policy; `None` where no router is made.
    pub(crate) fn policy(self) -> Option<&'static str> {
        match self {
            Self::Kv => Some("kv"),
            Self::Prefix => Some("prefix"),
            Self::Session => Some("session"),
            Self::LeastLoad => Some("least-load"),
            Self::RoundRobin => Some("round-robin"),
            Self::Gateway | Self::None => None,
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GatewayRef {
    pub(crate) name: String,
    pub(crate) namespace: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Tenancy {
    pub(crate) token_secret_name: Option<String>,
}
