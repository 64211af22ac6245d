//! The reference's own hermetic cases (llm-d-router, test/integration/epp): what Envoy says, what a
//! pool looks like, and what must come of it. All that decides is the real thing; only the pool is
//! made up.

mod burst;
mod profiles;
mod routes;
mod sessions;

use crate::{
    choose,
    endpoint::{Adapters, Endpoint},
    machine::{Act, Event, Machine, Picked, Rules as MachineRules, Way, Whole},
    plan::{self, Allowed},
    pods::Pod,
    profile::Scene,
    proto::{
        CommonAnswer, HeaderMap, HeaderMutation, HeaderValue, HttpBody, HttpHeaders, Metadata,
        Mutation, ProcessingRequest, Request, Response,
    },
    refusal::Refusal,
    rules::Rules,
    setup::{self, Setup},
};
use bytes::Bytes;
use onefill_kv::{Knowledge, Overlap, ReplicaId};
use onefill_schedule::{Ask, Candidate, Policy, ReplicaLoad, Scheduler};
use std::{collections::BTreeMap, net::Ipv4Addr, sync::Arc, time::Duration};

/// The profile of the cases: four scorers of one weight each.
pub(super) const FOUR_SCORERS: &str = "
apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
- type: queue-scorer
- type: kv-cache-utilization-scorer
- type: prefix-cache-scorer
- type: lora-affinity-scorer
- type: openai-parser
requestHandler:
  parsers:
  - pluginRef: openai-parser
schedulingProfiles:
- name: default
  plugins:
  - pluginRef: queue-scorer
  - pluginRef: kv-cache-utilization-scorer
  - pluginRef: prefix-cache-scorer
  - pluginRef: lora-affinity-scorer
";

/// A pool and what is said of it.
pub(super) struct Cluster {
    pub(super) setup: Setup,
    pub(super) rules: Rules,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) emit_scores: bool,
    pub(super) reference_codes: bool,
}

/// What Envoy is told in the end.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Outcome {
    pub(super) destination: Option<String>,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
    pub(super) response_headers: BTreeMap<String, String>,
    /// Status, body and reason of a refusal.
    pub(super) refused: Option<(i32, String, Option<String>)>,
    /// Names that the answer is given under.
    pub(super) renamed: Option<(String, String)>,
    pub(super) scores: usize,
    pub(super) priority: i32,
}

/// A pod: its queue, its cache in use, its adapters. Its address is 192.168.1.(place + 1):8000.
pub(super) fn pod(place: u8, waiting: u32, kv_usage: f32, adapters: &[&str]) -> Endpoint {
    let address = (Ipv4Addr::new(192, 168, 1, place + 1), 8000).into();
    let running: Vec<String> = adapters.iter().map(ToString::to_string).collect();
    let load = ReplicaLoad {
        waiting,
        kv_usage,
        age: Some(Duration::ZERO),
        ..ReplicaLoad::default()
    };
    Endpoint {
        pod: Arc::new(Pod {
            name: format!("pod-{place}-rank-0"),
            ..Pod::at(address)
        }),
        candidate: Candidate {
            replica: ReplicaId(u16::from(place)),
            overlap: Overlap::default(),
            knowledge: Knowledge::LoadOnly,
            load,
        },
        adapters: Arc::new(Adapters {
            max: if running.is_empty() { 0 } else { 4 },
            running,
            waiting: Vec::new(),
        }),
        in_flight: 0,
        in_flight_tokens: 0.0,
    }
}

pub(super) fn at(place: u8) -> Option<String> {
    Some(format!("192.168.1.{}:8000", place + 1))
}

pub(super) fn body(model: &str) -> String {
    format!(r#"{{"max_tokens":100,"model":"{model}","prompt":"hello","temperature":0}}"#)
}

impl Cluster {
    pub(super) fn new(text: &str, endpoints: Vec<Endpoint>) -> Self {
        Self {
            setup: setup::read(text).expect("a configuration"),
            rules: Rules::default(),
            endpoints,
            emit_scores: false,
            reference_codes: false,
        }
    }

    /// A request as the cases send it: an objective of the model's name, and the target model.
    pub(super) fn ask(&self, objective: &str, target: &str, sent: &str) -> Outcome {
        let headers = [
            ("hi", "mom"),
            ("x-request-id", "test-request-id"),
            ("x-gateway-inference-objective", objective),
            ("x-gateway-model-name-rewrite", target),
        ];
        self.send(&headers, &[sent], None)
    }

    pub(super) fn send(
        &self,
        headers: &[(&str, &str)],
        pieces: &[&str],
        hint: Option<&Metadata>,
    ) -> Outcome {
        let mut machine = Machine::new(MachineRules {
            body_bytes_max: 1 << 20,
            fresh_id: 0,
        });
        let map = headers.iter().map(|(key, value)| HeaderValue {
            key: (*key).to_owned(),
            value: String::new(),
            raw_value: Bytes::copy_from_slice(value.as_bytes()),
        });
        let mut messages = vec![Request::RequestHeaders(HttpHeaders {
            headers: Some(HeaderMap {
                headers: map.collect(),
            }),
            end_of_stream: pieces.is_empty(),
        })];
        for (place, piece) in pieces.iter().enumerate() {
            messages.push(Request::RequestBody(HttpBody {
                body: Bytes::copy_from_slice(piece.as_bytes()),
                end_of_stream: place + 1 == pieces.len(),
            }));
        }
        let mut outcome = Outcome::default();
        for request in messages {
            let event = Event::Message(ProcessingRequest {
                request: Some(request),
                metadata_context: hint.cloned(),
                ..ProcessingRequest::default()
            });
            self.feed(&mut machine, event, &mut outcome);
        }
        outcome
    }

    fn feed(&self, machine: &mut Machine, event: Event, outcome: &mut Outcome) {
        let mut acts = Vec::new();
        machine.on(event, &mut acts);
        for act in acts {
            match act {
                Act::Decide(whole) => {
                    let verdict = self.decide(&whole, outcome);
                    self.feed(machine, Event::Decided(verdict), outcome);
                }
                Act::Send(answer) => outcome.read(answer.response),
                _ => {}
            }
        }
    }

    fn decide(&self, whole: &Whole, outcome: &mut Outcome) -> Result<Picked, Refusal> {
        let allowed = Allowed::of(whole, true);
        let mut endpoints = self.endpoints.clone();
        endpoints.retain(|one| allowed.is(&one.pod));
        if whole.way == Way::Nowhere {
            let place = plan::any(endpoints.len(), 0, self.reference_codes)?;
            return Ok(plan::picked(std::iter::once(&*endpoints[place].pod), None));
        }
        let wish = plan::wish(whole, &self.rules, &self.setup.parsers, 0)?;
        outcome.priority = wish.priority;
        if endpoints.is_empty() {
            return Err(Refusal::no_candidates());
        }
        self.setup.saturation.admit(wish.priority, &endpoints)?;
        let ask = Ask {
            prompt_tokens: 2,
            chain: Arc::from([]),
            block_tokens: 16,
            output_tokens_max: None,
            session: None,
        };
        let scene = Scene {
            endpoints: &endpoints,
            ask: &ask,
            model: wish.model.as_deref().unwrap_or_default(),
            headers: &whole.headers,
            now: Duration::ZERO,
        };
        let scheduler = Scheduler::new(Policy::LeastLoad, 0);
        let profile = &self.setup.profile;
        let (chosen, _) = choose::by_profile(profile, &scheduler, &scene, &mut || 0.5)?;
        let told = chosen.places.iter().map(|place| &*endpoints[*place].pod);
        let mut picked = plan::picked(told, None);
        if self.emit_scores {
            let pods = endpoints.iter().map(|one| &*one.pod);
            picked.metadata.push(plan::scores(pods, &chosen.scores));
        }
        outcome.scores = picked.metadata.len();
        picked.response_headers.clone_from(&chosen.headers);
        outcome.response_headers = chosen.headers.into_iter().collect();
        plan::rename(&mut picked, whole, &wish);
        outcome.renamed.clone_from(&picked.renamed);
        Ok(picked)
    }
}

impl Outcome {
    fn read(&mut self, response: Option<Response>) {
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        let set = |mutation: Option<HeaderMutation>| -> BTreeMap<String, String> {
            let options = mutation.map(|mutation| mutation.set_headers);
            let headers = options.unwrap_or_default().into_iter();
            let headers = headers.filter_map(|option| option.header);
            headers.map(|h| (h.key, text(&h.raw_value))).collect()
        };
        let common = |answer: CommonAnswer| answer.response.unwrap_or_default();
        match response {
            Some(Response::RequestHeaders(answer)) => {
                self.headers = set(common(answer).header_mutation);
                let destination = self.headers.get("x-gateway-destination-endpoint");
                self.destination = destination.cloned();
            }
            Some(Response::RequestBody(answer)) => {
                let mutation = common(answer).body_mutation.and_then(|body| body.mutation);
                if let Some(Mutation::Streamed(piece)) = mutation {
                    self.body.push_str(&text(&piece.body));
                }
            }
            Some(Response::Immediate(answer)) => {
                let reason = set(answer.headers).remove("x-llm-d-request-dropped-reason");
                let status = answer.status.map_or(0, |status| status.code);
                self.refused = Some((status, text(&answer.body), reason));
            }
            _ => {}
        }
    }
}
