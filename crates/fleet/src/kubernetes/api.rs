//! The API server as a pod reaches it: address in the environment, authority and token in files.

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use serde_json::Value as Json;
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

/// Where a pod finds what it is known by.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Address in plain text instead, such as that of `kubectl proxy`: `http://127.0.0.1:8001`.
const PLAIN: &str = "ONEFILL_KUBERNETES_API";
/// A thousand pods are some 20 MB.
const ANSWER_BYTES_MAX: usize = 64 << 20;
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    #[error("this is no pod: KUBERNETES_SERVICE_HOST is not set")]
    NoPod,
    #[error("{0} holds no certificate")]
    NoAuthority(PathBuf),
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("HTTP: {0}")]
    Http(#[from] hyper::Error),
    #[error("the answer is too long, or was broken off")]
    Body,
    #[error("not within {} s", TIMEOUT.as_secs())]
    Late,
    #[error("the API server answers {0}")]
    Status(StatusCode),
    #[error("the answer is no JSON")]
    NotJson,
}

/// How the API server is reached.
pub(super) struct Api {
    host: String,
    port: u16,
    /// `None`: in plain text, without a token.
    tls: Option<TlsConnector>,
    account: PathBuf,
}

impl Api {
    pub(super) fn of_this_pod() -> Result<Self, ApiError> {
        let account = PathBuf::from(ACCOUNT);
        let variable = |name: &str| std::env::var(name).ok();
        if let Some((host, port)) = variable(PLAIN).as_deref().and_then(plain) {
            let tls = None;
            return Ok(Self {
                host,
                port,
                tls,
                account,
            });
        }
        let host = variable("KUBERNETES_SERVICE_HOST").ok_or(ApiError::NoPod)?;
        let port = variable("KUBERNETES_SERVICE_PORT").and_then(|port| port.parse().ok());
        let tls = Some(connector(account.join("ca.crt"))?);
        let port = port.unwrap_or(443);
        Ok(Self {
            host,
            port,
            tls,
            account,
        })
    }

    /// The pod's own namespace.
    pub(super) fn namespace(&self) -> String {
        let said = std::fs::read_to_string(self.account.join("namespace"));
        said.map_or_else(|_| "default".to_owned(), |text| text.trim().to_owned())
    }

    /// The JSON that a path answers.
    pub(super) async fn get(&self, path: &str) -> Result<Json, ApiError> {
        let asking = async {
            let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
            match &self.tls {
                None => self.ask(stream, path).await,
                Some(tls) => {
                    let name = ServerName::try_from(self.host.clone());
                    let name = name.map_err(|_| rustls::Error::General("no name".into()))?;
                    self.ask(tls.connect(name, stream).await?, path).await
                }
            }
        };
        let asked = tokio::time::timeout(TIMEOUT, asking).await;
        let bytes = asked.map_err(|_| ApiError::Late)??;
        serde_json::from_slice(&bytes).map_err(|_| ApiError::NotJson)
    }

    async fn ask<S>(&self, stream: S, path: &str) -> Result<Bytes, ApiError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection); // ends with the sender
        let mut request = Request::get(path)
            .header(header::HOST, &self.host)
            .header(header::ACCEPT, "application/json");
        // Tokens are renewed: the file has the latest.
        if self.tls.is_some() {
            let token = tokio::fs::read_to_string(self.account.join("token")).await?;
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.trim()));
        }
        let request = request.body(Empty::<Bytes>::new());
        let request = request.map_err(|_| ApiError::Status(StatusCode::BAD_REQUEST))?;
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX)
            .collect()
            .await;
        if status != StatusCode::OK {
            return Err(ApiError::Status(status));
        }
        Ok(body.map_err(|_| ApiError::Body)?.to_bytes())
    }
}

fn plain(url: &str) -> Option<(String, u16)> {
    let (host, port) = url
        .strip_prefix("http://")?
        .trim_end_matches('/')
        .rsplit_once(':')?;
    Some((host.to_owned(), port.parse().ok()?))
}

fn connector(authority: PathBuf) -> Result<TlsConnector, ApiError> {
    let mut roots = RootCertStore::empty();
    let read = CertificateDer::pem_file_iter(&authority);
    let certificates = read.into_iter().flatten().filter_map(Result::ok);
    let (added, _unreadable) = roots.add_parsable_certificates(certificates);
    if added == 0 {
        return Err(ApiError::NoAuthority(authority));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
