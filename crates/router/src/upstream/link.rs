//! One connection to a replica, driven by whoever uses it.

use super::Origin;
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::http1::{Builder, Connection, SendRequest},
};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::{
    fmt,
    future::poll_fn,
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

/// A byte stream: TCP, or TLS over it.
trait Bytestream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Bytestream for S {}

type Driver = Connection<TokioIo<Box<dyn Bytestream>>, Full<Bytes>>;

/// One HTTP/1.1 connection to a replica.
pub(crate) struct Link {
    sender: SendRequest<Full<Bytes>>,
    /// `None` once the connection has ended.
    driver: Option<Driver>,
    /// Whether it has carried a request before: its failure may only mean that it was idle for
    /// too long.
    pub(crate) reused: bool,
    pub(crate) idle_since: Instant,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("reused", &self.reused)
            .finish_non_exhaustive()
    }
}

/// A request that got no answer.
pub(crate) struct SendError {
    pub(crate) error: hyper::Error,
    /// Whether the connection had been idle before: then a new one may do.
    pub(crate) reused: bool,
}

impl Link {
    pub(super) async fn connect(
        origin: &Origin,
        tls: Option<&Arc<rustls::ClientConfig>>,
    ) -> io::Result<Self> {
        let tcp = TcpStream::connect((origin.host.as_str(), origin.port)).await?;
        tcp.set_nodelay(true)?;
        let stream: Box<dyn Bytestream> = if origin.https {
            Box::new(secure(tcp, origin, tls).await?)
        } else {
            Box::new(tcp)
        };
        let (sender, driver) = Builder::new()
            .handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        Ok(Self {
            sender,
            driver: Some(driver),
            reused: false,
            idle_since: Instant::now(),
        })
    }

    /// The connection, if it is still open: one look at the socket tells.
    pub(super) async fn revive(mut self) -> Option<Self> {
        let ready = poll_fn(|cx| {
            self.drive(cx);
            Poll::Ready(matches!(self.sender.poll_ready(cx), Poll::Ready(Ok(()))))
        });
        if !ready.await || self.driver.is_none() {
            return None;
        }
        self.reused = true;
        Some(self)
    }

    /// Sends a request and waits for the head of its answer.
    pub(crate) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, SendError> {
        let (reused, driver) = (self.reused, &mut self.driver);
        let mut answer = pin!(self.sender.send_request(request));
        while_driven(driver, answer.as_mut())
            .await
            .map_err(|error| SendError { error, reused })
    }

    /// The next piece of an answer's body.
    pub(crate) fn poll_frame(
        &mut self,
        body: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        self.drive(cx);
        Pin::new(body).poll_frame(cx)
    }

    /// Drives the connection while `work` reads an answer's body.
    pub(crate) async fn collect<T>(&mut self, work: impl Future<Output = T>) -> T {
        while_driven(&mut self.driver, pin!(work)).await
    }

    fn drive(&mut self, cx: &mut Context<'_>) {
        drive(&mut self.driver, cx);
    }
}

/// What `work` comes to while the connection moves bytes for it.
async fn while_driven<T>(
    driver: &mut Option<Driver>,
    mut work: Pin<&mut impl Future<Output = T>>,
) -> T {
    poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(done);
        }
        drive(driver, cx);
        work.as_mut().poll(cx)
    })
    .await
}

/// Moves bytes. The outcome of an ended connection is told to whoever waits for an answer.
fn drive(driver: &mut Option<Driver>, cx: &mut Context<'_>) {
    if let Some(connection) = driver
        && Pin::new(connection).poll(cx).is_ready()
    {
        *driver = None;
    }
}

async fn secure(
    tcp: TcpStream,
    origin: &Origin,
    tls: Option<&Arc<rustls::ClientConfig>>,
) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let config = tls.ok_or_else(|| io::Error::other("https replica, but no TLS configuration"))?;
    let name = ServerName::try_from(origin.host.clone()).map_err(io::Error::other)?;
    tokio_rustls::TlsConnector::from(Arc::clone(config))
        .connect(name, tcp)
        .await
}
