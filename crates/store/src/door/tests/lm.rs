use super::*;
use crate::{
    catalog::{Attributes, Put},
    door::DoorError,
};
use onefill_wire::lm::{self, Command, Layout, Reply};

const LAYOUT: Layout = Layout {
    format: 1,
    dtype: 3,
    shape: [2, 32, 256, 1024],
    location: 0,
};

pub(super) fn request(command: Command, key: &str, length: usize) -> Vec<u8> {
    let layout = match command {
        Command::Put => LAYOUT,
        _ => lm::NO_LAYOUT,
    };
    let request = lm::Request {
        command,
        length: u32::try_from(length).unwrap(),
        layout,
        key: key.as_bytes(),
    };
    lm::encode(&request).unwrap().to_vec()
}

impl Client {
    async fn reply(&mut self) -> Reply {
        let bytes = self.read(lm::REPLY_LEN).await;
        lm::parse_reply(&bytes.try_into().unwrap()).unwrap()
    }

    async fn exist(&mut self, key: &str) -> bool {
        self.send(&request(Command::Exist, key, 0)).await;
        self.reply().await.found
    }

    async fn get(&mut self, key: &str) -> Option<Vec<u8>> {
        self.send(&request(Command::Get, key, 0)).await;
        let reply = self.reply().await;
        if !reply.found {
            assert_eq!(reply, Reply::MISS);
            return None;
        }
        assert_eq!(reply.layout, LAYOUT);
        Some(self.read(reply.length as usize).await)
    }

    async fn put(&mut self, key: &str, bytes: &[u8]) {
        self.send(&request(Command::Put, key, bytes.len())).await;
        self.send(bytes).await;
    }
}

#[tokio::test]
async fn what_is_put_comes_back_with_its_layout() {
    let store = store(8 << 20);
    let mut client = Client::lm(&store);
    assert!(!client.exist("k").await);
    assert_eq!(client.get("k").await, None);
    let bytes: Vec<u8> = (0..300_000u32).map(|at| (at % 253) as u8).collect();
    client.put("k", &bytes).await;
    assert!(client.exist("k").await);
    assert_eq!(client.get("k").await, Some(bytes));
    client.put("empty", &[]).await;
    assert_eq!(client.get("empty").await, Some(Vec::new()));
    assert!(client.hang_up().await.is_ok());
}

#[tokio::test]
async fn a_client_that_dies_in_mid_put_leaves_nothing() {
    let store = store(8 << 20);
    let mut client = Client::lm(&store);
    client.send(&request(Command::Put, "k", 1000)).await;
    client.send(&[1; 999]).await;
    assert!(matches!(client.hang_up().await, Err(DoorError::Cut)));
    let mut client = Client::lm(&store);
    assert!(!client.exist("k").await);
    assert_eq!(store.stat().used_bytes, 0);
    let view = view(&store, "n", Door::Lm);
    assert_eq!(view.namespace().ledger(Door::Lm).aborted.get(), 1);
}

#[tokio::test]
async fn what_does_not_fit_is_dropped_and_the_stream_stays_in_step() {
    let store = store(1 << 20);
    let mut client = Client::lm(&store);
    client.put("huge", &vec![7; 2 << 20]).await;
    assert!(!client.exist("huge").await);
    client.put("k", b"small enough").await;
    assert_eq!(
        client.get("k").await.as_deref(),
        Some(b"small enough".as_slice())
    );
}

#[tokio::test]
async fn a_flipped_bit_is_a_miss() {
    let store = store(1 << 20);
    let mut client = Client::lm(&store);
    let view = view(&store, "n", Door::Lm);
    let put = Put {
        attributes: Attributes::Lm(Arc::new(LAYOUT)),
        ..Put::default()
    };
    let draft = view.reserve(b"k", 5000).await.unwrap();
    view.commit_corrupt(b"k", draft, &[9; 5000], &put);
    assert_eq!(client.get("k").await, None);
    assert!(!client.exist("k").await, "it is taken out");
}

#[tokio::test]
async fn bytes_that_are_no_request_end_the_connection() {
    let store = store(1 << 20);
    let mut client = Client::lm(&store);
    client.send(&[0xFF; lm::REQUEST_LEN]).await;
    assert!(matches!(
        client.server.await.unwrap(),
        Err(DoorError::Lm(_))
    ));
}
