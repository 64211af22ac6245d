use super::*;
use proptest::prelude::*;

fn key() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..200)
}

proptest! {
    #[test]
    fn headers_come_back(request: u64, items in 0u32..4096, payload: u64, deadline_ms: u32, table in key()) {
        let mut header = Header::new(Op::Get, request, items as usize, &table);
        header.flags = LEASE;
        header.payload = payload;
        header.deadline_ms = deadline_ms;
        header.status = Status::Denied;
        let read = Header::parse(&header.encode()).unwrap();
        prop_assert_eq!(read, header);
        prop_assert_eq!(read.check(&table), Ok(()));
    }

    /// One flipped bit anywhere in a header is seen.
    #[test]
    fn a_flipped_bit_is_no_header(request: u64, bit in 0usize..HEADER_LEN * 8) {
        let mut bytes = Header::new(Op::Put, request, 3, b"table").encode();
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(Header::parse(&bytes).is_err());
    }

    #[test]
    fn tables_come_back(one in key(), parent in key(), size: u64, sum: u128, ttl_ms: u32, only_new: bool) {
        let put = PutItem { key: &one, parent: &parent, size, sum, ttl_ms, only_new };
        let get = GetItem { key: &one, size };
        let got = GetReply { verdict: Verdict::Evicted, size, sum };
        let hello = Hello { namespace: &one, token: &parent };
        let welcome = Welcome { items_max: ttl_ms, payload_max: size };
        let mut table = Table::default();
        table.put(&put);
        table.get(&get);
        table.got(&got);
        table.hello(&hello);
        table.welcome(&welcome);
        table.verdict(Verdict::Kept, size);
        let mut reader = Reader::new(&table.0);
        prop_assert_eq!(reader.put(), Ok(put));
        prop_assert_eq!(reader.get(), Ok(get));
        prop_assert_eq!(reader.got(), Ok(got));
        prop_assert_eq!(reader.hello(), Ok(hello));
        prop_assert_eq!(reader.welcome(), Ok(welcome));
        prop_assert_eq!(reader.verdict(), Ok((Verdict::Kept, size)));
        prop_assert_eq!(reader.end(), Ok(()));
        // Cut anywhere, it is not read as if it were whole.
        let cut = table.0.len() / 2;
        let mut reader = Reader::new(&table.0[..cut]);
        let whole = reader.put().is_ok() && reader.get().is_ok() && reader.got().is_ok()
            && reader.hello().is_ok() && reader.welcome().is_ok() && reader.verdict().is_ok();
        prop_assert!(!whole);
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 64..300)) {
        if let Ok(header) = Header::parse(bytes.first_chunk().unwrap()) {
            prop_assert!(header.items as usize <= ITEMS_MAX);
        }
        let mut reader = Reader::new(&bytes);
        while reader.put().is_ok() {}
        let mut reader = Reader::new(&bytes);
        while reader.got().is_ok() {}
    }
}

#[test]
fn bounds_are_kept() {
    let header = Header::new(Op::Get, 1, ITEMS_MAX + 1, b"");
    assert_eq!(Header::parse(&header.encode()), Err(NativeError::TooBig));
    let mut header = Header::new(Op::Get, 1, 0, b"");
    header.table = u32::MAX;
    assert_eq!(Header::parse(&header.encode()), Err(NativeError::TooBig));
}
