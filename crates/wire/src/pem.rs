//! Certificates and keys in PEM files, for both ends.

use rustls::pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject},
};
use std::path::{Path, PathBuf};

/// A file that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PemError {
    /// It can't be read, or is no PEM.
    #[error("{}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// It holds no certificate.
    #[error("{}: holds no certificate", .0.display())]
    Empty(PathBuf),
}

/// All certificates of a file, at least one.
///
/// # Errors
/// Names the file.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let found = CertificateDer::pem_file_iter(path).map_err(fault(path))?;
    let found: Vec<_> = found.collect::<Result<_, _>>().map_err(fault(path))?;
    if found.is_empty() {
        return Err(PemError::Empty(path.to_owned()));
    }
    Ok(found)
}

/// The key of a file.
///
/// # Errors
/// Names the file.
pub fn key(path: &Path) -> Result<PrivateKeyDer<'static>, PemError> {
    PrivateKeyDer::from_pem_file(path).map_err(fault(path))
}

fn fault(path: &Path) -> impl Fn(pem::Error) -> PemError {
    let path = path.to_owned();
    move |source| PemError::File {
        path: path.clone(),
        source,
    }
}
