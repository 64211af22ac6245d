//! The native client against a store on loopback.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod tls;
mod window;

use onefill_store::{Config, Listener, Speaks, StoreConfig, Tls, WindowsAt, door::NativeOptions};
use onefill_wire::{
    client::{Client, ClientConfig, ClientError, GetBlock, PutBlock},
    native::Verdict,
};
use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

const WAIT: Duration = Duration::from_secs(20);

struct Running {
    address: SocketAddr,
    shutdown: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    fn start(socket: TcpListener, options: NativeOptions) -> Self {
        Self::with(socket, options, WindowsAt::Here)
    }

    fn with(socket: TcpListener, options: NativeOptions, windows: WindowsAt) -> Self {
        Self::over(socket, options, windows, None)
    }

    fn over(
        socket: TcpListener,
        options: NativeOptions,
        windows: WindowsAt,
        tls: Option<Tls>,
    ) -> Self {
        let address = socket.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let config = Config {
            store: StoreConfig {
                memory_bytes: 16 << 20,
                ..StoreConfig::default()
            },
            threads: 2,
            connections_max: 64,
            drain: WAIT,
            admins: onefill_store::Admins::Nobody,
            windows,
        };
        let listener = Listener {
            socket,
            speaks: Speaks::Native(Arc::new(options)),
            namespace: "n".into(),
            block_bytes: None,
            tls,
        };
        let end = shutdown.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime
                .block_on(onefill_store::run(config, vec![listener], None, end))
                .unwrap();
        });
        Self {
            address,
            shutdown,
            thread: Some(thread),
        }
    }

    fn new(options: NativeOptions) -> Self {
        Self::start(TcpListener::bind("127.0.0.1:0").unwrap(), options)
    }

    fn client(&self, namespace: &str, token: &str) -> Client {
        client(self.address, namespace, token)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.cancel();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn client(address: SocketAddr, namespace: &str, token: &str) -> Client {
    Client::new(ClientConfig {
        address: address.to_string(),
        namespace: namespace.into(),
        token: token.into(),
        tls: None,
        connect_timeout: Duration::from_secs(5),
        idle_max: 8,
        window_bytes: 0,
    })
}

fn block<'b>(key: &'b [u8], bytes: &'b [u8]) -> PutBlock<'b> {
    PutBlock {
        key,
        parent: &[],
        bytes,
        ttl_ms: 0,
        only_new: false,
    }
}

fn numbers(seed: usize, len: usize) -> Vec<u8> {
    (0..len).map(|at| ((at * 31 + seed) % 251) as u8).collect()
}

fn get_one(client: &Client, key: &[u8], len: usize) -> (Verdict, Vec<u8>) {
    let mut bytes = vec![0; len];
    let mut blocks = [GetBlock {
        key,
        into: &mut bytes,
    }];
    let verdicts = client.get(&mut blocks, WAIT).unwrap();
    (verdicts[0], bytes)
}

#[test]
fn a_batch_is_put_found_and_got_into_its_places() {
    let store = Running::new(NativeOptions::default());
    let client = store.client("model", "");
    let sizes = [0, 1, 64, 100, 5000, 70_000, 3 << 20];
    let data: Vec<Vec<u8>> = sizes.iter().map(|size| numbers(*size, *size)).collect();
    let keys: Vec<[u8; 32]> = (0..7).map(|number| [number; 32]).collect();
    let blocks: Vec<PutBlock<'_>> = keys
        .iter()
        .zip(&data)
        .map(|(key, bytes)| block(key, bytes))
        .collect();
    assert_eq!(client.put(&blocks, WAIT).unwrap(), [Verdict::Done; 7]);
    assert_eq!(client.put(&blocks, WAIT).unwrap(), [Verdict::Same; 7]);

    let mut asked: Vec<&[u8]> = keys.iter().map(<[u8; 32]>::as_slice).collect();
    asked.push(b"absent");
    let found = client.exists(&asked, true, WAIT).unwrap();
    let expected: Vec<Option<u64>> = sizes.iter().map(|size| Some(*size as u64)).collect();
    assert_eq!(found[..7], expected);
    assert_eq!(found[7], None);

    let mut places: Vec<Vec<u8>> = sizes.iter().map(|size| vec![0xEE; *size]).collect();
    let mut other = vec![0; 99];
    let mut gets: Vec<GetBlock<'_>> = keys
        .iter()
        .zip(&mut places)
        .map(|(key, into)| GetBlock { key, into })
        .collect();
    gets.insert(
        3,
        GetBlock {
            key: b"absent",
            into: &mut other,
        },
    );
    let verdicts = client.get(&mut gets, WAIT).unwrap();
    assert_eq!(verdicts[3], Verdict::Absent);
    assert_eq!(
        verdicts
            .iter()
            .filter(|verdict| **verdict == Verdict::Done)
            .count(),
        7
    );
    assert!(places == data);
}

#[test]
fn verdicts_say_what_became_of_each() {
    let store = Running::new(NativeOptions::default());
    let client = store.client("", "");
    let (one, two) = (numbers(1, 1000), numbers(2, 1000));
    assert_eq!(
        client.put(&[block(b"k", &one)], WAIT).unwrap(),
        [Verdict::Done]
    );
    let only_new = PutBlock {
        only_new: true,
        ..block(b"k", &two)
    };
    assert_eq!(client.put(&[only_new], WAIT).unwrap(), [Verdict::Kept]);
    assert_eq!(get_one(&client, b"k", 1000), (Verdict::Done, one));
    assert_eq!(
        client.put(&[block(b"k", &two)], WAIT).unwrap(),
        [Verdict::Replaced]
    );
    assert_eq!(get_one(&client, b"k", 999).0, Verdict::OtherSize);
    let huge = vec![0; 20 << 20];
    assert_eq!(
        client.put(&[block(b"huge", &huge)], WAIT).unwrap(),
        [Verdict::Refused]
    );
    assert_eq!(
        client.touch(&[b"k", b"x"], WAIT).unwrap(),
        [Some(1000), None]
    );
    assert_eq!(client.pin(&[b"k"], WAIT).unwrap(), [Some(1000)]);
    assert_eq!(client.unpin(&[b"k"], WAIT).unwrap(), [Some(1000)]);
    assert_eq!(client.release(&[b"k"], WAIT).unwrap(), [Some(1000)]);
    assert_eq!(
        client.delete(&[b"k", b"k"], WAIT).unwrap(),
        [Some(1000), None]
    );
    assert_eq!(get_one(&client, b"k", 1000).0, Verdict::Deleted);
}

#[test]
fn a_pinned_block_outlives_a_full_store() {
    let store = Running::new(NativeOptions::default());
    let client = store.client("", "");
    let bytes = numbers(1, 1 << 20);
    client
        .put(&[block(b"pinned", &bytes), block(b"other", &bytes)], WAIT)
        .unwrap();
    client.pin(&[b"pinned"], WAIT).unwrap();
    for number in 0..40u8 {
        assert_eq!(
            client.put(&[block(&[number], &bytes)], WAIT).unwrap(),
            [Verdict::Done]
        );
    }
    assert_eq!(get_one(&client, b"other", 1 << 20).0, Verdict::Evicted);
    assert_eq!(get_one(&client, b"pinned", 1 << 20), (Verdict::Done, bytes));
}

#[test]
fn tenants_and_namespaces_never_meet() {
    let tokens = [("secret-a", "a"), ("secret-b", "b")];
    let tokens = tokens.map(|(token, tenant)| (token.to_owned(), tenant.to_owned()));
    let store = Running::new(NativeOptions {
        tokens: tokens.into(),
    });
    let owner = store.client("model", "secret-a");
    let bytes = numbers(1, 1000);
    owner.put(&[block(b"k", &bytes)], WAIT).unwrap();
    for (namespace, token) in [
        ("model", "secret-b"),
        ("other", "secret-a"),
        ("", "secret-a"),
    ] {
        let other = store.client(namespace, token);
        assert_eq!(other.exists(&[b"k"], false, WAIT).unwrap(), [None]);
        assert_eq!(get_one(&other, b"k", 1000).0, Verdict::Absent);
        assert_eq!(other.delete(&[b"k"], WAIT).unwrap(), [None]);
    }
    assert_eq!(get_one(&owner, b"k", 1000), (Verdict::Done, bytes));
    let stranger = store.client("model", "secret");
    let refused = stranger.exists(&[b"k"], false, WAIT);
    assert!(matches!(refused, Err(ClientError::Refused { .. })));
}

#[test]
fn a_store_that_is_started_again_is_found_again() {
    let store = Running::new(NativeOptions::default());
    let address = store.address;
    let client = store.client("", "");
    client.put(&[block(b"k", b"v")], WAIT).unwrap();
    drop(store);
    assert!(client.exists(&[b"k"], false, WAIT).is_err());
    assert!(matches!(
        client.exists(&[b"k"], false, WAIT),
        Err(ClientError::Resting)
    ));
    let _store = Running::start(bind_again(address), NativeOptions::default());
    let deadline = Instant::now() + WAIT;
    while client.exists(&[b"k"], false, WAIT).is_err() {
        assert!(Instant::now() < deadline);
        std::thread::yield_now();
    }
    assert_eq!(
        client.put(&[block(b"k", b"v")], WAIT).unwrap(),
        [Verdict::Done]
    );
}

/// The port may be held for a moment by the connections that were on it.
fn bind_again(address: SocketAddr) -> TcpListener {
    let deadline = Instant::now() + WAIT;
    loop {
        match TcpListener::bind(address) {
            Ok(socket) => return socket,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_silent_store_costs_a_call_its_deadline_and_no_more() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = client(silent.local_addr().unwrap(), "", "");
    let start = Instant::now();
    let late = client.exists(&[b"k"], false, Duration::from_millis(50));
    assert!(matches!(late, Err(ClientError::Late)), "{late:?}");
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn many_threads_share_a_client() {
    let store = Running::new(NativeOptions::default());
    let client = store.client("", "");
    std::thread::scope(|scope| {
        for thread in 0..8u8 {
            let client = &client;
            scope.spawn(move || {
                for turn in 0..30u8 {
                    let bytes = numbers(usize::from(thread) * 100 + usize::from(turn), 40_000);
                    let key = [thread, turn];
                    client.put(&[block(&key, &bytes)], WAIT).unwrap();
                    assert_eq!(get_one(client, &key, bytes.len()), (Verdict::Done, bytes));
                }
            });
        }
    });
}
