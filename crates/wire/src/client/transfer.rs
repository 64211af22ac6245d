//! GET and PUT: the blocks' bytes through the socket, or through a window.

use super::{
    ClientError, GetBlock, PutBlock,
    connection::{Answer, Connection},
};
use crate::native::{
    GetItem, GetReply, Header, NativeError, Op, PutItem, Reader, THROUGH_WINDOW, Table, Verdict,
    flow::{Sender, Taker},
};
use onefill_window::Window;
use std::time::Instant;
use twox_hash::XxHash3_128;

/// Bytes that are hashed as soon as they are copied: they are in the processor's nearest cache.
const STEP: usize = 16 << 10;
/// A request of fewer bytes than this, or of blocks that are on average smaller than [`BLOCK_MIN`], goes
/// through the socket: the messages about pieces would cost more than they save.
const REQUEST_MIN: usize = 64 << 10;
const BLOCK_MIN: usize = 16 << 10;

/// Whether a window is worth while for blocks of these sizes.
pub(super) fn is_much(sizes: &[u64]) -> bool {
    let bytes: u64 = sizes.iter().sum();
    bytes >= REQUEST_MIN as u64 && bytes / sizes.len().max(1) as u64 >= BLOCK_MIN as u64
}

pub(super) fn get(
    connection: &mut Connection,
    window: Option<&Window>,
    blocks: &mut [GetBlock<'_>],
    deadline: Instant,
) -> Result<Vec<Verdict>, ClientError> {
    let mut table = Table::default();
    for block in &*blocks {
        table.get(&GetItem {
            key: block.key,
            size: block.into.len() as u64,
        });
    }
    let mut header = connection.header(Op::Get, blocks.len(), &table.0);
    if window.is_some() {
        header.flags = THROUGH_WINDOW;
    }
    connection.tell(&header, &table.0, deadline)?;
    let answer = connection.answer(&header, deadline)?;
    let replies = replies(&answer, blocks)?;
    let mut flow = window.map(|window| (window, Taker::new(window.len())));
    let mut verdicts = Vec::with_capacity(blocks.len());
    for (block, reply) in blocks.iter_mut().zip(replies) {
        let mut verdict = reply.verdict;
        if verdict == Verdict::Done {
            let sum = match &mut flow {
                Some((window, flow)) => {
                    take(connection, &header, (window, flow), block.into, deadline)?
                }
                None => connection.block(block.into, deadline)?,
            };
            if sum != reply.sum {
                verdict = Verdict::Corrupt;
            }
        }
        verdicts.push(verdict);
    }
    if let Some(rest) = flow.and_then(|(_, mut flow)| flow.rest()) {
        credit(connection, &header, rest, deadline)?;
    }
    Ok(verdicts)
}

fn replies(answer: &Answer, blocks: &[GetBlock<'_>]) -> Result<Vec<GetReply>, ClientError> {
    let mut reader = Reader::new(&answer.table);
    let mut replies = Vec::with_capacity(blocks.len());
    for block in blocks {
        let reply = reader.got()?;
        if reply.verdict == Verdict::Done && reply.size != block.into.len() as u64 {
            return Err(ClientError::OutOfStep);
        }
        replies.push(reply);
    }
    reader.end()?;
    Ok(replies)
}

/// Takes a block out of the window into its place; its xxh3-128 there.
fn take(
    connection: &mut Connection,
    asked: &Header,
    (window, flow): (&Window, &mut Taker),
    into: &mut [u8],
    deadline: Instant,
) -> Result<u128, ClientError> {
    let mut hasher = XxHash3_128::new();
    let mut missing = into;
    while !missing.is_empty() {
        let piece = connection.frame(deadline)?.header;
        if (piece.op, piece.request) != (Op::Piece, asked.request) {
            return Err(ClientError::OutOfStep);
        }
        let (mut at, len) = flow.place(piece.payload, missing.len())?;
        let (place, rest) = missing.split_at_mut(len);
        for part in place.chunks_mut(STEP) {
            window.read(at, part).map_err(|_| NativeError::Window)?;
            hasher.write(part);
            at += part.len();
        }
        missing = rest;
        flow.took(len);
        if let Some(owed) = flow.credit() {
            credit(connection, asked, owed, deadline)?;
        }
    }
    Ok(hasher.finish_128())
}

fn credit(
    connection: &mut Connection,
    asked: &Header,
    bytes: u64,
    deadline: Instant,
) -> Result<(), ClientError> {
    let mut header = Header::new(Op::Credit, asked.request, 0, &[]);
    header.payload = bytes;
    connection.tell(&header, &[], deadline)
}

pub(super) fn put(
    connection: &mut Connection,
    window: Option<&Window>,
    blocks: &[PutBlock<'_>],
    deadline: Instant,
) -> Result<Vec<Verdict>, ClientError> {
    let mut table = Table::default();
    for block in blocks {
        table.put(&PutItem {
            key: block.key,
            parent: block.parent,
            size: block.bytes.len() as u64,
            sum: match window {
                Some(_) => 0,
                None => XxHash3_128::oneshot(block.bytes),
            },
            ttl_ms: block.ttl_ms,
            only_new: block.only_new,
        });
    }
    let mut header = connection.header(Op::Put, blocks.len(), &table.0);
    let sizes = blocks.iter().map(|block| block.bytes.len() as u64);
    header.payload = sizes.sum();
    let answer = match window {
        None => {
            let bytes: Vec<&[u8]> = blocks.iter().map(|block| block.bytes).collect();
            connection.send(&header, &table.0, &bytes, deadline)?;
            connection.answer(&header, deadline)?
        }
        Some(window) => {
            header.flags = THROUGH_WINDOW;
            connection.tell(&header, &table.0, deadline)?;
            let mut flow = Sender::new(window.len());
            for block in blocks {
                lay(
                    connection,
                    &header,
                    (window, &mut flow),
                    block.bytes,
                    deadline,
                )?;
            }
            loop {
                let answer = connection.frame(deadline)?;
                match answer.header.op {
                    Op::Credit => flow.credit(answer.header.payload)?,
                    _ => break answer,
                }
            }
        }
    };
    let verdicts = verdicts(&answer, &header)?;
    Ok(verdicts.into_iter().map(|(verdict, _)| verdict).collect())
}

/// Lays a block's bytes into the window, piece by piece, as there is room.
fn lay(
    connection: &mut Connection,
    asked: &Header,
    (window, flow): (&Window, &mut Sender),
    bytes: &[u8],
    deadline: Instant,
) -> Result<(), ClientError> {
    let mut hasher = XxHash3_128::new();
    let mut rest = bytes;
    loop {
        let Some((mut at, len)) = flow.place(rest.len()) else {
            let credit = connection.frame(deadline)?.header;
            if (credit.op, credit.request) != (Op::Credit, asked.request) {
                return Err(ClientError::OutOfStep);
            }
            flow.credit(credit.payload)?;
            continue;
        };
        let (piece, behind) = rest.split_at(len);
        for part in piece.chunks(STEP) {
            hasher.write(part);
            window.write(at, part).map_err(|_| NativeError::Window)?;
            at += part.len();
        }
        flow.wrote(len);
        rest = behind;
        let mut table = Table::default();
        if rest.is_empty() {
            table.sum(hasher.finish_128());
        }
        let ends = usize::from(rest.is_empty());
        let mut header = Header::new(Op::Piece, asked.request, ends, &table.0);
        header.payload = len as u64;
        connection.tell(&header, &table.0, deadline)?;
        if rest.is_empty() {
            return Ok(());
        }
    }
}

/// An answer's verdicts, one for each item of the request.
pub(super) fn verdicts(
    answer: &Answer,
    asked: &Header,
) -> Result<Vec<(Verdict, u64)>, ClientError> {
    let found = &answer.header;
    if (found.op, found.request, found.items) != (asked.op, asked.request, asked.items) {
        return Err(ClientError::OutOfStep);
    }
    let mut reader = Reader::new(&answer.table);
    let verdicts: Result<Vec<_>, _> = (0..asked.items).map(|_| reader.verdict()).collect();
    reader.end()?;
    Ok(verdicts?)
}
