//! Reads every block and compares its bytes with their checksum, saying how far it is.

use super::Answer;
use crate::{
    ledger::Door,
    namespace::Namespace,
    store::{Sound, Store, View},
};
use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use serde_json::json;
use std::{convert::Infallible, sync::Arc};
use tokio::sync::mpsc;

/// Lines that wait for whoever reads them; the work waits too.
const LINES_MAX: usize = 16;
/// Bytes read between two lines.
const LINE_BYTES: u64 = 64 << 20;

#[derive(Default)]
struct Progress {
    blocks: u64,
    of: u64,
    bytes: u64,
    corrupt: u64,
    said_bytes: u64,
}

impl Progress {
    fn line(&self) -> Bytes {
        let Self {
            blocks,
            of,
            bytes,
            corrupt,
            ..
        } = self;
        let line = json!({"blocks": blocks, "of": of, "bytes": bytes, "corrupt": corrupt});
        Bytes::from(format!("{line}\n"))
    }
}

/// A line of JSON as the work goes on: blocks read, of how many, their bytes, how many were corrupt.
pub(super) fn answer(store: &Arc<Store>, namespace: Option<Arc<Namespace>>) -> Answer {
    let (lines, reader) = mpsc::channel(LINES_MAX);
    tokio::spawn(verify(Arc::clone(store), namespace, lines));
    let lines = futures_util::stream::unfold(reader, async |mut reader: mpsc::Receiver<Bytes>| {
        let line = reader.recv().await?;
        Some((Ok::<_, Infallible>(Frame::data(line)), reader))
    });
    Response::new(StreamBody::new(lines).boxed())
}

/// Ends early where nobody reads any more.
async fn verify(store: Arc<Store>, namespace: Option<Arc<Namespace>>, lines: mpsc::Sender<Bytes>) {
    let namespaces = namespace.map_or_else(|| store.namespaces().all(), |one| vec![one]);
    let mut progress = Progress::default();
    let work: Vec<(View, Vec<Box<[u8]>>)> = namespaces
        .into_iter()
        .map(|namespace| {
            let view = View::new(Arc::clone(&store), namespace, Door::Admin);
            let keys = view.keys();
            (view, keys)
        })
        .collect();
    progress.of = work.iter().map(|(_, keys)| keys.len() as u64).sum();
    for (view, keys) in work {
        for key in keys {
            let Sound { bytes, corrupt } = view.verify(&key).await;
            progress.blocks += 1;
            progress.bytes += bytes;
            progress.corrupt += u64::from(corrupt);
            if progress.bytes - progress.said_bytes > LINE_BYTES {
                progress.said_bytes = progress.bytes;
                if lines.send(progress.line()).await.is_err() {
                    return;
                }
            }
        }
    }
    // Whoever left does not wait for the last line either.
    _ = lines.send(progress.line()).await;
}
