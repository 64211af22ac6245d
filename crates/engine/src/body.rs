//! Bodies of answers: ready, or written piece by piece.

use crate::{
    answer::{Broken, Writer},
    replica::Replica,
};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::{
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll, ready},
};

type Next = Pin<Box<dyn Future<Output = (Writer, Option<Result<Bytes, Broken>>)> + Send>>;

/// An answer's body.
pub(crate) enum AnswerBody {
    /// `None` once given.
    Whole(Option<Bytes>),
    /// As tokens come.
    Stream(Streaming),
}

/// A stream being written.
pub(crate) struct Streaming {
    /// The piece being written; `None` at the end.
    next: Option<Next>,
    _in_flight: InFlight,
}

/// Counts a request until it is dropped.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<Replica>);

impl InFlight {
    pub(crate) fn new(replica: &Arc<Replica>) -> Self {
        replica.load.fetch_add(1, Relaxed);
        Self(Arc::clone(replica))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.load.fetch_sub(1, Relaxed);
    }
}

impl AnswerBody {
    pub(crate) fn stream(writer: Writer, in_flight: InFlight) -> Self {
        Self::Stream(Streaming {
            next: Some(next(writer)),
            _in_flight: in_flight,
        })
    }
}

fn next(mut writer: Writer) -> Next {
    Box::pin(async move {
        let piece = writer.next().await;
        (writer, piece)
    })
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match &mut *self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(streaming) => {
                let Some(writing) = &mut streaming.next else {
                    return Poll::Ready(None);
                };
                let (writer, piece) = ready!(writing.as_mut().poll(cx));
                streaming.next = piece.is_some().then(|| next(writer));
                Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(
            self,
            Self::Whole(None) | Self::Stream(Streaming { next: None, .. })
        )
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Stream(..) => SizeHint::default(),
        }
    }
}
