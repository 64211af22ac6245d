//! Plugins by their types: what each reads of its parameters, and what it is here.

use super::{FileDiscovery, Parser, reader::Table};
use crate::{
    profile::{Affinity, Filter, NoHitLru, Prefix, Requirement, Scorer, Strategy, Take},
    saturation::Saturation,
};
use std::time::Duration;

/// What a plugin is here.
#[derive(Debug)]
pub(super) enum Built {
    Filter(Filter),
    Scorer(Scorer),
    /// How endpoints are taken, and how many are told.
    Picker(Take, usize),
    Detector(Saturation),
    Parser(Parser),
    Discovery(FileDiscovery),
    /// Prefix caches known by what was sent where.
    Approximate,
    /// Prefix caches known by their events.
    Precise,
    /// Part of the scheme of the reference; what it stands for is always done here.
    Given,
}

/// What a plugin's data come from, where nothing in the configuration makes them.
pub(super) fn needs(kind: &str) -> &'static [&'static str] {
    match kind {
        "prefix-cache-scorer" | "no-hit-lru-scorer" => &["approx-prefix-cache-producer"],
        "precise-prefix-cache-scorer" => &["precise-prefix-cache-producer"],
        "approx-prefix-cache-producer" | "precise-prefix-cache-producer" => &["token-producer"],
        "active-request-scorer" | "token-load-scorer" => &["inflight-load-producer"],
        _ => &[],
    }
}

/// Builds a plugin from its parameters; `None` where its type is not known here.
pub(super) fn build(kind: &str, with: &Table<'_>) -> Option<Built> {
    scorer(kind, with)
        .map(Built::Scorer)
        .or_else(|| filter(kind, with).map(Built::Filter))
        .or_else(|| picker(kind, with))
        .or_else(|| detector(kind, with).map(Built::Detector))
        .or_else(|| parser(kind).map(Built::Parser))
        .or_else(|| other(kind, with))
}

fn scorer(kind: &str, with: &Table<'_>) -> Option<Scorer> {
    Some(match kind {
        "queue-scorer" => Scorer::Queue,
        "running-requests-size-scorer" => Scorer::Running,
        "kv-cache-utilization-scorer" => Scorer::KvUtilization,
        "load-aware-scorer" => Scorer::LoadAware {
            threshold: with.number("threshold", 1.0).unwrap_or(128.0),
        },
        "prefix-cache-scorer" => Scorer::Prefix(prefix(with)),
        "precise-prefix-cache-scorer" => {
            precise(with);
            Scorer::Prefix(Prefix::default())
        }
        "lora-affinity-scorer" => Scorer::LoraAffinity,
        "active-request-scorer" => {
            with.get("requestTimeout");
            with.text("inFlightLoadProducerName");
            Scorer::ActiveRequests {
                idle_threshold: with.count("idleThreshold", 0).unwrap_or(0),
                max_busy_score: with.number("maxBusyScore", 0.0).unwrap_or(1.0),
            }
        }
        "token-load-scorer" => {
            with.text("inFlightLoadProducerName");
            Scorer::TokenLoad {
                threshold: with
                    .number("queueThresholdTokens", 1.0)
                    .unwrap_or(4_194_304.0),
            }
        }
        "no-hit-lru-scorer" => {
            with.count("lruSize", 1);
            with.text("prefixMatchInfoProducerName");
            Scorer::NoHitLru(NoHitLru::default())
        }
        "session-affinity-scorer" => Scorer::Session(affinity(with)),
        _ => return None,
    })
}

fn prefix(with: &Table<'_>) -> Prefix {
    let default = Prefix::default();
    with.text("prefixMatchInfoProducerName");
    Prefix {
        length_weight: with
            .number("matchLengthWeight", 0.0)
            .unwrap_or(0.0)
            .min(1.0),
        length_scale_tokens: with
            .number("matchLengthScaleTokens", 1.0)
            .unwrap_or(default.length_scale_tokens),
    }
}

/// Parameters of the precise producer. Blocks, hashes and event feeds are read from the endpoints.
fn precise(with: &Table<'_>) {
    for part in ["tokenProcessorConfig", "indexerConfig", "kvEventsConfig"] {
        with.get(part);
    }
    with.truth("speculativeIndexing");
    with.get("speculativeTTL");
}

fn affinity(with: &Table<'_>) -> Affinity {
    with.text("profileName");
    let token = with.table("encodedEndpointHeaderConfig");
    let header = token.as_ref().and_then(|token| token.text("header"));
    let id = with.table("sessionIdConfig");
    let mut headers = Vec::new();
    let mut ttl = Duration::from_secs(300);
    if let Some(id) = id {
        for source in id.tables("sources") {
            headers.extend(source.text("header"));
            source.get("attribute");
            source.end("a source of session ids");
        }
        if let Some(seconds) = id.count("evictionTtlSeconds", 1) {
            ttl = Duration::from_secs(u64::from(seconds));
        }
        id.count("evictionSweepSeconds", 1);
        id.end("sessionIdConfig");
    }
    if let Some(token) = token {
        token.end("encodedEndpointHeaderConfig");
    }
    let strategy = with.text("strategy");
    Affinity::new(match (strategy.as_deref(), header) {
        (Some("session_id"), _) => {
            if headers.is_empty() {
                headers.push("x-session-id".to_owned());
            }
            Strategy::Id { headers, ttl }
        }
        (None | Some("encoded_endpoint_header"), Some(header)) => Strategy::Token { header },
        (None | Some("encoded_endpoint_header"), None) => Strategy::default(),
        (Some(other), _) => {
            with.fault(
                "strategy",
                &format!("`{other}` is neither encoded_endpoint_header nor session_id"),
            );
            Strategy::default()
        }
    })
}

fn filter(kind: &str, with: &Table<'_>) -> Option<Filter> {
    Some(match kind {
        "label-selector-filter" | "by-label-selector" => Filter::Labels(selector(with)),
        "by-label" => Filter::Labels(by_label(with)),
        "session-affinity-filter" => Filter::Session(affinity(with)),
        "header-based-testing-filter" => Filter::TestHeader,
        _ => return None,
    })
}

fn selector(with: &Table<'_>) -> Vec<Requirement> {
    let mut all = Vec::new();
    if let Some(labels) = with.table("matchLabels") {
        for (key, node) in labels.pairs() {
            if let super::node::Value::Text(value) = &node.value {
                all.push(Requirement::In(key.to_owned(), vec![value.clone()]));
            }
        }
    }
    for each in with.tables("matchExpressions") {
        let (key, values) = (each.text("key").unwrap_or_default(), each.texts("values"));
        let operator = each.text("operator");
        all.extend(match operator.as_deref() {
            Some("In") => Some(Requirement::In(key, values)),
            Some("NotIn") => Some(Requirement::NotIn(key, values)),
            Some("Exists") => Some(Requirement::Exists(key)),
            Some("DoesNotExist") => Some(Requirement::Absent(key)),
            _ => {
                each.fault("operator", "In, NotIn, Exists or DoesNotExist is expected");
                None
            }
        });
        each.end("a match expression");
    }
    all
}

fn by_label(with: &Table<'_>) -> Vec<Requirement> {
    let label = with.text("label").unwrap_or_default();
    let values = with.texts("validValues");
    let without = with.truth("allowsNoLabel").unwrap_or(false);
    if without {
        with.fault(
            "allowsNoLabel",
            "is not known here: use label-selector-filter",
        );
    }
    vec![Requirement::In(label, values)]
}

fn picker(kind: &str, with: &Table<'_>) -> Option<Built> {
    let take = match kind {
        "max-score-picker" => Take::MaxScore,
        "random-picker" => Take::Random,
        "weighted-random-picker" => Take::WeightedRandom,
        _ => return None,
    };
    let most = with.count("maxNumOfEndpoints", 1).unwrap_or(1);
    Some(Built::Picker(take, most as usize))
}

fn detector(kind: &str, with: &Table<'_>) -> Option<Saturation> {
    let share = 1.0 + with_headroom(kind, with);
    Some(match kind {
        "utilization-detector" => Saturation::Utilization {
            queue_depth: with.number("queueDepthThreshold", 1.0).unwrap_or(5.0) * share,
            kv_usage: with.number("kvCacheUtilThreshold", 0.0).unwrap_or(0.8) * share,
            stale_after: with
                .time("metricsStalenessThreshold")
                .unwrap_or(Duration::from_millis(200)),
        },
        "concurrency-detector" => {
            let requests = with.number("maxConcurrency", 1.0).unwrap_or(100.0) * share;
            let tokens = with.number("maxTokenConcurrency", 1.0).unwrap_or(1e6) * share;
            with.text("inFlightLoadProducerName");
            let (requests, tokens) = match with.text("concurrencyMode").as_deref() {
                Some("tokens") => (None, Some(tokens)),
                Some("hybrid") => (Some(requests), Some(tokens)),
                None | Some("requests") => (Some(requests), None),
                Some(_) => {
                    with.fault("concurrencyMode", "requests, tokens or hybrid is expected");
                    (Some(requests), None)
                }
            };
            Saturation::Concurrency { requests, tokens }
        }
        _ => return None,
    })
}

fn with_headroom(kind: &str, with: &Table<'_>) -> f64 {
    match kind {
        "utilization-detector" | "concurrency-detector" => {
            with.number("headroom", 0.0).unwrap_or(0.0)
        }
        _ => 0.0,
    }
}

fn parser(kind: &str) -> Option<Parser> {
    Some(match kind {
        "openai-parser" => Parser::OpenAi,
        "anthropic-parser" => Parser::Anthropic,
        "vllmhttp-parser" => Parser::VllmHttp,
        "passthrough-parser" => Parser::Passthrough,
        _ => return None,
    })
}

fn other(kind: &str, with: &Table<'_>) -> Option<Built> {
    let known: &[&'static str] = match kind {
        "approx-prefix-cache-producer" => &[
            "autoTune",
            "blockSizeTokens",
            "blockSize",
            "maxPrefixBlocksToMatch",
            "maxPrefixTokensToMatch",
            "lruCapacityPerServer",
        ],
        "precise-prefix-cache-producer" => {
            precise(with);
            &[]
        }
        "token-producer" | "tokenizer" => &["estimate", "vllm", "modelName", "udsTokenizerConfig"],
        "inflight-load-producer" => &[
            "addEstimatedOutputTokens",
            "outputRatio",
            "maxEstimatedOutputTokens",
        ],
        "session-id-producer" => &["headerName", "cookieName"],
        "metrics-data-source" => &[
            "scheme",
            "path",
            "port",
            "interval",
            "insecureSkipVerify",
            "caCertPath",
            "clientCertPath",
            "clientKeyPath",
        ],
        "core-metrics-extractor" => &["engineLabelKey", "defaultEngine", "engineConfigs"],
        "single-profile-handler"
        | "models-data-source"
        | "models-extractor"
        | "endpoint-notification-source"
        | "k8s-notification-source"
        | "global-strict-fairness-policy"
        | "round-robin-fairness-policy"
        | "fcfs-ordering-policy" => &[],
        "file-discovery" => {
            let path = with.text("path").unwrap_or_default();
            if path.is_empty() {
                with.fault("path", "file-discovery needs one");
            }
            with.truth("watchFile");
            return Some(Built::Discovery(FileDiscovery { path: path.into() }));
        }
        _ => return None,
    };
    for field in known {
        with.get(field);
    }
    Some(match kind {
        "approx-prefix-cache-producer" => Built::Approximate,
        "precise-prefix-cache-producer" => Built::Precise,
        _ => Built::Given,
    })
}
