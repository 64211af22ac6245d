//! Keys of a prompt for policy `kv`: from its own token ids, the tokenizer in process, the
//! replica's tokenizer, or its text; whichever is the first that works.

use crate::{
    app::App,
    candidates::{self, Serving},
    error::Cause,
    headers::REQUEST_ID,
    metrics::TokenSource,
    roster::Member,
};
use bytes::Bytes;
use http::{
    HeaderValue, Method, Request,
    header::{CONTENT_TYPE, HOST},
};
use http_body_util::{BodyExt, Full, Limited};
use onefill_kv::TokenId;
use onefill_prompt::{Asked, Door, Input, Namespace, PromptError, Prompter, remote};
use onefill_question::{Made, text_keys, token_keys};
use std::sync::Arc;

/// Largest answer of a replica's tokenizer that is read: a million tokens with their texts.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// A prompt and where it came from.
pub(crate) struct Source<'a> {
    pub(crate) app: &'a App,
    pub(crate) asked: &'a Asked<'a>,
    pub(crate) door: Door,
    pub(crate) body: &'a Bytes,
    pub(crate) serving: &'a Serving,
}

/// Keys for each block size, and where their tokens came from. Never fails: the last resort is
/// the size.
pub(crate) async fn keys<'s>(
    source: &Source<'_>,
    sizes: &[u32],
    space: impl Fn(u32) -> Namespace<'s>,
) -> (TokenSource, Made) {
    if source.asked.multimodal {
        return or_text(source, sizes, space); // its tokens are only known to the replica
    }
    let prompter = source.prompter();
    let sure = prompter.filter(|prompter| source.is_sure(prompter));
    if let Some(prompter) = sure
        && let Ok(made) = source.local(prompter, sizes, &space).await
    {
        return (TokenSource::Local, made);
    }
    if let Some(tokens) = source.given() {
        return (
            TokenSource::Local,
            token_keys(source.asked, tokens, sizes, space),
        );
    }
    if let Some(tokens) = source.remote().await {
        return (
            TokenSource::Replica,
            token_keys(source.asked, &tokens, sizes, space),
        );
    }
    if let Some(prompter) = prompter
        && let Ok(made) = source.local(prompter, sizes, &space).await
    {
        return (TokenSource::Local, made);
    }
    or_text(source, sizes, space)
}

/// Keys for the record alone: nobody is asked for them.
pub(crate) async fn keys_aside<'s>(
    source: &Source<'_>,
    sizes: &[u32],
    space: impl Fn(u32) -> Namespace<'s>,
) -> Made {
    if let Some(prompter) = source.prompter()
        && !source.asked.multimodal
        && let Ok(made) = source.local(prompter, sizes, &space).await
    {
        return made;
    }
    match source.given() {
        Some(tokens) => token_keys(source.asked, tokens, sizes, space),
        None => text_keys(source.asked, sizes, space),
    }
}

fn or_text<'s>(
    source: &Source<'_>,
    sizes: &[u32],
    space: impl Fn(u32) -> Namespace<'s>,
) -> (TokenSource, Made) {
    let made = text_keys(source.asked, sizes, space);
    (
        if made.is_empty() {
            TokenSource::Size
        } else {
            TokenSource::Text
        },
        made,
    )
}

impl Source<'_> {
    /// The tokenizer in process that may be believed for this model.
    fn prompter(&self) -> Option<&Arc<Prompter>> {
        let base = self.base()?;
        let prompter = self.app.config.tokenizers.of(base)?;
        (self.app.trust.agreed(base) != Some(false)).then_some(prompter)
    }

    fn base(&self) -> Option<&str> {
        let asked = self.asked.model.as_deref()?;
        Some(self.serving.lora_of.as_deref().unwrap_or(asked))
    }

    /// Whether it is known to speak as the replicas do, or can't speak otherwise.
    fn is_sure(&self, prompter: &Prompter) -> bool {
        let base = self.base();
        base.is_some_and(|base| self.app.trust.is_sure(base, prompter))
    }

    /// Token ids that the body gives itself.
    fn given(&self) -> Option<&[TokenId]> {
        match &self.asked.input {
            Input::Tokens(lists) => lists.first().map(Vec::as_slice),
            _ => None,
        }
    }

    /// In process.
    async fn local<'s>(
        &self,
        prompter: &Arc<Prompter>,
        sizes: &[u32],
        space: &impl Fn(u32) -> Namespace<'s>,
    ) -> Result<Made, PromptError> {
        let inline_bytes_max = self.app.config.limits.tokenize_inline_bytes;
        let body = (self.door, self.body);
        let tokens = onefill_question::tokens(prompter, self.asked, body, inline_bytes_max).await?;
        Ok(token_keys(self.asked, &tokens, sizes, space))
    }

    /// Of a replica that serves the model.
    async fn remote(&self) -> Option<Vec<TokenId>> {
        let request = remote::request(self.asked)?;
        let now = self.app.now();
        let member = candidates::fit(self.serving, &[], now).into_iter().next()?;
        let ask = ask_replica(self.app, &member, &request);
        match tokio::time::timeout(self.app.config.timeouts.tokenize, ask).await {
            Ok(Ok(tokens)) => Some(tokens),
            Ok(Err(error)) => {
                tracing::debug!(%error, "replica did not tokenize a prompt");
                None
            }
            Err(_elapsed) => None,
        }
    }
}

/// A replica's own tokens of a prompt.
pub(crate) async fn ask_replica(
    app: &App,
    member: &Member,
    request: &remote::TokenRequest,
) -> Result<Vec<TokenId>, PromptError> {
    let answer = post(app, member, request)
        .await
        .map_err(|error| PromptError(error.to_string()))?;
    remote::read(request.path, &answer)
}

async fn post(app: &App, member: &Member, ask: &remote::TokenRequest) -> Result<Bytes, Cause> {
    let mut request = Request::new(Full::new(Bytes::from(ask.body.clone())));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = http::Uri::from_static(ask.path);
    let headers = request.headers_mut();
    headers.insert(HOST, member.origin.authority.clone());
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(REQUEST_ID, HeaderValue::from_static("onefill-tokenize"));
    let mut link = app
        .connector
        .link(&member.origin, &member.pool)
        .await
        .map_err(Cause::Connect)?;
    let answer = link
        .send(request)
        .await
        .map_err(|failed| Cause::Broken(failed.error))?;
    let status = answer.status();
    let driven = link.collect(Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect());
    let body = driven.await.map_err(|_| Cause::BodyBroken)?.to_bytes();
    member.pool.keep(link);
    if status.is_success() {
        return Ok(body);
    }
    Err(Cause::BadRequest(format!("{} said {status}", ask.path)))
}
