//! Our own protocol: see [`onefill_wire::native`].

use super::{Conn, DoorError, secret::is_same};
use crate::{
    catalog::{Condition, Gone, Inserted, Put, Stored},
    ledger::{Door, Refusal},
    store::View,
};
use futures_util::future::join_all;
use onefill_wire::native::{
    GetReply, HEADER_LEN, Header, ITEMS_MAX, LEASE, NativeError, Op, PutItem, Reader, Status,
    Table, Verdict, Welcome,
};
use std::{collections::BTreeMap, fmt, sync::Arc};
use tokio::io::{AsyncRead, AsyncWrite};

/// Bytes of blocks in one frame.
const PAYLOAD_MAX: u64 = 4 << 30;
/// Longest name of a namespace that a client may choose.
const NAME_MAX: usize = 512;

/// How a native listener behaves.
#[derive(Clone, Default)]
pub struct NativeOptions {
    /// Tenants by what proves that a client is theirs. Anybody may come in if there is none.
    pub tokens: BTreeMap<String, String>,
}

impl fmt::Debug for NativeOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenants: Vec<_> = self.tokens.values().collect();
        f.debug_struct("NativeOptions")
            .field("tenants", &tenants)
            .finish_non_exhaustive()
    }
}

impl NativeOptions {
    /// The tenant whose token it is; `Some(None)` where nobody asks.
    fn tenant(&self, token: &[u8]) -> Option<Option<&str>> {
        if self.tokens.is_empty() {
            return Some(None);
        }
        // All are compared, so that time does not tell which one came near.
        let tenants = self.tokens.iter();
        let found = tenants.fold(None, |found, (known, tenant)| {
            if is_same(known.as_bytes(), token) {
                Some(tenant.as_str())
            } else {
                found
            }
        });
        found.map(Some)
    }
}

/// Serves one connection to its end.
pub(crate) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    conn: Conn<S>,
    view: View,
    options: &NativeOptions,
) -> Result<(), DoorError> {
    let mut session = Session {
        conn,
        home: view,
        view: None,
    };
    let mut table = Vec::new();
    while let Some(header) = session.header().await? {
        table.clear();
        table.resize(header.table as usize, 0);
        session.conn.read(&mut table).await?;
        header.check(&table)?;
        match session.obey(&header, &table, options).await {
            Err(DoorError::Native(error @ NativeError::Table)) => {
                session.refuse(&header, Status::Malformed, &error.to_string());
                session.conn.flush().await?;
                return Err(error.into());
            }
            outcome => outcome?,
        }
        session.conn.flush_if_much().await?;
    }
    Ok(())
}

struct Session<S> {
    conn: Conn<S>,
    /// The listener's namespace.
    home: View,
    /// The one that HELLO chose.
    view: Option<View>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    /// The next frame's header; `None` where the client is done.
    async fn header(&mut self) -> Result<Option<Header>, DoorError> {
        loop {
            let input = self.conn.input();
            if let Some(bytes) = input.first_chunk() {
                let header = Header::parse(bytes)?;
                self.conn.take(HEADER_LEN);
                return Ok(Some(header));
            }
            let idle = input.is_empty();
            if !self.conn.fill(idle).await? {
                return if idle { Ok(None) } else { Err(DoorError::Cut) };
            }
        }
    }

    async fn obey(
        &mut self,
        header: &Header,
        table: &[u8],
        options: &NativeOptions,
    ) -> Result<(), DoorError> {
        let mut reader = Reader::new(table);
        if header.op == Op::Hello {
            return self.hello(header, reader, options);
        }
        let Some(view) = self.view.clone() else {
            self.conn.skip(header.payload).await?;
            self.refuse(header, Status::NoHello, "HELLO comes first");
            return Ok(());
        };
        if header.payload > PAYLOAD_MAX {
            self.refuse(header, Status::TooBig, "too many bytes in one frame");
            self.conn.flush().await?;
            return Err(NativeError::TooBig.into());
        }
        match header.op {
            Op::Get => self.get(&view, header, reader).await,
            Op::Put => self.put(&view, header, reader).await,
            op => {
                let mut reply = Table::default();
                for size in self.about(&view, op, header, &mut reader).await? {
                    let verdict = size.map_or(Verdict::Absent, |_| Verdict::Done);
                    reply.verdict(verdict, size.unwrap_or(0) as u64);
                }
                reader.end()?;
                self.answer(header, header.items as usize, 0, &reply.0);
                Ok(())
            }
        }
    }

    /// Does what is asked with each key; the blocks' sizes, of those that are there. What only a
    /// remote can tell is asked all at once.
    async fn about(
        &self,
        view: &View,
        op: Op,
        header: &Header,
        reader: &mut Reader<'_>,
    ) -> Result<Vec<Option<usize>>, DoorError> {
        let items = 0..header.items;
        let keys: Vec<&[u8]> = items.map(|_| reader.key()).collect::<Result<_, _>>()?;
        if op == Op::Exists {
            let lease = header.flags & LEASE != 0;
            return Ok(join_all(keys.iter().map(|key| view.lookup(key, lease))).await);
        }
        Ok(keys.iter().map(|key| about(view, op, key)).collect())
    }

    fn hello(
        &mut self,
        header: &Header,
        mut reader: Reader<'_>,
        options: &NativeOptions,
    ) -> Result<(), DoorError> {
        let hello = reader.hello()?;
        reader.end()?;
        let Some(tenant) = options.tenant(hello.token) else {
            self.refuse(header, Status::Denied, "the token is nobody's");
            return Ok(());
        };
        let base = tenant.unwrap_or(&self.home.namespace().name);
        let name = match std::str::from_utf8(hello.namespace) {
            Ok("") => base.to_owned(),
            Ok(name) if name.len() <= NAME_MAX => format!("{base}/{name}"),
            _ => {
                self.refuse(header, Status::TooBig, "no name of a namespace");
                return Ok(());
            }
        };
        let store = self.home.store();
        let Some(namespace) = store.namespaces().open(&name, None) else {
            self.refuse(header, Status::TooBig, "too many namespaces");
            return Ok(());
        };
        self.view = Some(View::new(Arc::clone(store), namespace, Door::Native));
        let mut reply = Table::default();
        reply.welcome(&Welcome {
            items_max: u32::try_from(ITEMS_MAX).unwrap_or(u32::MAX),
            payload_max: PAYLOAD_MAX,
        });
        self.answer(header, 0, 0, &reply.0);
        Ok(())
    }

    /// Blocks are all found and checked before the first byte leaves: the table says which ones
    /// follow.
    async fn get(
        &mut self,
        view: &View,
        header: &Header,
        mut reader: Reader<'_>,
    ) -> Result<(), DoorError> {
        let mut reply = Table::default();
        let mut blocks = Vec::new();
        for _ in 0..header.items {
            let item = reader.get()?;
            let found = view.read(item.key).await;
            let wanted = usize::try_from(item.size).unwrap_or(usize::MAX);
            reply.got(&got(&found, wanted));
            let fits = |stored: &Arc<Stored>| wanted == 0 || stored.block.len() == wanted;
            blocks.extend(found.ok().filter(fits));
        }
        reader.end()?;
        let payload: usize = blocks.iter().map(|stored| stored.block.len()).sum();
        self.answer(header, header.items as usize, payload, &reply.0);
        for stored in blocks {
            let whole = (0, stored.block.len());
            self.conn.send(&stored.block, whole, &[]).await?;
        }
        Ok(())
    }

    async fn put(
        &mut self,
        view: &View,
        header: &Header,
        reader: Reader<'_>,
    ) -> Result<(), DoorError> {
        let mut items = reader;
        let mut bytes = 0u64;
        for _ in 0..header.items {
            bytes = bytes.saturating_add(items.put()?.size);
        }
        items.end()?;
        if bytes != header.payload {
            return Err(NativeError::Table.into());
        }
        let (mut items, mut reply) = (reader, Table::default());
        for _ in 0..header.items {
            let item = items.put()?;
            reply.verdict(self.put_one(view, &item).await?, item.size);
        }
        self.answer(header, header.items as usize, 0, &reply.0);
        Ok(())
    }

    async fn put_one(&mut self, view: &View, item: &PutItem<'_>) -> Result<Verdict, DoorError> {
        let size = usize::try_from(item.size).unwrap_or(usize::MAX);
        let mut draft = match view.reserve(item.key, size).await {
            Ok(draft) => draft,
            Err(refusal) => {
                self.conn.skip(item.size).await?;
                return Ok(match refusal {
                    Refusal::Full => Verdict::Full,
                    _ => Verdict::Refused,
                });
            }
        };
        if let Err(error) = self.conn.receive(&mut draft).await {
            view.abort(draft);
            return Err(error);
        }
        let ttl_ms = u64::from(item.ttl_ms);
        let put = Put {
            condition: if item.only_new {
                Condition::Absent
            } else {
                Condition::Always
            },
            expires_ms: (ttl_ms > 0).then(|| view.store().now_ms() + ttl_ms),
            parent: (!item.parent.is_empty()).then(|| item.parent.into()),
            sum: Some(item.sum),
            ..Put::default()
        };
        Ok(match view.commit(item.key, draft, &put) {
            Some(Inserted::New) => Verdict::Done,
            Some(Inserted::Same) => Verdict::Same,
            Some(Inserted::Replaced) => Verdict::Replaced,
            Some(Inserted::Unmet) => Verdict::Kept,
            None => Verdict::Corrupt,
        })
    }

    fn answer(&mut self, asked: &Header, items: usize, payload: usize, table: &[u8]) {
        let mut header = Header::new(asked.op, asked.request, items, table);
        header.payload = payload as u64;
        self.conn.output.extend_from_slice(&header.encode());
        self.conn.output.extend_from_slice(table);
    }

    fn refuse(&mut self, asked: &Header, status: Status, sentence: &str) {
        let mut header = Header::new(asked.op, asked.request, 0, sentence.as_bytes());
        header.status = status;
        self.conn.output.extend_from_slice(&header.encode());
        self.conn.output.extend_from_slice(sentence.as_bytes());
    }
}

/// Does what is asked with one key; the block's size, if it is there.
fn about(view: &View, op: Op, key: &[u8]) -> Option<usize> {
    match op {
        Op::Pin => view.pin(key, true),
        Op::Unpin => view.pin(key, false),
        Op::Release => view.release(key),
        Op::Delete => view.delete(key),
        Op::Touch | Op::Exists | Op::Hello | Op::Get | Op::Put => view.touch(key),
    }
}

/// What is told of a block that was asked for; 0 bytes wanted: any size.
fn got(found: &Result<Arc<Stored>, (Gone, Option<u64>)>, wanted: usize) -> GetReply {
    let (verdict, size, sum) = match found {
        Ok(stored) if wanted == 0 || stored.block.len() == wanted => {
            (Verdict::Done, stored.block.len(), stored.block.checksum())
        }
        Ok(stored) => (Verdict::OtherSize, stored.block.len(), 0),
        Err((gone, _)) => {
            let verdict = match gone {
                Gone::Absent => Verdict::Absent,
                Gone::Evicted => Verdict::Evicted,
                Gone::Expired => Verdict::Expired,
                Gone::Deleted => Verdict::Deleted,
                Gone::Corrupt => Verdict::Corrupt,
            };
            (verdict, 0, 0)
        }
    };
    GetReply {
        verdict,
        size: size as u64,
        sum,
    }
}
