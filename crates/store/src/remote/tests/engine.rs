//! An engine in memory.

use crate::remote::{Answer, Pieces, Remote, RemoteError};
use bytes::Bytes;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    time::Duration,
};
use tokio::sync::Semaphore;

/// Bytes of one piece of an answer: no multiple of anything.
const PIECE: usize = 701;

#[derive(Debug)]
pub(super) struct Engine {
    pub(super) objects: Mutex<BTreeMap<String, Bytes>>,
    /// Whether every request fails.
    pub(super) fails: AtomicBool,
    /// Requests that may begin; most tests let all.
    pub(super) gate: Semaphore,
    pub(super) asked: AtomicUsize,
    pub(super) puts: AtomicUsize,
}

impl Default for Engine {
    fn default() -> Self {
        Self {
            objects: Mutex::default(),
            fails: AtomicBool::new(false),
            gate: Semaphore::new(1 << 20),
            asked: AtomicUsize::new(0),
            puts: AtomicUsize::new(0),
        }
    }
}

impl Engine {
    async fn enter(&self) -> Result<(), RemoteError> {
        self.asked.fetch_add(1, SeqCst);
        let permit = self.gate.acquire().await;
        permit.map_err(|error| RemoteError(error.into()))?.forget();
        if self.fails.load(SeqCst) {
            return Err(RemoteError("it is on fire".into()));
        }
        Ok(())
    }

    /// Lets no request begin until [`Self::open`] lets some.
    pub(super) fn close(&self) {
        self.gate.forget_permits(usize::MAX >> 4);
    }

    pub(super) fn open(&self, requests: usize) {
        self.gate.add_permits(requests);
    }

    /// Changes every object.
    pub(super) fn tamper(&self, change: impl Fn(&mut Vec<u8>)) {
        for object in self.objects.lock().values_mut() {
            let mut bytes = object.to_vec();
            change(&mut bytes);
            *object = bytes.into();
        }
    }
}

struct Parts(VecDeque<Bytes>);

impl Pieces for Parts {
    fn next(&mut self) -> Answer<'_, Option<Bytes>> {
        Box::pin(async move { Ok(self.0.pop_front()) })
    }
}

impl Remote for Engine {
    fn head<'a>(&'a self, name: &'a str, bytes: usize) -> Answer<'a, Option<Bytes>> {
        Box::pin(async move {
            self.enter().await?;
            let object = self.objects.lock().get(name).cloned();
            Ok(object.map(|object| object.slice(..bytes.min(object.len()))))
        })
    }

    fn get<'a>(&'a self, name: &'a str) -> Answer<'a, Option<Box<dyn Pieces>>> {
        Box::pin(async move {
            self.enter().await?;
            let object = self.objects.lock().get(name).cloned();
            let parts = |object: Bytes| {
                let starts = (0..object.len()).step_by(PIECE);
                starts
                    .map(|at| object.slice(at..object.len().min(at + PIECE)))
                    .collect()
            };
            Ok(object.map(|object| Box::new(Parts(parts(object))) as Box<dyn Pieces>))
        })
    }

    fn put<'a>(
        &'a self,
        name: &'a str,
        pieces: Vec<Bytes>,
        _ttl: Option<Duration>,
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            self.enter().await?;
            self.puts.fetch_add(1, SeqCst);
            let bytes = Bytes::from(pieces.concat());
            self.objects.lock().insert(name.to_owned(), bytes);
            Ok(())
        })
    }

    fn delete<'a>(&'a self, name: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            self.enter().await?;
            self.objects.lock().remove(name);
            Ok(())
        })
    }

    fn erase<'a>(&'a self, folder: &'a str) -> Answer<'a, u64> {
        Box::pin(async move {
            self.enter().await?;
            let mut objects = self.objects.lock();
            let before = objects.len();
            let folder = format!("{folder}/");
            objects.retain(|name, _| !name.starts_with(&folder));
            Ok((before - objects.len()) as u64)
        })
    }
}
