use super::*;
use crate::door::{Profile, User, Users};

const NATIVE: &str = "meta-llama/Llama-3.1-8B-Instruct@01000100@0@0845@tenant";

pub(super) fn command(args: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        bytes.extend(format!("${}\r\n", arg.len()).into_bytes());
        bytes.extend_from_slice(arg);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

fn words(text: &str) -> Vec<u8> {
    let words: Vec<&[u8]> = text.split(' ').map(str::as_bytes).collect();
    command(&words)
}

#[tokio::test]
async fn values_of_all_sizes_come_back() {
    let store = store(16 << 20);
    let mut client = Client::resp(&store, RespOptions::default());
    for size in [0, 1, 64, 65, 4096, 16_384, 16_385, 100_000, 3 << 20] {
        let value: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        client
            .says(&command(&[b"SET", b"k", &value]), b"+OK\r\n")
            .await;
        let mut expected = format!("${size}\r\n").into_bytes();
        expected.extend_from_slice(&value);
        expected.extend_from_slice(b"\r\n");
        client.send(&words("GET k")).await;
        assert!(client.read(expected.len()).await == expected, "{size}");
    }
}

#[tokio::test]
async fn a_native_client_is_answered_in_the_length_that_it_reads() {
    let store = store(1 << 20);
    let mut client = Client::resp(&store, RespOptions::default());
    let set = command(&[b"SET", NATIVE.as_bytes(), &[5; 100_000]]);
    client.says(&set, b"+OK\r\n").await;
    client
        .says(&words(&format!("EXISTS {NATIVE}")), b":1\r\n")
        .await;
    client
        .says(&words(&format!("DEL {NATIVE}")), b":1\r\n")
        .await;
    let miss = b"-MISS  \r\n"; // as long as $100000\r\n
    client.says(&words(&format!("GET {NATIVE}")), miss).await;
    client
        .says(&words(&format!("GET {NATIVE}never")), miss)
        .await;
    let huge = command(&[b"SET", NATIVE.as_bytes(), &vec![5; 2 << 20]]);
    client.says(&huge, b"-NO\r\n").await;
    client
        .says(&words(&format!("EXISTS {NATIVE}")), b":0\r\n")
        .await;
    // Somebody who says more than that client does is a Redis client.
    client.says(&words("PING"), b"+PONG\r\n").await;
    client
        .says(&words(&format!("GET {NATIVE}")), b"$-1\r\n")
        .await;
}

#[tokio::test]
async fn the_profile_can_be_chosen() {
    let store = store(1 << 20);
    let with = |profile| RespOptions {
        profile,
        ..RespOptions::default()
    };
    let mut client = Client::resp(&store, with(Profile::Never));
    client
        .says(
            &command(&[b"SET", NATIVE.as_bytes(), &[1; 1000]]),
            b"+OK\r\n",
        )
        .await;
    client
        .says(&words(&format!("GET {NATIVE}x")), b"$-1\r\n")
        .await;
    let mut client = Client::resp(&store, with(Profile::Always));
    client.says(&words("PING"), b"+PONG\r\n").await;
    client.says(&words("GET other"), b"-MISS\r\n").await;
}

#[tokio::test]
async fn two_users_never_meet() {
    let store = store(1 << 20);
    let user = |name: &str| {
        let user = User {
            password: format!("secret-{name}"),
            namespace: name.to_owned(),
        };
        (name.to_owned(), user)
    };
    let options = RespOptions {
        users: Users([user("alice"), user("bob")].into()),
        ..RespOptions::default()
    };
    let mut alice = Client::resp(&store, options.clone());
    let mut bob = Client::resp(&store, options);
    alice
        .says(&words("SET k a"), b"-NOAUTH Authentication required.\r\n")
        .await;
    let wrong = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n";
    alice.says(&words("AUTH alice secret-bob"), wrong).await;
    alice
        .says(&words("AUTH alice secret-alice"), b"+OK\r\n")
        .await;
    bob.says(&words("AUTH bob secret-bob"), b"+OK\r\n").await;
    alice.says(&words("SET k a"), b"+OK\r\n").await;
    for (question, answer) in [
        ("EXISTS k", b":0\r\n".as_slice()),
        ("GET k", b"$-1\r\n"),
        ("STRLEN k", b":0\r\n"),
        ("TTL k", b":-2\r\n"),
        ("DEL k", b":0\r\n"),
        ("DBSIZE", b":0\r\n"),
        ("SCAN 0 COUNT 100", b"*2\r\n$1\r\n0\r\n*0\r\n"),
    ] {
        bob.says(&words(question), answer).await;
    }
    alice.says(&words("GET k"), b"$1\r\na\r\n").await;
    // A long value of somebody who did not come in is read past.
    let mut eve = Client::resp(
        &store,
        RespOptions {
            users: Users([user("alice")].into()),
            ..RespOptions::default()
        },
    );
    let set = command(&[b"SET", b"k", &[0; 50_000]]);
    eve.says(&set, b"-NOAUTH Authentication required.\r\n")
        .await;
    alice.says(&words("GET k"), b"$1\r\na\r\n").await;
}

#[tokio::test]
async fn the_shape_without_the_bytes_is_no_block() {
    let store = store(1 << 20);
    let mut client = Client::resp(&store, RespOptions::default());
    client
        .says(&words("SET m@1@0@1a2b@halfmetadata shape"), b"+OK\r\n")
        .await;
    client
        .says(&words("EXISTS m@1@0@1a2b@halfmetadata"), b":0\r\n")
        .await;
    client
        .says(&words("SET m@1@0@1a2b@halfkv_bytes bytes"), b"+OK\r\n")
        .await;
    client
        .says(&words("EXISTS m@1@0@1a2b@halfmetadata"), b":1\r\n")
        .await;
}

#[tokio::test]
async fn a_long_argument_that_is_no_value_is_read_past() {
    let store = store(1 << 20);
    let mut client = Client::resp(&store, RespOptions::default());
    let long = vec![b'x'; 50_000];
    let fault = b"-ERR an argument is too long\r\n";
    client.says(&command(&[b"GET", &long]), fault).await;
    client.says(&command(&[b"SET", &long, b"v"]), fault).await;
    client.says(&words("SET k v"), b"+OK\r\n").await;
    client
        .says(&command(&[b"MSET", b"a", &long, b"b", b"2"]), b"+OK\r\n")
        .await;
    client.says(&words("STRLEN a"), b":50000\r\n").await;
    client.says(&words("GET b"), b"$1\r\n2\r\n").await;
}

#[tokio::test]
async fn bytes_that_are_no_command_are_answered_and_end_the_connection() {
    let store = store(1 << 20);
    let mut client = Client::resp(&store, RespOptions::default());
    let fault = b"-ERR Protocol error: expected '$', got 'P'\r\n";
    client.says(b"*1\r\nPING\r\n", fault).await;
    assert!(client.server.await.unwrap().is_err());
}

#[tokio::test]
async fn a_block_that_never_came_whole_is_not_there() {
    let store = store(1 << 20);
    let mut client = Client::resp(&store, RespOptions::default());
    let set = command(&[b"SET", b"k", &[0; 50_000]]);
    client.send(&set[..40_000]).await;
    assert!(client.hang_up().await.is_err());
    // All bytes but another end than the protocol's: the lengths did not agree.
    let mut client = Client::resp(&store, RespOptions::default());
    let mut set = command(&[b"SET", b"k", &[0; 50_000]]);
    set.truncate(set.len() - 2);
    set.extend_from_slice(b"xx");
    client.send(&set).await;
    assert!(client.server.await.unwrap().is_err());
    let mut client = Client::resp(&store, RespOptions::default());
    client.says(&words("EXISTS k"), b":0\r\n").await;
    assert_eq!(store.stat().used_bytes, 0);
}
