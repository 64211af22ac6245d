//! What the fuzz target `frames` promises.

#[cfg(test)]
mod tests;

use crate::native::{
    HEADER_LEN, Header, ITEMS_MAX, NativeError, Op, Reader, TABLE_MAX, Table,
    flow::{Taker, WINDOW_MIN},
};
use twox_hash::XxHash3_64;

/// Any bytes as a header, with its magic and checksum put right, and what is behind them as its table: no
/// panic; bounds hold; a header and a table that are understood are written again as they were; and no piece
/// reaches out of its window or its block.
pub fn frames(bytes: &[u8]) {
    let Some((head, table)) = bytes.split_first_chunk::<HEADER_LEN>() else {
        return;
    };
    let mut head = *head;
    head[..4].copy_from_slice(&Header::new(Op::Get, 0, 0, &[]).encode()[..4]);
    let sum = XxHash3_64::oneshot(&head[..HEADER_LEN - 8]);
    head[HEADER_LEN - 8..].copy_from_slice(&sum.to_le_bytes());
    let Ok(header) = Header::parse(&head) else {
        return;
    };
    assert!(header.items as usize <= ITEMS_MAX && header.table as usize <= TABLE_MAX);
    assert_eq!(Header::parse(&header.encode()), Ok(header));
    if let Ok(again) = rewritten(&header, table) {
        assert_eq!(again, table);
    }
    pieces(table);
}

/// What a request's table says, written again.
fn rewritten(header: &Header, table: &[u8]) -> Result<Vec<u8>, NativeError> {
    let (mut reader, mut again) = (Reader::new(table), Table::default());
    match header.op {
        Op::Hello => again.hello(&reader.hello()?),
        Op::Window if header.items == 0 => again.wanted(reader.wanted()?),
        Op::Window => again.offer(&reader.offer()?),
        op => {
            for _ in 0..header.items {
                match op {
                    Op::Get => again.get(&reader.get()?),
                    Op::Put => again.put(&reader.put()?),
                    Op::Piece => again.sum(reader.sum()?),
                    Op::Credit => again.got(&reader.got()?),
                    _ => again.key(reader.key()?),
                }
            }
        }
    }
    reader.end()?;
    Ok(again.0)
}

/// Pieces of these lengths, as the end that takes them would.
fn pieces(lengths: &[u8]) {
    let window = WINDOW_MIN;
    let mut flow = Taker::new(window);
    let (mut taken, mut credit) = (0, 0);
    for told in lengths.chunks_exact(8) {
        let mut long = [0; 8];
        long.copy_from_slice(told);
        // Short ones now and then, or none would ever fit.
        let told = u64::from_le_bytes(long) >> (long[0] % 64);
        let missing = usize::from(long[1]) << 8;
        let Ok((at, len)) = flow.place(told, missing) else {
            continue;
        };
        assert!(len as u64 == told && len <= missing && at + len <= window);
        flow.took(len);
        taken += told;
        credit += flow.credit().unwrap_or(0);
        assert!(credit <= taken && taken - credit < window as u64 / 4);
    }
    assert_eq!(credit + flow.rest().unwrap_or(0), taken);
}
