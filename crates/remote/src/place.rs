//! Where the remote tier is, read from a URL.

use std::path::PathBuf;
use url::Url;

/// First part of keys where a Valkey URL names none: other programs may use the same server.
const VALKEY_PREFIX: &str = "onefill";

/// A bucket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct S3 {
    /// Its name.
    pub bucket: String,
    /// `http://HOST:PORT` of a server that is not AWS'.
    pub endpoint: Option<String>,
    /// Its region; `None`: as the environment says, or `us-east-1`.
    pub region: Option<String>,
}

/// A Valkey or Redis server, or a node of a cluster.
#[derive(Clone, PartialEq, Eq)]
pub struct Valkey {
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether it is reached over TLS.
    pub tls: bool,
    /// Who comes.
    pub user: Option<String>,
    /// And what proves it.
    pub password: Option<String>,
    /// The database; a cluster has only 0.
    pub db: i64,
}

impl std::fmt::Debug for Valkey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Valkey")
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

/// Where the remote tier is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// A bucket of an S3-compatible object store.
    S3(S3),
    /// Valkey or Redis.
    Valkey(Valkey),
    /// A folder that all machines share.
    Folder(PathBuf),
}

/// Why there can't be a remote tier there.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// The text is no place.
    #[error(
        "`{text}` is no remote: {why}; expected s3://BUCKET/PREFIX, valkey://HOST:PORT or file:///FOLDER"
    )]
    Text {
        /// As it was given, without what may be secret.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// The engine refuses its configuration.
    #[error("the remote tier can't be configured")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Place {
    /// Reads a URL: the place, and the first part of all names there.
    ///
    /// # Errors
    /// Names what is wrong, without the password.
    pub fn parse(text: &str) -> Result<(Self, String), PlaceError> {
        let fault = |why: &str| PlaceError::Text {
            text: shown(text),
            why: why.to_owned(),
        };
        let url = Url::parse(text).map_err(|error| fault(&error.to_string()))?;
        let mut prefix = url.path().trim_matches('/').to_owned();
        let host = url.host_str().unwrap_or_default().to_owned();
        let known: &[&str] = match url.scheme() {
            "s3" => &["endpoint", "region"],
            "valkey" | "redis" | "valkeys" | "rediss" => &["db"],
            "file" => &[],
            _ => return Err(fault("no such kind")),
        };
        if let Some((name, _)) = url
            .query_pairs()
            .find(|(name, _)| !known.contains(&&**name))
        {
            return Err(fault(&format!(
                "`{name}` is nothing that can be said of it"
            )));
        }
        let said = |name: &str| {
            let mut pairs = url.query_pairs();
            pairs
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.into_owned())
        };
        if host.is_empty() && url.scheme() != "file" {
            return Err(fault("it names no host or bucket"));
        }
        let place = match url.scheme() {
            "s3" => Self::S3(S3 {
                bucket: host,
                endpoint: said("endpoint"),
                region: said("region"),
            }),
            "file" => {
                prefix.clear();
                let path = url
                    .to_file_path()
                    .map_err(|()| fault("it names no folder"))?;
                Self::Folder(path)
            }
            scheme => {
                if prefix.is_empty() {
                    VALKEY_PREFIX.clone_into(&mut prefix);
                }
                let db = said("db").unwrap_or_else(|| "0".to_owned());
                Self::Valkey(Valkey {
                    host,
                    port: url.port().unwrap_or(6379),
                    tls: scheme.ends_with('s') && scheme != "redis",
                    user: (!url.username().is_empty()).then(|| plain(url.username())),
                    password: url.password().map(plain),
                    db: db.parse().map_err(|_| fault("db is no number"))?,
                })
            }
        };
        Ok((place, prefix))
    }
}

/// A part of a URL with its `%XX` read.
fn plain(text: &str) -> String {
    let pair = format!("_={}", text.replace('+', "%2B"));
    let mut pairs = url::form_urlencoded::parse(pair.as_bytes());
    pairs
        .next()
        .map_or_else(String::new, |(_, value)| value.into_owned())
}

/// A URL that may be shown: without who comes and with what.
fn shown(text: &str) -> String {
    match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://(hidden)@{rest}"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
