//! Rules between fields. The XRD has the same ones in CEL, under the same messages, so that the API
//! server refuses what [`crate::compose()`] would; a test compares the two lists.

use crate::{
    fault::Faults,
    quantity::bytes,
    spec::{Backend, KvCache, Mode, Spec, Store, StoreMode},
};

/// What must hold, and the field that the message is about.
pub(crate) struct Rule {
    pub(crate) at: &'static str,
    pub(crate) message: &'static str,
    holds: fn(&Spec) -> bool,
}

/// Names every rule that does not hold.
pub(crate) fn check(spec: &Spec, faults: &mut Faults) {
    for rule in RULES.iter().filter(|rule| !(rule.holds)(spec)) {
        faults.add(rule.at, rule.message);
    }
}

/// A form of text, in words.
pub(crate) fn hint(pattern: &str) -> &'static str {
    let found = HINTS.iter().find(|(known, _)| *known == pattern);
    found.map_or("of another form", |(_, hint)| hint)
}

/// Every pattern of the XRD in words.
pub(crate) const HINTS: [(&str, &str); 7] = [
    (
        r"^[0-9]+(\.[0-9]+)?(Ki|Mi|Gi|Ti)?$",
        "a size such as 16Gi (a number and Ki, Mi, Gi or Ti)",
    ),
    (
        r"^[0-9]+(\.[0-9]+)?(Mi|Gi|Ti)?$",
        "a size such as 500Gi (a number and Mi, Gi or Ti), or 0",
    ),
    (
        r"^[0-9]+(\.[0-9]+)?(Mi|Gi|Ti)$",
        "a size such as 64Gi (a number and Mi, Gi or Ti)",
    ),
    (
        r"^(onefill|lm|redis|rediss)://[^/\s:@]+:[0-9]{1,5}$",
        "onefill://HOST:PORT, lm://HOST:PORT, redis://HOST:PORT or rediss://HOST:PORT",
    ),
    (
        r"^(s3|valkey|valkeys)://[^\s@]+$",
        "s3://BUCKET/PREFIX, valkey://HOST:PORT/PREFIX or valkeys://HOST:PORT/PREFIX",
    ),
    (
        "^[1-9][0-9]{0,5}(s|m|h|d)$",
        "a time such as 24h (a number and s, m, h or d)",
    ),
    (
        "^[A-Za-z0-9._-]{1,63}$",
        "a word of at most 63 letters, digits, dots, dashes and underscores",
    ),
];

fn kv(spec: &Spec) -> Option<&KvCache> {
    spec.kv_cache.as_ref().filter(|kv| kv.enabled)
}

fn operator(spec: &Spec) -> bool {
    spec.backend == Backend::Operator
}

/// Whether a size is there and is nothing.
fn zero(size: &str) -> bool {
    bytes(size) == Some(0)
}

fn url(spec: &Spec) -> Option<&str> {
    kv(spec).and_then(|kv| kv.store.url.as_deref())
}

/// The stores that are made here, where there are several.
fn several(spec: &Spec) -> Option<&Store> {
    let store = kv(spec).map(|kv| &kv.store);
    store.filter(|store| store.mode == StoreMode::Managed && store.replicas > 1)
}

fn token(kv: &KvCache) -> bool {
    let secret = kv
        .tenancy
        .as_ref()
        .map(|tenancy| &tenancy.token_secret_name);
    secret.is_some_and(Option::is_some)
}

const SPEC: &str = "spec";
const KV: &str = "spec.kvCache";

/// In the XRD's order.
pub(crate) const RULES: [Rule; 22] = [
    Rule {
        at: SPEC,
        message: "targetNamespace needs providerConfigName: without it objects are made beside this one, in its own namespace",
        holds: |spec| {
            spec.target_namespace.as_deref().is_none_or(str::is_empty)
                || spec
                    .provider_config_name
                    .as_deref()
                    .is_some_and(|name| !name.is_empty())
        },
    },
    Rule {
        at: SPEC,
        message: "scaling needs backend Deployment: the operator of backend VLLMRuntime sets its own number of replicas again and again",
        holds: |spec| spec.scaling.is_none() || !operator(spec),
    },
    Rule {
        at: SPEC,
        message: "gpu must not be negative",
        holds: |spec| kv(spec).is_none() || spec.gpu >= 0,
    },
    Rule {
        at: SPEC,
        message: "gpu 0 (an engine on CPU) with kvCache needs backend Deployment: LMCache shares nothing on CPU",
        holds: |spec| kv(spec).is_none() || spec.gpu != 0 || !operator(spec),
    },
    Rule {
        at: SPEC,
        message: "kvCache.offload.disk needs backend VLLMRuntime: with backend Deployment the disk belongs to the store (kvCache.store.diskSize)",
        holds: |spec| operator(spec) || kv(spec).is_none_or(|kv| zero(&kv.offload.disk)),
    },
    Rule {
        at: SPEC,
        message: "kvCache.store.ttl needs backend Deployment: LMCache's clients can't say how long a block is wanted",
        holds: |spec| !operator(spec) || kv(spec).is_none_or(|kv| kv.store.ttl.is_none()),
    },
    Rule {
        at: SPEC,
        message: "kvCache.tenancy.tokenSecretName needs backend Deployment: lm:// has no way to show a token",
        holds: |spec| !operator(spec) || !kv(spec).is_some_and(token),
    },
    Rule {
        at: SPEC,
        message: "kvCache.store.url must be lm://, redis:// or rediss:// with backend VLLMRuntime: LMCache reads no other store here",
        holds: |spec| !operator(spec) || url(spec).is_none_or(|url| !url.starts_with("onefill:")),
    },
    Rule {
        at: SPEC,
        message: "kvCache.store.url must be onefill:// with backend Deployment: its engine has onefill's own tier, which speaks the native protocol",
        holds: |spec| operator(spec) || url(spec).is_none_or(|url| url.starts_with("onefill:")),
    },
    Rule {
        at: SPEC,
        message: "kvCache.store.generation needs store.mode Managed or backend Deployment: LMCache's keys for a store elsewhere have no place for it",
        holds: |spec| {
            let elsewhere =
                |kv: &KvCache| kv.store.generation.is_some() && kv.store.mode != StoreMode::Managed;
            !operator(spec) || !kv(spec).is_some_and(elsewhere)
        },
    },
    Rule {
        at: "spec.scaling",
        message: "scaling.minReplicas must not be above scaling.maxReplicas",
        holds: |spec| {
            let scaling = spec.scaling.as_ref();
            scaling.is_none_or(|scaling| scaling.min_replicas <= scaling.max_replicas)
        },
    },
    Rule {
        at: KV,
        message: "store.url is required when store.mode is External",
        holds: |spec| {
            kv(spec).is_none_or(|kv| kv.store.mode != StoreMode::External || kv.store.url.is_some())
        },
    },
    Rule {
        at: KV,
        message: "store.url names a store that exists: set store.mode to External, or leave store.url out",
        holds: |spec| {
            kv(spec).is_none_or(|kv| kv.store.mode == StoreMode::External || kv.store.url.is_none())
        },
    },
    Rule {
        at: KV,
        message: "store.size, store.diskSize, store.storageClassName, store.replicas and store.remote describe a store that is made here: they need store.mode Managed",
        holds: |spec| {
            kv(spec).map(|kv| &kv.store).is_none_or(|store| {
                store.mode == StoreMode::Managed
                    || (store.size.is_none()
                        && store.replicas == 1
                        && store.storage_class_name.is_none()
                        && store.remote.is_none()
                        && zero(&store.disk_size))
            })
        },
    },
    Rule {
        at: KV,
        message: "store.storageClassName needs store.diskSize: a store in memory claims no volume",
        holds: |spec| {
            kv(spec)
                .map(|kv| &kv.store)
                .is_none_or(|store| store.storage_class_name.is_none() || !zero(&store.disk_size))
        },
    },
    Rule {
        at: KV,
        message: "store.replicas above 1 needs store.remote: stores know nothing of each other and share blocks by the engine beyond them only",
        holds: |spec| several(spec).is_none_or(|store| store.remote.is_some()),
    },
    Rule {
        at: KV,
        message: "store.replicas above 1 and store.diskSize exclude each other: what memory lets go is in store.remote already",
        holds: |spec| several(spec).is_none_or(|store| zero(&store.disk_size)),
    },
    Rule {
        at: KV,
        message: "offload.cpu must not be 0 while there is a store: blocks pass through host memory on their way; set store.mode to None as well, or leave offload.cpu out",
        holds: |spec| {
            kv(spec).is_none_or(|kv| {
                kv.store.mode == StoreMode::None || !kv.offload.cpu.as_deref().is_some_and(zero)
            })
        },
    },
    Rule {
        at: KV,
        message: "offload.disk needs offload.cpu: blocks pass through host memory on their way",
        holds: |spec| {
            kv(spec).map(|kv| &kv.offload).is_none_or(|offload| {
                zero(&offload.disk) || !offload.cpu.as_deref().is_some_and(zero)
            })
        },
    },
    Rule {
        at: KV,
        message: "routing.gatewayRef is required when routing.mode is Gateway",
        holds: |spec| {
            kv(spec).map(|kv| &kv.routing).is_none_or(|routing| {
                routing.mode != Mode::Gateway || routing.gateway_ref.is_some()
            })
        },
    },
    Rule {
        at: KV,
        message: "routing.gatewayRef is for routing.mode Gateway only",
        holds: |spec| {
            kv(spec).map(|kv| &kv.routing).is_none_or(|routing| {
                routing.mode == Mode::Gateway || routing.gateway_ref.is_none()
            })
        },
    },
    Rule {
        at: KV,
        message: "tenancy.tokenSecretName guards the store: it needs store.mode Managed or External",
        holds: |spec| kv(spec).is_none_or(|kv| !token(kv) || kv.store.mode != StoreMode::None),
    },
];
