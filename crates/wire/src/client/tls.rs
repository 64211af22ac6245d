//! TLS towards a store, from PEM files.

use crate::pem::{self, PemError, certificates};
use rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::CertificateDer};
use std::{io, path::PathBuf, sync::Arc};

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
    /// One of the files.
    #[error(transparent)]
    File(#[from] PemError),
    /// The system has no authorities.
    #[error("the system holds no certificate")]
    NoAuthorities,
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
                builder.with_client_auth_cert(certificates(certificate)?, pem::key(key)?)?
            }
        };
        Ok(Tls(Arc::new(config)))
    }

    fn authorities(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        if let Some(path) = &self.authorities {
            return Ok(certificates(path)?);
        }
        let found = rustls_native_certs::load_native_certs();
        match found.errors.into_iter().next() {
            Some(error) if found.certs.is_empty() => Err(TlsError::System(io::Error::other(error))),
            None if found.certs.is_empty() => Err(TlsError::NoAuthorities),
            _ => Ok(found.certs),
        }
    }
}
