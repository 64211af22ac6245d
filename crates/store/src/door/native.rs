//! Our own protocol: see [`onefill_wire::native`].

mod through;

use super::{Conn, DoorError, secret::is_same};
use crate::{
    catalog::{Condition, Gone, Inserted, Put, Stored},
    ledger::{Door, Refusal},
    memory::Draft,
    serve::{Promise, Windows},
    store::View,
};
use futures_util::future::join_all;
use onefill_window::Window;
use onefill_wire::native::{
    GetReply, HEADER_LEN, Header, ITEMS_MAX, LEASE, NativeError, Offer, Op, PutItem, Reader,
    Status, THROUGH_WINDOW, Table, Verdict, Welcome,
    flow::{Sender, Taker},
};
use std::{
    collections::BTreeMap,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};
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
    windows: &Arc<Windows>,
) -> Result<(), DoorError> {
    let mut session = Session {
        conn,
        home: view,
        view: None,
        windows: Arc::clone(windows),
        promise: None,
    };
    let mut table = Vec::new();
    while let Some(header) = header(&mut session.conn, true).await? {
        table.clear();
        table.resize(header.table as usize, 0);
        session.conn.read(&mut table).await?;
        header.check(&table)?;
        match session.obey(&header, &table, options).await {
            Err(DoorError::Native(error @ (NativeError::Table | NativeError::Window))) => {
                let status = match error {
                    NativeError::Window => Status::NoWindow,
                    _ => Status::Malformed,
                };
                session.refuse(&header, status, &error.to_string());
                session.conn.flush().await?;
                return Err(error.into());
            }
            outcome => outcome?,
        }
        session.conn.flush_if_much().await?;
    }
    Ok(())
}

/// The next frame's header. Between requests (`idle`) a client may take its time, and may be done: `None`.
async fn header<S: AsyncRead + AsyncWrite + Unpin>(
    conn: &mut Conn<S>,
    idle: bool,
) -> Result<Option<Header>, DoorError> {
    loop {
        let input = conn.input();
        if let Some(bytes) = input.first_chunk() {
            let header = Header::parse(bytes)?;
            conn.take(HEADER_LEN);
            return Ok(Some(header));
        }
        let idle = idle && input.is_empty();
        if !conn.fill(idle).await? {
            return if idle { Ok(None) } else { Err(DoorError::Cut) };
        }
    }
}

struct Session<S> {
    conn: Conn<S>,
    /// The listener's namespace.
    home: View,
    /// The one that HELLO chose.
    view: Option<View>,
    windows: Arc<Windows>,
    /// The window of this connection.
    promise: Option<Promise>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
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
        if header.op == Op::Window {
            return self.offer(header, reader);
        }
        // Who comes for a window does so before anything else.
        self.promise.take_if(|promise| promise.window().is_none());
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

    /// Promises a window to a client that may be on this machine. It has one at most.
    fn offer(&mut self, header: &Header, mut reader: Reader<'_>) -> Result<(), DoorError> {
        let wanted = reader.wanted()?;
        reader.end()?;
        self.promise = None;
        self.promise = self.windows.promise(wanted);
        let promise = self.promise.as_ref();
        let address = promise.and_then(|_| self.windows.address());
        let mut reply = Table::default();
        reply.offer(&Offer {
            address: address.unwrap_or_default().as_bytes(),
            secret: promise.map_or(0, Promise::secret),
            bytes: promise.map_or(0, Promise::bytes) as u64,
        });
        self.answer(header, 0, 0, &reply.0);
        Ok(())
    }

    /// The window that a request says its bytes go through.
    fn window(&self, header: &Header) -> Result<Option<&Window>, NativeError> {
        if header.flags & THROUGH_WINDOW == 0 {
            return Ok(None);
        }
        let window = self.promise.as_ref().and_then(Promise::window);
        window.map(Some).ok_or(NativeError::Window)
    }

    /// Blocks are all found and checked before the first byte leaves: the table says which ones
    /// follow.
    async fn get(
        &mut self,
        view: &View,
        header: &Header,
        reader: Reader<'_>,
    ) -> Result<(), DoorError> {
        let mut flow = self.window(header)?.map(|window| Sender::new(window.len()));
        let Some(found) = find(view, header, reader).await? else {
            self.refuse(header, Status::Late, "the deadline came first");
            return Ok(());
        };
        let mut reply = Table::default();
        let mut blocks = Vec::new();
        for (found, wanted) in found {
            reply.got(&got(&found, wanted));
            let fits = |stored: &Arc<Stored>| wanted == 0 || stored.block.len() == wanted;
            blocks.extend(found.ok().filter(fits));
        }
        let payload: usize = blocks.iter().map(|stored| stored.block.len()).sum();
        self.answer(header, header.items as usize, payload, &reply.0);
        let window = self.promise.as_ref().and_then(Promise::window);
        for stored in blocks {
            let block = &stored.block;
            match (window, &mut flow) {
                (Some(window), Some(flow)) => {
                    through::send(&mut self.conn, header, (window, flow), block).await?;
                }
                _ => self.conn.send(block, (0, block.len()), &[]).await?,
            }
        }
        match &mut flow {
            Some(flow) => through::settle(&mut self.conn, header, flow).await,
            None => Ok(()),
        }
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
        let mut flow = self.window(header)?.map(|window| Taker::new(window.len()));
        let (mut items, mut reply) = (reader, Table::default());
        for _ in 0..header.items {
            let item = items.put()?;
            let verdict = self.put_one(view, header, &item, flow.as_mut()).await?;
            reply.verdict(verdict, item.size);
        }
        self.answer(header, header.items as usize, 0, &reply.0);
        Ok(())
    }

    async fn put_one(
        &mut self,
        view: &View,
        header: &Header,
        item: &PutItem<'_>,
        flow: Option<&mut Taker>,
    ) -> Result<Verdict, DoorError> {
        let size = usize::try_from(item.size).unwrap_or(usize::MAX);
        let mut draft = match view.reserve(item.key, size).await {
            Ok(draft) => draft,
            Err(refusal) => {
                self.receive(header, item, flow, None).await?;
                return Ok(match refusal {
                    Refusal::Full => Verdict::Full,
                    _ => Verdict::Refused,
                });
            }
        };
        let sum = match self.receive(header, item, flow, Some(&mut draft)).await {
            Ok(sum) => sum,
            Err(error) => {
                view.abort(draft);
                return Err(error);
            }
        };
        let ttl_ms = u64::from(item.ttl_ms);
        let put = Put {
            condition: if item.only_new {
                Condition::Absent
            } else {
                Condition::Always
            },
            expires_ms: (ttl_ms > 0).then(|| view.store().now_ms() + ttl_ms),
            parent: (!item.parent.is_empty()).then(|| item.parent.into()),
            sum: Some(sum),
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

    /// Takes a block's bytes in, or passes them over; the checksum that the client says they have.
    async fn receive(
        &mut self,
        header: &Header,
        item: &PutItem<'_>,
        flow: Option<&mut Taker>,
        draft: Option<&mut Draft>,
    ) -> Result<u128, DoorError> {
        let window = self.promise.as_ref().and_then(Promise::window);
        if let (Some(window), Some(flow)) = (window, flow) {
            let size = usize::try_from(item.size).map_err(|_| NativeError::TooBig)?;
            return through::receive(&mut self.conn, header, (window, flow), size, draft).await;
        }
        match draft {
            Some(draft) => self.conn.receive(draft).await?,
            None => self.conn.skip(item.size).await?,
        }
        Ok(item.sum)
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

/// A block, or why there is none; and the size that is wanted.
type Found = (Result<Arc<Stored>, (Gone, Option<u64>)>, usize);

/// The blocks that are asked for; `None` where the client's deadline, counted from now, came first: then
/// it has gone, and further blocks need not be read from lower tiers.
async fn find(
    view: &View,
    header: &Header,
    mut reader: Reader<'_>,
) -> Result<Option<Vec<Found>>, NativeError> {
    let start = Instant::now();
    let wait = Duration::from_millis(u64::from(header.deadline_ms));
    let mut all = Vec::new();
    for _ in 0..header.items {
        let item = reader.get()?;
        // A read that others may wait for is not broken off.
        if !wait.is_zero() && start.elapsed() > wait {
            return Ok(None);
        }
        let wanted = usize::try_from(item.size).unwrap_or(usize::MAX);
        all.push((view.read(item.key).await, wanted));
    }
    reader.end()?;
    Ok(Some(all))
}

/// Does what is asked with one key; the block's size, if it is there.
fn about(view: &View, op: Op, key: &[u8]) -> Option<usize> {
    match op {
        Op::Pin => view.pin(key, true),
        Op::Unpin => view.pin(key, false),
        Op::Release => view.release(key),
        Op::Delete => view.delete(key),
        _ => view.touch(key),
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
