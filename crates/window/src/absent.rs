//! Where nothing can be shared.

use super::Outside;
use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

/// Never made.
#[derive(Debug)]
pub enum Window {}

impl Window {
    /// Fails.
    pub fn make(_len: usize) -> io::Result<(Self, OwnedFd)> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Fails.
    pub fn open(_file: &OwnedFd, _len: usize) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Never called.
    pub fn len(&self) -> usize {
        match *self {}
    }

    /// Never called.
    pub fn is_empty(&self) -> bool {
        match *self {}
    }

    /// Never called.
    pub fn read(&self, _at: usize, _into: &mut [u8]) -> Result<(), Outside> {
        match *self {}
    }

    /// Never called.
    pub fn write(&self, _at: usize, _bytes: &[u8]) -> Result<(), Outside> {
        match *self {}
    }
}

/// Fails.
pub fn hand(_socket: impl AsFd, _file: &OwnedFd) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Fails.
pub fn take(_socket: impl AsFd) -> io::Result<OwnedFd> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Fails.
pub fn secret() -> io::Result<u128> {
    Err(io::ErrorKind::Unsupported.into())
}
