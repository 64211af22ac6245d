//! `EndpointPickerConfig`: the text by which the reference is set up, read strictly. Every fault is
//! named at once, with its line.
//!
//! ```yaml
//! apiVersion: llm-d.ai/v1alpha1
//! kind: EndpointPickerConfig
//! plugins:
//! - type: queue-scorer
//! - type: prefix-cache-scorer
//! schedulingProfiles:
//! - name: default
//!   plugins:
//!   - pluginRef: queue-scorer
//!   - pluginRef: prefix-cache-scorer
//!     weight: 3
//! ```

mod endpoints;
mod flows;
mod node;
mod plugins;
mod reader;

use crate::{
    flow::rules::Flows,
    profile::{Profile, Scorer},
    saturation::Saturation,
};
pub use endpoints::endpoints;
use node::Node;
use onefill_schedule::Policy;
use plugins::Built;
use reader::{Faults, Table};
use std::path::PathBuf;

const GROUP: &str = "llm-d.ai/v1alpha1";
const OLD_GROUP: &str = "inference.networking.x-k8s.io/v1alpha1";

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct Fault {
    /// Where.
    pub line: usize,
    /// What, and what was expected.
    pub what: String,
}

/// A plugin by name and type.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Named {
    /// Its name; its type where it has none.
    pub name: String,
    /// Its type.
    pub kind: String,
}

/// Bodies that are understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Parser {
    /// OpenAI's paths.
    OpenAi,
    /// `messages`
    Anthropic,
    /// vLLM's own.
    VllmHttp,
    /// None: any body goes, by load.
    Passthrough,
}

impl Parser {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::OpenAi,
        Self::Anthropic,
        Self::VllmHttp,
        Self::Passthrough,
    ];
}

/// Endpoints in a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileDiscovery {
    /// The file.
    pub path: PathBuf,
}

/// What a configuration comes to.
#[derive(Debug)]
pub struct Setup {
    /// All plugins, those too that are there because others need them.
    pub plugins: Vec<Named>,
    /// How endpoints are chosen.
    pub profile: Profile,
    /// What has to be known of caches.
    pub policy: Policy,
    /// When low priorities are shed, or requests wait.
    pub saturation: Saturation,
    /// Where requests wait while the pool is full; `None`: in the engines' queues.
    pub flows: Option<Flows>,
    /// Bodies that are understood; others pass by where `Passthrough` is among them.
    pub parsers: Vec<Parser>,
    /// Endpoints in a file, in place of Kubernetes.
    pub discovery: Option<FileDiscovery>,
    /// What works, and should be written otherwise.
    pub warnings: Vec<String>,
}

/// Reads a configuration.
pub fn read(text: &str) -> Result<Setup, Vec<Fault>> {
    let root = node::parse(text).map_err(|(line, what)| vec![Fault { line, what }])?;
    let faults = Faults::default();
    let setup = Reading {
        faults: &faults,
        plugins: Vec::new(),
        warnings: Vec::new(),
    }
    .read(&root);
    let found = faults.into_vec();
    if found.is_empty() {
        Ok(setup)
    } else {
        Err(found)
    }
}

struct Reading<'a> {
    faults: &'a Faults,
    plugins: Vec<(Named, Option<Built>)>,
    warnings: Vec<String>,
}

impl Reading<'_> {
    fn read(mut self, root: &Node) -> Setup {
        let top = Table::of(self.faults, root, "the configuration");
        match top.text("apiVersion").as_deref() {
            Some(GROUP) => {}
            Some(OLD_GROUP) => self.warnings.push(format!(
                "apiVersion {OLD_GROUP} is the older name of {GROUP}"
            )),
            _ => top.fault("apiVersion", &format!("{GROUP} is expected")),
        }
        if top.text("kind").as_deref() != Some("EndpointPickerConfig") {
            top.fault("kind", "EndpointPickerConfig is expected");
        }
        let waits = self.gates(&top);
        for plugin in top.tables("plugins") {
            self.plugin(plugin);
        }
        self.needed();
        let policy = self.policy();
        let discovery = self.discovery(&top);
        let parsers = self.parsers(&top);
        let control = top.table("flowControl");
        let saturation = self.saturation(&top, control.as_ref());
        let flows = control
            .map(|control| self.flows(control))
            .unwrap_or_default();
        let profile = self.profile(&top);
        top.end("the configuration");
        let mut named: Vec<Named> = self.plugins.into_iter().map(|(named, _)| named).collect();
        named.sort();
        Setup {
            plugins: named,
            profile,
            policy,
            saturation,
            flows: waits.then_some(flows),
            parsers,
            discovery,
            warnings: self.warnings,
        }
    }

    /// Whether requests are to wait here.
    fn gates(&mut self, top: &Table<'_>) -> bool {
        let mut waits = false;
        for gate in top.texts("featureGates") {
            let (name, on) = gate.split_once('=').unwrap_or((&gate, "true"));
            match (name, on) {
                ("flowControl", on) => waits = on == "true",
                (name, "true") => {
                    top.fault("featureGates", &format!("`{name}` is not built in"));
                }
                _ => {}
            }
        }
        waits
    }

    fn plugin(&mut self, plugin: Table<'_>) {
        let kind = plugin.text("type").unwrap_or_default();
        if kind.is_empty() {
            plugin.fault("type", "a plugin needs one");
        }
        let name = plugin.text("name").unwrap_or_else(|| kind.clone());
        let line = plugin.line;
        if self.find(&name).is_some() {
            self.faults
                .add(line, format!("there are two plugins `{name}`"));
        }
        let empty = Node {
            line,
            value: node::Value::Null,
        };
        let parameters = plugin.get("parameters").unwrap_or(&empty);
        let with = Table::of(self.faults, parameters, "parameters");
        let built = plugins::build(&kind, &with);
        if built.is_some() {
            with.end(&format!("plugin type `{kind}`"));
        } else if !kind.is_empty() {
            self.faults
                .add(line, format!("plugin type `{kind}` is not built in"));
        }
        plugin.end("a plugin");
        self.plugins.push((Named { name, kind }, built));
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.plugins
            .iter()
            .position(|(named, _)| named.name == name)
    }

    fn has(&self, kind: &str) -> bool {
        self.plugins.iter().any(|(named, _)| named.kind == kind)
    }

    /// Adds what others need and nobody has written.
    fn needed(&mut self) {
        let mut place = 0;
        while let Some((named, _)) = self.plugins.get(place) {
            place += 1;
            for kind in plugins::needs(&named.kind.clone()) {
                let other = match *kind {
                    "approx-prefix-cache-producer" => {
                        self.has("precise-prefix-cache-producer")
                            || self.find("approx-prefix-cache-producer").is_some()
                    }
                    kind => self.has(kind),
                };
                if !other {
                    self.add(kind);
                }
            }
        }
    }

    fn add(&mut self, kind: &str) {
        let empty = Node {
            line: 0,
            value: node::Value::Null,
        };
        let built = plugins::build(kind, &Table::of(self.faults, &empty, kind));
        let named = Named {
            name: kind.to_owned(),
            kind: kind.to_owned(),
        };
        self.plugins.push((named, built));
    }

    /// What has to be known of caches.
    fn policy(&self) -> Policy {
        if self.has("precise-prefix-cache-producer") {
            Policy::Kv
        } else if self.has("approx-prefix-cache-producer") {
            Policy::Prefix
        } else {
            Policy::LeastLoad
        }
    }

    fn take(&mut self, table: &Table<'_>) -> Option<(String, Built)> {
        let name = table.text("pluginRef").unwrap_or_default();
        match self.find(&name) {
            None => table.fault("pluginRef", &format!("there is no plugin `{name}`")),
            Some(place) => {
                let built = self
                    .plugins
                    .get_mut(place)
                    .and_then(|(_, built)| built.take());
                return built.map(|built| (name, built));
            }
        }
        None
    }

    fn discovery(&mut self, top: &Table<'_>) -> Option<FileDiscovery> {
        let data = top.table("dataLayer")?;
        for field in ["injectDefaults", "sources"] {
            data.get(field);
        }
        let found = data.table("discovery").and_then(|discovery| {
            let taken = self.take(&discovery);
            let found = match taken {
                Some((_, Built::Discovery(file))) => Some(file),
                Some((name, _)) => {
                    discovery.fault("pluginRef", &format!("`{name}` finds no endpoints"));
                    None
                }
                None => None,
            };
            discovery.end("discovery");
            found
        });
        data.end("dataLayer");
        found
    }

    fn parsers(&mut self, top: &Table<'_>) -> Vec<Parser> {
        let mut named = Vec::new();
        if let Some(handler) = top.table("requestHandler") {
            named = handler.tables("parsers");
            handler.end("requestHandler");
        }
        named.extend(top.table("parser"));
        let mut parsers = Vec::new();
        for table in named {
            match self.take(&table) {
                Some((_, Built::Parser(parser))) => parsers.push(parser),
                Some((name, _)) => table.fault("pluginRef", &format!("`{name}` parses nothing")),
                None => {}
            }
            table.end("a parser");
        }
        if parsers.is_empty() {
            parsers = vec![
                Parser::OpenAi,
                Parser::Anthropic,
                Parser::VllmHttp,
                Parser::Passthrough,
            ];
        }
        parsers
    }

    fn saturation(&mut self, top: &Table<'_>, control: Option<&Table<'_>>) -> Saturation {
        let older = top.table("saturationDetector");
        let named = control.and_then(|control| control.table("saturationDetector"));
        if let Some(table) = named.or(older) {
            let taken = self.take(&table);
            table.end("saturationDetector");
            match taken {
                Some((_, Built::Detector(detector))) => return detector,
                Some((name, _)) => table_fault(self.faults, top, &name),
                None => {}
            }
        }
        let written = self.plugins.iter_mut().find_map(|(_, built)| match built {
            Some(Built::Detector(detector)) => Some(*detector),
            _ => None,
        });
        written.unwrap_or_default()
    }

    fn profile(&mut self, top: &Table<'_>) -> Profile {
        let mut profile = Profile {
            endpoints_max: 1,
            ..Profile::default()
        };
        let mut written = top.tables("schedulingProfiles");
        if written.len() > 1 {
            let fault = "one profile is expected: handlers of several are not built in";
            top.fault("schedulingProfiles", fault);
        }
        match written.pop() {
            None => {
                // All filters, scorers and the picker, in the order in which they stand.
                for place in 0..self.plugins.len() {
                    let built = self
                        .plugins
                        .get_mut(place)
                        .and_then(|(_, built)| built.take());
                    if let Some(built) = built {
                        put(&mut profile, built, 1.0);
                    }
                }
            }
            Some(table) => {
                table.text("name");
                let mut pickers = 0;
                for each in table.tables("plugins") {
                    let weight = each.number("weight", 0.0);
                    if let Some((name, built)) = self.take(&each) {
                        pickers += usize::from(matches!(built, Built::Picker(..)));
                        if !put(&mut profile, built, weight.unwrap_or(1.0)) {
                            each.fault(
                                "pluginRef",
                                &format!("`{name}` is no filter, scorer or picker"),
                            );
                        }
                    }
                    each.end("a plugin of a profile");
                }
                if pickers > 1 {
                    table.fault("plugins", "one picker is expected");
                }
                table.end("a profile");
            }
        }
        profile
    }
}

fn table_fault(faults: &Faults, top: &Table<'_>, name: &str) {
    faults.add(top.line, format!("`{name}` detects no saturation"));
}

/// Puts a plugin into a profile; false where it has no place there.
fn put(profile: &mut Profile, built: Built, weight: f64) -> bool {
    match built {
        Built::Filter(filter) => profile.filters.push(filter),
        Built::Scorer(scorer) => profile.scorers.push((scorer, weight)),
        Built::Picker(take, most) => {
            profile.take = take;
            profile.endpoints_max = most;
        }
        _ => return false,
    }
    true
}

impl Setup {
    /// The reference's own where no configuration is given: queue, cache and prefix, 2 to 2 to 3.
    #[must_use]
    pub fn reference() -> Self {
        let named = |kind: &str| Named {
            name: kind.to_owned(),
            kind: kind.to_owned(),
        };
        Self {
            plugins: [
                "queue-scorer",
                "kv-cache-utilization-scorer",
                "prefix-cache-scorer",
            ]
            .map(named)
            .to_vec(),
            profile: Profile {
                scorers: vec![
                    (Scorer::Queue, 2.0),
                    (Scorer::KvUtilization, 2.0),
                    (Scorer::Prefix(crate::profile::Prefix::default()), 3.0),
                ],
                endpoints_max: 1,
                ..Profile::default()
            },
            policy: Policy::Prefix,
            saturation: Saturation::default(),
            flows: None,
            parsers: vec![
                Parser::OpenAi,
                Parser::Anthropic,
                Parser::VllmHttp,
                Parser::Passthrough,
            ],
            discovery: None,
            warnings: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
