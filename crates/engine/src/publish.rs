//! Event batches on their way out: numbered where they arise, encoded, kept and sent by one task.
//!
//! ```text
//! PUB      topic | seq u64 big-endian | payload
//! ROUTER   "" | start u64 big-endian  ->  "" | topic | seq | payload ..  "" | "" | -1 | ""
//! ```

use crate::{config::Events, faults::Fate, run::RunError};
use bytes::Bytes;
use onefill_events::encode::{HashForm, OutBatch, OutEvent, Shape, encode};
use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::sync::mpsc;
use zeromq::{PubSocket, RouterSocket, Socket, SocketRecv as _, SocketSend as _, ZmqMessage};

/// Batches on their way to the publishing task. Beyond it they are lost, and a hole in the numbers
/// tells so. 100,000: vLLM's `max_queue_size`.
const QUEUE_MAX: usize = 100_000;
/// Number of the message that ends a replay.
const REPLAY_END: [u8; 8] = (-1_i64).to_be_bytes();

/// Batches as they were sent, the newest last.
type Buffer = Arc<Mutex<VecDeque<(u64, Bytes)>>>;

enum Parcel {
    Batch {
        seq: u64,
        fate: Fate,
        batch: OutBatch,
    },
    /// The process "restarted": nothing was ever sent.
    Forget,
}

/// Where batches are numbered: under the lock of what they tell of.
#[derive(Debug)]
pub(crate) struct Outbox {
    parcels: Option<mpsc::Sender<Parcel>>,
    next_seq: u64,
}

impl Outbox {
    /// Sends a step's events, if there are any.
    pub(crate) fn send(&mut self, events: Vec<OutEvent>, fate: impl FnOnce() -> Fate) {
        let Some(parcels) = self.parcels.as_ref().filter(|_| !events.is_empty()) else {
            return;
        };
        let parcel = Parcel::Batch {
            seq: self.next_seq,
            fate: fate(),
            batch: OutBatch {
                published_s: unix_time_s(),
                events,
                rank: Some(0),
            },
        };
        self.next_seq += 1;
        if parcels.try_send(parcel).is_err() {
            tracing::warn!("events are lost: the publisher is too far behind");
        }
    }

    /// Numbers begin anew.
    pub(crate) fn restart(&mut self) {
        self.next_seq = 0;
        if let Some(parcels) = &self.parcels {
            _ = parcels.try_send(Parcel::Forget);
        }
    }
}

pub(crate) fn unix_time_s() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs_f64()
}

/// Where events can be had, ports resolved.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    pub(crate) events: String,
    pub(crate) replay: Option<String>,
}

/// Sockets that are bound.
pub(crate) struct Publisher {
    sockets: Option<Sockets>,
    parcels: mpsc::Receiver<Parcel>,
}

struct Sockets {
    publisher: PubSocket,
    replay: Option<RouterSocket>,
    topic: Bytes,
    form: HashForm,
    buffer_batches: usize,
}

/// Binds the sockets. Without `events` nothing is sent anywhere.
pub(crate) async fn bind(
    events: Option<&Events>,
    form: HashForm,
) -> Result<(Outbox, Publisher, Option<Addresses>), RunError> {
    let (sender, parcels) = mpsc::channel(QUEUE_MAX);
    let outbox = |parcels| Outbox {
        parcels,
        next_seq: 0,
    };
    let Some(events) = events else {
        let publisher = Publisher {
            sockets: None,
            parcels,
        };
        return Ok((outbox(None), publisher, None));
    };
    let mut publisher = PubSocket::new();
    let mut addresses = Addresses {
        events: bound(&mut publisher, &events.endpoint).await?,
        replay: None,
    };
    let mut replay = None;
    if let Some(endpoint) = &events.replay {
        let mut socket = RouterSocket::new();
        addresses.replay = Some(bound(&mut socket, endpoint).await?);
        replay = Some(socket);
    }
    let sockets = Sockets {
        publisher,
        replay,
        topic: events.topic.clone().into(),
        form,
        buffer_batches: events.buffer_batches,
    };
    let publisher = Publisher {
        sockets: Some(sockets),
        parcels,
    };
    Ok((outbox(Some(sender)), publisher, Some(addresses)))
}

/// Binds a socket; gives the address with its port, in the words it was given in.
async fn bound<S: Socket>(socket: &mut S, endpoint: &str) -> Result<String, RunError> {
    let wrong = |reason: String| RunError::Endpoint {
        endpoint: endpoint.to_owned(),
        reason,
    };
    let real = endpoint.replace("//*:", "//0.0.0.0:");
    let resolved = socket.bind(&real).await;
    let resolved = resolved
        .map_err(|error| wrong(error.to_string()))?
        .to_string();
    let (host, _) = endpoint
        .rsplit_once(':')
        .ok_or_else(|| wrong("no port".into()))?;
    let (_, port) = resolved
        .rsplit_once(':')
        .ok_or_else(|| wrong("no port".into()))?;
    Ok(format!("{host}:{port}"))
}

/// Publishes and answers replays until the outbox is gone.
pub(crate) async fn run(publisher: Publisher) {
    let Publisher {
        sockets,
        mut parcels,
    } = publisher;
    let Some(sockets) = sockets else {
        return;
    };
    let buffer = Buffer::default();
    let topic = sockets.topic.clone();
    let answering = replay(sockets.replay, topic.clone(), Arc::clone(&buffer));
    let publishing = async {
        let mut socket = sockets.publisher;
        while let Some(parcel) = parcels.recv().await {
            let Parcel::Batch { seq, fate, batch } = parcel else {
                buffer.lock().clear();
                continue;
            };
            let mut payload = Vec::with_capacity(1024);
            encode(&batch, Shape::Maps, sockets.form, &mut payload);
            let payload = Bytes::from(payload);
            if fate != Fate::Lost {
                keep(&mut buffer.lock(), sockets.buffer_batches, seq, &payload);
            }
            if fate == Fate::Sent {
                let sent = socket.send(message(&topic, seq, payload)).await;
                if let Err(error) = sent {
                    tracing::debug!(%error, "events can't be sent");
                }
            }
        }
    };
    tokio::select! {
        () = publishing => {}
        () = answering => {}
    }
}

fn keep(buffer: &mut VecDeque<(u64, Bytes)>, most: usize, seq: u64, payload: &Bytes) {
    if buffer.len() >= most {
        buffer.pop_front();
    }
    buffer.push_back((seq, payload.clone()));
}

fn message(topic: &Bytes, seq: u64, payload: Bytes) -> ZmqMessage {
    let mut message = ZmqMessage::from(topic.clone());
    message.push_back(Bytes::copy_from_slice(&seq.to_be_bytes()));
    message.push_back(payload);
    message
}

/// Answers replays, one client after the other.
async fn replay(socket: Option<RouterSocket>, topic: Bytes, buffer: Buffer) {
    let Some(mut socket) = socket else {
        return std::future::pending().await;
    };
    loop {
        let asked = match socket.recv().await {
            Ok(asked) => asked,
            Err(error) => {
                tracing::debug!(%error, "a replay can't be read");
                tokio::task::yield_now().await;
                continue;
            }
        };
        let (Some(client), Some(start)) = (asked.get(0), asked.get(asked.len() - 1)) else {
            continue;
        };
        let Ok(start) = <[u8; 8]>::try_from(start.as_ref()).map(u64::from_be_bytes) else {
            continue;
        };
        let from_start = |(seq, _): &&(u64, Bytes)| *seq >= start;
        let kept: Vec<(u64, Bytes)> = buffer.lock().iter().filter(from_start).cloned().collect();
        let batches = kept
            .into_iter()
            .map(|(seq, payload)| message(&topic, seq, payload));
        let mut end = ZmqMessage::from(Bytes::new());
        end.push_back(Bytes::from_static(&REPLAY_END));
        end.push_back(Bytes::new());
        for mut message in batches.chain([end]) {
            message.push_front(Bytes::new());
            message.push_front(client.clone());
            if socket.send(message).await.is_err() {
                break; // the client is gone
            }
        }
    }
}
