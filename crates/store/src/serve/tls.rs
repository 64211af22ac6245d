//! TLS towards clients, from PEM files.

use onefill_wire::pem::{self, PemError, certificates};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    server::{VerifierBuilderError, WebPkiClientVerifier},
};
use std::{path::PathBuf, sync::Arc};

/// What a listener with TLS needs.
pub type Tls = Arc<ServerConfig>;

/// Files that can't be used for TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// One of the files.
    #[error(transparent)]
    File(#[from] PemError),
    /// Certificates and keys that don't fit.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// Authorities that can't be used.
    #[error("TLS: {0}")]
    Authorities(#[from] VerifierBuilderError),
}

/// Files, PEM.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsFiles {
    /// The store's chain of certificates.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Authorities that a client's certificate must come from; `None`: clients need none.
    pub client_authorities: Option<PathBuf>,
}

impl TlsFiles {
    /// What listeners need.
    ///
    /// # Errors
    /// Names the file that can't be used.
    pub fn read(&self) -> Result<Tls, TlsError> {
        let chain = certificates(&self.certificate)?;
        let key = pem::key(&self.key)?;
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let builder = match &self.client_authorities {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for authority in certificates(path)? {
                    roots.add(authority)?;
                }
                let roots = Arc::new(roots);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                builder.with_client_cert_verifier(verifier.build()?)
            }
        };
        Ok(Arc::new(builder.with_single_cert(chain, key)?))
    }
}
