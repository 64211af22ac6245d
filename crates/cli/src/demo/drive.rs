//! Sends a workload through a router, as many requests at a time as there are clients.

use super::{
    client::{Answered, Client},
    progress::Bar,
    router::{Door, Fleet},
    workload::{Kind, Workload},
};
use onefill_schedule::Policy;
use parking_lot::Mutex;
use serde_json::{Value as Json, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// One request and what came of it.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Record {
    pub(crate) kind: Kind,
    /// From 0.
    pub(crate) turn: usize,
    pub(crate) prompt_tokens: usize,
    pub(crate) cached_tokens: usize,
    pub(crate) first: Duration,
    /// Place among the run's replicas.
    pub(crate) replica: Option<usize>,
    pub(crate) receipt: Receipt,
    /// Why there was no answer.
    pub(crate) error: Option<String>,
}

/// What `x-onefill-reason` says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Receipt {
    /// "exact", "approximate" or "load-only".
    pub(crate) state: String,
    /// Prompt tokens that the router expected in the replica's cache.
    pub(crate) overlap_tokens: usize,
}

impl Receipt {
    /// From `policy=kv state=exact overlap_tokens=192 ..`.
    pub(crate) fn read(reason: &str) -> Self {
        let value = |name: &str| {
            let pairs = reason.split(' ').filter_map(|pair| pair.split_once('='));
            pairs
                .into_iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value)
        };
        Self {
            state: value("state").unwrap_or("unknown").to_owned(),
            overlap_tokens: value("overlap_tokens")
                .and_then(|text| text.parse().ok())
                .unwrap_or(0),
        }
    }
}

/// A policy's run.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Run {
    pub(crate) policy: &'static str,
    pub(crate) replicas: usize,
    /// In the order in which answers were complete.
    pub(crate) records: Vec<Record>,
    pub(crate) took: Duration,
}

/// What all clients share.
struct Shared {
    workload: Workload,
    client: Client,
    url: String,
    model: String,
    replicas: Vec<String>,
    /// Place in the order of the next request.
    next: AtomicUsize,
    conversations: Vec<Conversation>,
    book: Mutex<Book>,
    bar: Bar,
}

/// What came of the requests so far.
#[derive(Default)]
struct Book {
    records: Vec<Record>,
    cached_tokens: usize,
    prompt_tokens: usize,
}

/// A session's messages so far, and how many of its turns are over.
struct Conversation {
    messages: Mutex<Vec<Json>>,
    over: watch::Sender<usize>,
}

/// Runs the whole workload.
pub(crate) async fn run(
    workload: &Workload,
    policy: Policy,
    door: &Door,
    fleet: &Fleet,
    bar: &Bar,
) -> Run {
    let conversation = |system: &str| {
        let system = (!system.is_empty()).then(|| json!({"role": "system", "content": system}));
        Conversation {
            messages: Mutex::new(system.into_iter().collect()),
            over: watch::Sender::new(0),
        }
    };
    let sessions = workload.sessions.iter();
    let shared = Arc::new(Shared {
        workload: workload.clone(),
        client: Client::new(),
        url: door.url.clone(),
        model: fleet.model.clone(),
        replicas: fleet.urls.clone(),
        next: AtomicUsize::new(0),
        conversations: sessions.map(|one| conversation(&one.system)).collect(),
        book: Mutex::default(),
        bar: bar.clone(),
    });
    let began = Instant::now();
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..workload.scale.clients {
        clients.spawn(Arc::clone(&shared).work());
    }
    clients.join_all().await;
    let records = std::mem::take(&mut shared.book.lock().records);
    Run {
        policy: policy.name(),
        replicas: fleet.urls.len(),
        records,
        took: began.elapsed(),
    }
}

impl Shared {
    /// One client: takes requests until none is left.
    async fn work(self: Arc<Self>) {
        loop {
            let place = self.next.fetch_add(1, Relaxed);
            let Some((session, turn)) = self.workload.order.get(place).copied() else {
                return;
            };
            self.turn(session, turn).await;
        }
    }

    /// A turn waits for the one before: it carries that answer.
    async fn turn(&self, session: usize, turn: usize) {
        let (Some(asked), Some(conversation)) = (
            self.workload.sessions.get(session),
            self.conversations.get(session),
        ) else {
            return;
        };
        let mut over = conversation.over.subscribe();
        if over.wait_for(|over| *over >= turn).await.is_err() {
            return;
        }
        let text = asked.turns.get(turn).map_or("", String::as_str);
        let messages = {
            let mut messages = conversation.messages.lock();
            messages.push(json!({"role": "user", "content": text}));
            messages.clone()
        };
        let body = json!({
            "model": self.model,
            "messages": messages,
            "max_tokens": self.workload.scale.answer_tokens,
            "temperature": 0,
            "ignore_eos": true,
            "stream": true,
            "stream_options": {"include_usage": true},
        });
        let answered = self.client.chat(&self.url, &body).await;
        if let Ok(answered) = &answered {
            let said = json!({"role": "assistant", "content": answered.text});
            conversation.messages.lock().push(said);
        }
        let record = self.record(asked.kind, turn, answered);
        self.note(record);
        conversation.over.send_replace(turn + 1);
    }

    fn note(&self, record: Record) {
        let mut book = self.book.lock();
        book.cached_tokens += record.cached_tokens;
        book.prompt_tokens += record.prompt_tokens;
        book.records.push(record);
        let ratio = book.cached_tokens as f64 / book.prompt_tokens.max(1) as f64;
        self.bar.show(book.records.len(), ratio);
    }

    fn record(&self, kind: Kind, turn: usize, answered: anyhow::Result<Answered>) -> Record {
        let (answered, error) = match answered {
            Ok(answered) => (answered, None),
            Err(error) => (Answered::default(), Some(format!("{error:#}"))),
        };
        let mut replicas = self.replicas.iter();
        Record {
            kind,
            turn,
            prompt_tokens: answered.prompt_tokens,
            cached_tokens: answered.cached_tokens,
            first: answered.first,
            replica: replicas.position(|url| *url == answered.replica),
            receipt: Receipt::read(&answered.reason),
            error,
        }
    }
}
