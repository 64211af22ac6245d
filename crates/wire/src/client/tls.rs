//! TLS towards a store, from PEM files.

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject as _},
};
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// How a store with TLS is known, and what is shown to it.
#[derive(Clone, Debug)]
pub struct Tls(pub(super) Arc<ClientConfig>);

/// Files, PEM.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TlsFiles {
    /// Authorities that the store's certificate must come from; `None`: those of the system.
    pub authorities: Option<PathBuf>,
    /// Certificate chain and key that are shown to the store, where it asks for them.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Files that can't be used for TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that can't be read, or is no PEM.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// No certificate, where some are needed.
    #[error("{0} holds no certificate")]
    Empty(String),
    /// The system's authorities.
    #[error("the system's authorities: {0}")]
    System(io::Error),
    /// Certificates and keys that don't fit.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
}

impl TlsFiles {
    /// What a client needs.
    ///
    /// # Errors
    /// Names the file that can't be used.
    pub fn read(&self) -> Result<Tls, TlsError> {
        let mut roots = RootCertStore::empty();
        for authority in self.authorities()? {
            roots.add(authority)?;
        }
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let secret = PrivateKeyDer::from_pem_file(key).map_err(fault(key))?;
                builder.with_client_auth_cert(certificates(certificate)?, secret)?
            }
        };
        Ok(Tls(Arc::new(config)))
    }

    fn authorities(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        if let Some(path) = &self.authorities {
            return certificates(path);
        }
        let found = rustls_native_certs::load_native_certs();
        match found.errors.into_iter().next() {
            Some(error) if found.certs.is_empty() => Err(TlsError::System(io::Error::other(error))),
            None if found.certs.is_empty() => Err(TlsError::Empty("the system".to_owned())),
            _ => Ok(found.certs),
        }
    }
}

fn fault(path: &Path) -> impl Fn(pem::Error) -> TlsError {
    let path = path.to_owned();
    move |source| TlsError::File {
        path: path.clone(),
        source,
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = CertificateDer::pem_file_iter(path).map_err(fault(path))?;
    let found: Vec<_> = found.collect::<Result<_, _>>().map_err(fault(path))?;
    if found.is_empty() {
        return Err(TlsError::Empty(path.display().to_string()));
    }
    Ok(found)
}
