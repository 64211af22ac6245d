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
        let offer = Offer { address: &one, secret: sum, bytes: size };
        let mut table = Table::default();
        table.put(&put);
        table.get(&get);
        table.got(&got);
        table.hello(&hello);
        table.welcome(&welcome);
        table.offer(&offer);
        table.sum(sum);
        table.verdict(Verdict::Kept, size);
        let mut reader = Reader::new(&table.0);
        prop_assert_eq!(reader.put(), Ok(put));
        prop_assert_eq!(reader.get(), Ok(get));
        prop_assert_eq!(reader.got(), Ok(got));
        prop_assert_eq!(reader.hello(), Ok(hello));
        prop_assert_eq!(reader.welcome(), Ok(welcome));
        prop_assert_eq!(reader.offer(), Ok(offer));
        prop_assert_eq!(reader.sum(), Ok(sum));
        prop_assert_eq!(reader.verdict(), Ok((Verdict::Kept, size)));
        prop_assert_eq!(reader.end(), Ok(()));
        // Cut anywhere, it is not read as if it were whole.
        let cut = table.0.len() / 2;
        let mut reader = Reader::new(&table.0[..cut]);
        let whole = reader.put().is_ok() && reader.get().is_ok() && reader.got().is_ok()
            && reader.hello().is_ok() && reader.welcome().is_ok() && reader.offer().is_ok()
            && reader.sum().is_ok() && reader.verdict().is_ok();
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
        let mut reader = Reader::new(&bytes);
        while reader.offer().is_ok() {}
    }

    /// Whatever the blocks' lengths and whoever is quicker: all bytes arrive, in their order, and none is
    /// written over before it was taken.
    #[test]
    fn bytes_flow_through_a_window(
        window in flow::WINDOW_MIN..300_000,
        blocks in proptest::collection::vec(0usize..300_000, 1..4),
        turns in proptest::collection::vec(any::<bool>(), 1..50),
    ) {
        let (mut sender, mut taker) = (flow::Sender::new(window), flow::Taker::new(window));
        let mut ring: Vec<Option<u64>> = vec![None; window];
        let mut told = std::collections::VecDeque::new();
        let mut to_send = blocks.clone();
        let mut to_take = blocks;
        let (mut number, mut expected) = (0, 0);
        for may_send in turns.into_iter().chain([true]).cycle() {
            while to_send.first() == Some(&0) { to_send.remove(0); }
            while to_take.first() == Some(&0) { to_take.remove(0); }
            let Some(missing) = to_take.first().copied() else { break };
            let place = to_send.first().and_then(|rest| sender.place(*rest));
            if let Some((at, len)) = place.filter(|_| may_send) {
                prop_assert!(len > 0);
                for byte in &mut ring[at..at + len] {
                    prop_assert_eq!(*byte, None, "written over");
                    *byte = Some(number);
                    number += 1;
                }
                sender.wrote(len);
                told.push_back(len as u64);
                to_send[0] -= len;
            } else if let Some(len) = told.pop_front() {
                let (at, len) = taker.place(len, missing).unwrap();
                for byte in &mut ring[at..at + len] {
                    prop_assert_eq!(byte.take(), Some(expected));
                    expected += 1;
                }
                taker.took(len);
                to_take[0] -= len;
                if let Some(credit) = taker.credit() {
                    sender.credit(credit).unwrap();
                }
            } else {
                prop_assert!(place.is_some(), "both wait for each other");
            }
        }
        if let Some(credit) = taker.rest() {
            sender.credit(credit).unwrap();
        }
        prop_assert!(sender.is_taken());
    }

    /// A piece is taken only where it lies within the window and within its block.
    #[test]
    fn no_piece_reaches_outside(before in 0usize..200_000, told: u64, missing in 0usize..200_000) {
        let window = 100_000;
        let mut taker = flow::Taker::new(window);
        taker.took(before);
        match taker.place(told, missing) {
            Ok((at, len)) => prop_assert!(at + len <= window && len <= missing && len as u64 == told),
            Err(error) => {
                prop_assert_eq!(error, NativeError::Window);
                let room = (window - before % window).min(missing);
                prop_assert!(told > room as u64);
            }
        }
    }

    #[test]
    fn no_credit_for_what_was_not_sent(sent in 0usize..100_000, credit: u64) {
        let mut sender = flow::Sender::new(100_000);
        sender.wrote(sent);
        prop_assert_eq!(sender.credit(credit).is_ok(), credit <= sent as u64);
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
