//! Commands on values.

use super::{command::key_of_value, session::Session};
use crate::{
    catalog::{Condition, Inserted, Put},
    door::DoorError,
    ledger::Refusal,
};
use onefill_wire::resp::{Args, lmcache};
use std::sync::atomic::Ordering;
use tokio::io::{AsyncRead, AsyncWrite};

const NOT_A_NUMBER: &str = "ERR value is not an integer or out of range";
const SYNTAX: &str = "ERR syntax error";

/// A whole number.
pub(super) fn number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    pub(super) async fn get(&mut self, key: &[u8]) -> Result<(), DoorError> {
        match self.view.read(key).await {
            Ok(stored) => {
                let len = stored.block.len();
                self.last_len = Some(len as u64);
                self.reply().bulk_header(len);
                self.conn.send(&stored.block, (0, len), b"\r\n").await
            }
            Err((_, size)) => {
                self.miss(key, size);
                Ok(())
            }
        }
    }

    /// Answers a missed GET so that the client stays in step, whichever it is.
    fn miss(&mut self, key: &[u8], size: Option<u64>) {
        let recent = self.view.namespace().recent_bytes.load(Ordering::Relaxed);
        let size = size
            .or(self.last_len)
            .or((recent > 0).then_some(recent))
            .filter(|_| self.is_native(key));
        match size {
            Some(size) => lmcache::miss(size, &mut self.conn.output),
            None => self.reply().null(),
        }
    }

    pub(super) async fn mget(&mut self, args: &Args) -> Result<(), DoorError> {
        self.reply().array(args.len() - 1);
        for key in args.from(1) {
            match self.view.read(key).await {
                Ok(stored) => {
                    let len = stored.block.len();
                    self.reply().bulk_header(len);
                    self.conn.send(&stored.block, (0, len), b"\r\n").await?;
                }
                Err(_) => self.reply().null(),
            }
            self.conn.flush_if_much().await?;
        }
        Ok(())
    }

    pub(super) async fn set(&mut self, args: &Args) {
        let put = match self.set_options(args) {
            Ok(put) => put,
            Err(error) => return self.error(error),
        };
        let key = args.get(1);
        match self.put(args, 2, &put).await {
            Ok(Inserted::Unmet) => self.reply().null(),
            Ok(_) => self.ok(),
            Err(refusal) => self.refuse(key, refusal),
        }
    }

    /// Puts the value at `index`.
    async fn put(&mut self, args: &Args, index: usize, put: &Put) -> Result<Inserted, Refusal> {
        let key = key_of_value(args.get(0), index).ok_or(Refusal::Key)?;
        let draft = self.value(args, index).await?;
        self.last_len = Some(draft.len() as u64);
        let inserted = self.view.commit(args.get(key), draft, put);
        inserted.ok_or(Refusal::Full)
    }

    fn refuse(&mut self, key: &[u8], refusal: Refusal) {
        if self.is_native(key) {
            self.conn.output.extend_from_slice(lmcache::SET_REFUSED);
            return;
        }
        match refusal {
            Refusal::Full => self.error("OOM no room: all blocks are pinned, promised or in use"),
            other => self.error(&format!("ERR {other}")),
        }
    }

    fn set_options(&self, args: &Args) -> Result<Put, &'static str> {
        let mut put = Put::default();
        let mut at = 3;
        while at < args.len() {
            let option = args.get(at).to_ascii_uppercase();
            match option.as_slice() {
                b"NX" if put.condition == Condition::Always => put.condition = Condition::Absent,
                b"XX" if put.condition == Condition::Always => put.condition = Condition::Present,
                b"KEEPTTL" if put.expires_ms.is_none() => put.keep_expiry = true,
                b"EX" | b"PX" if put.expires_ms.is_none() && !put.keep_expiry => {
                    at += 1;
                    if at >= args.len() {
                        return Err(SYNTAX);
                    }
                    let unit = if option == b"EX" { 1000 } else { 1 };
                    put.expires_ms = Some(self.end(args.get(at), unit)?);
                }
                _ => return Err(SYNTAX),
            }
            at += 1;
        }
        Ok(put)
    }

    /// The end of a life that lasts `text` times `unit` milliseconds from now.
    fn end(&self, text: &[u8], unit: u64) -> Result<u64, &'static str> {
        let time = number(text).ok_or(NOT_A_NUMBER)?;
        let time = u64::try_from(time).ok().filter(|time| *time > 0);
        let time = time.and_then(|time| time.checked_mul(unit));
        let end = time.and_then(|time| time.checked_add(self.view.store().now_ms()));
        end.ok_or("ERR invalid expire time in 'set' command")
    }

    pub(super) async fn setex(&mut self, args: &Args, unit: u64) {
        let put = match self.end(args.get(2), unit) {
            Ok(end) => Put {
                expires_ms: Some(end),
                ..Put::default()
            },
            Err(error) => return self.error(error),
        };
        match self.put(args, 3, &put).await {
            Ok(_) => self.ok(),
            Err(refusal) => self.refuse(args.get(1), refusal),
        }
    }

    pub(super) async fn setnx(&mut self, args: &Args) {
        let put = Put {
            condition: Condition::Absent,
            ..Put::default()
        };
        match self.put(args, 2, &put).await {
            Ok(inserted) => {
                let is_new = inserted != Inserted::Unmet;
                self.reply().integer(i64::from(is_new));
            }
            Err(refusal) => self.refuse(args.get(1), refusal),
        }
    }

    pub(super) async fn mset(&mut self, args: &Args) {
        if args.len().is_multiple_of(2) {
            return self.error("ERR wrong number of arguments for 'mset' command");
        }
        let mut refused = None;
        for index in (2..args.len()).step_by(2) {
            if let Err(refusal) = self.put(args, index, &Put::default()).await {
                refused = Some(refusal);
            }
        }
        match refused {
            None => self.ok(),
            Some(refusal) => self.refuse(args.get(1), refusal),
        }
    }

    pub(super) async fn strlen(&mut self, key: &[u8]) {
        let len = self.view.lookup(key, false).await.unwrap_or(0);
        self.reply().count(len);
    }

    pub(super) async fn getrange(&mut self, args: &Args) -> Result<(), DoorError> {
        let (Some(first), Some(last)) = (number(args.get(2)), number(args.get(3))) else {
            self.error(NOT_A_NUMBER);
            return Ok(());
        };
        let Ok(stored) = self.view.read(args.get(1)).await else {
            self.reply().bulk(&[]);
            return Ok(());
        };
        let (at, end) = range(first, last, stored.block.len());
        self.reply().bulk_header(end - at);
        self.conn.send(&stored.block, (at, end), b"\r\n").await
    }
}

/// Redis's range, both ends in it and counted from the end where below zero, as `at..end`.
fn range(first: i64, last: i64, len: usize) -> (usize, usize) {
    let from_end = |index: i64| match usize::try_from(index) {
        Ok(index) => Some(index),
        Err(_) => len.checked_sub(usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX)),
    };
    let at = from_end(first).unwrap_or(0);
    let end = from_end(last)
        .map_or(0, |last| last.saturating_add(1))
        .min(len);
    if at >= end { (0, 0) } else { (at, end) }
}
