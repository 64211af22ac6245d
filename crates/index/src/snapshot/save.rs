//! The index, written down.

use onefill_kv::{ReplicaId, Tier};
use xxhash_rust::xxh3::xxh3_64;

use super::{MAGIC, NO_PARENT, SavedReplica, VERSION};
use crate::names::Place;
use crate::run::{HAUNTED, Holder, Span};
use crate::runs::Runs;
use crate::shared::Shared;
use crate::writer::Writer;

/// Runs in the order in which they are written, parents first, and each run's place in it.
struct Order {
    runs: Vec<u32>,
    places: Vec<Option<u32>>,
}

impl Order {
    fn of(m: &Shared, writer: &Writer) -> Self {
        let numbers = writer.runs.numbers();
        let mut order = Self {
            runs: Vec::with_capacity(writer.runs.live()),
            places: vec![None; numbers as usize],
        };
        let mut above = Vec::new();
        for id in (0..numbers).filter(|id| m.run(*id).first_key() != 0) {
            let mut next = Some(id);
            while let Some(run) = next.filter(|run| order.place(*run).is_none()) {
                above.push(run);
                let first = Place { run, at: 0 };
                next = writer.runs.before(first).map(|parent| parent.run);
            }
            while let Some(run) = above.pop() {
                order.places[run as usize] = Some(order.runs.len() as u32);
                order.runs.push(run);
            }
        }
        order
    }

    fn place(&self, run: u32) -> Option<u32> {
        self.places.get(run as usize).copied().flatten()
    }

    /// A place with its run's number in the snapshot; `None` where there is nothing any more.
    fn of_live(&self, m: &Shared, place: Place) -> Option<(u32, u16)> {
        let run = self.place(place.run)?;
        Runs::is_live(m, place).then_some((run, place.at))
    }
}

/// A list under way: its length stands before it.
struct List {
    at: usize,
    length: u32,
}

impl List {
    fn begin(out: &mut Vec<u8>) -> Self {
        let at = out.len();
        out.extend([0; 4]);
        Self { at, length: 0 }
    }

    fn end(&self, out: &mut [u8]) {
        if let Some(length) = out.get_mut(self.at..self.at + 4) {
            length.copy_from_slice(&self.length.to_le_bytes());
        }
    }
}

/// Writes a list of what `items` yields, each by `put`.
fn list<T>(
    out: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    mut put: impl FnMut(&mut Vec<u8>, T),
) {
    let mut list = List::begin(out);
    for item in items {
        put(out, item);
        list.length += 1;
    }
    list.end(out);
}

fn put_holder(out: &mut Vec<u8>, holder: Holder) {
    out.extend(holder.replica.0.to_le_bytes());
    out.push(holder.tier as u8);
}

fn put_place(out: &mut Vec<u8>, (run, at): (u32, u16)) {
    out.extend(run.to_le_bytes());
    out.extend(at.to_le_bytes());
}

impl Writer {
    /// See [`crate::IndexWriter::save`].
    pub(crate) fn save(
        &mut self,
        m: &Shared,
        identity: u64,
        replicas: &[SavedReplica<'_>],
        out: &mut Vec<u8>,
    ) {
        self.put_fresh(m);
        let first = out.len();
        out.extend(MAGIC);
        out.extend(VERSION.to_le_bytes());
        out.extend(self.names.shards_log2().to_le_bytes());
        out.extend(identity.to_le_bytes());
        list(out, replicas, |out, saved| {
            out.extend(saved.replica.0.to_le_bytes());
            out.extend(saved.mark.to_le_bytes());
            list(out, saved.name.bytes(), Vec::push);
        });
        let order = Order::of(m, self);
        list(out, &order.runs, |out, id| {
            self.save_run(m, &order, *id, out);
        });
        self.save_names(m, &order, out);
        self.save_orphans(out);
        let sum = xxh3_64(out.get(first..).unwrap_or_default());
        out.extend(sum.to_le_bytes());
    }

    fn save_run(&self, m: &Shared, order: &Order, id: u32, out: &mut Vec<u8>) {
        let run = m.run(id);
        let parent = self.runs.before(Place { run: id, at: 0 });
        let parent = parent.and_then(|parent| Some((order.place(parent.run)?, parent.at)));
        put_place(out, parent.unwrap_or((NO_PARENT, 0)));
        out.push(u8::from(run.has(HAUNTED)));
        let (keys, blocks) = (run.keys(&m.bulk), run.extent().blocks);
        list(out, 0..usize::from(blocks), |out, at| {
            out.extend(keys.get(at).to_le_bytes());
        });
        let whole = (0..(64 * m.width()) as u16).map(ReplicaId);
        let whole = whole.filter(|replica| m.gpu_has(run, *replica));
        let whole = whole.map(|replica| {
            let tier = Tier::Gpu;
            Span::new(Holder { replica, tier }, &(0..blocks))
        });
        let spans = whole.chain(run.spans(&m.bulk).map(|(_, span)| span));
        list(out, spans, |out, span| {
            put_holder(out, span.holder());
            out.extend(span.start().to_le_bytes());
            out.extend(span.end().to_le_bytes());
        });
    }

    fn save_names(&self, m: &Shared, order: &Order, out: &mut Vec<u8>) {
        let names = self.names.iter();
        let names = names.filter_map(|(name, place)| Some((name, order.of_live(m, place)?)));
        list(out, names, |out, (name, place)| {
            out.extend(name.bits().to_le_bytes());
            put_place(out, place);
        });
        let copies = self.runs.copies.iter();
        let copies = copies
            .filter_map(|(place, holder, more)| Some((order.of_live(m, place)?, holder, more)));
        list(out, copies, |out, (place, holder, more)| {
            put_place(out, place);
            put_holder(out, holder);
            out.push(more);
        });
        let aliases = self.aliases.iter();
        let aliases = aliases
            .filter_map(|(replica, hash, place)| Some((replica, hash, order.of_live(m, place)?)));
        list(out, aliases, |out, (replica, hash, place)| {
            out.extend(replica.0.to_le_bytes());
            out.extend(hash.0.to_le_bytes());
            put_place(out, place);
        });
        list(
            out,
            self.aliases.strangers(),
            |out, (replica, disagreements)| {
                out.extend(replica.0.to_le_bytes());
                out.extend(disagreements.to_le_bytes());
            },
        );
    }

    fn save_orphans(&self, out: &mut Vec<u8>) {
        list(out, self.orphans().iter(), |out, (parent, orphan)| {
            out.extend(parent.0.to_le_bytes());
            put_holder(out, orphan.holder);
            out.extend(orphan.block.hash.0.to_le_bytes());
            out.extend(orphan.block.content.0.to_le_bytes());
        });
    }
}
