//! A proxy's side of `ext_proc`, over raw gRPC.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::Request;
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::{
    body::{Frame, Incoming},
    client::conn::http2::{self, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use onefill_picker::proto::{
    HEALTH_CHECK, HeaderMap, HeaderValue, HealthCheckRequest, HealthCheckResponse, HttpBody,
    HttpHeaders, PROCESS, ProcessingRequest, ProcessingResponse, Request as Asked,
    Response as Answer,
};
use prost::Message;
use std::{convert::Infallible, net::SocketAddr};
use tokio::{net::TcpStream, sync::mpsc, task::JoinHandle};
use tokio_stream::wrappers::UnboundedReceiverStream;

type Body = BoxBody<Bytes, Infallible>;

/// What a picker says.
#[derive(Debug, PartialEq)]
pub enum Said {
    Destination(String),
    Body,
    Other,
    End,
}

/// A connection.
pub struct Proxy {
    send: SendRequest<Body>,
    socket: std::net::TcpStream,
}

/// A request that goes by.
pub struct Stream {
    out: mpsc::UnboundedSender<Result<Frame<Bytes>, Infallible>>,
    answer: JoinHandle<Option<Incoming>>,
    body: Option<Incoming>,
    read: BytesMut,
}

pub async fn connect(address: SocketAddr) -> Proxy {
    let tcp = TcpStream::connect(address).await.expect("connected");
    let tcp = tcp.into_std().expect("a socket");
    let socket = tcp.try_clone().expect("another handle");
    let tcp = TcpStream::from_std(tcp).expect("a socket");
    let (send, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(tcp))
        .await
        .expect("HTTP/2");
    tokio::spawn(async move {
        let _ended = connection.await;
    });
    Proxy { send, socket }
}

fn request(path: &str, body: Body) -> Request<Body> {
    Request::post(format!("http://picker{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(body)
        .expect("a request")
}

fn framed(message: &impl Message) -> Bytes {
    let bytes = message.encode_to_vec();
    let mut frame = BytesMut::with_capacity(5 + bytes.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(bytes.len()).expect("short"));
    frame.extend_from_slice(&bytes);
    frame.freeze()
}

impl Proxy {
    pub fn open(&self) -> Stream {
        let (out, body) = mpsc::unbounded_channel();
        let body = StreamBody::new(UnboundedReceiverStream::new(body)).boxed();
        let mut send = self.send.clone();
        let answer = tokio::spawn(async move {
            send.ready().await.ok()?;
            let answer = send.send_request(request(PROCESS, body)).await.ok()?;
            Some(answer.into_body())
        });
        Stream {
            out,
            answer,
            body: None,
            read: BytesMut::new(),
        }
    }

    pub async fn is_healthy(&self, service: &str) -> bool {
        let asked = HealthCheckRequest {
            service: service.to_owned(),
        };
        let body = Full::new(framed(&asked)).boxed();
        let mut send = self.send.clone();
        send.ready().await.expect("connected");
        let answer = send
            .send_request(request(HEALTH_CHECK, body))
            .await
            .expect("answered");
        let bytes = answer
            .into_body()
            .collect()
            .await
            .expect("a body")
            .to_bytes();
        let told = HealthCheckResponse::decode(bytes.slice(5..)).expect("a message");
        told.status == 1
    }

    /// The connection is cut.
    pub fn vanish(self) {
        let _gone = self.socket.shutdown(std::net::Shutdown::Both);
    }
}

fn header(key: &str, value: &str) -> HeaderValue {
    HeaderValue {
        key: key.to_owned(),
        value: value.to_owned(),
        raw_value: Bytes::new(),
    }
}

impl Stream {
    /// These bytes, and the end.
    pub fn raw(&mut self, bytes: &'static [u8]) {
        let _gone = self.out.send(Ok(Frame::data(Bytes::from_static(bytes))));
        self.out = mpsc::unbounded_channel().0;
    }

    fn say(&mut self, asked: Asked) {
        let message = ProcessingRequest {
            request: Some(asked),
            ..ProcessingRequest::default()
        };
        let _gone = self.out.send(Ok(Frame::data(framed(&message))));
    }

    pub fn headers(&mut self) {
        let headers = vec![
            header(":path", "/v1/completions"),
            header("x-request-id", "1"),
        ];
        self.say(Asked::RequestHeaders(HttpHeaders {
            headers: Some(HeaderMap { headers }),
            end_of_stream: false,
        }));
    }

    pub fn body(&mut self, text: &'static str, end_of_stream: bool) {
        self.say(Asked::RequestBody(HttpBody {
            body: Bytes::from_static(text.as_bytes()),
            end_of_stream,
        }));
    }

    pub fn answer_begins(&mut self) {
        let headers = vec![header(":status", "200")];
        self.say(Asked::ResponseHeaders(HttpHeaders {
            headers: Some(HeaderMap { headers }),
            end_of_stream: false,
        }));
    }

    /// A short answer, to its end.
    pub fn answered(&mut self) {
        self.answer_begins();
        self.say(Asked::ResponseBody(HttpBody {
            body: Bytes::from_static(b"{}"),
            end_of_stream: true,
        }));
    }

    pub async fn next(&mut self) -> Said {
        if self.body.is_none() {
            let answer = &mut self.answer;
            self.body = answer.await.expect("not cut off");
        }
        loop {
            if let Some(message) = self.message() {
                return said(message);
            }
            let Some(body) = &mut self.body else {
                return Said::End;
            };
            match body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.read.extend_from_slice(&data);
                    }
                }
                _ => return Said::End,
            }
        }
    }

    fn message(&mut self) -> Option<ProcessingResponse> {
        let length = self.read.get(1..5)?;
        let length = u32::from_be_bytes(length.try_into().expect("four bytes")) as usize;
        if self.read.len() < 5 + length {
            return None;
        }
        self.read.advance(5);
        let bytes = self.read.split_to(length).freeze();
        Some(ProcessingResponse::decode(bytes).expect("a message"))
    }
}

fn said(message: ProcessingResponse) -> Said {
    match message.response {
        Some(Answer::RequestHeaders(answer)) => {
            let mutation = answer.response.and_then(|common| common.header_mutation);
            let set = mutation.map(|mutation| mutation.set_headers);
            let mut headers = set.unwrap_or_default().into_iter();
            let headers = headers.find_map(|option| {
                let header = option.header?;
                (header.key == "x-gateway-destination-endpoint").then_some(header.raw_value)
            });
            let value = headers.unwrap_or_default();
            Said::Destination(String::from_utf8_lossy(&value).into_owned())
        }
        Some(Answer::RequestBody(_) | Answer::ResponseHeaders(_) | Answer::ResponseBody(_)) => {
            Said::Body
        }
        _ => Said::Other,
    }
}
