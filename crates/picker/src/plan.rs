//! From a whole request to what is wanted, and from a choice to what Envoy is told. Pure.

use crate::{
    door,
    headers::SCORES,
    machine::{Picked, Way, Whole},
    metrics::RequestLabels,
    pods::Pod,
    refusal::{Code, Refusal},
    rename::rename_request,
    rules::Rules,
    setup::Parser,
    subset::Subset,
};
use onefill_prompt::{Asked, Door};
use prost_types::{Struct, Value, value::Kind};

/// Tells the engine which of its ranks a request is for.
const RANK: &str = "x-data-parallel-rank";
/// Whose request it is where nobody says.
const NOBODY: &str = "default-flow";

/// What a request wants.
#[derive(Debug)]
pub(crate) struct Wish<'a> {
    pub(crate) door: Door,
    pub(crate) asked: Asked<'a>,
    /// The model that is to answer; not what the body says where it is rewritten.
    pub(crate) model: Option<String>,
    pub(crate) priority: i32,
    pub(crate) fairness: &'a str,
}

impl Wish<'_> {
    pub(crate) fn labels(&self) -> RequestLabels {
        RequestLabels {
            model_name: self.asked.model.as_deref().unwrap_or_default().to_owned(),
            target_model_name: self.model.clone().unwrap_or_default(),
            fairness_id: self.fairness.to_owned(),
            priority: self.priority,
        }
    }
}

/// Reads a request.
pub(crate) fn wish<'a>(
    whole: &'a Whole,
    rules: &Rules,
    parsers: &[Parser],
    chance: u64,
) -> Result<Wish<'a>, Refusal> {
    let path = whole.headers.get(":path");
    let door = parsed(door::of(path.as_deref()), parsers)
        .ok_or_else(|| Refusal::bad(format!("no parser for {}", path.unwrap_or_default())))?;
    let asked = scan(door, whole)?;
    if readable(door, whole) && asked.model.is_none() {
        return Err(Refusal::bad("model not found in request body"));
    }
    let control = &whole.control;
    let by_rule = || rules.target(asked.model.as_deref()?, chance);
    let model = control.model_rewrite.as_deref().or_else(by_rule);
    let model = model.or(asked.model.as_deref()).map(str::to_owned);
    Ok(Wish {
        door,
        asked,
        model,
        priority: rules.priority(control.objective.as_deref()),
        fairness: control.fairness.as_deref().unwrap_or(NOBODY),
    })
}

/// The door as far as there is a parser for it; `None`: for none, and nothing may pass by.
fn parsed(door: Door, parsers: &[Parser]) -> Option<Door> {
    let parser = match door {
        Door::Messages => Parser::Anthropic,
        Door::Other => Parser::VllmHttp,
        _ => Parser::OpenAi,
    };
    match parsers.contains(&parser) {
        true => Some(door),
        false => parsers
            .contains(&Parser::Passthrough)
            .then_some(Door::Other),
    }
}

/// Whether the body must be understood: of other paths it is the engine's matter.
fn readable(door: Door, whole: &Whole) -> bool {
    let encoded = whole.headers.get("content-encoding").is_some();
    door != Door::Other && whole.way == Way::Here && !encoded
}

/// Reads a body once.
fn scan(door: Door, whole: &Whole) -> Result<Asked<'_>, Refusal> {
    if !readable(door, whole) {
        return Ok(Asked::default());
    }
    onefill_prompt::scan(door, &whole.body)
        .map_err(|error| Refusal::bad(format!("error unmarshaling request bodyMap: {error}")))
}

/// Endpoints to which a request may go.
#[derive(Debug)]
pub(crate) struct Allowed<'a> {
    subset: Option<&'a Subset>,
    /// What a test asks for.
    wish: Option<Subset>,
}

impl<'a> Allowed<'a> {
    /// By the data plane's hint, where hints are obeyed, and a test's wish.
    pub(crate) fn of(whole: &'a Whole, subsets: bool) -> Self {
        Self {
            subset: whole.subset.as_ref().filter(|_| subsets),
            wish: whole.control.test_selection.as_deref().map(Subset::parse),
        }
    }

    /// Whether all endpoints are.
    pub(crate) const fn is_all(&self) -> bool {
        self.subset.is_none() && self.wish.is_none()
    }

    pub(crate) fn is(&self, pod: &Pod) -> bool {
        let within = |subset: &Subset| subset.allows(pod.address);
        self.subset.is_none_or(within) && self.wish.as_ref().is_none_or(within)
    }
}

/// One of `count` endpoints, for a request without a body: any does.
pub(crate) fn any(count: usize, chance: u64, reference_codes: bool) -> Result<usize, Refusal> {
    match chance.checked_rem(count as u64) {
        Some(place) => Ok(usize::try_from(place).unwrap_or(0)),
        None if reference_codes => {
            let message = "no pods available in datastore";
            Err(Refusal::new(Code::Internal, message))
        }
        None => Err(Refusal::no_candidates()),
    }
}

/// What Envoy is told of these endpoints, the best first. `rank` is the best one's, where it has
/// several.
pub(crate) fn picked<'p>(pods: impl Iterator<Item = &'p Pod>, rank: Option<u32>) -> Picked {
    let addresses: Vec<String> = pods.map(|pod| pod.address.to_string()).collect();
    let rank = rank.map(|rank| (RANK, rank.to_string()));
    Picked {
        destination: addresses.join(","),
        headers: rank.into_iter().collect(),
        ..Picked::default()
    }
}

/// Puts the model that is to answer into the body, where it says another.
pub(crate) fn rename(picked: &mut Picked, whole: &Whole, wish: &Wish<'_>) {
    let (Some(target), Some(said)) = (&wish.model, wish.asked.model.as_deref()) else {
        return;
    };
    if target != said {
        picked.body = rename_request(&whole.body, target);
        let renamed = picked.body.is_some();
        picked.renamed = renamed.then(|| (target.clone(), said.to_owned()));
    }
}

/// Each endpoint's score, as metadata.
pub(crate) fn scores<'p>(
    pods: impl Iterator<Item = &'p Pod>,
    scores: &[f64],
) -> (&'static str, Value) {
    let number = |score: &f64| Value {
        kind: Some(Kind::NumberValue(*score)),
    };
    let fields = pods
        .zip(scores)
        .map(|(pod, score)| (pod.address.to_string(), number(score)));
    let all = Kind::StructValue(Struct {
        fields: fields.collect(),
    });
    (SCORES, Value { kind: Some(all) })
}
