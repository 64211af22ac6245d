//! Clients that share memory with the store.

use super::{Running, WAIT, block, get_one, numbers};
use onefill_store::{WindowsAt, door::NativeOptions};
use onefill_window::{Window, reach, take};
use onefill_wire::{
    client::{Client, ClientConfig, GetBlock, PutBlock, WINDOW_BYTES},
    native::{
        GetItem, HEADER_LEN, Header, Hello, Op, PutItem, Reader, Status, THROUGH_WINDOW, Table,
        Verdict,
    },
};
use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::atomic::{AtomicBool, Ordering},
};
use twox_hash::XxHash3_128;

fn running(windows: WindowsAt) -> Running {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    Running::with(socket, NativeOptions::default(), windows)
}

fn client(store: &Running, window_bytes: usize) -> Client {
    Client::new(ClientConfig {
        address: store.address.to_string(),
        namespace: String::new(),
        token: String::new(),
        tls: None,
        connect_timeout: WAIT,
        idle_max: 8,
        window_bytes,
    })
}

/// Puts and gets blocks of many sizes, twice.
fn shuttle(client: &Client) {
    let sizes = [0, 1, 64, 100, 5000, 70_000, 0, 3 << 20, (1 << 20) + 1, 0];
    for turn in 0..2 {
        let data: Vec<Vec<u8>> = sizes.iter().map(|size| numbers(turn, *size)).collect();
        let keys: Vec<[u8; 2]> = (0..10).map(|key| [key, turn as u8]).collect();
        let pairs = keys.iter().zip(&data);
        let blocks: Vec<PutBlock<'_>> = pairs.map(|(key, bytes)| block(key, bytes)).collect();
        for verdict in client.put(&blocks, WAIT).unwrap() {
            assert!(
                matches!(verdict, Verdict::Done | Verdict::Same),
                "{verdict:?}"
            );
        }
        let mut places: Vec<Vec<u8>> = sizes.iter().map(|size| vec![0xEE; *size]).collect();
        let pairs = keys.iter().zip(&mut places);
        let mut gets: Vec<GetBlock<'_>> = pairs.map(|(key, into)| GetBlock { key, into }).collect();
        assert_eq!(client.get(&mut gets, WAIT).unwrap(), [Verdict::Done; 10]);
        assert!(places == data);
    }
}

#[test]
fn blocks_of_all_sizes_go_through_a_window() {
    let store = running(WindowsAt::Here);
    for window_bytes in [1, 100_000, WINDOW_BYTES, usize::MAX] {
        let client = client(&store, window_bytes);
        shuttle(&client);
        assert_eq!(client.windows(), 1, "{window_bytes}");
    }
}

#[test]
fn a_folder_that_both_have_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    let store = running(WindowsAt::Folder(folder.path().into()));
    let client = client(&store, WINDOW_BYTES);
    shuttle(&client);
    assert_eq!(client.windows(), 1);
    drop(store);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn without_a_window_all_goes_through_the_socket() {
    let folder = tempfile::tempdir().unwrap();
    let away = running(WindowsAt::Folder(folder.path().into()));
    // As another machine would see it, once the store is up.
    client(&away, 0).exists(&[b"k"], false, WAIT).unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    for store in [running(WindowsAt::Nowhere), away] {
        let client = client(&store, WINDOW_BYTES);
        shuttle(&client);
        assert_eq!(client.windows(), 0);
    }
}

#[test]
fn few_bytes_need_no_window() {
    let store = running(WindowsAt::Here);
    let client = client(&store, WINDOW_BYTES);
    let bytes = numbers(1, 1000);
    client.put(&[block(b"k", &bytes)], WAIT).unwrap();
    assert_eq!(get_one(&client, b"k", 1000), (Verdict::Done, bytes));
    assert_eq!(client.windows(), 0);
}

#[test]
fn verdicts_are_the_same_through_a_window() {
    let store = running(WindowsAt::Here);
    let client = client(&store, WINDOW_BYTES);
    let (one, two) = (numbers(1, 1 << 20), numbers(2, 1 << 20));
    let huge = numbers(3, 20 << 20);
    let blocks = [block(b"a", &one), block(b"huge", &huge), block(b"", &two)];
    let verdicts = [Verdict::Done, Verdict::Refused, Verdict::Refused];
    assert_eq!(client.put(&blocks, WAIT).unwrap(), verdicts);
    let only_new = PutBlock {
        only_new: true,
        ..block(b"a", &two)
    };
    assert_eq!(client.put(&[only_new], WAIT).unwrap(), [Verdict::Kept]);
    assert_eq!(get_one(&client, b"a", 1 << 20), (Verdict::Done, one));
    assert_eq!(get_one(&client, b"a", 2 << 20).0, Verdict::OtherSize);
    assert_eq!(get_one(&client, b"none", 1 << 20).0, Verdict::Absent);
    assert_eq!(client.windows(), 1);
}

#[test]
fn windows_have_a_bound_and_come_back() {
    let store = running(WindowsAt::Here);
    let bytes = numbers(1, 1 << 20);
    let put = |client: &Client| client.put(&[block(b"k", &bytes)], WAIT).unwrap();
    let clients: Vec<Client> = (0..5).map(|_| client(&store, 16 << 20)).collect();
    for client in &clients {
        put(client);
    }
    let windows: Vec<usize> = clients.iter().map(Client::windows).collect();
    assert_eq!(windows, [1, 1, 1, 1, 0]);
    drop(clients);
    let deadline = std::time::Instant::now() + WAIT;
    loop {
        let client = client(&store, 16 << 20);
        put(&client);
        if client.windows() == 1 {
            break;
        }
        assert!(std::time::Instant::now() < deadline);
    }
}

#[test]
fn many_threads_have_a_window_each() {
    let store = running(WindowsAt::Here);
    let client = client(&store, 1 << 20);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let client = &client;
            scope.spawn(move || {
                for turn in 0..20 {
                    let bytes = numbers(thread * 100 + turn, 400_000);
                    let key = [thread as u8, turn as u8];
                    client.put(&[block(&key, &bytes)], WAIT).unwrap();
                    assert_eq!(get_one(client, &key, bytes.len()), (Verdict::Done, bytes));
                }
            });
        }
    });
    assert!((1..=4).contains(&client.windows()));
}

/// A connection of which each frame is made by hand.
struct Hand {
    stream: TcpStream,
    window: Window,
    /// What was shown at the hatch, and where.
    shown: (u128, String),
}

fn payload(op: Op, bytes: u64) -> Header {
    let mut header = Header::new(op, 1, 0, &[]);
    header.payload = bytes;
    header
}

impl Hand {
    fn new(store: &Running) -> Self {
        let mut stream = greet(store);
        let mut table = Table::default();
        table.wanted(1 << 20);
        send(&mut stream, Header::new(Op::Window, 1, 0, &table.0), &table);
        let (_, table) = receive(&mut stream).unwrap();
        let offer = Reader::new(&table).offer().unwrap();
        assert_eq!(offer.bytes, 1 << 20);
        let address = String::from_utf8(offer.address.to_vec()).unwrap();
        let file = show(&address, offer.secret).unwrap();
        Self {
            stream,
            window: Window::open(&file, 1 << 20).unwrap(),
            shown: (offer.secret, address),
        }
    }

    fn send(&mut self, header: Header, table: &Table) {
        send(&mut self.stream, header, table);
    }

    /// Says that a block is to come.
    fn put(&mut self, key: &[u8], size: u64) {
        let mut table = Table::default();
        table.put(&PutItem {
            key,
            parent: b"",
            size,
            sum: 0,
            ttl_ms: 0,
            only_new: false,
        });
        let mut header = Header::new(Op::Put, 1, 1, &table.0);
        header.flags = THROUGH_WINDOW;
        header.payload = size;
        self.send(header, &table);
    }

    fn end_piece(&mut self, bytes: u64, sum: u128) {
        let mut table = Table::default();
        table.sum(sum);
        let mut header = Header::new(Op::Piece, 1, 1, &table.0);
        header.payload = bytes;
        self.send(header, &table);
    }

    /// The next answer is a refusal, and the last one.
    fn refused(&mut self) {
        let (mut header, mut sentence) = receive(&mut self.stream).unwrap();
        while header.op == Op::Credit {
            (header, sentence) = receive(&mut self.stream).unwrap();
        }
        let sentence = String::from_utf8(sentence).unwrap();
        assert_eq!(header.status, Status::NoWindow, "{sentence}");
        assert!(sentence.contains("window"), "{sentence}");
        assert!(receive(&mut self.stream).is_none());
    }
}

/// A connection that has said HELLO.
fn greet(store: &Running) -> TcpStream {
    let mut stream = TcpStream::connect(store.address).unwrap();
    stream.set_read_timeout(Some(WAIT)).unwrap();
    let mut table = Table::default();
    table.hello(&Hello {
        namespace: b"",
        token: b"",
    });
    send(&mut stream, Header::new(Op::Hello, 1, 0, &table.0), &table);
    receive(&mut stream).unwrap();
    stream
}

fn show(address: &str, secret: u128) -> std::io::Result<std::os::fd::OwnedFd> {
    let mut hatch = reach(address)?;
    hatch.set_read_timeout(Some(WAIT))?;
    hatch.write_all(&secret.to_le_bytes())?;
    take(&hatch)
}

fn send(stream: &mut TcpStream, header: Header, table: &Table) {
    let frame = [&header.encode(), table.0.as_slice()].concat();
    stream.write_all(&frame).unwrap();
}

fn receive(stream: &mut TcpStream) -> Option<(Header, Vec<u8>)> {
    let mut head = [0; HEADER_LEN];
    stream.read_exact(&mut head).ok()?;
    let header = Header::parse(&head).unwrap();
    let mut table = vec![0; header.table as usize];
    stream.read_exact(&mut table).unwrap();
    Some((header, table))
}

#[test]
fn bytes_that_are_not_within_the_window_or_the_block_are_refused() {
    let store = running(WindowsAt::Here);
    let whole = 1 << 20;
    // What is said of a block of so many bytes.
    for (size, pieces) in [
        (whole + 1, &[whole + 1][..]),
        (2 * whole, &[whole - 1, 2]),
        (1000, &[1001]),
        (1000, &[u64::MAX]),
        (1000, &[0]),
        // All its bytes, and no checksum.
        (1000, &[1000]),
    ] {
        let mut hand = Hand::new(&store);
        hand.put(b"k", size);
        for bytes in pieces {
            hand.send(payload(Op::Piece, *bytes), &Table::default());
        }
        hand.refused();
    }
    let mut hand = Hand::new(&store);
    hand.put(b"k", 1000);
    hand.end_piece(999, 0);
    hand.refused();
    let mut hand = Hand::new(&store);
    hand.put(b"k", 1000);
    hand.send(payload(Op::Credit, 1), &Table::default());
    hand.refused();
    // The store lives, and nothing of it is there.
    let client = client(&store, WINDOW_BYTES);
    assert_eq!(client.exists(&[b"k"], false, WAIT).unwrap(), [None]);
    shuttle(&client);
}

#[test]
fn credit_for_what_was_not_sent_is_refused() {
    let store = running(WindowsAt::Here);
    let bytes = numbers(1, 100_000);
    let other = client(&store, 0);
    other.put(&[block(b"k", &bytes)], WAIT).unwrap();
    let mut hand = Hand::new(&store);
    let mut table = Table::default();
    table.get(&GetItem { key: b"k", size: 0 });
    let mut header = Header::new(Op::Get, 1, 1, &table.0);
    header.flags = THROUGH_WINDOW;
    hand.send(header, &table);
    receive(&mut hand.stream).unwrap();
    let (piece, _) = receive(&mut hand.stream).unwrap();
    assert_eq!((piece.op, piece.payload), (Op::Piece, 100_000));
    let mut read = vec![0; 100_000];
    hand.window.read(0, &mut read).unwrap();
    assert!(read == bytes);
    hand.send(payload(Op::Credit, 100_001), &Table::default());
    hand.refused();
}

#[test]
fn a_request_through_a_window_that_is_not_there_is_refused() {
    let store = running(WindowsAt::Nowhere);
    let mut stream = greet(&store);
    let mut table = Table::default();
    table.get(&GetItem { key: b"k", size: 0 });
    let mut header = Header::new(Op::Get, 1, 1, &table.0);
    header.flags = THROUGH_WINDOW;
    send(&mut stream, header, &table);
    assert_eq!(receive(&mut stream).unwrap().0.status, Status::NoWindow);
    assert!(receive(&mut stream).is_none());
}

#[test]
fn a_get_whose_client_is_gone_reads_no_further() {
    let store = running(WindowsAt::Nowhere);
    let bytes = numbers(1, 1 << 20);
    let putter = client(&store, 0);
    putter.put(&[block(b"k", &bytes)], WAIT).unwrap();
    let mut stream = greet(&store);
    // To read and check as many takes seconds.
    let mut table = Table::default();
    for _ in 0..4096 {
        table.get(&GetItem { key: b"k", size: 1 });
    }
    let mut header = Header::new(Op::Get, 1, 4096, &table.0);
    header.deadline_ms = 1;
    send(&mut stream, header, &table);
    assert_eq!(receive(&mut stream).unwrap().0.status, Status::Late);
    // The connection goes on.
    let mut table = Table::default();
    table.key(b"k");
    send(&mut stream, Header::new(Op::Exists, 2, 1, &table.0), &table);
    let (header, _) = receive(&mut stream).unwrap();
    assert_eq!((header.status, header.request), (Status::Ok, 2));
}

#[test]
fn a_window_is_handed_out_once_and_only_for_its_secret() {
    let store = running(WindowsAt::Here);
    let hand = Hand::new(&store);
    let (secret, address) = &hand.shown;
    assert!(show(address, *secret).is_err());
    assert!(show(address, secret ^ 1).is_err());
}

/// The client goes on writing into the window while the store takes bytes out of it.
#[test]
fn what_was_checked_is_what_is_kept() {
    let store = running(WindowsAt::Here);
    let size = 1 << 20;
    let bytes = numbers(1, size);
    let sum = XxHash3_128::oneshot(&bytes);
    let reader = client(&store, 0);
    let mut kept = 0;
    for turn in 0..60u8 {
        let mut hand = Hand::new(&store);
        hand.window.write(0, &bytes).unwrap();
        hand.put(&[turn], size as u64);
        let stop = AtomicBool::new(turn < 20);
        let verdict = std::thread::scope(|scope| {
            let window = &hand.window;
            scope.spawn(|| {
                let mut at = 0;
                while !stop.load(Ordering::Relaxed) {
                    at = (at + 4099) % size;
                    window.write(at, &[!bytes[at]]).unwrap();
                    window.write(at, &bytes[at..=at]).unwrap();
                }
            });
            let mut table = Table::default();
            table.sum(sum);
            let mut header = Header::new(Op::Piece, 1, 1, &table.0);
            header.payload = size as u64;
            send(&mut hand.stream, header, &table);
            let (mut reply, mut table) = receive(&mut hand.stream).unwrap();
            while reply.op == Op::Credit {
                (reply, table) = receive(&mut hand.stream).unwrap();
            }
            stop.store(true, Ordering::Relaxed);
            Reader::new(&table).verdict().unwrap().0
        });
        let found = get_one(&reader, &[turn], size);
        match verdict {
            Verdict::Done => {
                kept += 1;
                assert!(found == (Verdict::Done, bytes.clone()));
            }
            other => {
                assert_eq!(other, Verdict::Corrupt);
                assert_eq!(found.0, Verdict::Absent);
            }
        }
    }
    assert!(kept >= 20, "undisturbed ones are kept");
}
