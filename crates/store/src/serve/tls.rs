//! TLS towards clients, from PEM files.

use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{VerifierBuilderError, WebPkiClientVerifier},
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// What a listener with TLS needs.
pub type Tls = Arc<ServerConfig>;

/// Files that can't be used for TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that can't be read, or is no PEM.
    #[error("{}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::pki_types::pem::Error,
    },
    /// A file without a certificate.
    #[error("{}: holds no certificate", .0.display())]
    Empty(PathBuf),
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
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(fault(&self.key))?;
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

fn fault(path: &Path) -> impl Fn(rustls::pki_types::pem::Error) -> TlsError {
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
        return Err(TlsError::Empty(path.to_owned()));
    }
    Ok(found)
}
