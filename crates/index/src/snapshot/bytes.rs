//! Numbers out of bytes.

use std::ops::Range;

use onefill_kv::{ReplicaId, Tier};

use super::LoadError;
use crate::names::Place;
use crate::run::Holder;

/// What is left to read.
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

type Read<T> = Result<T, LoadError>;

impl<'a> Bytes<'a> {
    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let Some((first, rest)) = self.0.split_first_chunk::<N>() else {
            return Err(LoadError::Absurd("it ends early"));
        };
        self.0 = rest;
        Ok(*first)
    }

    pub(super) fn u8(&mut self) -> Read<u8> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub(super) fn u16(&mut self) -> Read<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> Read<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Read<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// The length of a list whose records take at least `least` bytes each.
    pub(super) fn length(&mut self, least: usize) -> Read<usize> {
        let length = self.u32()? as usize;
        if length.saturating_mul(least) > self.0.len() {
            return Err(LoadError::Absurd("a list is longer than what is left"));
        }
        Ok(length)
    }

    pub(super) fn text(&mut self) -> Read<&'a str> {
        let length = self.length(1)?;
        let (text, rest) = self.0.split_at(length);
        self.0 = rest;
        std::str::from_utf8(text).map_err(|_| LoadError::Absurd("a name is not UTF-8"))
    }

    pub(super) fn replica(&mut self) -> Read<ReplicaId> {
        Ok(ReplicaId(self.u16()?))
    }

    pub(super) fn holder(&mut self) -> Read<Holder> {
        let replica = self.replica()?;
        let tier = Tier::ALL.get(usize::from(self.u8()?)).copied();
        let tier = tier.ok_or(LoadError::Absurd("a tier that there is not"))?;
        Ok(Holder { replica, tier })
    }

    pub(super) fn blocks(&mut self) -> Read<Range<u16>> {
        Ok(self.u16()?..self.u16()?)
    }

    pub(super) fn place(&mut self) -> Read<Place> {
        let (run, at) = (self.u32()?, self.u16()?);
        Ok(Place { run, at })
    }
}
