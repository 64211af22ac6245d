//! Commands on keys.

use super::{session::Session, strings::number};
use futures_util::future::join_all;
use onefill_wire::resp::{Args, glob, lmcache};
use tokio::io::{AsyncRead, AsyncWrite};

/// Keys that one step of SCAN gives at most.
const SCAN_MAX: usize = 1000;

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    /// Counts the keys that are there. To a client of `LMCache` it is a promise: it asks, and then
    /// plans with the answer.
    pub(super) async fn exists(&mut self, args: &Args) {
        let asked = join_all(args.from(1).map(|key| self.promised(key))).await;
        let found = asked.into_iter().filter(|found| *found).count();
        self.reply().count(found);
    }

    async fn promised(&self, key: &[u8]) -> bool {
        // The shape without the bytes is no block.
        if let Some(bytes) = lmcache::bytes_key(key) {
            return self.view.lookup(key, true).await.is_some()
                && self.view.lookup(&bytes, true).await.is_some();
        }
        let lease = self.is_native(key);
        self.view.lookup(key, lease).await.is_some()
    }

    pub(super) fn del(&mut self, args: &Args) {
        let found = args
            .from(1)
            .filter(|key| self.view.delete(key).is_some())
            .count();
        self.reply().count(found);
    }

    pub(super) async fn kind(&mut self, key: &[u8]) {
        let found = self.view.lookup(key, false).await.is_some();
        self.reply().simple(if found { "string" } else { "none" });
    }

    pub(super) fn ttl(&mut self, key: &[u8], unit: u64) {
        let now_ms = self.view.store().now_ms();
        let ttl = match self.view.ends(key) {
            None => -2,
            Some(None) => -1,
            Some(Some(end)) => {
                let left = end.saturating_sub(now_ms).div_ceil(unit);
                i64::try_from(left).unwrap_or(i64::MAX)
            }
        };
        self.reply().integer(ttl);
    }

    pub(super) fn expire(&mut self, args: &Args, unit: u64) {
        let Some(time) = number(args.get(2)) else {
            return self.error("ERR value is not an integer or out of range");
        };
        let time = u64::try_from(time).unwrap_or(0).saturating_mul(unit);
        let end = time.saturating_add(self.view.store().now_ms());
        let found = self.view.expire(args.get(1), Some(end));
        self.reply().integer(i64::from(found));
    }

    pub(super) fn persist(&mut self, key: &[u8]) {
        let had_end = matches!(self.view.ends(key), Some(Some(_)));
        let done = had_end && self.view.expire(key, None);
        self.reply().integer(i64::from(done));
    }

    pub(super) fn scan(&mut self, args: &Args) {
        let cursor = number(args.get(1)).and_then(|cursor| u64::try_from(cursor).ok());
        let Some(cursor) = cursor else {
            return self.error("ERR invalid cursor");
        };
        let (mut pattern, mut count, mut strings) = (None, 10, true);
        for at in (2..args.len()).step_by(2) {
            let value = args.get(at + 1);
            let option = args.get(at).to_ascii_uppercase();
            match (option.as_slice(), number(value)) {
                _ if at + 1 >= args.len() => return self.error("ERR syntax error"),
                (b"MATCH", _) => pattern = Some(value),
                (b"TYPE", _) => strings = value.eq_ignore_ascii_case(b"string"),
                (b"COUNT", Some(number)) if number > 0 => {
                    count = usize::try_from(number).unwrap_or(SCAN_MAX).min(SCAN_MAX);
                }
                _ => return self.error("ERR syntax error"),
            }
        }
        let mut page = self.view.scan(cursor, count);
        let fits = |key: &[u8]| strings && pattern.is_none_or(|pattern| glob(pattern, key));
        page.keys.retain(|(key, _)| fits(key));
        let mut reply = self.reply();
        reply.array(2);
        reply.bulk(page.next.to_string().as_bytes());
        reply.array(page.keys.len());
        for (key, _) in &page.keys {
            reply.bulk(key);
        }
    }

    pub(super) fn dbsize(&mut self) {
        let blocks = self.view.count().blocks;
        self.reply().count(blocks);
    }

    pub(super) fn flush_all(&mut self) {
        if !self.options.allow_flush {
            return self.error("ERR FLUSHDB and FLUSHALL are not allowed here (--allow-flush)");
        }
        self.view.flush();
        self.ok();
    }
}
