//! Scheme, host and port of a replica, taken apart once.

use http::{HeaderValue, Uri};

/// Where a replica listens.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) https: bool,
    /// Without the brackets of an IPv6 address.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Value of the `Host` header.
    pub(crate) authority: HeaderValue,
}

impl Origin {
    /// Of `http://HOST:PORT` or `https://HOST[:PORT]`; `None` for anything else.
    pub(crate) fn of(url: &str) -> Option<Self> {
        let uri: Uri = url.parse().ok()?;
        let https = match uri.scheme_str()? {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let authority = uri.authority()?;
        Some(Self {
            https,
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(if https { 443 } else { 80 }),
            authority: HeaderValue::from_str(authority.as_str()).ok()?,
        })
    }
}
