//! Sends a request on; elsewhere too, as long as nothing of an answer has come.

use crate::{
    app::App,
    candidates::{self, Serving},
    error::{self, Cause},
    headers::{self, REASON, REPLICA},
    metrics::RetryCause,
    pick,
    prompt::{self, Prompt},
    queue::Place,
    relay::{Booking, Relay},
    reply::{Reply, ReplyBody},
    roster::Member,
    upstream::Link,
};
use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri, request::Parts};
use http_body::{Body, Frame};
use http_body_util::Full;
use hyper::body::Incoming;
use onefill_prompt::Door;
use onefill_schedule::Ended;
use smallvec::SmallVec;
use std::{future::poll_fn, sync::Arc, time::Instant};

/// A request that is whole.
pub(crate) struct Whole {
    pub(crate) door: Door,
    pub(crate) parts: Parts,
    pub(crate) body: Bytes,
    pub(crate) place: Place,
    /// When its last byte had come.
    pub(crate) arrived: Instant,
}

/// An answer of which the first piece is there.
struct Answer {
    response: Response<Incoming>,
    link: Link,
    first: Option<Frame<Bytes>>,
}

/// Picks a replica, sends the request, and gives its answer once that has begun.
pub(crate) async fn forward(app: &Arc<App>, mut whole: Whole) -> Result<Reply, Cause> {
    headers::strip_hop_by_hop(&mut whole.parts.headers);
    let (serving, prompt) = understand(app, &whole).await?;
    let mut tried: SmallVec<[Arc<Member>; 4]> = SmallVec::new();
    let mut last = Cause::NoReplica;
    for attempt in 1..=app.config.limits.attempts_max {
        let Some((member, pick)) = pick::pick(app, &prompt.question, &serving, &tried) else {
            break;
        };
        let reason = pick::reason(&pick, &prompt, &member, tried.len());
        let mut booking = Booking::new(app, &member, pick, &prompt, whole.arrived);
        booking.keep_for_check(whole.door, &whole.body);
        note_attempt(app, &last, &whole, attempt);
        let more =
            attempt < app.config.limits.attempts_max && serving.members.len() > tried.len() + 1;
        match send(app, &member, &whole).await {
            Ok(answer) if more && is_busy(&answer) => last = Cause::Busy,
            Ok(answer) => {
                judge_answer(app, &member, answer.response.status());
                let mut reply = begin(answer, booking, whole.place);
                reply.headers_mut().insert(REPLICA, member.url.clone());
                reply.headers_mut().insert(REASON, reason);
                return Ok(reply);
            }
            Err(cause) => {
                app.fleet.suspect(member.replica.id);
                last = cause;
            }
        }
        tracing::debug!(url = member.replica.url, error = %last, "replica failed");
        booking.end(Ended::Failed);
        failed(app, &member);
        if !error::judge(&last).retry {
            break;
        }
        tried.push(member);
    }
    Err(last)
}

async fn understand(app: &App, whole: &Whole) -> Result<(Serving, Arc<Prompt>), Cause> {
    let asked = prompt::scan(whole.door, &whole.parts.headers, &whole.body)?;
    let serving = candidates::serving(&app.roster(), asked.model.as_deref())?;
    let prompt = prompt::prompt(app, &asked, (whole.door, &whole.body), &serving).await;
    Ok((serving, Arc::new(prompt)))
}

/// The first attempt ends what the router adds; others have a cause.
fn note_attempt(app: &App, last: &Cause, whole: &Whole, attempt: u32) {
    match last {
        _ if attempt == 1 => app
            .metrics
            .added
            .observe(whole.arrived.elapsed().as_secs_f64()),
        Cause::Connect(_) => app.metrics.retried(RetryCause::Connect),
        Cause::Busy => app.metrics.retried(RetryCause::Busy),
        _ => app.metrics.retried(RetryCause::Broken),
    }
}

fn is_busy(answer: &Answer) -> bool {
    answer.response.status() == StatusCode::SERVICE_UNAVAILABLE
}

fn failed(app: &App, member: &Member) {
    member.metrics.failures.inc();
    if member.circuit.failed(app.now(), &app.config.circuit) {
        member.metrics.circuit_open.set(1);
        tracing::warn!(
            url = member.replica.url,
            "replica left alone after failures in a row"
        );
    }
}

/// An answer closes the circuit, unless it says that the replica is broken.
fn judge_answer(app: &App, member: &Member, status: StatusCode) {
    if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED {
        failed(app, member);
    } else if member.circuit.succeeded() {
        member.metrics.circuit_open.set(0);
        tracing::info!(url = member.replica.url, "replica answers again");
    }
}

/// Sends it to one replica, and waits for the first piece of the answer's body.
async fn send(app: &App, member: &Member, whole: &Whole) -> Result<Answer, Cause> {
    let answer = async {
        let mut link = app
            .connector
            .link(&member.origin, &member.pool)
            .await
            .map_err(Cause::Connect)?;
        loop {
            match exchange(link, request(whole, member)).await {
                Ok(answer) => return Ok(answer),
                // An idle connection that the replica closed just now: nothing was lost, and the
                // replica is well. Idle ones of its age may be closed too, so a new one.
                Err((_, true)) => {
                    app.metrics.retried(RetryCause::Stale);
                    link = app
                        .connector
                        .fresh(&member.origin)
                        .await
                        .map_err(Cause::Connect)?;
                }
                Err((error, false)) => return Err(Cause::Broken(error)),
            }
        }
    };
    match tokio::time::timeout(app.config.timeouts.first_byte, answer).await {
        Ok(answer) => answer,
        Err(_elapsed) => Err(Cause::FirstByteTimeout),
    }
}

/// One request and the beginning of its answer; an error says whether the connection had been
/// idle before.
async fn exchange(
    mut link: Link,
    request: Request<Full<Bytes>>,
) -> Result<Answer, (hyper::Error, bool)> {
    let mut response = link
        .send(request)
        .await
        .map_err(|failed| (failed.error, failed.reused))?;
    let body = response.body_mut();
    let first = if body.is_end_stream() {
        None
    } else {
        let first = poll_fn(|cx| link.poll_frame(body, cx)).await;
        first.transpose().map_err(|error| (error, false))?
    };
    Ok(Answer {
        response,
        link,
        first,
    })
}

fn request(whole: &Whole, member: &Member) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(whole.body.clone()));
    *request.method_mut() = whole.parts.method.clone();
    *request.uri_mut() = origin_form(&whole.parts.uri);
    *request.headers_mut() = headers::for_replica(&whole.parts.headers, member);
    request
}

/// Path and query only, as a server expects them.
fn origin_form(uri: &Uri) -> Uri {
    if uri.authority().is_none() {
        return uri.clone();
    }
    uri.path_and_query()
        .map_or_else(Uri::default, |path| Uri::from(path.clone()))
}

fn begin(answer: Answer, mut booking: Booking, place: Place) -> Reply {
    let (mut parts, body) = answer.response.into_parts();
    headers::strip_hop_by_hop(&mut parts.headers);
    parts.version = http::Version::HTTP_11;
    booking.first_byte(&parts);
    let relay = Relay::new(body, answer.link, answer.first, booking, place);
    Response::from_parts(parts, ReplyBody::Relay(Box::new(relay)))
}
