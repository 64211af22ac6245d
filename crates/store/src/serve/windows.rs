//! Windows: memory that the store shares with clients on the same machine, one for a connection that
//! asks for it. Who is one is not asked: whoever can come to the hatch and shows the secret that its
//! connection was told is handed the window of that connection.

use crate::{ledger::Counter, memory::PAGE};
use hashbrown::HashMap;
use onefill_window::{Hatch, Window, hand, secret};
use onefill_wire::native::flow::WINDOW_MIN;
use parking_lot::Mutex;
use std::{
    io,
    path::PathBuf,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::AsyncReadExt as _,
    net::{UnixListener, UnixStream},
    sync::Semaphore,
};
use tokio_util::sync::CancellationToken;

/// Largest window of a connection.
const BYTES_MAX: usize = 16 << 20;
/// All windows together take at most one part in this many of the memory for blocks, or [`ALL_MIN`] if that
/// is more; they are not part of it.
const SHARE: usize = 16;
const ALL_MIN: usize = 64 << 20;
/// Clients at the hatch at once.
const VISITORS_MAX: usize = 64;
/// A client that takes longer to show its secret is let go.
const PATIENCE: Duration = Duration::from_secs(5);
/// Wait after the system could not give a connection (it is out of files).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Where clients on this machine are handed windows.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum WindowsAt {
    /// To whoever shares the network namespace: programs of this machine, containers of this pod.
    #[default]
    Here,
    /// To whoever shares this folder.
    Folder(PathBuf),
    /// To nobody.
    Nowhere,
}

/// All windows.
#[derive(Debug)]
pub(crate) struct Windows {
    hatch: Option<Hatch>,
    bytes_max: usize,
    /// Those that were promised to a connection and not handed out yet, by their secret.
    waiting: Mutex<HashMap<u128, Arc<Place>>>,
    pub(crate) stat: WindowStat,
}

/// What there is of windows.
#[derive(Debug, Default)]
pub(crate) struct WindowStat {
    /// Bytes of those that are promised or handed out.
    pub(crate) bytes: AtomicUsize,
    /// Windows that were handed out.
    pub(crate) handed: Counter,
    /// Those that were asked for when there was no room for more.
    pub(crate) refused: Counter,
    /// Those that nobody came for: the client is on another machine, or does not have the folder.
    pub(crate) missed: Counter,
}

/// A window, and how long it is to be. It is made when the client comes for it.
#[derive(Debug)]
struct Place {
    bytes: usize,
    window: OnceLock<Window>,
}

/// A window that a connection was promised; it goes with the connection.
#[derive(Debug)]
pub(crate) struct Promise {
    windows: Arc<Windows>,
    secret: u128,
    place: Arc<Place>,
}

impl Promise {
    /// What the client shows at the hatch.
    pub(crate) fn secret(&self) -> u128 {
        self.secret
    }

    /// Bytes of the window.
    pub(crate) fn bytes(&self) -> usize {
        self.place.bytes
    }

    /// The window, once the client has come for it.
    pub(crate) fn window(&self) -> Option<&Window> {
        self.place.window.get()
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        let stat = &self.windows.stat;
        if self.windows.waiting.lock().remove(&self.secret).is_some() {
            stat.missed.increment();
        }
        stat.bytes.fetch_sub(self.place.bytes, Ordering::Relaxed);
    }
}

impl Windows {
    /// For a store with so much memory for blocks.
    ///
    /// # Errors
    /// The folder can't be used.
    pub(super) fn open(at: &WindowsAt, memory_bytes: usize) -> io::Result<Arc<Self>> {
        let hatch = match at {
            WindowsAt::Nowhere => None,
            WindowsAt::Folder(folder) => Some(Hatch::open(Some(folder))?),
            WindowsAt::Here => Hatch::open(None)
                .inspect_err(|error| tracing::info!(%error, "no windows"))
                .ok(),
        };
        Ok(Arc::new(Self {
            hatch,
            bytes_max: (memory_bytes / SHARE).max(ALL_MIN),
            waiting: Mutex::default(),
            stat: WindowStat::default(),
        }))
    }

    /// Where they are handed out, if they are.
    pub(crate) fn address(&self) -> Option<&str> {
        self.hatch.as_ref().map(Hatch::address)
    }

    /// A window of about so many bytes for a connection; `None` where there is none to be had.
    pub(crate) fn promise(self: &Arc<Self>, bytes: u64) -> Option<Promise> {
        self.hatch.as_ref()?;
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        let bytes = bytes.clamp(WINDOW_MIN, BYTES_MAX).next_multiple_of(PAGE);
        let secret = secret().ok()?;
        let fits = |all: usize| (all + bytes <= self.bytes_max).then_some(all + bytes);
        let all = &self.stat.bytes;
        if all
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
            .is_err()
        {
            self.stat.refused.increment();
            return None;
        }
        let place = Arc::new(Place {
            bytes,
            window: OnceLock::new(),
        });
        self.waiting.lock().insert(secret, Arc::clone(&place));
        Some(Promise {
            windows: Arc::clone(self),
            secret,
            place,
        })
    }

    /// Hands windows out until `shutdown`.
    pub(super) async fn serve(self: Arc<Self>, shutdown: CancellationToken) -> io::Result<()> {
        let Some(hatch) = &self.hatch else {
            return Ok(());
        };
        let listener = hatch.listener().try_clone()?;
        listener.set_nonblocking(true)?;
        let listener = UnixListener::from_std(listener)?;
        let places = Arc::new(Semaphore::new(VISITORS_MAX));
        loop {
            let place = Arc::clone(&places).acquire_owned().await;
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = shutdown.cancelled() => return Ok(()),
            };
            let Ok((visitor, _)) = accepted else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let windows = Arc::clone(&self);
            tokio::spawn(async move {
                let received = tokio::time::timeout(PATIENCE, windows.receive(visitor)).await;
                if let Ok(Err(error)) = received {
                    tracing::debug!(%error, "a window was not handed out");
                }
                drop(place);
            });
        }
    }

    async fn receive(&self, mut visitor: UnixStream) -> io::Result<()> {
        let secret = visitor.read_u128_le().await?;
        let Some(place) = self.waiting.lock().remove(&secret) else {
            return Err(io::ErrorKind::PermissionDenied.into());
        };
        let bytes = place.bytes;
        let made = tokio::task::spawn_blocking(move || Window::make(bytes));
        let (window, file) = made.await.map_err(io::Error::other)??;
        // The client may use it as soon as it has it: so it is here first.
        if place.window.set(window).is_ok() {
            hand(&visitor, &file)?;
            self.stat.handed.increment();
        }
        Ok(())
    }
}
