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
    roster::Group,
    setup::Parser,
};
use onefill_question::Question;
use onefill_schedule::Candidate;
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
    let group = may_answer(app, whole, wish.model.as_deref());
    if group.members.is_empty() {
        return Err(Refusal::no_candidates());
    }
    let body = Body {
        door: wish.door,
        asked: &wish.asked,
        bytes: &whole.body,
        model: wish.model.as_deref(),
    };
    let question = question::question(app, &body, &group).await;
    let (chosen, booking) = choose(app, whole, &wish, &group, question)?;
    let told = chosen.places.iter();
    let told = told.filter_map(|place| group.members.get(*place));
    let mut picked = plan::picked(told.map(|member| &*member.pod), booking.rank());
    if app.config.emit_scores {
        let all = group.members.iter().map(|member| &*member.pod);
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
    let group = may_answer(app, whole, None);
    let chance = app.dice.throw();
    let place = plan::any(group.members.len(), chance, app.config.reference_codes)?;
    let member = group
        .members
        .get(place)
        .ok_or_else(Refusal::no_candidates)?;
    let mut picked = plan::picked(std::iter::once(&*member.pod), None);
    picked.alone = !app.config.responses;
    Ok(Decision {
        picked,
        booking: None,
        labels: RequestLabels::default(),
    })
}

fn may_answer(app: &App, whole: &Whole, model: Option<&str>) -> Arc<Group> {
    let allowed = Allowed::of(whole, app.config.subsets);
    let is_allowed = |pod: &Pod| allowed.is(pod);
    let few: Option<&dyn Fn(&Pod) -> bool> = (!allowed.is_all()).then_some(&is_allowed);
    app.roster().may_answer(model, few)
}

/// Endpoints as a profile sees them.
fn endpoints(app: &App, group: &Group, weighed: &[Candidate]) -> Vec<Endpoint> {
    let each = group.members.iter().zip(weighed);
    each.map(|(member, candidate)| app.endpoint(member, *candidate))
        .collect()
}

fn choose(
    app: &Arc<App>,
    whole: &Whole,
    wish: &Wish<'_>,
    group: &Group,
    question: Question,
) -> Result<(Chosen, Booking), Refusal> {
    let weighed = question::weigh(app, &question, group);
    let setup = app.config.setup.as_deref();
    // With flow control nothing is shed: it has waited.
    let sheds = app.flow.is_none();
    let (chosen, pick) = match setup {
        Some(setup) => {
            let endpoints = endpoints(app, group, &weighed);
            if sheds {
                app.saturation().admit(wish.priority, &endpoints)?;
            }
            let scene = Scene {
                endpoints: &endpoints,
                ask: &question.ask,
                model: wish.model.as_deref().unwrap_or_default(),
                headers: &whole.headers,
                now: app.now(),
            };
            let mut chance = || app.dice.share();
            choose::by_profile(&setup.profile, &app.scheduler, &scene, &mut chance)?
        }
        None => {
            if sheds && wish.priority < 0 {
                let endpoints = endpoints(app, group, &weighed);
                app.saturation().admit(wish.priority, &endpoints)?;
            }
            let wanted = Wanted {
                places: app.config.destinations,
                scores: app.config.emit_scores,
            };
            let asked = (app.now(), &question.ask);
            choose::by_cost(&app.scheduler, asked, &weighed, wanted)?
        }
    };
    let best = chosen.places.first().copied().unwrap_or(0);
    let member = group.members.get(best).ok_or_else(Refusal::filtered)?;
    let booking = Booking::new(app, member, pick, question);
    if whole.control.if_available && booking.overlap_tokens() == 0 {
        let message = "nothing of the prompt is cached";
        return Err(Refusal::new(Code::PreconditionFailed, message));
    }
    Ok((chosen, booking))
}
