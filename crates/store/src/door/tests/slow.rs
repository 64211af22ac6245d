//! Clients that are slow, or hang up by half: on simulated time, so that a minute is nothing.

use super::{lm::request, resp::command, *};
use crate::door::DoorError;
use onefill_wire::lm::Command;
use std::time::Duration;
use tokio::time::Instant;

const BLOCK: usize = 1 << 20;
const KEY: &str = "k";

/// The same client at each door.
#[derive(Clone, Copy, Debug)]
enum At {
    Lm,
    Resp,
}

const DOORS: [At; 2] = [At::Lm, At::Resp];

impl At {
    fn client(self, store: &Arc<Store>) -> Client {
        match self {
            Self::Lm => Client::lm(store),
            Self::Resp => Client::resp(store, RespOptions::default()),
        }
    }

    /// A PUT and how many bytes are answered.
    fn put(self, key: &str, value: &[u8]) -> (Vec<u8>, usize) {
        match self {
            Self::Lm => {
                let mut bytes = request(Command::Put, key, value.len());
                bytes.extend_from_slice(value);
                (bytes, 0)
            }
            Self::Resp => (command(&[b"SET", key.as_bytes(), value]), 5),
        }
    }

    fn get(self, key: &str) -> Vec<u8> {
        match self {
            Self::Lm => request(Command::Get, key, 0),
            Self::Resp => command(&[b"GET", key.as_bytes()]),
        }
    }

    /// Bytes of a GET's answer around a block's.
    fn around(self) -> usize {
        match self {
            Self::Lm => onefill_wire::lm::REPLY_LEN,
            Self::Resp => b"$1048576\r\n\r\n".len(),
        }
    }

    async fn puts(self, client: &mut Client, key: &str) {
        let (bytes, answer) = self.put(key, &[7; BLOCK]);
        client.send(&bytes).await;
        client.read(answer).await;
    }

    async fn gets(self, client: &mut Client, key: &str) {
        client.send(&self.get(key)).await;
        client.read(BLOCK + self.around()).await;
    }
}

/// How one ends that stalls: within so many seconds of simulated time.
async fn gives_up(client: Client, door: At, within: u64) {
    let start = Instant::now();
    let ended = client.server.await.unwrap();
    assert!(
        matches!(ended, Err(DoorError::Stalled)),
        "{door:?}: {ended:?}"
    );
    let took = start.elapsed();
    assert!(took <= Duration::from_secs(within), "{door:?}: {took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_put_that_stops_half_way_is_given_up_and_leaves_nothing() {
    for door in DOORS {
        let store = store(2 * BLOCK);
        let (mut slow, mut other) = (door.client(&store), door.client(&store));
        let (bytes, _) = door.put(KEY, &[7; BLOCK]);
        slow.send(&bytes[..bytes.len() / 2]).await;
        // Others have what is left, and wait for nothing.
        let start = Instant::now();
        for number in 0..20 {
            door.puts(&mut other, &number.to_string()).await;
            door.gets(&mut other, &number.to_string()).await;
        }
        assert!(start.elapsed() < Duration::from_secs(1), "{door:?}");
        gives_up(slow, door, 61).await;
        drop(other);
        store.forget_memory();
        assert_eq!(
            store.stat().used_bytes,
            0,
            "{door:?}: its place is free again"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_put_drop_by_drop_does_not_hold_its_place_for_ever() {
    for door in DOORS {
        let store = store(2 * BLOCK);
        let mut slow = door.client(&store);
        let (bytes, _) = door.put(KEY, &[7; BLOCK]);
        slow.send(&bytes[..bytes.len() / 2]).await;
        let start = Instant::now();
        // A byte each half minute would keep it open.
        let drops = async {
            for byte in &bytes[bytes.len() / 2..] {
                if slow.stream.write_all(&[*byte]).await.is_err() {
                    break;
                }
                tokio::time::sleep(Duration::from_secs(30)).await;
            }
        };
        drops.await;
        assert!(start.elapsed() < Duration::from_secs(130), "{door:?}");
        assert!(matches!(
            slow.server.await.unwrap(),
            Err(DoorError::Stalled)
        ));
        assert_eq!(store.stat().used_bytes, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_reads_holds_one_block_and_not_for_long() {
    for door in DOORS {
        let store = store(4 * BLOCK);
        let (mut deaf, mut other) = (door.client(&store), door.client(&store));
        door.puts(&mut other, KEY).await;
        // Many answers are asked for, none is taken.
        for _ in 0..100 {
            deaf.send(&door.get(KEY)).await;
        }
        let start = Instant::now();
        for number in 0..20 {
            door.puts(&mut other, &number.to_string()).await;
            door.gets(&mut other, &number.to_string()).await;
        }
        assert!(start.elapsed() < Duration::from_secs(1), "{door:?}");
        assert!(store.stat().used_bytes <= 4 * BLOCK);
        gives_up(deaf, door, 65).await;
        drop(other);
        store.forget_memory();
        assert_eq!(store.stat().used_bytes, 0, "{door:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_hangs_up_by_half_is_answered_and_a_cut_put_is_none() {
    for door in DOORS {
        let store = store(4 * BLOCK);
        let mut client = door.client(&store);
        door.puts(&mut client, KEY).await;
        client.send(&door.get(KEY)).await;
        client.stream.shutdown().await.unwrap();
        client.read(BLOCK + door.around()).await;
        assert!(client.server.await.unwrap().is_ok(), "{door:?}");

        let mut client = door.client(&store);
        let (bytes, _) = door.put("cut", &[9; BLOCK]);
        client.send(&bytes[..bytes.len() / 3]).await;
        client.stream.shutdown().await.unwrap();
        assert!(matches!(client.server.await.unwrap(), Err(DoorError::Cut)));
        assert_eq!(
            store.stat().used_bytes,
            BLOCK,
            "{door:?}: the other block's only"
        );
    }
}
