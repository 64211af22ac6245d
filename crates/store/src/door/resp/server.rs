//! Commands about the connection and the server.

use super::{
    command::{COUNT, Command},
    session::Session,
    strings::number,
};
use crate::{ledger::Door, store::View};
use onefill_wire::resp::{Args, Protocol, glob};
use std::{fmt::Write as _, sync::Arc};
use tokio::io::{AsyncRead, AsyncWrite};

/// What is said to clients that want a version of Redis: the newest whose commands these are.
const REDIS_VERSION: &str = "7.4.0";
/// SELECT takes numbers below this.
const DATABASES: i64 = 16;

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    pub(super) fn about(&mut self, command: Command, args: &Args) {
        match command {
            Command::Ping if args.len() == 2 => self.reply().bulk(args.get(1)),
            Command::Ping => self.reply().simple("PONG"),
            Command::Echo => self.reply().bulk(args.get(1)),
            Command::Hello => self.hello(args),
            Command::Auth => self.auth(args),
            Command::Select => self.select(args.get(1)),
            Command::Client => self.client(args),
            Command::Config => self.config(args),
            Command::Commands if args.get(1).eq_ignore_ascii_case(b"COUNT") => {
                self.reply().count(COUNT);
            }
            // `redis-cli` asks for the documents of all commands, for its hints.
            Command::Commands => self.reply().array(0),
            Command::Info => self.info(),
            Command::Reset => self.reset(),
            _ => self.error("ERR not here"),
        }
    }

    fn hello(&mut self, args: &Args) {
        let protocol = match (args.len(), args.get(1)) {
            (1, _) => self.protocol,
            (_, b"2") => Protocol::Resp2,
            (_, b"3") => Protocol::Resp3,
            _ => return self.error("NOPROTO unsupported protocol version"),
        };
        let mut at = 2;
        while at < args.len() {
            let option = args.get(at).to_ascii_uppercase();
            match option.as_slice() {
                b"AUTH" if at + 2 < args.len() => {
                    if !self.enter(args.get(at + 1), args.get(at + 2)) {
                        return self.wrong_pass();
                    }
                    at += 3;
                }
                b"SETNAME" if at + 1 < args.len() => {
                    self.name = args.get(at + 1).to_vec();
                    at += 2;
                }
                _ => return self.error("ERR syntax error in HELLO"),
            }
        }
        if !self.is_known {
            return self.error(
                "NOAUTH HELLO must be called with the client already authenticated, otherwise the \
                 HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client",
            );
        }
        self.protocol = protocol;
        let id = i64::try_from(self.id).unwrap_or(i64::MAX);
        let mut reply = self.reply();
        reply.map(7);
        let texts = [("server", "onefill"), ("version", REDIS_VERSION)];
        for (name, text) in texts {
            reply.bulk(name.as_bytes());
            reply.bulk(text.as_bytes());
        }
        reply.bulk(b"proto");
        reply.integer(if protocol == Protocol::Resp3 { 3 } else { 2 });
        reply.bulk(b"id");
        reply.integer(id);
        for (name, text) in [("mode", "standalone"), ("role", "master")] {
            reply.bulk(name.as_bytes());
            reply.bulk(text.as_bytes());
        }
        reply.bulk(b"modules");
        reply.array(0);
    }

    fn auth(&mut self, args: &Args) {
        let (name, password) = match args.len() {
            2 => (b"default".as_slice(), args.get(1)),
            _ => (args.get(1), args.get(2)),
        };
        if self.options.users.is_open() {
            return self.error(
                "ERR AUTH <password> called without any password configured for the default user. \
                 Are you sure your configuration is correct?",
            );
        }
        if self.enter(name, password) {
            self.ok();
        } else {
            self.wrong_pass();
        }
    }

    fn wrong_pass(&mut self) {
        self.error("WRONGPASS invalid username-password pair or user is disabled.");
    }

    /// Lets a user in, to its own namespace.
    fn enter(&mut self, name: &[u8], password: &[u8]) -> bool {
        let Some(user) = self.options.users.check(name, password) else {
            return false;
        };
        let Some(view) = self.open(&user.namespace) else {
            return false;
        };
        self.home = view.clone();
        self.view = view;
        self.is_known = true;
        true
    }

    fn open(&self, namespace: &str) -> Option<View> {
        let store = self.home.store();
        let namespace = store.namespaces().open(namespace, None)?;
        Some(View::new(Arc::clone(store), namespace, Door::Resp))
    }

    /// Databases are namespaces within the listener's or the user's own.
    fn select(&mut self, text: &[u8]) {
        match number(text) {
            Some(0) => self.view = self.home.clone(),
            Some(database) if (1..DATABASES).contains(&database) => {
                let name = format!("{}#{database}", self.home.namespace().name);
                let Some(view) = self.open(&name) else {
                    return self.error("ERR too many namespaces");
                };
                self.view = view;
            }
            _ => return self.error("ERR DB index is out of range"),
        }
        self.ok();
    }

    fn client(&mut self, args: &Args) {
        let what = args.get(1).to_ascii_uppercase();
        match what.as_slice() {
            b"SETNAME" => {
                self.name = args.get(2).to_vec();
                self.ok();
            }
            b"GETNAME" => {
                let name = self.name.clone();
                self.reply().bulk(&name);
            }
            b"ID" => {
                let id = i64::try_from(self.id).unwrap_or(i64::MAX);
                self.reply().integer(id);
            }
            b"SETINFO" | b"NO-EVICT" | b"NO-TOUCH" => self.ok(),
            b"INFO" | b"LIST" => {
                let name = String::from_utf8_lossy(&self.name);
                let line = format!("id={} name={name}\n", self.id);
                self.reply().bulk(line.as_bytes());
            }
            _ => self.error("ERR unknown CLIENT subcommand"),
        }
    }

    fn config(&mut self, args: &Args) {
        if !args.get(1).eq_ignore_ascii_case(b"GET") {
            return self.error("ERR only CONFIG GET is there: see the configuration file");
        }
        let memory = self.view.store().stat().memory_bytes.to_string();
        let settings = [
            ("appendonly", "no"),
            ("databases", "16"),
            ("maxmemory", &memory),
            ("maxmemory-policy", "allkeys-lru"),
            ("save", ""),
            ("timeout", "0"),
        ];
        let asked = |name: &str| {
            let name = name.as_bytes();
            args.from(2)
                .any(|pattern| glob(&pattern.to_ascii_lowercase(), name))
        };
        let found: Vec<_> = settings.iter().filter(|(name, _)| asked(name)).collect();
        let mut reply = self.reply();
        reply.map(found.len());
        for (name, value) in found {
            reply.bulk(name.as_bytes());
            reply.bulk(value.as_bytes());
        }
    }

    fn info(&mut self) {
        let store = self.view.store();
        let stat = store.stat();
        let ledger = self.view.namespace().ledger(Door::Resp);
        let misses: u64 = ledger.misses.iter().map(crate::Counter::get).sum();
        let count = self.view.count();
        let mut text = String::new();
        // Writing to a String does not fail.
        _ = write!(
            text,
            "# Server\r\nredis_version:{REDIS_VERSION}\r\nredis_mode:standalone\r\n\
             onefill_version:{}\r\nprocess_id:{}\r\nuptime_in_seconds:{}\r\n\r\n\
             # Memory\r\nused_memory:{}\r\nmaxmemory:{}\r\nmaxmemory_policy:allkeys-lru\r\n\r\n\
             # Stats\r\nkeyspace_hits:{}\r\nkeyspace_misses:{misses}\r\nevicted_keys:{}\r\n\r\n\
             # Replication\r\nrole:master\r\n\r\n# Keyspace\r\n",
            env!("CARGO_PKG_VERSION"),
            std::process::id(),
            store.now_ms() / 1000,
            stat.used_bytes,
            stat.memory_bytes,
            ledger.hits.get(),
            count.evicted,
        );
        if count.blocks > 0 {
            _ = write!(text, "db0:keys={},expires=0,avg_ttl=0\r\n", count.blocks);
        }
        self.reply().bulk(text.as_bytes());
    }

    fn reset(&mut self) {
        self.protocol = Protocol::Resp2;
        self.name.clear();
        self.is_known = self.options.users.is_open();
        self.view = self.home.clone();
        self.reply().simple("RESET");
    }
}
