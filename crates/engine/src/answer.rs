//! Answers: requests taken in, their tokens written as they come.

use crate::{
    asked::{Job, Wanted},
    form::{self, Form, Head, Part},
    publish::unix_time_s,
    replica::{Replica, Ticket},
    sequence::Progress,
    speech::Speech,
};
use bytes::Bytes;
use onefill_kv::TokenId;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// The replica "restarted", or a stream was cut: the connection breaks.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the replica broke off")]
pub(crate) struct Broken;

/// One prompt being answered.
struct Track {
    ticket: Ticket,
    speech: Speech,
    part: Part,
    /// Tokens written.
    written: usize,
    begun: bool,
}

/// An answer being written.
pub(crate) struct Writer {
    replica: Arc<Replica>,
    form: &'static dyn Form,
    wanted: Wanted,
    head: Head,
    tracks: Vec<Track>,
    /// The track whose tokens come next. They are computed all at once, but written in order.
    current: usize,
    /// Breaks off after the first token.
    cut: bool,
    over: bool,
}

impl Writer {
    /// Hands the prompts to the replica.
    pub(crate) fn new(replica: &Arc<Replica>, job: Job) -> Self {
        let form = form::of(job.wanted.door);
        let parts = job.parts.into_iter().enumerate();
        let track = |(index, (plan, speech)): (usize, (crate::sequence::Plan, Speech))| {
            let token_ids = job
                .wanted
                .token_ids
                .then(|| split(&plan.tokens, plan.prompt_tokens));
            let part = Part {
                index,
                text: String::new(),
                finish: plan.finish,
                prompt_tokens: plan.prompt_tokens,
                cached_tokens: 0,
                generated: 0,
                token_ids,
            };
            Track {
                ticket: replica.submit(plan),
                speech,
                part,
                written: 0,
                begun: false,
            }
        };
        Self {
            form,
            wanted: job.wanted,
            head: head(form, &job.model),
            tracks: parts.map(track).collect(),
            current: 0,
            cut: job.wanted.stream && replica.faults().next_stream_breaks(),
            over: false,
            replica: Arc::clone(replica),
        }
    }

    /// The whole answer, once it is there.
    pub(crate) async fn whole(mut self) -> Result<Bytes, Broken> {
        for track in &mut self.tracks {
            let mut progress = *track.ticket.progress.borrow_and_update();
            while !progress.over {
                track.ticket.progress.changed().await.map_err(|_| Broken)?;
                progress = *track.ticket.progress.borrow_and_update();
            }
            track.take(progress);
            let texts = (0..progress.generated)
                .map(|place| track.speech.text(&self.replica.vocabulary, place));
            track.part.text = texts.collect();
        }
        let mut out = String::with_capacity(1024);
        let parts = self.parts();
        self.form.whole(&self.head, &parts, &mut out);
        Ok(out.into())
    }

    /// The next piece of a stream; `None`: it is complete.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, Broken>> {
        if self.over {
            return None;
        }
        if self.cut && self.tracks.iter().any(|track| track.written > 0) {
            tokio::task::yield_now().await; // so that what was written is sent before
            return Some(Err(Broken));
        }
        let mut out = String::new();
        while out.is_empty() {
            let Some(track) = self.tracks.get_mut(self.current) else {
                self.over = true;
                let parts = self.parts();
                let usage = self.wanted.include_usage;
                self.form.close(&self.head, &parts, usage, &mut out);
                break;
            };
            let mut progress = *track.ticket.progress.borrow_and_update();
            if self.cut {
                progress.generated = progress.generated.min(1);
                progress.over = false;
            }
            track.take(progress);
            track.write(self.form, &self.head, &self.replica, &mut out);
            if progress.over {
                self.form.end(&self.head, &track.part, &mut out);
                self.current += 1;
                self.finish(&mut out);
            } else if out.is_empty() && track.ticket.progress.changed().await.is_err() {
                return Some(Err(Broken));
            }
        }
        Some(Ok(out.into()))
    }

    /// Where the last track is over, its last piece holds the stream's end too: one write less.
    fn finish(&mut self, out: &mut String) {
        if self.current == self.tracks.len() {
            self.over = true;
            let parts = self.parts();
            self.form
                .close(&self.head, &parts, self.wanted.include_usage, out);
        }
    }

    fn parts(&mut self) -> Vec<Part> {
        let empty = |track: &mut Track| {
            let part = &mut track.part;
            Part {
                text: std::mem::take(&mut part.text),
                token_ids: part.token_ids.take(),
                ..*part
            }
        };
        self.tracks.iter_mut().map(empty).collect()
    }
}

impl Track {
    fn take(&mut self, progress: Progress) {
        self.part.generated = progress.generated;
        self.part.cached_tokens = progress.cached_tokens;
    }

    /// Writes the tokens that are new.
    fn write(&mut self, form: &dyn Form, head: &Head, replica: &Replica, out: &mut String) {
        if self.part.generated == 0 {
            return;
        }
        if !std::mem::replace(&mut self.begun, true) {
            out.reserve(256 * (self.part.generated + 2));
            form.begin(head, &self.part, out);
        }
        for place in self.written..self.part.generated {
            let text = self.speech.text(&replica.vocabulary, place);
            if !text.is_empty() {
                form.token(head, self.part.index, text, out);
            }
        }
        self.written = self.part.generated;
    }
}

fn split(tokens: &[TokenId], at: usize) -> (Vec<TokenId>, Vec<TokenId>) {
    let (prompt, answer) = tokens.split_at(at.min(tokens.len()));
    (prompt.to_vec(), answer.to_vec())
}

fn head(form: &dyn Form, model: &str) -> Head {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Relaxed);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a time after 1970"
    )]
    let created_s = unix_time_s() as u64;
    Head {
        id: format!("{}{created_s:x}{number:08x}", form.id_prefix()),
        created_s,
        model: serde_json::Value::from(model).to_string(),
    }
}
