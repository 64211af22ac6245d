//! Names of commands, and how many arguments they take.

/// A command that is understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Command {
    Get,
    Set,
    Exists,
    Del,
    Mget,
    Mset,
    Setnx,
    Setex,
    Psetex,
    Strlen,
    Getrange,
    Type,
    Ttl,
    Pttl,
    Expire,
    Pexpire,
    Persist,
    Scan,
    Dbsize,
    Flush,
    Ping,
    Echo,
    Hello,
    Auth,
    Select,
    Client,
    Config,
    Commands,
    Info,
    Reset,
    Quit,
}

use Command as C;

/// Name, command, least and most arguments with the name; the frequent ones first.
const COMMANDS: [(&str, C, usize, usize); 35] = [
    ("GET", C::Get, 2, 2),
    ("SET", C::Set, 3, 8),
    ("EXISTS", C::Exists, 2, usize::MAX),
    ("DEL", C::Del, 2, usize::MAX),
    ("MGET", C::Mget, 2, usize::MAX),
    ("MSET", C::Mset, 3, usize::MAX),
    ("UNLINK", C::Del, 2, usize::MAX),
    ("SETNX", C::Setnx, 3, 3),
    ("SETEX", C::Setex, 4, 4),
    ("PSETEX", C::Psetex, 4, 4),
    ("STRLEN", C::Strlen, 2, 2),
    ("GETRANGE", C::Getrange, 4, 4),
    ("SUBSTR", C::Getrange, 4, 4),
    ("TYPE", C::Type, 2, 2),
    ("TTL", C::Ttl, 2, 2),
    ("PTTL", C::Pttl, 2, 2),
    ("EXPIRE", C::Expire, 3, 3),
    ("PEXPIRE", C::Pexpire, 3, 3),
    ("PERSIST", C::Persist, 2, 2),
    ("TOUCH", C::Exists, 2, usize::MAX),
    ("SCAN", C::Scan, 2, usize::MAX),
    ("DBSIZE", C::Dbsize, 1, 1),
    ("FLUSHDB", C::Flush, 1, 2),
    ("FLUSHALL", C::Flush, 1, 2),
    ("PING", C::Ping, 1, 2),
    ("ECHO", C::Echo, 2, 2),
    ("HELLO", C::Hello, 1, 7),
    ("AUTH", C::Auth, 2, 3),
    ("SELECT", C::Select, 2, 2),
    ("CLIENT", C::Client, 2, usize::MAX),
    ("CONFIG", C::Config, 2, usize::MAX),
    ("COMMAND", C::Commands, 1, usize::MAX),
    ("INFO", C::Info, 1, usize::MAX),
    ("RESET", C::Reset, 1, 1),
    ("QUIT", C::Quit, 1, 1),
];

/// How many names there are.
pub(super) const COUNT: usize = COMMANDS.len();

/// Why a command is not obeyed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unknown {
    Name,
    Arguments,
}

impl Command {
    /// The command of that name, if it takes so many arguments.
    pub(super) fn find(name: &[u8], arguments: usize) -> Result<Self, Unknown> {
        let (_, command, least, most) = COMMANDS
            .iter()
            .find(|(known, ..)| known.as_bytes().eq_ignore_ascii_case(name))
            .ok_or(Unknown::Name)?;
        if (*least..=*most).contains(&arguments) {
            Ok(*command)
        } else {
            Err(Unknown::Arguments)
        }
    }

    /// Whether the native client of `LMCache` sends it; no other client gets by with these.
    pub(super) fn is_native(self) -> bool {
        matches!(self, C::Get | C::Set | C::Exists | C::Del | C::Auth)
    }

    /// Whether it may be sent before AUTH.
    pub(super) fn is_before_auth(self) -> bool {
        matches!(self, C::Auth | C::Hello | C::Quit | C::Reset)
    }
}

/// Index of the key that the argument at `index` is the value of, where it is one.
pub(super) fn key_of_value(name: &[u8], index: usize) -> Option<usize> {
    // How many there will be is not known yet.
    let found = COMMANDS
        .iter()
        .find(|(known, ..)| known.as_bytes().eq_ignore_ascii_case(name));
    match (found?.1, index) {
        (C::Set | C::Setnx, 2) | (C::Setex | C::Psetex, 3) => Some(1),
        (C::Mset, index) if index >= 2 && index % 2 == 0 => Some(index - 1),
        _ => None,
    }
}
