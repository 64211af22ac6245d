//! One connection: commands in, replies out.

use super::{
    RespOptions,
    command::{Command, Unknown, key_of_value},
    options::Profile,
};
use crate::{
    door::{Conn, DoorError},
    ledger::Refusal,
    memory::Draft,
    store::View,
};
use onefill_wire::resp::{Args, Event, Parser, Protocol, Writer, lmcache};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};

/// Serves one connection to its end. `id` tells connections apart.
pub(crate) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    conn: Conn<S>,
    view: View,
    options: Arc<RespOptions>,
    id: u64,
) -> Result<(), DoorError> {
    let mut session = Session {
        is_known: options.users.is_open(),
        conn,
        home: view.clone(),
        view,
        options,
        id,
        protocol: Protocol::Resp2,
        name: Vec::new(),
        said_more: false,
        last_len: None,
        values: Vec::new(),
        too_long: false,
    };
    let outcome = session.run().await;
    if let Err(DoorError::Resp(error)) = &outcome {
        session.error(&format!("ERR Protocol error: {error}"));
        session.conn.flush().await?;
    }
    outcome
}

/// A long argument: the place that it was read into, or why it was not.
type Value = (usize, Result<Draft, Refusal>);

pub(super) struct Session<S> {
    pub(super) conn: Conn<S>,
    /// The namespace of the listener or the user.
    pub(super) home: View,
    /// The one that SELECT chose in it.
    pub(super) view: View,
    pub(super) options: Arc<RespOptions>,
    pub(super) id: u64,
    pub(super) protocol: Protocol,
    pub(super) name: Vec<u8>,
    /// Whether AUTH was passed, or needn't be.
    pub(super) is_known: bool,
    /// Whether a command came that the native client of `LMCache` never sends.
    pub(super) said_more: bool,
    /// Length of the last value that passed: blocks of one connection are mostly equally long.
    pub(super) last_len: Option<u64>,
    values: Vec<Value>,
    /// Whether a long argument came where none may be.
    too_long: bool,
}

/// Whether the connection goes on.
pub(super) enum Next {
    Command,
    Quit,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    async fn run(&mut self) -> Result<(), DoorError> {
        let mut parser = Parser::default();
        loop {
            let (used, event) = parser.feed(self.conn.input())?;
            self.conn.take(used);
            match event {
                Event::More => {
                    let idle = parser.args().is_empty() && self.conn.input().is_empty();
                    if !self.conn.fill(idle).await? {
                        return if idle { Ok(()) } else { Err(DoorError::Cut) };
                    }
                }
                Event::Long(len) => {
                    self.long(parser.args(), len).await?;
                    parser.long_taken();
                }
                Event::Command => {
                    let next = self.obey(parser.args()).await?;
                    parser.clear();
                    self.values.clear();
                    self.too_long = false;
                    if matches!(next, Next::Quit) {
                        return self.conn.flush().await;
                    }
                    self.conn.flush_if_much().await?;
                }
            }
        }
    }

    /// Reads a long argument into a block's place, or past.
    async fn long(&mut self, args: &Args, len: u64) -> Result<(), DoorError> {
        let index = args.len();
        let key = key_of_value(args.get(0), index).filter(|_| self.is_known);
        let Some(key) = key.map(|key| args.get(key)) else {
            self.too_long = true;
            return self.conn.skip(len.saturating_add(2)).await;
        };
        let size = usize::try_from(len).unwrap_or(usize::MAX);
        match self.view.reserve(key, size).await {
            Ok(mut draft) => {
                let whole = self.whole(&mut draft).await;
                if let Err(error) = whole {
                    self.view.abort(draft);
                    return Err(error);
                }
                self.values.push((index, Ok(draft)));
            }
            Err(refusal) => {
                self.conn.skip(len.saturating_add(2)).await?;
                self.values.push((index, Err(refusal)));
            }
        }
        Ok(())
    }

    async fn whole(&mut self, draft: &mut Draft) -> Result<(), DoorError> {
        self.conn.receive(draft).await?;
        while self.conn.input().len() < 2 {
            if !self.conn.fill(false).await? {
                return Err(DoorError::Cut);
            }
        }
        if !self.conn.input().starts_with(b"\r\n") {
            return Err(onefill_wire::resp::RespError::End.into());
        }
        self.conn.take(2);
        Ok(())
    }

    /// The value at `index`, in the place of a block.
    pub(super) async fn value(&mut self, args: &Args, index: usize) -> Result<Draft, Refusal> {
        if let Some(at) = self.values.iter().position(|(other, _)| *other == index) {
            return self.values.swap_remove(at).1;
        }
        let key = key_of_value(args.get(0), index).map_or(&[][..], |key| args.get(key));
        let bytes = args.get(index);
        let mut draft = self.view.reserve(key, bytes.len()).await?;
        draft.copy_from(bytes);
        Ok(draft)
    }

    pub(super) fn reply(&mut self) -> Writer<'_> {
        Writer {
            out: &mut self.conn.output,
            protocol: self.protocol,
        }
    }

    pub(super) fn error(&mut self, text: &str) {
        self.reply().error(text);
    }

    pub(super) fn ok(&mut self) {
        self.reply().simple("OK");
    }

    /// Whether the client reads replies by count: see [`lmcache`].
    pub(super) fn is_native(&self, key: &[u8]) -> bool {
        match self.options.profile {
            Profile::Always => true,
            Profile::Never => false,
            Profile::Auto => !self.said_more && lmcache::is_native_key(key),
        }
    }

    async fn obey(&mut self, args: &Args) -> Result<Next, DoorError> {
        let command = match Command::find(args.get(0), args.len()) {
            Ok(command) => command,
            Err(unknown) => {
                self.unknown(args, unknown);
                return Ok(Next::Command);
            }
        };
        self.said_more |= !command.is_native();
        if !self.is_known && !command.is_before_auth() {
            self.error("NOAUTH Authentication required.");
            return Ok(Next::Command);
        }
        if self.too_long {
            self.error("ERR an argument is too long");
            return Ok(Next::Command);
        }
        match command {
            Command::Get => self.get(args.get(1)).await?,
            Command::Set => self.set(args).await,
            Command::Exists => self.exists(args).await,
            Command::Del => self.del(args),
            Command::Mget => self.mget(args).await?,
            Command::Mset => self.mset(args).await,
            Command::Setnx => self.setnx(args).await,
            Command::Setex => self.setex(args, 1000).await,
            Command::Psetex => self.setex(args, 1).await,
            Command::Strlen => self.strlen(args.get(1)).await,
            Command::Getrange => self.getrange(args).await?,
            Command::Type => self.kind(args.get(1)).await,
            Command::Ttl => self.ttl(args.get(1), 1000),
            Command::Pttl => self.ttl(args.get(1), 1),
            Command::Expire => self.expire(args, 1000),
            Command::Pexpire => self.expire(args, 1),
            Command::Persist => self.persist(args.get(1)),
            Command::Scan => self.scan(args),
            Command::Dbsize => self.dbsize(),
            Command::Flush => self.flush_all(),
            Command::Quit => {
                self.ok();
                return Ok(Next::Quit);
            }
            other => self.about(other, args),
        }
        Ok(Next::Command)
    }

    fn unknown(&mut self, args: &Args, unknown: Unknown) {
        let name = String::from_utf8_lossy(args.get(0)).into_owned();
        let name: String = name.chars().take(64).collect();
        self.said_more = true;
        match unknown {
            Unknown::Name => self.error(&format!("ERR unknown command '{name}'")),
            Unknown::Arguments => {
                let name = name.to_lowercase();
                self.error(&format!(
                    "ERR wrong number of arguments for '{name}' command"
                ));
            }
        }
    }
}
