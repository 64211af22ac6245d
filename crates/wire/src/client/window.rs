//! The way to a window.

use super::{
    ClientError,
    connection::{Connection, left},
};
use crate::native::{Offer, Op, Reader, Table, flow::is_window};
use onefill_window::{Window, reach, take};
use std::{
    io::{self, Write as _},
    time::{Duration, Instant},
};

/// A store on this machine hands a window out within a millisecond.
const HANDING: Duration = Duration::from_secs(1);

/// Asks for a window of so many bytes; `None` if there is none to be had from this store.
pub(super) fn ask(
    connection: &mut Connection,
    bytes: usize,
    deadline: Instant,
) -> Result<Option<Window>, ClientError> {
    let mut table = Table::default();
    table.wanted(bytes as u64);
    let header = connection.header(Op::Window, 0, &table.0);
    connection.tell(&header, &table.0, deadline)?;
    let answer = connection.answer(&header, deadline)?;
    let mut reader = Reader::new(&answer.table);
    let offer = reader.offer()?;
    reader.end()?;
    let wait = left(deadline)?.min(HANDING);
    // A store elsewhere can't be reached on this way: everything goes through the socket then.
    Ok(collect(&offer, wait).ok())
}

fn collect(offer: &Offer<'_>, wait: Duration) -> io::Result<Window> {
    let none = || io::Error::from(io::ErrorKind::NotFound);
    let address = std::str::from_utf8(offer.address).map_err(|_| none())?;
    let bytes = usize::try_from(offer.bytes).map_err(|_| none())?;
    if !is_window(bytes) {
        return Err(none());
    }
    let mut hatch = reach(address)?;
    hatch.set_read_timeout(Some(wait))?;
    hatch.set_write_timeout(Some(wait))?;
    hatch.write_all(&offer.secret.to_le_bytes())?;
    Window::open(&take(&hatch)?, bytes)
}
