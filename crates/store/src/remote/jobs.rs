//! What waits to be done at the remote. Pure: what is asked for, what is at work, what comes next.
//!
//! A key has one wish at a time, the last one; while it is at work a newer wish waits for it.

use crate::{
    catalog::Stored,
    namespace::{Namespace, NamespaceId},
};
use hashbrown::HashMap;
use std::{collections::VecDeque, sync::Arc};

/// Keys that wait to be taken out. Beyond it the oldest wishes stay, newer ones are refused.
const GONE_MAX: usize = 1 << 16;

/// Whose block.
pub(super) type Name = (NamespaceId, Box<[u8]>);

/// What shall become of a key's object.
#[derive(Clone, Debug)]
pub(super) enum Wish {
    /// It shall hold this block until then (milliseconds of Unix time; 0: for ever).
    Put(Arc<Stored>, u64),
    /// There shall be none.
    Gone,
}

#[derive(Debug)]
struct Waiting {
    namespace: Arc<Namespace>,
    wish: Wish,
    /// Whether a worker has it.
    at_work: bool,
    /// Whether it was wished while another wish of the key was at work.
    is_newer: bool,
    tries: u32,
}

/// A wish to be carried out.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) namespace: Arc<Namespace>,
    pub(super) key: Box<[u8]>,
    pub(super) wish: Wish,
    pub(super) tries: u32,
}

#[derive(Debug, Default)]
pub(super) struct Jobs {
    waiting: HashMap<Name, Waiting>,
    order: VecDeque<Name>,
    /// Bytes of blocks that wait or are at work.
    bytes: usize,
    gone: usize,
}

/// Whether a wish was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Taken {
    Yes,
    /// Too much waits.
    Full,
}

fn bytes_of(wish: &Wish) -> usize {
    match wish {
        Wish::Put(stored, _) => stored.block.len(),
        Wish::Gone => 0,
    }
}

impl Jobs {
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// What is wished for a key and not done yet: it is as good as done to who reads.
    pub(super) fn wish(&self, namespace: NamespaceId, key: &[u8]) -> Option<&Wish> {
        // A look-up by parts needs an owned key; few wait, and only misses come here.
        let waiting = self.waiting.get(&(namespace, Box::from(key)));
        waiting.map(|waiting| &waiting.wish)
    }

    /// Takes a wish, in place of one for the same key.
    pub(super) fn push(
        &mut self,
        namespace: &Arc<Namespace>,
        key: &[u8],
        wish: Wish,
        bytes_max: usize,
    ) -> Taken {
        let name = (namespace.id, Box::from(key));
        let before = self.waiting.get(&name);
        let freed = before.map_or(0, |before| bytes_of(&before.wish));
        let bytes = bytes_of(&wish);
        let is_full = match &wish {
            Wish::Put(..) => self.bytes - freed + bytes > bytes_max,
            Wish::Gone => before.is_none() && self.gone >= GONE_MAX,
        };
        if is_full {
            return Taken::Full;
        }
        let at_work = before.is_some_and(|before| before.at_work);
        self.gone -= usize::from(before.is_some_and(|before| matches!(before.wish, Wish::Gone)));
        self.gone += usize::from(matches!(wish, Wish::Gone));
        self.bytes = self.bytes - freed + bytes;
        if before.is_none() {
            self.order.push_back(name.clone());
        }
        let waiting = Waiting {
            namespace: Arc::clone(namespace),
            wish,
            at_work,
            is_newer: at_work,
            tries: 0,
        };
        self.waiting.insert(name, waiting);
        Taken::Yes
    }

    /// Forgets the blocks of a namespace that wait to be written. One that is at work is taken out
    /// after it.
    pub(super) fn withdraw(&mut self, namespace: NamespaceId) {
        let names: Vec<Name> = self
            .waiting
            .keys()
            .filter(|name| name.0 == namespace)
            .cloned()
            .collect();
        for name in names {
            if let Some(waiting) = self.waiting.get_mut(&name)
                && matches!(waiting.wish, Wish::Put(..))
            {
                self.bytes -= bytes_of(&waiting.wish);
                waiting.wish = Wish::Gone;
                waiting.is_newer = waiting.at_work;
                self.gone += 1;
            }
        }
    }

    /// The next wish that nobody works at.
    pub(super) fn next(&mut self) -> Option<Job> {
        let name = self.order.pop_front()?;
        let waiting = self.waiting.get_mut(&name)?;
        waiting.at_work = true;
        waiting.is_newer = false;
        Some(Job {
            namespace: Arc::clone(&waiting.namespace),
            key: name.1,
            wish: waiting.wish.clone(),
            tries: waiting.tries,
        })
    }

    /// A job is over; with `again` it shall be tried once more, unless there is a newer wish.
    pub(super) fn done(&mut self, job: &Job, again: bool) {
        let name = (job.namespace.id, job.key.clone());
        let Some(waiting) = self.waiting.get_mut(&name) else {
            return;
        };
        waiting.at_work = false;
        if waiting.is_newer {
            self.order.push_back(name);
        } else if again {
            waiting.tries += 1;
            self.order.push_back(name);
        } else {
            self.bytes -= bytes_of(&job.wish);
            self.gone -= usize::from(matches!(job.wish, Wish::Gone));
            self.waiting.remove(&name);
        }
    }
}
