use super::*;
use proptest::prelude::*;

/// A PUT as `LMCache` 0.5.6 sends it, and the miss that `lmcache_server` answers.
#[test]
fn the_bytes_on_the_wire_are_those_of_lmcache() {
    let key = b"meta-llama/Llama-3.1-8B-Instruct@1@0@841744a44bda7c15@bfloat16";
    let request = Request {
        command: Command::Put,
        length: 33_554_432,
        layout: Layout {
            format: 1,
            dtype: 3,
            shape: [2, 32, 256, 1024],
            location: 0,
        },
        key,
    };
    let bytes = encode(&request).unwrap();
    let head: [u8; 12] = [1, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0, 0];
    assert_eq!(bytes[..12], head);
    assert_eq!(&bytes[36..36 + key.len()], key);
    assert!(bytes[36 + key.len()..].iter().all(|byte| *byte == b' '));
    assert_eq!(parse(&bytes), Ok(request));

    let miss = encode_reply(&Reply::MISS);
    assert_eq!(miss[..4], [0x90, 1, 0, 0]);
    assert_eq!(parse_reply(&miss), Ok(Reply::MISS));
}

#[test]
fn what_is_no_request_is_named() {
    let mut bytes = [0; REQUEST_LEN];
    bytes[0] = 9;
    assert_eq!(parse(&bytes), Err(LmError::Command(9)));
    bytes[0] = 1;
    bytes[7] = 0x80;
    bytes[36] = b'k';
    assert_eq!(parse(&bytes), Err(LmError::Length(i32::MIN)));
    bytes[36..].fill(b' ');
    assert_eq!(parse(&bytes), Err(LmError::EmptyKey));
}

proptest! {
    #[test]
    fn replies_come_back(found: bool, length in 0..=i32::MAX.cast_unsigned(), ints: [i32; 7]) {
        let reply = Reply {
            found,
            length,
            layout: Layout {
                format: ints[0],
                dtype: ints[1],
                shape: [ints[2], ints[3], ints[4], ints[5]],
                location: ints[6],
            },
        };
        prop_assert_eq!(parse_reply(&encode_reply(&reply)), Ok(reply));
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), REQUEST_LEN)) {
        let bytes: [u8; REQUEST_LEN] = bytes.try_into().unwrap();
        if let Ok(request) = parse(&bytes) {
            let again = encode(&request).unwrap();
            prop_assert_eq!(parse(&again), Ok(request));
        }
    }
}
