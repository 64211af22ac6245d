//! One connection: frames out, frames in, all before a deadline.

use super::ClientError;
use crate::native::{HEADER_LEN, Header, Hello, Op, Reader, Status, Table, Welcome};
use std::{
    io::{self, IoSlice, Read as _, Write as _},
    net::{TcpStream, ToSocketAddrs as _},
    time::{Duration, Instant},
};
use twox_hash::XxHash3_128;

/// Bytes that one read takes: they are hashed while they are in the processor's cache.
const STEP: usize = 256 << 10;
/// Slices that one write takes.
const SLICES_MAX: usize = 64;

pub(super) struct Connection {
    stream: TcpStream,
    request: u64,
    pub(super) welcome: Welcome,
}

/// A reply's header and table.
pub(super) struct Answer {
    pub(super) header: Header,
    pub(super) table: Vec<u8>,
}

impl Connection {
    /// Connects, and says who comes.
    pub(super) fn open(
        address: &str,
        hello: &Hello<'_>,
        deadline: Instant,
    ) -> Result<Self, ClientError> {
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        let mut found = None;
        for address in address.to_socket_addrs().map_err(ClientError::Io)? {
            match TcpStream::connect_timeout(&address, left(deadline)?) {
                Ok(stream) => {
                    found = Some(stream);
                    break;
                }
                Err(error) => last = error,
            }
        }
        // A connection that takes too long is one that can't be had: the caller rests then.
        let stream = found.ok_or(ClientError::Io(last))?;
        stream.set_nodelay(true)?;
        let mut connection = Self {
            stream,
            request: 0,
            welcome: Welcome {
                items_max: 1,
                payload_max: 0,
            },
        };
        let mut table = Table::default();
        table.hello(hello);
        let header = connection.header(Op::Hello, 0, &table.0);
        connection.send(&header, &table.0, &[], deadline)?;
        let answer = connection.answer(&header, deadline)?;
        let mut reader = Reader::new(&answer.table);
        connection.welcome = reader.welcome()?;
        reader.end()?;
        Ok(connection)
    }

    /// The header of the next request.
    pub(super) fn header(&mut self, op: Op, items: usize, table: &[u8]) -> Header {
        self.request += 1;
        Header::new(op, self.request, items, table)
    }

    /// Sends a request.
    pub(super) fn send(
        &mut self,
        header: &Header,
        table: &[u8],
        blocks: &[&[u8]],
        deadline: Instant,
    ) -> Result<(), ClientError> {
        let mut header = *header;
        let wait = left(deadline)?.as_millis();
        header.deadline_ms = u32::try_from(wait).unwrap_or(u32::MAX).max(1);
        let head = header.encode();
        let ahead = [head.as_slice(), table];
        let parts = ahead.iter().chain(blocks);
        let mut slices: Vec<IoSlice<'_>> = parts.map(|part| IoSlice::new(part)).collect();
        let mut slices = slices.as_mut_slice();
        IoSlice::advance_slices(&mut slices, 0);
        while !slices.is_empty() {
            self.stream.set_write_timeout(Some(left(deadline)?))?;
            let some = &slices[..slices.len().min(SLICES_MAX)];
            match self.stream.write_vectored(some) {
                Ok(0) => return Err(ClientError::Io(io::ErrorKind::WriteZero.into())),
                Ok(count) => IoSlice::advance_slices(&mut slices, count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Reads the answer's header and table; blocks may follow.
    pub(super) fn answer(
        &mut self,
        asked: &Header,
        deadline: Instant,
    ) -> Result<Answer, ClientError> {
        let mut head = [0; HEADER_LEN];
        self.read(&mut head, deadline)?;
        let header = Header::parse(&head)?;
        let mut table = vec![0; header.table as usize];
        self.read(&mut table, deadline)?;
        header.check(&table)?;
        if header.status != Status::Ok {
            return Err(ClientError::Refused {
                status: header.status,
                sentence: String::from_utf8_lossy(&table).into_owned(),
            });
        }
        if (header.op, header.request) != (asked.op, asked.request) {
            return Err(ClientError::OutOfStep);
        }
        Ok(Answer { header, table })
    }

    /// Reads a block into its place; its xxh3-128.
    pub(super) fn block(
        &mut self,
        into: &mut [u8],
        deadline: Instant,
    ) -> Result<u128, ClientError> {
        let mut hasher = XxHash3_128::new();
        for part in into.chunks_mut(STEP) {
            self.read(part, deadline)?;
            hasher.write(part);
        }
        Ok(hasher.finish_128())
    }

    fn read(&mut self, mut into: &mut [u8], deadline: Instant) -> Result<(), ClientError> {
        while !into.is_empty() {
            self.stream.set_read_timeout(Some(left(deadline)?))?;
            match self.stream.read(into) {
                Ok(0) => return Err(ClientError::Io(io::ErrorKind::UnexpectedEof.into())),
                Ok(count) => into = &mut into[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// Time that is left; none is [`ClientError::Late`].
fn left(deadline: Instant) -> Result<Duration, ClientError> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        Err(ClientError::Late)
    } else {
        Ok(left)
    }
}
