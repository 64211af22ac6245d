//! One blocking connection that measures nothing but speaks as little as can be.

use onefill_wire::lm;
use std::{
    io::{self, IoSlice, Read, Write},
    net::TcpStream,
};

/// What a server speaks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    Resp,
    Lm,
    /// 17 bytes (what, length), the bytes, a byte back: see `server::raw`.
    Raw,
}

pub struct Client {
    stream: TcpStream,
    speaks: Speaks,
}

const LAYOUT: lm::Layout = lm::Layout {
    format: 1,
    dtype: 3,
    shape: [2, 32, 256, 1024],
    location: 0,
};

impl Client {
    pub fn connect(port: u16, speaks: Speaks) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, speaks })
    }

    pub fn put(&mut self, key: &str, value: &[u8]) -> io::Result<()> {
        match self.speaks {
            Speaks::Resp => {
                let head = format!(
                    "*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n${}\r\n",
                    key.len(),
                    value.len()
                );
                self.write(&[head.as_bytes(), value, b"\r\n"])?;
                self.expect(b"+OK\r\n")
            }
            Speaks::Lm => {
                let head = self.lm(lm::Command::Put, key, value.len());
                self.write(&[&head, value])?;
                // A PUT has no answer. `lmcache_server` loses step when a header comes in two
                // pieces, which a full socket makes happen: never more than one PUT is under way.
                self.exists(key)
            }
            Speaks::Raw => {
                self.write(&[&raw(b'P', value.len()), value])?;
                self.expect(b"k")
            }
        }
    }

    pub fn get(&mut self, key: &str, into: &mut [u8]) -> io::Result<()> {
        match self.speaks {
            Speaks::Resp => {
                let head = format!("*2\r\n$3\r\nGET\r\n${}\r\n{key}\r\n", key.len());
                self.write(&[head.as_bytes()])?;
                self.expect(format!("${}\r\n", into.len()).as_bytes())?;
                self.stream.read_exact(into)?;
                self.expect(b"\r\n")
            }
            Speaks::Lm => {
                let head = self.lm(lm::Command::Get, key, 0);
                self.write(&[&head])?;
                assert!(self.found()?, "{key} is not there");
                self.stream.read_exact(into)
            }
            Speaks::Raw => {
                self.write(&[&raw(b'G', into.len())])?;
                self.stream.read_exact(into)
            }
        }
    }

    pub fn exists(&mut self, key: &str) -> io::Result<()> {
        match self.speaks {
            Speaks::Resp => {
                let head = format!("*2\r\n$6\r\nEXISTS\r\n${}\r\n{key}\r\n", key.len());
                self.write(&[head.as_bytes()])?;
                self.expect(b":1\r\n")
            }
            Speaks::Lm => {
                let head = self.lm(lm::Command::Exist, key, 0);
                self.write(&[&head])?;
                self.found().map(|_| ())
            }
            Speaks::Raw => {
                self.write(&[&raw(b'P', 0)])?;
                self.expect(b"k")
            }
        }
    }

    fn lm(&self, command: lm::Command, key: &str, length: usize) -> [u8; lm::REQUEST_LEN] {
        let request = lm::Request {
            command,
            length: length as u32,
            layout: LAYOUT,
            key: key.as_bytes(),
        };
        lm::encode(&request).expect("keys are short")
    }

    fn found(&mut self) -> io::Result<bool> {
        let mut header = [0; lm::REPLY_LEN];
        self.stream.read_exact(&mut header)?;
        Ok(lm::parse_reply(&header).expect("a reply").found)
    }

    fn expect(&mut self, expected: &[u8]) -> io::Result<()> {
        let mut got = vec![0; expected.len()];
        self.stream.read_exact(&mut got)?;
        if got == expected {
            return Ok(());
        }
        let (got, expected) = (
            String::from_utf8_lossy(&got),
            String::from_utf8_lossy(expected),
        );
        Err(io::Error::other(format!(
            "expected {expected:?}, got {got:?}"
        )))
    }

    fn write(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        let mut slices = slices.as_mut_slice();
        while !slices.is_empty() {
            let count = self.stream.write_vectored(slices)?;
            IoSlice::advance_slices(&mut slices, count);
        }
        Ok(())
    }
}

pub fn raw(what: u8, len: usize) -> [u8; 9] {
    let mut head = [what; 9];
    head[1..].copy_from_slice(&(len as u64).to_le_bytes());
    head
}
