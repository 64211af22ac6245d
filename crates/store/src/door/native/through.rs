//! Blocks through a window: see [`onefill_wire::native`]. What lies in it may change at any time, so
//! bytes are copied first and their checksum is that of the copy.

use super::{Conn, DoorError, header};
use crate::memory::{Block, Draft};
use onefill_window::Window;
use onefill_wire::native::{
    Header, NativeError, Op, Reader,
    flow::{Sender, Taker},
};
use tokio::io::{AsyncRead, AsyncWrite};

/// Bytes that are copied at once: they are hashed while they are in the processor's nearest cache.
const STEP: usize = 32 << 10;

/// Takes a block of so many bytes out of the window into its place, or passes it over where there is
/// none; its xxh3-128 as the client says it.
pub(super) async fn receive<S: AsyncRead + AsyncWrite + Unpin>(
    conn: &mut Conn<S>,
    asked: &Header,
    (window, flow): (&Window, &mut Taker),
    size: usize,
    mut draft: Option<&mut Draft>,
) -> Result<u128, DoorError> {
    let mut missing = size;
    loop {
        let (told, sum) = piece(conn, asked).await?;
        let (at, len) = flow.place(told, missing)?;
        if let Some(draft) = &mut draft {
            copy(window, at, len, draft)?;
        }
        missing -= len;
        flow.took(len);
        if let Some(owed) = flow.credit() {
            tell(conn, asked, Op::Credit, owed);
            conn.flush().await?;
        }
        match (missing, sum) {
            (0, Some(sum)) => return Ok(sum),
            (1.., None) if len > 0 => {}
            _ => return Err(NativeError::Window.into()),
        }
    }
}

fn copy(window: &Window, mut at: usize, len: usize, draft: &mut Draft) -> Result<(), NativeError> {
    let end = at + len;
    while at < end {
        let room = draft.room(STEP.min(end - at));
        window.read(at, room).map_err(|_| NativeError::Window)?;
        let count = room.len();
        draft.advance(count);
        at += count;
    }
    Ok(())
}

/// The next piece's length, and the checksum that comes with a block's last one.
async fn piece<S: AsyncRead + AsyncWrite + Unpin>(
    conn: &mut Conn<S>,
    asked: &Header,
) -> Result<(u64, Option<u128>), DoorError> {
    let piece = next(conn, asked, Op::Piece).await?;
    let mut table = [0; 16];
    let table = match (piece.items, piece.table) {
        (0, 0) => return Ok((piece.payload, None)),
        (1, 16) => &mut table,
        _ => return Err(NativeError::Table.into()),
    };
    conn.read(table).await?;
    piece.check(table)?;
    Ok((piece.payload, Some(Reader::new(table).sum()?)))
}

/// Lays a block into the window, piece by piece, as there is room.
pub(super) async fn send<S: AsyncRead + AsyncWrite + Unpin>(
    conn: &mut Conn<S>,
    asked: &Header,
    (window, flow): (&Window, &mut Sender),
    block: &Block,
) -> Result<(), DoorError> {
    let mut at = 0;
    while at < block.len() {
        let Some((place, len)) = flow.place(block.len() - at) else {
            credit(conn, asked, flow).await?;
            continue;
        };
        lay(window, place, block, (at, at + len))?;
        flow.wrote(len);
        at += len;
        tell(conn, asked, Op::Piece, len as u64);
        conn.flush().await?;
    }
    Ok(())
}

fn lay(
    window: &Window,
    mut place: usize,
    block: &Block,
    (mut at, end): (usize, usize),
) -> Result<(), NativeError> {
    while at < end {
        let part = block.part(at, end - at);
        window.write(place, part).map_err(|_| NativeError::Window)?;
        at += part.len();
        place += part.len();
    }
    Ok(())
}

/// Waits until all that was sent is taken.
pub(super) async fn settle<S: AsyncRead + AsyncWrite + Unpin>(
    conn: &mut Conn<S>,
    asked: &Header,
    flow: &mut Sender,
) -> Result<(), DoorError> {
    while !flow.is_taken() {
        credit(conn, asked, flow).await?;
    }
    Ok(())
}

async fn credit<S: AsyncRead + AsyncWrite + Unpin>(
    conn: &mut Conn<S>,
    asked: &Header,
    flow: &mut Sender,
) -> Result<(), DoorError> {
    let credit = next(conn, asked, Op::Credit).await?;
    Ok(flow.credit(credit.payload)?)
}

/// The next frame, which must be one of these.
async fn next<S: AsyncRead + AsyncWrite + Unpin>(
    conn: &mut Conn<S>,
    asked: &Header,
    op: Op,
) -> Result<Header, DoorError> {
    let header = header(conn, false).await?.ok_or(DoorError::Cut)?;
    if (header.op, header.request) == (op, asked.request) {
        Ok(header)
    } else {
        Err(NativeError::Window.into())
    }
}

fn tell<S>(conn: &mut Conn<S>, asked: &Header, op: Op, bytes: u64) {
    let mut header = Header::new(op, asked.request, 0, &[]);
    header.payload = bytes;
    conn.output.extend_from_slice(&header.encode());
}
