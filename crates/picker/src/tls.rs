//! TLS towards Envoy: a certificate of its own by default, which Envoy does not verify, or files that
//! are read again when they change.

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig, SupportedProtocolVersion,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject},
};
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// How often files are looked at.
const RELOAD_EVERY: Duration = Duration::from_secs(5);

/// What can't be used for TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that can't be read, or is no PEM.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::pki_types::pem::Error,
    },
    /// A certificate can't be made.
    #[error("no certificate can be made: {0}")]
    Made(#[from] rcgen::Error),
    /// Certificates and keys that don't fit.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// The lowest version of TLS that is spoken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Lowest {
    /// 1.2
    #[default]
    Tls12,
    /// 1.3
    Tls13,
}

impl Lowest {
    fn versions(self) -> &'static [&'static SupportedProtocolVersion] {
        static ONLY_13: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS13];
        match self {
            Self::Tls12 => rustls::ALL_VERSIONS,
            Self::Tls13 => &ONLY_13,
        }
    }
}

/// Makes connections secret. Clones share what was reloaded.
#[derive(Clone, Debug)]
pub struct Acceptor {
    config: Arc<ArcSwap<ServerConfig>>,
}

impl Acceptor {
    /// With a certificate made for this process.
    pub fn self_signed(lowest: Lowest) -> Result<Self, TlsError> {
        let made = rcgen::generate_simple_self_signed(["onefill-picker".to_owned()])?;
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let config = config(vec![made.cert.der().clone()], key.into(), lowest)?;
        Ok(Self {
            config: Arc::new(ArcSwap::from_pointee(config)),
        })
    }

    /// With `tls.crt` and `tls.key` of a folder.
    pub fn from_folder(folder: &Path, lowest: Lowest) -> Result<Self, TlsError> {
        let config = read(folder, lowest)?;
        Ok(Self {
            config: Arc::new(ArcSwap::from_pointee(config)),
        })
    }

    /// Reads the folder again whenever its files change, for ever. Files that can't be used change
    /// nothing.
    pub async fn reload(self, folder: PathBuf, lowest: Lowest) {
        let mut known = changed_at(&folder);
        loop {
            tokio::time::sleep(RELOAD_EVERY).await;
            let now = changed_at(&folder);
            if now == known {
                continue;
            }
            match read(&folder, lowest) {
                Ok(config) => {
                    self.config.store(Arc::new(config));
                    tracing::info!("the certificate was read again");
                    known = now;
                }
                Err(error) => tracing::warn!(%error, "the new certificate can't be used"),
            }
        }
    }

    /// A handshake.
    pub(crate) async fn accept(&self, tcp: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let config = self.config.load_full();
        TlsAcceptor::from(config).accept(tcp).await
    }
}

fn changed_at(folder: &Path) -> [Option<SystemTime>; 2] {
    // Behind the links by which Kubernetes changes mounted secrets.
    ["tls.crt", "tls.key"].map(|name| folder.join(name).metadata().ok()?.modified().ok())
}

fn read(folder: &Path, lowest: Lowest) -> Result<ServerConfig, TlsError> {
    let (certificates, key) = (folder.join("tls.crt"), folder.join("tls.key"));
    let fault = |path: &Path, source| TlsError::File {
        path: path.to_owned(),
        source,
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(&certificates)
        .map_err(|source| fault(&certificates, source))?
        .collect();
    let chain = chain.map_err(|source| fault(&certificates, source))?;
    let key = PrivateKeyDer::from_pem_file(&key).map_err(|source| fault(&key, source))?;
    config(chain, key, lowest)
}

fn config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    lowest: Lowest,
) -> Result<ServerConfig, TlsError> {
    let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(lowest.versions())?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}
