//! The store's remote tier on engines that exist.
//!
//! ```text
//! s3://BUCKET[/PREFIX][?endpoint=http://HOST:PORT&region=NAME]   keys from AWS_* in the environment
//! valkey://[USER:PASSWORD@]HOST:PORT[/PREFIX][?db=N]             a cluster is found out; valkeys:// is TLS
//! file:///FOLDER                                                 a folder that all machines share
//! ```
#![forbid(unsafe_code)]

mod objects;
mod place;
mod valkey;

use onefill_store::remote::Remote;
use std::sync::Arc;

pub use place::{Place, PlaceError};

/// Makes the engine of a place. It is asked for the first time with the first block.
///
/// # Errors
/// Where the engine can't be configured as the place says.
pub fn open(place: &Place) -> Result<Arc<dyn Remote>, PlaceError> {
    // One provider for the whole program; a second call changes nothing.
    let _first = rustls::crypto::ring::default_provider().install_default();
    Ok(match place {
        Place::S3(s3) => Arc::new(objects::s3(s3)?),
        Place::Folder(path) => Arc::new(objects::folder(path)?),
        Place::Valkey(valkey) => Arc::new(valkey::Valkey::new(valkey)?),
    })
}
