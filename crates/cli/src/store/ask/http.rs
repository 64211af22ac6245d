//! The little of HTTP that asking a store takes: one request a connection, HTTP/1.0, so that an answer
//! ends where the connection does.

use anyhow::{Context as _, bail};
use serde_json::Value as Json;
use std::{
    io::{BufRead as _, BufReader, Read, Write as _},
    net::TcpStream,
    time::Duration,
};

/// A store that says nothing for so long is given up.
const SILENCE: Duration = Duration::from_secs(120);
/// Bytes of an answer's head and of an error's sentence.
const HEAD_MAX: u64 = 64 << 10;

/// A store's admin address.
pub(super) struct Admin {
    pub(super) address: String,
    pub(super) token: Option<String>,
}

impl Admin {
    /// The answer's body. An error is what the store says.
    pub(super) fn ask(&self, method: &str, target: &str) -> anyhow::Result<impl Read + use<>> {
        let place = || format!("no store answers at {} (--admin)", self.address);
        let mut stream = TcpStream::connect(&self.address).with_context(place)?;
        stream.set_read_timeout(Some(SILENCE))?;
        let token = self.token.as_deref();
        let token = token.map(|token| format!("authorization: Bearer {token}\r\n"));
        let (host, token) = (&self.address, token.unwrap_or_default());
        write!(
            stream,
            "{method} {target} HTTP/1.0\r\nhost: {host}\r\n{token}\r\n"
        )?;
        let mut answer = BufReader::new(stream);
        let status = line(&mut answer).with_context(place)?;
        while !line(&mut answer)?.is_empty() {}
        if status.split(' ').nth(1) != Some("200") {
            let mut why = String::new();
            answer.take(HEAD_MAX).read_to_string(&mut why)?;
            bail!("the store says: {}", why.trim());
        }
        Ok(answer)
    }

    /// An answer that is JSON.
    pub(super) fn json(&self, method: &str, target: &str) -> anyhow::Result<Json> {
        let answer = self.ask(method, target)?;
        serde_json::from_reader(answer).context("the store's answer is no JSON")
    }
}

/// A line of an answer's head.
fn line(answer: &mut impl std::io::BufRead) -> anyhow::Result<String> {
    let mut line = String::new();
    let read = answer.take(HEAD_MAX).read_line(&mut line)?;
    if read == 0 {
        bail!("the store closed the connection");
    }
    Ok(line.trim_end().to_owned())
}
