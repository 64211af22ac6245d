//! Blocks, for people: which there are, what they hold, and their end.
//!
//! ```text
//! GET    /stat                                  what there is, as JSON
//! GET    /blocks?namespace=N[&cursor=C]         some keys of blocks in memory, as JSON; next 0: no more
//! GET    /block?namespace=N&key=K               a block's bytes
//! DELETE /block?namespace=N&key=K               takes it out of all tiers
//! POST   /pin?namespace=N&key=K, /unpin?..      makes it stay in memory, lets it go
//! POST   /flush?namespace=N                     takes out all that a namespace has, in all tiers
//! POST   /verify[?namespace=N]                  reads every block in memory and on disk, a line as it goes
//! ```
//!
//! Keys are bytes: all but letters, digits and `-._~` are written `%XX`, in answers too.

use super::{Answer, text, verify};
use crate::{
    catalog::Gone,
    ledger::Door,
    namespace::Namespace,
    store::{Store, View},
};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, StreamBody, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use serde_json::{Value as Json, json};
use std::{convert::Infallible, fmt::Write as _, sync::Arc};

/// Keys of one answer.
const PAGE_KEYS: usize = 1000;
/// Bytes of a block that are one piece of an answer.
const PIECE: usize = 1 << 20;

/// Why there is no answer, in words.
type Fault = (StatusCode, String);

fn fault(status: StatusCode, why: &str) -> Fault {
    (status, format!("{why}\n"))
}

/// What is asked about.
struct Asked {
    namespace: Option<String>,
    key: Option<Vec<u8>>,
    cursor: u64,
}

impl Asked {
    fn of(query: &str) -> Result<Self, String> {
        let mut asked = Self {
            namespace: None,
            key: None,
            cursor: 0,
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = plain(value).ok_or_else(|| format!("`{value}` is no value\n"))?;
            let word =
                || String::from_utf8(value.clone()).map_err(|_| format!("{name} is no text\n"));
            match name {
                "namespace" => asked.namespace = Some(word()?),
                "cursor" => {
                    let cursor = word()?.parse();
                    asked.cursor = cursor.map_err(|_| "cursor is no number\n".to_owned())?;
                }
                "key" => asked.key = Some(value),
                other => return Err(format!("`{other}` is nothing that can be asked\n")),
            }
        }
        Ok(asked)
    }

    fn namespace(&self, store: &Store) -> Result<Arc<Namespace>, Fault> {
        let missing = || fault(StatusCode::BAD_REQUEST, "namespace= is missing");
        let name = self.namespace.as_deref().ok_or_else(missing)?;
        let all = store.namespaces().all();
        let found = all.into_iter().find(|namespace| namespace.name == name);
        found.ok_or_else(|| fault(StatusCode::NOT_FOUND, "there is no such namespace"))
    }

    fn key(&self) -> Result<&[u8], Fault> {
        let missing = || fault(StatusCode::BAD_REQUEST, "key= is missing");
        self.key.as_deref().ok_or_else(missing)
    }
}

/// Answers what is asked of blocks.
pub(super) async fn answer(request: &Request<Incoming>, store: &Arc<Store>) -> Answer {
    let asked = match Asked::of(request.uri().query().unwrap_or_default()) {
        Ok(asked) => asked,
        Err(fault) => return text(StatusCode::BAD_REQUEST, fault),
    };
    match route(request.method(), request.uri().path(), &asked, store).await {
        Ok(answer) => answer,
        Err((status, why)) => text(status, why),
    }
}

async fn route(
    method: &Method,
    path: &str,
    asked: &Asked,
    store: &Arc<Store>,
) -> Result<Answer, Fault> {
    let view = || {
        let namespace = asked.namespace(store)?;
        Ok(View::new(Arc::clone(store), namespace, Door::Admin))
    };
    match (method, path) {
        (&Method::GET, "/stat") => Ok(said(&stat(store))),
        (&Method::GET, "/blocks") => Ok(said(&page(&view()?, asked.cursor))),
        (&Method::GET, "/block") => block(&view()?, asked.key()?).await,
        (&Method::DELETE, "/block") => Ok(said(&json!({"bytes": view()?.delete(asked.key()?)}))),
        (&Method::POST, "/pin") => Ok(said(&json!({"bytes": view()?.pin(asked.key()?, true)}))),
        (&Method::POST, "/unpin") => Ok(said(&json!({"bytes": view()?.pin(asked.key()?, false)}))),
        (&Method::POST, "/flush") => flush(&view()?).await,
        (&Method::POST, "/verify") => {
            let namespace = asked.namespace.as_ref();
            let namespace = namespace.map(|_| asked.namespace(store)).transpose()?;
            Ok(verify::answer(store, namespace))
        }
        _ => Err(fault(
            StatusCode::NOT_FOUND,
            "there are /metrics, /health, /ready, /stat, /blocks, /block, /pin, /unpin, /flush, /verify",
        )),
    }
}

fn said(json: &Json) -> Answer {
    let mut answer = text(StatusCode::OK, format!("{json}\n"));
    let kind = header::HeaderValue::from_static("application/json");
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    answer
}

fn stat(store: &Store) -> Json {
    let now = store.stat();
    let disk = store.disk().map(|disk| {
        let sizes = disk.sizes();
        json!({"blocks": sizes.blocks, "bytes": sizes.bytes, "index_bytes": sizes.index_bytes,
            "waiting_bytes": sizes.waiting_bytes,
            "hits": disk.stat().hits.get(), "corrupt": disk.stat().corrupt.get()})
    });
    let remote = store.remote().map(|remote| {
        let stat = remote.stat();
        json!({"waiting_bytes": remote.waiting_bytes(), "left_alone": remote.is_left_alone(),
            "hits": stat.hits.get(), "written": stat.written.get(), "known": stat.known.get(),
            "dropped": stat.dropped.get(), "faults": stat.faults.get(), "corrupt": stat.corrupt.get()})
    });
    let namespace = |namespace: &Arc<Namespace>| {
        let count = store.count(namespace);
        let sum = |of: fn(&crate::Ledger) -> u64| -> u64 {
            Door::ALL
                .iter()
                .map(|door| of(namespace.ledger(*door)))
                .sum()
        };
        json!({"name": namespace.name, "blocks": count.blocks, "bytes": count.bytes,
            "lookups": sum(|ledger| ledger.lookups.get()), "lookup_hits": sum(|ledger| ledger.lookup_hits.get()),
            "hits": sum(|ledger| ledger.hits.get()),
            "misses": sum(|ledger| ledger.misses.iter().map(crate::Counter::get).sum()),
            "puts": sum(|ledger| ledger.puts.get())})
    };
    let namespaces: Vec<Json> = store.namespaces().all().iter().map(namespace).collect();
    json!({
        "memory": {"bytes": now.memory_bytes, "used_bytes": now.used_bytes, "blocks": now.blocks,
            "record_bytes": now.record_bytes, "leased_bytes": now.leased_bytes},
        "disk": disk, "remote": remote, "namespaces": namespaces,
    })
}

fn page(view: &View, cursor: u64) -> Json {
    let page = view.scan(cursor, PAGE_KEYS);
    let keys = page.keys.iter();
    let blocks: Vec<Json> = keys
        .map(|(key, bytes)| json!({"key": written(key), "bytes": bytes}))
        .collect();
    json!({"next": page.next, "blocks": blocks})
}

async fn block(view: &View, key: &[u8]) -> Result<Answer, Fault> {
    let found = view.read(key).await;
    let stored = found.map_err(|(gone, _)| {
        let why = match gone {
            Gone::Corrupt => "its bytes were damaged: it was taken out",
            _ => "there is no such block",
        };
        fault(StatusCode::NOT_FOUND, why)
    })?;
    let starts = (0..stored.block.len()).step_by(PIECE);
    let pieces = starts.flat_map(move |at| {
        let end = stored.block.len().min(at + PIECE);
        let parts: Vec<_> = stored
            .block
            .slices(at, end)
            .map(|part| Ok::<_, Infallible>(Frame::data(Bytes::copy_from_slice(&part))))
            .collect();
        parts
    });
    let body = StreamBody::new(futures_util::stream::iter(pieces));
    Ok(Response::new(BoxBody::new(body.boxed())))
}

/// Takes out all of a namespace, in all tiers.
async fn flush(view: &View) -> Result<Answer, Fault> {
    let blocks = view.flush();
    let mut remote = Json::Null;
    if let Some(tier) = view.store().remote() {
        match tier.erase(view.namespace()).await {
            Ok(objects) => remote = objects.into(),
            Err(error) => {
                let why = format!("{blocks} blocks are gone; the remote tier: {error}");
                return Err(fault(StatusCode::BAD_GATEWAY, &why));
            }
        }
    }
    Ok(said(&json!({"blocks": blocks, "remote_objects": remote})))
}

/// Bytes, a key's or a name's, as they may stand in a query of the admin address.
#[must_use]
pub fn written(key: &[u8]) -> String {
    let mut text = String::with_capacity(key.len());
    for byte in key {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            text.push(char::from(*byte));
        } else {
            // Writing to a String does not fail.
            _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// The bytes that [`written`] wrote.
fn plain(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        rest = more;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, more) = rest.split_at_checked(2)?;
        let digits = std::str::from_utf8(digits).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = more;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_key_comes_back_from_a_url() {
        let key: Vec<u8> = (0..=255).collect();
        let text = written(&key);
        assert!(
            text.bytes()
                .all(|byte| byte.is_ascii_graphic() && !b"&=#?+".contains(&byte))
        );
        assert_eq!(plain(&text), Some(key));
        assert_eq!((plain("%4"), plain("%zz")), (None, None));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (query, word) in [
            ("kee=1", "kee"),
            ("cursor=x", "cursor"),
            ("namespace=%ff", "namespace"),
        ] {
            let fault = Asked::of(query).err().expect(query);
            assert!(fault.contains(word), "{fault}");
        }
    }
}
