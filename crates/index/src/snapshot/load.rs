//! An index made from what was written down.

use onefill_kv::{BlockKey, ContentHash, EngineHash, ReplicaId};
use xxhash_rust::xxh3::xxh3_64;

use super::bytes::Bytes;
use super::{LoadError, MAGIC, NO_PARENT, SavedReplica, VERSION};
use crate::names::{Name, Names, Place};
use crate::orphans::Orphan;
use crate::run::{COPIES, HAUNTED, Holder, RUN_BLOCKS_MAX};
use crate::runs::Runs;
use crate::{Block, IndexConfig, IndexReader, IndexWriter, with_shards};

type Loaded<T> = Result<T, LoadError>;

/// Makes an index from a snapshot. `number` tells which number a saved replica has now; what those
/// held for which it answers `None` is left out.
///
/// # Errors
/// Where the bytes can't be used: start with [`crate::index`], and say why.
pub fn load(
    config: &IndexConfig,
    identity: u64,
    bytes: &[u8],
    number: &mut dyn FnMut(SavedReplica<'_>) -> Option<ReplicaId>,
) -> Loaded<(IndexWriter, IndexReader)> {
    let (mut body, shards_log2) = check(bytes, identity)?;
    let own = Names::shards_log2_for(config.memory_bytes_max).min(shards_log2);
    let (writer, reader) = with_shards(config, own);
    let mut loading = Loading {
        index: writer,
        runs: Vec::new(),
        replicas: vec![None; usize::from(u16::MAX) + 1],
        keys: Vec::new(),
    };
    loading.replicas(&mut body, number)?;
    for _ in 0..body.length(15)? {
        loading.run(&mut body)?;
    }
    loading.names(&mut body, shards_log2)?;
    loading.copies(&mut body)?;
    loading.aliases(&mut body)?;
    loading.orphans(&mut body)?;
    if !body.0.is_empty() {
        return Err(LoadError::Absurd("something follows the end"));
    }
    loading.tidy();
    Ok((loading.index, reader))
}

/// The body of a snapshot that may be used, and the logarithm of its names' shards.
fn check(bytes: &[u8], identity: u64) -> Loaded<(Bytes<'_>, u32)> {
    let Some((rest, sum)) = bytes.split_last_chunk::<8>() else {
        return Err(LoadError::NotASnapshot);
    };
    let Some(after_magic) = rest.strip_prefix(MAGIC) else {
        return Err(LoadError::NotASnapshot);
    };
    let mut body = Bytes(after_magic);
    // Another version may sum otherwise: what it is comes first.
    let found = body.u32().map_err(|_| LoadError::NotASnapshot)?;
    if found != VERSION {
        return Err(LoadError::OtherVersion { found });
    }
    if xxh3_64(rest) != u64::from_le_bytes(*sum) {
        return Err(LoadError::Damaged);
    }
    let shards_log2 = body.u32()?;
    if !Names::SHARDS_LOG2.contains(&shards_log2) {
        return Err(LoadError::Absurd("more shards than there can be"));
    }
    if body.u64()? != identity {
        return Err(LoadError::OtherIdentity);
    }
    Ok((body, shards_log2))
}

struct Loading {
    index: IndexWriter,
    /// Numbers of the snapshot's runs in the index; `None`: it found no room.
    runs: Vec<Option<u32>>,
    /// Numbers of the snapshot's replicas in the index.
    replicas: Vec<Option<ReplicaId>>,
    keys: Vec<BlockKey>,
}

impl Loading {
    fn replicas(
        &mut self,
        body: &mut Bytes<'_>,
        number: &mut dyn FnMut(SavedReplica<'_>) -> Option<ReplicaId>,
    ) -> Loaded<()> {
        let room = self.index.writer.runs.held.len();
        for _ in 0..body.length(14)? {
            let (replica, mark) = (body.replica()?, body.u64()?);
            let name = body.text()?;
            let now = number(SavedReplica {
                replica,
                name,
                mark,
            });
            self.replicas[usize::from(replica.0)] =
                now.filter(|replica| usize::from(replica.0) < room);
        }
        Ok(())
    }

    /// A replica's number now.
    fn now(&self, replica: ReplicaId) -> Option<ReplicaId> {
        self.replicas[usize::from(replica.0)]
    }

    fn holder(&self, body: &mut Bytes<'_>) -> Loaded<Option<Holder>> {
        let Holder { replica, tier } = body.holder()?;
        let replica = self.now(replica);
        Ok(replica.map(|replica| Holder { replica, tier }))
    }

    /// A place in the index; `None` where its run found no room.
    fn place(&self, body: &mut Bytes<'_>) -> Loaded<Option<Place>> {
        let Place { run, at } = body.place()?;
        let Some(run) = self.runs.get(run as usize) else {
            return Err(LoadError::Absurd("a run that there is not"));
        };
        let place = run.map(|run| Place { run, at });
        let m = &self.index.shared;
        if place.is_some_and(|place| !Runs::is_live(m, place)) {
            return Err(LoadError::Absurd("a block that there is not"));
        }
        Ok(place)
    }

    fn run(&mut self, body: &mut Bytes<'_>) -> Loaded<()> {
        let Place { run: parent, at } = body.place()?;
        let haunted = body.u8()? != 0;
        let blocks = body.length(8)?;
        if blocks == 0 || blocks > usize::from(RUN_BLOCKS_MAX) {
            return Err(LoadError::Absurd("a run of no length that there can be"));
        }
        self.keys.clear();
        for _ in 0..blocks {
            self.keys.push(BlockKey(body.u64()?));
        }
        if self.keys[0].0 == 0 {
            return Err(LoadError::Absurd("a run without a first key"));
        }
        let after = match parent {
            NO_PARENT => None,
            run => match self.runs.get(run as usize) {
                None => return Err(LoadError::Absurd("a run before its parent")),
                Some(None) => return self.skip_run(body), // its parent found no room
                Some(Some(run)) => Some(Place { run: *run, at }),
            },
        };
        let IndexWriter { shared: m, writer } = &mut self.index;
        if after.is_some_and(|after| !Runs::is_live(m, after)) {
            return Err(LoadError::Absurd("a run after no block"));
        }
        let Some((id, _)) = writer.runs.start(m, after, &self.keys) else {
            return self.skip_run(body);
        };
        if haunted {
            m.run(id).set(HAUNTED);
        }
        if !writer.runs.show(m, id) {
            writer.runs.settle(m, id, blocks as u16 - 1);
            return self.skip_run(body);
        }
        self.runs.push(Some(id));
        self.spans(body, id, blocks as u16)
    }

    fn skip_run(&mut self, body: &mut Bytes<'_>) -> Loaded<()> {
        self.index.writer.dropped += self.keys.len() as u64;
        self.runs.push(None);
        for _ in 0..body.length(7)? {
            body.holder()?;
            body.blocks()?;
        }
        Ok(())
    }

    fn spans(&mut self, body: &mut Bytes<'_>, id: u32, blocks: u16) -> Loaded<()> {
        for _ in 0..body.length(7)? {
            let (holder, span) = (self.holder(body)?, body.blocks()?);
            if span.is_empty() || span.end > blocks {
                return Err(LoadError::Absurd("a span of no blocks that there are"));
            }
            let IndexWriter { shared: m, writer } = &mut self.index;
            match holder {
                Some(holder) => writer.runs.cover(m, id, holder, span),
                None => m.run(id).set(HAUNTED),
            }
        }
        Ok(())
    }

    fn names(&mut self, body: &mut Bytes<'_>, saved: u32) -> Loaded<()> {
        for _ in 0..body.length(14)? {
            let bits = body.u64()?;
            let place = self.place(body)?;
            let names = &mut self.index.writer.names;
            let Some(name) = Name::from_bits(bits, saved, names.shards_log2()) else {
                return Err(LoadError::Absurd("a name in no shard that there is"));
            };
            if let Some(place) = place {
                names.put(name, place, |_| true);
            }
        }
        Ok(())
    }

    fn copies(&mut self, body: &mut Bytes<'_>) -> Loaded<()> {
        for _ in 0..body.length(10)? {
            let (place, holder) = (self.place(body)?, self.holder(body)?);
            let more = body.u8()?;
            let IndexWriter { shared: m, writer } = &mut self.index;
            if let (Some(place), Some(holder)) = (place, holder)
                && Runs::holds(m, place, holder)
            {
                m.run(place.run).set(COPIES);
                (0..more).for_each(|_| writer.runs.copies.add(place, holder));
            }
        }
        Ok(())
    }

    fn aliases(&mut self, body: &mut Bytes<'_>) -> Loaded<()> {
        for _ in 0..body.length(16)? {
            let (replica, hash) = (body.replica()?, EngineHash(body.u64()?));
            let place = self.place(body)?;
            if let (Some(replica), Some(place)) = (self.now(replica), place) {
                self.index.writer.aliases.put(replica, hash, place);
            }
        }
        for _ in 0..body.length(6)? {
            let (replica, disagreements) = (body.replica()?, body.u32()?);
            if let Some(replica) = self.now(replica) {
                let aliases = &mut self.index.writer.aliases;
                aliases.set_disagreements(replica, disagreements);
            }
        }
        Ok(())
    }

    fn orphans(&mut self, body: &mut Bytes<'_>) -> Loaded<()> {
        for _ in 0..body.length(27)? {
            let (parent, holder) = (EngineHash(body.u64()?), self.holder(body)?);
            let hash = EngineHash(body.u64()?);
            let content = ContentHash(body.u64()?);
            if let Some(holder) = holder {
                let block = Block { hash, content };
                self.index.writer.repark(parent, Orphan { holder, block });
            }
        }
        Ok(())
    }

    /// Drops what nobody holds since replicas were left out; children first, since a parent that
    /// loses its last child may go with it.
    fn tidy(&mut self) {
        let IndexWriter { shared: m, writer } = &mut self.index;
        for id in self.runs.iter().rev().filter_map(|id| *id) {
            let run = m.run(id);
            if run.first_key() != 0 {
                writer.runs.settle(m, id, run.extent().blocks - 1);
            }
        }
        writer.sweep(m);
    }
}
