//! Raw bytes at the doors.

mod lm;
mod resp;
mod slow;

use super::{Conn, RespOptions, serve_lm, serve_resp};
use crate::{
    ledger::Door,
    store::{Store, StoreConfig, View},
};
use std::sync::Arc;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

fn store(memory_bytes: usize) -> Arc<Store> {
    Store::new(&StoreConfig {
        memory_bytes,
        ..StoreConfig::default()
    })
}

fn view(store: &Arc<Store>, namespace: &str, door: Door) -> View {
    let namespace = store.namespaces().open(namespace, None).unwrap();
    View::new(Arc::clone(store), namespace, door)
}

/// The client's end of a connection.
struct Client {
    stream: DuplexStream,
    server: JoinHandle<Result<(), super::DoorError>>,
}

impl Client {
    fn lm(store: &Arc<Store>) -> Self {
        let (stream, theirs) = duplex(1 << 16);
        let conn = Conn::new(theirs, CancellationToken::new());
        let server = tokio::spawn(serve_lm(conn, view(store, "n", Door::Lm)));
        Self { stream, server }
    }

    fn resp(store: &Arc<Store>, options: RespOptions) -> Self {
        let (stream, theirs) = duplex(1 << 16);
        let conn = Conn::new(theirs, CancellationToken::new());
        let view = view(store, "n", Door::Resp);
        let server = tokio::spawn(serve_resp(conn, view, Arc::new(options), 1));
        Self { stream, server }
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    async fn read(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).await.unwrap();
        bytes
    }

    /// Sends, and compares what comes back.
    async fn says(&mut self, bytes: &[u8], expected: &[u8]) {
        self.send(bytes).await;
        let got = self.read(expected.len()).await;
        assert_eq!(
            String::from_utf8_lossy(&got),
            String::from_utf8_lossy(expected)
        );
    }

    /// Hangs up, and waits until the server has seen it.
    async fn hang_up(self) -> Result<(), super::DoorError> {
        drop(self.stream);
        self.server.await.unwrap()
    }
}
