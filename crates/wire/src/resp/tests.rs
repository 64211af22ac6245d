use super::*;
use proptest::prelude::*;

fn commands(bytes: &[u8]) -> Result<Vec<Vec<Vec<u8>>>, RespError> {
    let mut parser = Parser::default();
    let (mut at, mut commands) = (0, Vec::new());
    loop {
        let (used, event) = parser.feed(&bytes[at..])?;
        at += used;
        match event {
            Event::More => return Ok(commands),
            Event::Command => {
                commands.push(parser.args().from(0).map(<[u8]>::to_vec).collect());
                parser.clear();
            }
            Event::Long(len) => {
                at += usize::try_from(len).unwrap() + 2;
                parser.long_taken();
            }
        }
    }
}

fn encode(args: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = Writer {
        out: &mut out,
        protocol: Protocol::Resp2,
    };
    writer.array(args.len());
    for arg in args {
        writer.bulk(arg);
    }
    out
}

#[test]
fn commands_follow_one_another() {
    let found = commands(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\nPING hello\r\n*0\r\n*1\r\n$4\r\nQUIT\r\n");
    let expected: [&[&[u8]]; 3] = [&[b"GET", b"k"], &[b"PING", b"hello"], &[b"QUIT"]];
    assert_eq!(found.unwrap(), expected);
}

#[test]
fn a_long_argument_is_left_to_the_caller() {
    let mut parser = Parser::default();
    let head = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$33554432\r\nxxx";
    let (used, event) = parser.feed(head).unwrap();
    assert_eq!((used, event), (head.len() - 3, Event::Long(33_554_432)));
    parser.long_taken();
    assert_eq!(parser.feed(b"").unwrap(), (0, Event::Command));
    assert_eq!(parser.args().len(), 3);
    assert_eq!(parser.args().get(1), b"k");
    assert_eq!(parser.args().get(2), b"");
}

#[test]
fn what_is_no_command_is_named() {
    let fault = |bytes: &[u8]| commands(bytes).unwrap_err();
    assert_eq!(fault(b"*x\r\n"), RespError::Count);
    assert_eq!(fault(b"*1\r\nPING\r\n"), RespError::Dollar(b'P'));
    assert_eq!(fault(b"*1\r\n$-1\r\n"), RespError::Length);
    assert_eq!(fault(b"*1\r\n$4\r\nPINGxx"), RespError::End);
    assert_eq!(fault(b"*9999999\r\n"), RespError::TooBig);
    assert_eq!(fault(&[b'a'; 2000]), RespError::Line);
    assert_eq!(
        fault(b"*11111111111111111111111111111111111"),
        RespError::Count
    );
}

#[test]
fn misses_are_as_long_as_the_header_that_the_native_client_waits_for() {
    for size in [0, 1, 9, 10, 28, 4096, 33_554_432, u64::MAX] {
        let (mut miss, header) = (Vec::new(), format!("${size}\r\n"));
        lmcache::miss(size, &mut miss);
        assert_eq!(miss.len(), header.len(), "{size}");
        assert!(miss.starts_with(b"-") && miss.ends_with(b"\r\n"));
    }
}

#[test]
fn native_keys_are_told_from_others() {
    assert!(lmcache::is_native_key(
        b"meta-llama/Llama@01000100@0@084547b6@tenantA"
    ));
    assert!(lmcache::is_native_key(b"m@1@0@-1a2b@bfloat16"));
    assert!(!lmcache::is_native_key(b"m@1@0@1a2b@bfloat16metadata"));
    assert!(!lmcache::is_native_key(b"key:__rand_int__"));
    assert_eq!(
        lmcache::bytes_key(b"m@1@0@1a2b@halfmetadata").as_deref(),
        Some(b"m@1@0@1a2b@halfkv_bytes".as_slice())
    );
    assert_eq!(lmcache::bytes_key(b"my metadata"), None);
}

proptest! {
    /// However the bytes are cut, the same commands come out.
    #[test]
    fn cuts_change_nothing(
        all in proptest::collection::vec(
            proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..6), 1..6),
        cut in 1usize..50,
    ) {
        let bytes: Vec<u8> = all.iter().flat_map(|args| encode(args)).collect();
        let mut parser = Parser::default();
        let (mut held, mut found) = (Vec::new(), Vec::new());
        for piece in bytes.chunks(cut) {
            held.extend_from_slice(piece);
            loop {
                let (used, event) = parser.feed(&held).unwrap();
                held.drain(..used);
                if event != Event::Command {
                    break;
                }
                found.push(parser.args().from(0).map(<[u8]>::to_vec).collect::<Vec<_>>());
                parser.clear();
            }
        }
        prop_assert_eq!(found, all);
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut parser = Parser::default();
        let mut at = 0;
        while let Ok((used, event)) = parser.feed(&bytes[at..]) {
            at += used;
            match event {
                Event::Command => parser.clear(),
                _ => break,
            }
        }
    }
}

#[test]
fn patterns_fit_as_in_redis() {
    for (pattern, key, fits) in [
        ("*", "", true),
        ("a*c", "abbbc", true),
        ("a*c", "abbbd", false),
        ("*a*b*", "xxaxxbxx", true),
        ("h?llo", "hello", true),
        ("h[ae]llo", "hallo", true),
        ("h[^e]llo", "hello", false),
        ("h[a-f]llo", "hello", true),
        ("\\*", "*", true),
        ("\\*", "x", false),
        ("", "x", false),
        ("[", "x", false),
    ] {
        assert_eq!(
            glob(pattern.as_bytes(), key.as_bytes()),
            fits,
            "{pattern} {key}"
        );
    }
}
