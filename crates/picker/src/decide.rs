//! Where a request goes: what it asks, who may answer, who answers first.

use crate::{
    app::App,
    booking::Booking,
    choose::{self, Chosen, Wanted},
    endpoint::Endpoint,
    flow,
    machine::{Picked, Way, Whole},
    metrics::RequestLabels,
    plan::{self, Allowed, Wish},
    pods::Pod,
    profile::Scene,
    question::{self, Body},
    refusal::{Code, Refusal},
    roster::Member,
    setup::Parser,
};
use onefill_fleet::Health;
use onefill_question::Question;
use std::sync::Arc;

/// A decision.
#[derive(Debug)]
pub(crate) struct Decision {
    pub(crate) picked: Picked,
    /// What was booked; nothing for a request without a body.
    pub(crate) booking: Option<Booking>,
    pub(crate) labels: RequestLabels,
}

/// Decides.
pub(crate) async fn decide(app: &Arc<App>, whole: &Whole) -> Result<Decision, Refusal> {
    if whole.way == Way::Nowhere {
        return any(app, whole);
    }
    let rules = Arc::clone(&app.config.rules.borrow());
    let parsers = match &app.config.setup {
        Some(setup) => setup.parsers.as_slice(),
        None => &Parser::ALL,
    };
    let wish = plan::wish(whole, &rules, parsers, app.dice.throw())?;
    // Until it is booked: what is on its way takes room already.
    let _coming = flow::pass(app, &wish, whole.body.len()).await?;
    let members = serving(candidates(app, whole)?, wish.model.as_deref());
    let body = Body {
        door: wish.door,
        asked: &wish.asked,
        bytes: &whole.body,
        model: wish.model.as_deref(),
    };
    let question = question::question(app, &body, &members).await;
    let endpoints = endpoints(app, &members, &question);
    let (chosen, booking) = choose(app, whole, &wish, &members, &endpoints, question)?;
    let pods = |places: &[usize]| -> Vec<Arc<Pod>> {
        let each = places.iter().filter_map(|place| endpoints.get(*place));
        each.map(|one| Arc::clone(&one.pod)).collect()
    };
    let told = pods(&chosen.places);
    let mut picked = plan::picked(told.iter().map(|pod| &**pod), booking.rank());
    if app.config.emit_scores {
        let all = endpoints.iter().map(|one| &*one.pod);
        picked.metadata.push(plan::scores(all, &chosen.scores));
    }
    picked.response_headers = chosen.headers;
    picked.alone = !app.config.responses;
    plan::rename(&mut picked, whole, &wish);
    Ok(Decision {
        picked,
        booking: Some(booking),
        labels: wish.labels(),
    })
}

/// A request without a body: any endpoint does.
fn any(app: &App, whole: &Whole) -> Result<Decision, Refusal> {
    let members = candidates(app, whole).unwrap_or_default();
    let chance = app.dice.throw();
    let place = plan::any(members.len(), chance, app.config.reference_codes)?;
    let member = members.get(place).ok_or_else(Refusal::no_candidates)?;
    let mut picked = plan::picked(std::iter::once(&*member.pod), None);
    picked.alone = !app.config.responses;
    Ok(Decision {
        picked,
        booking: None,
        labels: RequestLabels::default(),
    })
}

/// Endpoints that are allowed: those that are well, and only where none is the others, since a
/// request is lost only if no replica answers.
fn candidates(app: &App, whole: &Whole) -> Result<Vec<Arc<Member>>, Refusal> {
    let allowed = Allowed::of(whole, app.config.subsets);
    let roster = app.roster();
    let all = || roster.members.iter().filter(|each| allowed.is(&each.pod));
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

fn endpoints(app: &App, members: &[Arc<Member>], question: &Question) -> Vec<Endpoint> {
    let now = app.now();
    let profiled = app.config.setup.is_some();
    let weighed = question::weigh(app, question, members);
    let endpoint = |(member, candidate): (&Arc<Member>, _)| {
        let id = member.replica.id;
        Endpoint {
            pod: Arc::clone(&member.pod),
            candidate,
            adapters: Arc::clone(&member.replica.status().adapters),
            // The cost reads the book itself.
            in_flight: if profiled {
                app.scheduler.in_flight(id)
            } else {
                0
            },
            in_flight_tokens: if profiled {
                app.scheduler.queued_tokens(now, id)
            } else {
                0.0
            },
        }
    };
    members.iter().zip(weighed).map(endpoint).collect()
}

fn choose(
    app: &Arc<App>,
    whole: &Whole,
    wish: &Wish<'_>,
    members: &[Arc<Member>],
    endpoints: &[Endpoint],
    question: Question,
) -> Result<(Chosen, Booking), Refusal> {
    let setup = app.config.setup.as_deref();
    if app.flow.is_none() {
        app.saturation().admit(wish.priority, endpoints)?;
    }
    let scene = Scene {
        endpoints,
        ask: &question.ask,
        model: wish.model.as_deref().unwrap_or_default(),
        headers: &whole.headers,
        now: app.now(),
    };
    let (chosen, pick) = match setup {
        Some(setup) => {
            let mut chance = || app.dice.share();
            choose::by_profile(&setup.profile, &app.scheduler, &scene, &mut chance)?
        }
        None => {
            let wanted = Wanted {
                places: app.config.destinations,
                scores: app.config.emit_scores,
            };
            choose::by_cost(&app.scheduler, &scene, wanted)?
        }
    };
    let best = chosen.places.first().copied().unwrap_or(0);
    let member = members.get(best).ok_or_else(Refusal::filtered)?;
    let booking = Booking::new(app, member, pick, question);
    if whole.control.if_available && booking.overlap_tokens() == 0 {
        let message = "nothing of the prompt is cached";
        return Err(Refusal::new(Code::PreconditionFailed, message));
    }
    Ok((chosen, booking))
}
