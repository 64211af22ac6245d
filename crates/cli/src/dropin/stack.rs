//! Flags of production-stack's router, as its `VLLMRouter` sets them, in terms of `onefill router`.
//!
//! Its parser is Python's argparse: `--flag VALUE` or `--flag=VALUE`, the last one wins.

use super::Translated;
use clap::Command;
use std::{collections::BTreeMap, ffi::OsString};

/// Flags that mean something here.
const UNDERSTOOD: [&str; 11] = [
    "host",
    "port",
    "service-discovery",
    "static-backends",
    "k8s-namespace",
    "k8s-label-selector",
    "k8s-port",
    "routing-logic",
    "session-key",
    "log-format",
    "log-level",
];

/// Flags with a value that change nothing here: what they set is found out, or is not needed.
const IDLE: [&str; 40] = [
    "root-path",
    "k8s-service-discovery-type",
    "static-models",
    "static-aliases",
    "static-model-types",
    "static-model-labels",
    "static-backend-health-check-interval",
    "static-backend-health-check-timeout-seconds",
    "k8s-watcher-timeout-seconds",
    "backend-health-check-timeout-seconds",
    "lmcache-controller-port",
    "lmcache-controller-reply-port",
    "lmcache-controller-heartbeat-port",
    "callbacks",
    "request-rewriter",
    "file-storage-class",
    "file-storage-path",
    "batch-processor",
    "engine-stats-interval",
    "request-stats-window",
    "log-stats-interval",
    "semantic-cache-model",
    "semantic-cache-dir",
    "semantic-cache-threshold",
    "feature-gates",
    "sentry-dsn",
    "sentry-traces-sample-rate",
    "sentry-profile-session-sample-rate",
    "otel-endpoint",
    "otel-service-name",
    "prefill-model-labels",
    "decode-model-labels",
    "kv-aware-threshold",
    "prefix-min-match-length",
    "max-instance-failover-reroute-attempts",
    "lmcache-health-check-interval",
    "lmcache-worker-timeout",
    "external-providers-config",
    "dynamic-config-yaml",
    "dynamic-config-json",
];

/// Flags without a value that change nothing here.
const SWITCHES: [&str; 4] = [
    "static-backend-health-checks",
    "enable-batch-api",
    "log-stats",
    "otel-secure",
];

/// Those of `IDLE` without which the router would do something else than was asked for.
const REFUSED: [&str; 3] = [
    "external-providers-config",
    "dynamic-config-yaml",
    "dynamic-config-json",
];

/// Any of these shows whose flags these are.
const MARKS: [&str; 4] = [
    "host",
    "service-discovery",
    "routing-logic",
    "k8s-label-selector",
];

pub(super) fn translate(arguments: Vec<OsString>, command: &Command) -> Result<Translated, String> {
    let texts: Option<Vec<&str>> = arguments.iter().map(|word| word.to_str()).collect();
    let words = texts
        .as_deref()
        .and_then(|words| words.get(2..))
        .unwrap_or_default();
    let marks = |word: &&str| flag(word).is_some_and(|(name, _)| MARKS.contains(&name));
    if !words.iter().any(marks) {
        return Ok(Translated {
            arguments,
            warnings: Vec::new(),
        });
    }
    let mut read = Read::default();
    read.all(words, command);
    let mut translated = vec!["onefill".to_owned(), "router".to_owned()];
    translated.extend(read.ours()?);
    translated.append(&mut read.kept);
    Ok(Translated {
        arguments: translated.into_iter().map(OsString::from).collect(),
        warnings: read.warnings,
    })
}

/// `--name` or `--name=value`.
fn flag(word: &str) -> Option<(&str, Option<&str>)> {
    let word = word.strip_prefix("--")?;
    Some(match word.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (word, None),
    })
}

#[derive(Default)]
struct Read {
    said: BTreeMap<String, String>,
    /// Flags of `onefill router` among them.
    kept: Vec<String>,
    warnings: Vec<String>,
}

impl Read {
    fn all(&mut self, words: &[&str], command: &Command) {
        let mut words = words.iter().copied().peekable();
        let mut idle = Vec::new();
        while let Some(word) = words.next() {
            let Some((name, value)) = flag(word) else {
                self.warnings.push(format!("`{word}` means nothing here"));
                continue;
            };
            let understood = UNDERSTOOD.contains(&name) || REFUSED.contains(&name);
            let known = understood || IDLE.contains(&name);
            // Flags that both programs know, log-format among them, are the other program's here.
            let own = if known {
                None
            } else {
                takes_value(command, name)
            };
            let wants = known || own == Some(true);
            let mut value = value.map(str::to_owned);
            if wants && value.is_none() {
                value = words
                    .next_if(|next| !next.starts_with("--"))
                    .map(str::to_owned);
            }
            match (understood, own) {
                (true, _) => {
                    self.said.insert(name.to_owned(), value.unwrap_or_default());
                }
                (_, Some(_)) => {
                    self.kept.push(format!("--{name}"));
                    self.kept.extend(value);
                }
                _ if known || SWITCHES.contains(&name) => idle.push(name),
                _ => self
                    .warnings
                    .push(format!("--{name} is not known here, and is left out")),
            }
        }
        if !idle.is_empty() {
            let idle = idle.join(", --");
            self.warnings.push(format!("without effect here: --{idle}"));
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.said.get(name).map(String::as_str)
    }

    /// What was said, as flags of `onefill router`.
    fn ours(&mut self) -> Result<Vec<String>, String> {
        if let Some(name) = REFUSED.into_iter().find(|name| self.get(name).is_some()) {
            return Err(format!(
                "--{name} is not supported: replicas come from flags, DNS, a file or pods"
            ));
        }
        let host = self.get("host").unwrap_or("0.0.0.0");
        let port = self.get("port").unwrap_or("8001");
        let mut ours = vec!["--listen".to_owned(), format!("{host}:{port}")];
        let mut set =
            |flag: &str, value: &str| ours.extend([format!("--{flag}"), value.to_owned()]);
        if !self.kept.iter().any(|flag| flag == "--policy") {
            set("policy", policy(self.get("routing-logic"))?);
        }
        if self.get("log-format") == Some("json") {
            set("log-format", "json");
        }
        let found = [
            "--dns",
            "--replica",
            "--replicas-file",
            "--kubernetes-selector",
        ];
        let elsewhere = self.kept.iter().any(|flag| found.contains(&flag.as_str()));
        match self.get("service-discovery") {
            _ if elsewhere => {}
            Some("k8s") => {
                set(
                    "kubernetes-selector",
                    self.get("k8s-label-selector").unwrap_or_default(),
                );
                set(
                    "kubernetes-namespace",
                    self.get("k8s-namespace").unwrap_or("default"),
                );
                set("kubernetes-port", self.get("k8s-port").unwrap_or("8000"));
            }
            Some("static") | None => {
                let urls = self.get("static-backends").unwrap_or_default().split(',');
                for url in urls.map(str::trim).filter(|url| !url.is_empty()) {
                    set("replica", url);
                }
            }
            Some(other) => {
                return Err(format!(
                    "--service-discovery {other} is not supported: k8s or static"
                ));
            }
        }
        self.session();
        Ok(ours)
    }

    /// A session is named by the request's body, whose fields `OpenAI`'s clients can set.
    fn session(&mut self) {
        let Some(key) = self.get("session-key").filter(|key| !key.is_empty()) else {
            return;
        };
        if key != "session_id" && key != "user" {
            self.warnings.push(format!(
                "--session-key {key}: here a session is named by session_id or user in a request's body"
            ));
        }
    }
}

/// Whether `onefill router` has this flag, and whether it takes a value.
fn takes_value(command: &Command, name: &str) -> Option<bool> {
    let router = command.find_subcommand("router")?;
    let found = router
        .get_arguments()
        .find(|argument| argument.get_long() == Some(name))?;
    Some(found.get_action().takes_values())
}

fn policy(logic: Option<&str>) -> Result<&'static str, String> {
    match logic {
        Some("roundrobin") | None => Ok("round-robin"),
        Some("session") => Ok("session"),
        Some("prefixaware") => Ok("prefix"),
        Some("kvaware") => Ok("kv"),
        Some(other) => Err(format!(
            "--routing-logic {other} is not supported: roundrobin, session, prefixaware or kvaware"
        )),
    }
}
