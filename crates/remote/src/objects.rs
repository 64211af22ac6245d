//! Object stores: S3 and what speaks like it, and folders.

use crate::place::{PlaceError, S3};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use object_store::{
    ClientOptions, GetOptions, ObjectStore, ObjectStoreExt as _, PutPayload, RetryConfig,
    aws::AmazonS3Builder, local::LocalFileSystem, path::Path,
};
use onefill_store::remote::{Answer, Pieces, Remote, RemoteError};
use std::{fs, sync::Arc, time::Duration};

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(2);
/// Longest request: the tier above has nearer deadlines.
const REQUEST: Duration = Duration::from_secs(120);

/// An object store as a remote.
#[derive(Clone, Debug)]
pub(crate) struct Objects(Arc<dyn ObjectStore>);

/// A bucket.
pub(crate) fn s3(place: &S3) -> Result<Objects, PlaceError> {
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(&place.bucket)
        // Blocks carry a checksum of their own; signing a body would hash it once more.
        .with_unsigned_payload(true)
        // The tier tries again by itself, and knows when it is late.
        .with_retry(RetryConfig {
            max_retries: 0,
            ..RetryConfig::default()
        })
        .with_client_options(
            ClientOptions::new()
                .with_connect_timeout(CONNECT)
                .with_timeout(REQUEST)
                .with_allow_http(true),
        );
    if let Some(endpoint) = &place.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    if let Some(region) = &place.region {
        builder = builder.with_region(region);
    }
    let store = builder.build();
    Ok(Objects(Arc::new(store.map_err(engine)?)))
}

/// A folder, made if it is not there.
pub(crate) fn folder(path: &std::path::Path) -> Result<Objects, PlaceError> {
    fs::create_dir_all(path).map_err(engine)?;
    let store = LocalFileSystem::new_with_prefix(path).map_err(engine)?;
    Ok(Objects(Arc::new(store)))
}

fn engine(error: impl std::error::Error + Send + Sync + 'static) -> PlaceError {
    PlaceError::Engine(Box::new(error))
}

/// An answer of which "there is none" is one.
fn found<T>(answer: Result<T, object_store::Error>) -> Result<Option<T>, RemoteError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

fn failed(error: object_store::Error) -> RemoteError {
    RemoteError(Box::new(error))
}

impl Remote for Objects {
    fn head<'a>(&'a self, name: &'a str, bytes: usize) -> Answer<'a, Option<Bytes>> {
        Box::pin(async move {
            let options = GetOptions {
                range: Some((0..bytes as u64).into()),
                ..GetOptions::default()
            };
            let answer = self.0.get_opts(&Path::from(name), options).await;
            match found(answer)? {
                Some(answer) => answer.bytes().await.map(Some).map_err(failed),
                None => Ok(None),
            }
        })
    }

    fn get<'a>(&'a self, name: &'a str) -> Answer<'a, Option<Box<dyn Pieces>>> {
        Box::pin(async move {
            let answer = self.0.get(&Path::from(name)).await;
            let stream = found(answer)?.map(|answer| Stream(answer.into_stream()));
            Ok(stream.map(|stream| Box::new(stream) as Box<dyn Pieces>))
        })
    }

    fn put<'a>(
        &'a self,
        name: &'a str,
        pieces: Vec<Bytes>,
        // Buckets know no end of a single object; the block's header says when it ends.
        _ttl: Option<Duration>,
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            let payload = PutPayload::from_iter(pieces);
            let put = self.0.put(&Path::from(name), payload).await;
            put.map(drop).map_err(failed)
        })
    }

    fn delete<'a>(&'a self, name: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let deleted = self.0.delete(&Path::from(name)).await;
            found(deleted).map(drop)
        })
    }

    fn erase<'a>(&'a self, folder: &'a str) -> Answer<'a, u64> {
        Box::pin(async move {
            let folder = Path::from(folder);
            let names = self.0.list(Some(&folder)).map_ok(|object| object.location);
            let mut deleted = self.0.delete_stream(names.boxed());
            let mut count = 0;
            while let Some(one) = deleted.next().await {
                count += u64::from(found(one)?.is_some());
            }
            Ok(count)
        })
    }
}

struct Stream(BoxStream<'static, object_store::Result<Bytes>>);

impl Pieces for Stream {
    fn next(&mut self) -> Answer<'_, Option<Bytes>> {
        Box::pin(async move { self.0.next().await.transpose().map_err(failed) })
    }
}
