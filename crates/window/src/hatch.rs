//! The Unix socket through which windows are handed.

use super::secret;
use std::{
    fs, io,
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
};

/// How the name of each begins.
const NAME: &str = "onefill-window-";
/// What stands before a name that is in no folder.
const NO_FOLDER: char = '@';

/// Where windows are handed out.
#[derive(Debug)]
pub struct Hatch {
    listener: UnixListener,
    address: String,
    /// Its file, which is taken away at the end.
    file: Option<PathBuf>,
}

impl Hatch {
    /// In a folder whoever sees the folder and may write to the socket in it can come; without one,
    /// whoever is on the same machine and in the same network namespace (all containers of a pod).
    /// Sockets that a killed process left behind in the folder are taken away.
    ///
    /// # Errors
    /// There is no such folder, or nothing may be written there.
    pub fn open(folder: Option<&Path>) -> io::Result<Self> {
        let name = format!("{NAME}{:032x}", secret()?);
        let Some(folder) = folder else {
            let listener = unnamed::bind(&name)?;
            let address = format!("{NO_FOLDER}{name}");
            return Ok(Self {
                listener,
                address,
                file: None,
            });
        };
        sweep(folder)?;
        // Whole: the other process has another working folder.
        let path = fs::canonicalize(folder)?.join(name);
        let address = path.to_str().map(str::to_owned);
        let address = address.ok_or(io::ErrorKind::InvalidFilename)?;
        let listener = UnixListener::bind(&path)?;
        Ok(Self {
            listener,
            address,
            file: Some(path),
        })
    }

    /// What [`reach`] takes.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The socket.
    #[must_use]
    pub fn listener(&self) -> &UnixListener {
        &self.listener
    }
}

impl Drop for Hatch {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            // Somebody may have taken it away already.
            fs::remove_file(file).ok();
        }
    }
}

/// Connects to the hatch at an address that somebody else named: so only what can be one is tried.
///
/// # Errors
/// Nobody is there: it is on another machine, or in a folder that this process does not have.
pub fn reach(address: &str) -> io::Result<UnixStream> {
    let is_hatch = |name: &str| {
        let number = name.strip_prefix(NAME).unwrap_or_default();
        number.len() == 32 && number.bytes().all(|digit| digit.is_ascii_hexdigit())
    };
    if let Some(name) = address
        .strip_prefix(NO_FOLDER)
        .filter(|name| is_hatch(name))
    {
        return unnamed::connect(name);
    }
    let path = Path::new(address);
    let name = path.file_name().and_then(|name| name.to_str());
    if path.is_absolute() && name.is_some_and(is_hatch) {
        return UnixStream::connect(path);
    }
    Err(io::ErrorKind::AddrNotAvailable.into())
}

/// Takes away sockets of our kind that nobody listens on.
fn sweep(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if !name.is_some_and(|name| name.starts_with(NAME)) {
            continue;
        }
        let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
        if UnixStream::connect(&path).is_err_and(refused) {
            fs::remove_file(&path).ok();
        }
    }
    Ok(())
}

/// Sockets with a name in no folder.
#[cfg(target_os = "linux")]
mod unnamed {
    use std::{
        io,
        os::{
            linux::net::SocketAddrExt as _,
            unix::net::{SocketAddr, UnixListener, UnixStream},
        },
    };

    pub(super) fn bind(name: &str) -> io::Result<UnixListener> {
        UnixListener::bind_addr(&SocketAddr::from_abstract_name(name)?)
    }

    pub(super) fn connect(name: &str) -> io::Result<UnixStream> {
        UnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?)
    }
}

#[cfg(not(target_os = "linux"))]
mod unnamed {
    use std::{
        io,
        os::unix::net::{UnixListener, UnixStream},
    };

    pub(super) fn bind(_name: &str) -> io::Result<UnixListener> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn connect(_name: &str) -> io::Result<UnixStream> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
