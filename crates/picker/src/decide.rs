//! Where a request goes: what it asks, who may answer, who answers first.

use crate::{
    app::App,
    booking::Booking,
    choose::{self, Chosen, Wanted},
    door,
    headers::SCORES,
    machine::{Picked, Way, Whole},
    question::{self, Body, Question},
    refusal::{Code, Refusal},
    rename::rename_request,
    roster::Member,
    subset::Subset,
};
use onefill_fleet::Health;
use onefill_prompt::{Asked, Door};
use prost_types::{Struct, Value, value::Kind};
use std::{net::SocketAddr, sync::Arc};

/// Tells the engine which of its ranks a request is for.
const RANK: &str = "x-data-parallel-rank";

/// The decision, and what was booked for it.
pub(crate) async fn decide(
    app: &Arc<App>,
    whole: &Whole,
) -> Result<(Picked, Option<Booking>), Refusal> {
    if whole.way == Way::Nowhere {
        return Ok((any(app, whole)?, None));
    }
    let path = whole.headers.get(":path");
    let door = door::of(path.as_deref());
    let asked = scan(door, whole)?;
    if readable(door, whole) && asked.model.is_none() {
        return Err(Refusal::bad("model not found in request body"));
    }
    let members = candidates(app, whole)?;
    let said = asked.model.as_deref();
    let model = whole.control.model_rewrite.as_deref().or(said);
    let members = serving(members, model);
    let body = Body {
        door,
        asked: &asked,
        bytes: &whole.body,
        model,
    };
    let question = question::question(app, &body, &members).await;
    let (chosen, booking) = choose(app, whole, &members, question)?;
    let mut picked = picked(app, &members, &chosen);
    if let (Some(target), Some(said)) = (model, said)
        && target != said
    {
        picked.body = rename_request(&whole.body, target);
        picked.renamed = picked
            .body
            .is_some()
            .then(|| (target.to_owned(), said.to_owned()));
    }
    Ok((picked, Some(booking)))
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

/// A request without a body: any endpoint does.
fn any(app: &App, whole: &Whole) -> Result<Picked, Refusal> {
    let members = candidates(app, whole).map_err(|refusal| match app.config.reference_codes {
        true => Refusal::new(Code::Internal, "no pods available in datastore"),
        false => refusal,
    })?;
    let place = app.dice.under(members.len());
    let member = members.get(place).ok_or_else(Refusal::no_candidates)?;
    Ok(Picked {
        destination: member.pod.address.to_string(),
        alone: !app.config.responses,
        ..Picked::default()
    })
}

/// Endpoints that the subset and a test's wish allow: those that are well, and only where none is
/// the others, since a request is lost only if no replica answers.
fn candidates(app: &App, whole: &Whole) -> Result<Vec<Arc<Member>>, Refusal> {
    let subset = whole.subset.as_ref().filter(|_| app.config.subsets);
    let wish = whole.control.test_selection.as_deref().map(Subset::parse);
    let within = |subset: Option<&Subset>, address: SocketAddr| {
        subset.is_none_or(|subset| subset.allows(address))
    };
    let allowed = |member: &&Arc<Member>| {
        let address = member.pod.address;
        within(subset, address) && within(wish.as_ref(), address)
    };
    let roster = app.roster();
    let all = || roster.members.iter().filter(allowed);
    let well = |member: &&Arc<Member>| member.replica.status().health == Health::Up;
    let mut found: Vec<Arc<Member>> = all().filter(well).map(Arc::clone).collect();
    if found.is_empty() {
        found = all().map(Arc::clone).collect();
    }
    if found.is_empty() {
        Err(Refusal::no_candidates())
    } else {
        Ok(found)
    }
}

/// Those that say they serve the model; all of them where nobody does: what a pool serves is for its
/// owner to say, and the engine's answer to a wrong name is clearer than ours.
fn serving(members: Vec<Arc<Member>>, model: Option<&str>) -> Vec<Arc<Member>> {
    let serves = |member: &Arc<Member>| {
        let status = member.replica.status();
        model.is_none_or(|model| status.models.iter().any(|served| served.id == model))
    };
    if members.iter().any(serves) {
        members.into_iter().filter(serves).collect()
    } else {
        members
    }
}

fn choose(
    app: &Arc<App>,
    whole: &Whole,
    members: &[Arc<Member>],
    question: Question,
) -> Result<(Chosen, Booking), Refusal> {
    let candidates = question.weigh(app, members);
    let wanted = Wanted {
        places: app.config.destinations,
        scores: app.config.emit_scores,
    };
    let chosen = choose::by_cost(
        &app.scheduler,
        app.now(),
        &question.ask,
        &candidates,
        wanted,
    );
    let (chosen, pick) = chosen.ok_or_else(Refusal::filtered)?;
    let best = chosen.places.first().copied().unwrap_or(0);
    let member = members.get(best).ok_or_else(Refusal::filtered)?;
    let booking = Booking::new(app, member, pick, question);
    if whole.control.if_available && booking.overlap_tokens() == 0 {
        let message = "nothing of the prompt is cached";
        return Err(Refusal::new(Code::PreconditionFailed, message));
    }
    Ok((chosen, booking))
}

fn picked(app: &App, members: &[Arc<Member>], chosen: &Chosen) -> Picked {
    let at = |place: &usize| members.get(*place);
    let told = chosen.places.iter().filter_map(at);
    let addresses: Vec<String> = told.map(|member| member.pod.address.to_string()).collect();
    let best = chosen.places.first().and_then(at);
    let rank = best.and_then(|member| member.replica.rank);
    Picked {
        destination: addresses.join(","),
        headers: rank
            .map(|rank| (RANK, rank.to_string()))
            .into_iter()
            .collect(),
        metadata: scores(app, members, chosen),
        alone: !app.config.responses,
        ..Picked::default()
    }
}

fn scores(app: &App, members: &[Arc<Member>], chosen: &Chosen) -> Vec<(&'static str, Value)> {
    if !app.config.emit_scores {
        return Vec::new();
    }
    let number = |score: &f64| Value {
        kind: Some(Kind::NumberValue(*score)),
    };
    let each = members.iter().zip(&chosen.scores);
    let fields = each.map(|(member, score)| (member.pod.address.to_string(), number(score)));
    let all = Kind::StructValue(Struct {
        fields: fields.collect(),
    });
    vec![(SCORES, Value { kind: Some(all) })]
}
