//! `lm://`: see [`onefill_wire::lm`]. Its clients never connect again and never wait for a PUT, so
//! whatever can't be kept is read and dropped, and the connection stays in step.

use super::{Conn, DoorError};
use crate::{
    catalog::{Attributes, Put},
    store::View,
};
use onefill_wire::lm::{self, Command, Layout, Reply};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};

/// Serves one connection to its end.
pub(crate) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    conn: Conn<S>,
    view: View,
) -> Result<(), DoorError> {
    let mut session = Session { conn, view };
    while let Some(header) = session.header().await? {
        let request = lm::parse(&header)?;
        match request.command {
            Command::Put => session.put(&request).await?,
            Command::Get => session.get(request.key).await?,
            Command::Exist => session.exist(request.key).await,
            Command::Health => session.answer(&Reply {
                found: true,
                ..Reply::MISS
            }),
            // `lmcache_server` does not answer it, and no client sends it.
            Command::List => {}
        }
        session.conn.flush_if_much().await?;
    }
    Ok(())
}

struct Session<S> {
    conn: Conn<S>,
    view: View,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    /// The next request's header; `None` where the client is done.
    async fn header(&mut self) -> Result<Option<[u8; lm::REQUEST_LEN]>, DoorError> {
        loop {
            let input = self.conn.input();
            if let Some(header) = input.first_chunk().copied() {
                self.conn.take(lm::REQUEST_LEN);
                return Ok(Some(header));
            }
            let idle = input.is_empty();
            if !self.conn.fill(idle).await? {
                return if idle { Ok(None) } else { Err(DoorError::Cut) };
            }
        }
    }

    async fn put(&mut self, request: &lm::Request<'_>) -> Result<(), DoorError> {
        let len = usize::try_from(request.length).unwrap_or(usize::MAX);
        let Ok(mut draft) = self.view.reserve(request.key, len).await else {
            return self.conn.skip(u64::from(request.length)).await;
        };
        if let Err(error) = self.conn.receive(&mut draft).await {
            self.view.abort(draft);
            return Err(error);
        }
        let layout = Attributes::Lm(Arc::new(request.layout));
        let put = Put {
            attributes: self.view.namespace().share(layout),
            ..Put::default()
        };
        self.view.commit(request.key, draft, &put);
        Ok(())
    }

    async fn get(&mut self, key: &[u8]) -> Result<(), DoorError> {
        let Ok(stored) = self.view.read(key).await else {
            self.answer(&Reply::MISS);
            return Ok(());
        };
        let Some(reply) = found(&stored.attributes, stored.block.len()) else {
            self.answer(&Reply::MISS);
            return Ok(());
        };
        self.answer(&reply);
        let whole = (0, stored.block.len());
        self.conn.send(&stored.block, whole, &[]).await
    }

    async fn exist(&mut self, key: &[u8]) {
        let found = self.view.lookup(key, true).await.is_some();
        self.answer(&Reply {
            found,
            ..Reply::MISS
        });
    }

    fn answer(&mut self, reply: &Reply) {
        self.conn.output.extend_from_slice(&lm::encode_reply(reply));
    }
}

/// The header of a block that this protocol can send: one that came with a layout.
fn found(attributes: &Attributes, len: usize) -> Option<Reply> {
    let layout: Layout = match attributes {
        Attributes::Lm(layout) => **layout,
        Attributes::None => return None,
    };
    let length = u32::try_from(len).ok()?;
    i32::try_from(length).ok()?;
    Some(Reply {
        found: true,
        length,
        layout,
    })
}
