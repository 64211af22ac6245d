//! Tables: what a request asks for, item by item, and what came of each.

use super::NativeError;

/// What came of one item.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Verdict {
    /// There, and done with it what was asked.
    Done = 1,
    /// Not there: it never was, or that is forgotten.
    Absent = 2,
    /// Not there: there was no room.
    Evicted = 3,
    /// Not there: its time was over.
    Expired = 4,
    /// Not there: a client took it out.
    Deleted = 5,
    /// Its bytes were not those that were put: it is taken out.
    Corrupt = 6,
    /// There, with another size than asked for.
    OtherSize = 7,
    /// PUT: there was such a block, with the same bytes.
    Same = 8,
    /// PUT: there was one, with other bytes, which are gone.
    Replaced = 9,
    /// PUT of `only_new`: there is one, which stays.
    Kept = 10,
    /// PUT: there is no room now.
    Full = 11,
    /// PUT: refused, whatever room there is.
    Refused = 12,
}

impl Verdict {
    const ALL: [Self; 12] = [
        Self::Done,
        Self::Absent,
        Self::Evicted,
        Self::Expired,
        Self::Deleted,
        Self::Corrupt,
        Self::OtherSize,
        Self::Same,
        Self::Replaced,
        Self::Kept,
        Self::Full,
        Self::Refused,
    ];
}

/// Writes a table.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Table(pub Vec<u8>);

impl Table {
    /// A key; one longer than its length can say is written as none, which no server takes.
    pub fn key(&mut self, key: &[u8]) {
        let (len, key) = match u16::try_from(key.len()) {
            Ok(len) => (len, key),
            Err(_) => (0, &[][..]),
        };
        self.0.extend_from_slice(&len.to_le_bytes());
        self.0.extend_from_slice(key);
    }

    /// HELLO's.
    pub fn hello(&mut self, hello: &Hello<'_>) {
        self.key(hello.namespace);
        self.key(hello.token);
    }

    /// Its reply's.
    pub fn welcome(&mut self, welcome: &Welcome) {
        self.0.extend_from_slice(&welcome.items_max.to_le_bytes());
        self.0.extend_from_slice(&welcome.payload_max.to_le_bytes());
    }

    /// WINDOW's: how many bytes are wanted.
    pub fn wanted(&mut self, bytes: u64) {
        self.0.extend_from_slice(&bytes.to_le_bytes());
    }

    /// Its reply's.
    pub fn offer(&mut self, offer: &Offer<'_>) {
        self.key(offer.address);
        self.sum(offer.secret);
        self.wanted(offer.bytes);
    }

    /// The xxh3-128 of a block, or a secret.
    pub fn sum(&mut self, sum: u128) {
        self.0.extend_from_slice(&sum.to_le_bytes());
    }

    /// An item of GET.
    pub fn get(&mut self, item: &GetItem<'_>) {
        self.key(item.key);
        self.0.extend_from_slice(&item.size.to_le_bytes());
    }

    /// An item of its reply.
    pub fn got(&mut self, reply: &GetReply) {
        self.verdict(reply.verdict, reply.size);
        self.0.extend_from_slice(&reply.sum.to_le_bytes());
    }

    /// An item of PUT.
    pub fn put(&mut self, item: &PutItem<'_>) {
        self.key(item.key);
        self.key(item.parent);
        self.0.extend_from_slice(&item.size.to_le_bytes());
        self.0.extend_from_slice(&item.sum.to_le_bytes());
        self.0.extend_from_slice(&item.ttl_ms.to_le_bytes());
        self.0.push(u8::from(item.only_new));
    }

    /// An item of the other replies.
    pub fn verdict(&mut self, verdict: Verdict, size: u64) {
        self.0.push(verdict as u8);
        self.0.extend_from_slice(&size.to_le_bytes());
    }
}

/// HELLO.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hello<'t> {
    /// Where the client's keys are, within its tenant.
    pub namespace: &'t [u8],
    /// What proves who it is; empty where nobody asks.
    pub token: &'t [u8],
}

/// What a server takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Welcome {
    /// Items of a frame.
    pub items_max: u32,
    /// Bytes of a frame's blocks.
    pub payload_max: u64,
}

/// A window that the server has ready: whoever shows the secret at the address is handed it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Offer<'t> {
    /// A Unix socket, as `onefill_window::reach` takes it. Empty: there is no window.
    pub address: &'t [u8],
    /// What is shown there.
    pub secret: u128,
    /// The window's length.
    pub bytes: u64,
}

/// A block asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GetItem<'t> {
    /// Its key.
    pub key: &'t [u8],
    /// Its size; a block of another one is not sent. 0: any.
    pub size: u64,
}

/// What came of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GetReply {
    /// [`Verdict::Done`], or why not.
    pub verdict: Verdict,
    /// The block's bytes in the payload; for [`Verdict::OtherSize`] its own size.
    pub size: u64,
    /// Their xxh3-128.
    pub sum: u128,
}

/// A block to keep.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PutItem<'t> {
    /// Its key.
    pub key: &'t [u8],
    /// Key of the block before it in its chain; empty: none.
    pub parent: &'t [u8],
    /// Its bytes in the payload.
    pub size: u64,
    /// Their xxh3-128: bytes with another one are not kept. Through a window the last PIECE says it.
    pub sum: u128,
    /// How long it shall live; 0: without end.
    pub ttl_ms: u32,
    /// Whether a block that is there stays.
    pub only_new: bool,
}

/// Reads a table.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'t>(&'t [u8]);

impl<'t> Reader<'t> {
    /// From its first item on.
    #[must_use]
    pub fn new(table: &'t [u8]) -> Self {
        Self(table)
    }

    /// Nothing may be left behind the last item.
    pub fn end(self) -> Result<(), NativeError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(NativeError::Table)
        }
    }

    fn take(&mut self, count: usize) -> Result<&'t [u8], NativeError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(NativeError::Table)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], NativeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn long(&mut self) -> Result<u64, NativeError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A key.
    pub fn key(&mut self) -> Result<&'t [u8], NativeError> {
        let len = u16::from_le_bytes(self.array()?);
        self.take(usize::from(len))
    }

    /// HELLO's.
    pub fn hello(&mut self) -> Result<Hello<'t>, NativeError> {
        Ok(Hello {
            namespace: self.key()?,
            token: self.key()?,
        })
    }

    /// Its reply's.
    pub fn welcome(&mut self) -> Result<Welcome, NativeError> {
        Ok(Welcome {
            items_max: u32::from_le_bytes(self.array()?),
            payload_max: self.long()?,
        })
    }

    /// WINDOW's.
    pub fn wanted(&mut self) -> Result<u64, NativeError> {
        self.long()
    }

    /// Its reply's.
    pub fn offer(&mut self) -> Result<Offer<'t>, NativeError> {
        Ok(Offer {
            address: self.key()?,
            secret: self.sum()?,
            bytes: self.long()?,
        })
    }

    /// The xxh3-128 of a block, or a secret.
    pub fn sum(&mut self) -> Result<u128, NativeError> {
        Ok(u128::from_le_bytes(self.array()?))
    }

    /// An item of GET.
    pub fn get(&mut self) -> Result<GetItem<'t>, NativeError> {
        Ok(GetItem {
            key: self.key()?,
            size: self.long()?,
        })
    }

    /// An item of its reply.
    pub fn got(&mut self) -> Result<GetReply, NativeError> {
        let (verdict, size) = self.verdict()?;
        let sum = u128::from_le_bytes(self.array()?);
        Ok(GetReply { verdict, size, sum })
    }

    /// An item of PUT.
    pub fn put(&mut self) -> Result<PutItem<'t>, NativeError> {
        Ok(PutItem {
            key: self.key()?,
            parent: self.key()?,
            size: self.long()?,
            sum: u128::from_le_bytes(self.array()?),
            ttl_ms: u32::from_le_bytes(self.array()?),
            only_new: match self.array()? {
                [0] => false,
                [1] => true,
                _ => return Err(NativeError::Table),
            },
        })
    }

    /// An item of the other replies.
    pub fn verdict(&mut self) -> Result<(Verdict, u64), NativeError> {
        let [number] = self.array()?;
        let verdict = Verdict::ALL
            .into_iter()
            .find(|known| *known as u8 == number);
        let verdict = verdict.ok_or(NativeError::Unknown(u16::from(number)))?;
        Ok((verdict, self.long()?))
    }
}
