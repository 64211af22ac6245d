//! Where replicas are found: given, in a file, behind a name.

use crate::{Discovery, FeedPorts, ReplicaSpec};
use std::{collections::BTreeSet, net::SocketAddr, path::Path, time::Duration};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How often a file or a name is read again.
const INTERVAL: Duration = Duration::from_secs(1);
/// Names change slowly, and resolvers cache.
const DNS_INTERVAL: Duration = Duration::from_secs(5);

/// Keeps the list of replicas up to date until `stop`.
pub(crate) fn watch(
    discovery: Discovery,
    stop: CancellationToken,
) -> watch::Receiver<Vec<ReplicaSpec>> {
    let (found, list) = watch::channel(Vec::new());
    tokio::spawn(async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = look(discovery, found) => {}
        }
    });
    list
}

async fn look(discovery: Discovery, found: watch::Sender<Vec<ReplicaSpec>>) {
    let tell = |list: Vec<ReplicaSpec>| {
        found.send_if_modified(|known| {
            let changed = *known != list;
            *known = list;
            changed
        });
    };
    match discovery {
        Discovery::Static(list) => tell(list),
        Discovery::Followed(mut list) => loop {
            tell(list.borrow_and_update().clone());
            if list.changed().await.is_err() {
                return; // nobody is left to change it
            }
        },
        Discovery::File(path) => loop {
            match read_file(&path).await {
                Ok(list) => tell(list),
                // A file that can't be read changes nothing: replicas that serve go on serving.
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "the replicas file can't be read");
                }
            }
            tokio::time::sleep(INTERVAL).await;
        },
        Discovery::Dns { name, port, feeds } => loop {
            match tokio::net::lookup_host((name.as_str(), port)).await {
                Ok(addresses) => {
                    let addresses: BTreeSet<_> = addresses.collect();
                    let specs = addresses.into_iter().map(|address| named(address, feeds));
                    tell(specs.collect());
                }
                Err(error) => tracing::warn!(name, %error, "the replicas' name can't be resolved"),
            }
            tokio::time::sleep(DNS_INTERVAL).await;
        },
        Discovery::Kubernetes {
            namespace,
            selector,
            port,
        } => {
            crate::kubernetes::watch(namespace, &selector, port, &tell).await;
        }
    }
}

/// A replica that a name resolved to.
fn named(address: SocketAddr, feeds: FeedPorts) -> ReplicaSpec {
    let feed = |port: Option<u16>| {
        let at = |port| format!("tcp://{}", SocketAddr::new(address.ip(), port));
        port.map(at)
    };
    ReplicaSpec {
        url: format!("http://{address}"),
        events: feed(feeds.events),
        replay: feed(feeds.replay),
        ..ReplicaSpec::default()
    }
}

async fn read_file(path: &Path) -> std::io::Result<Vec<ReplicaSpec>> {
    Ok(parse(&tokio::fs::read_to_string(path).await?))
}

/// A replica a line: its URL, then `events=`, `replay=`, `block_tokens=`, `capacity_blocks=` where
/// they are not to be asked for. `#` begins a comment.
pub(crate) fn parse(text: &str) -> Vec<ReplicaSpec> {
    let lines = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default());
    lines.filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<ReplicaSpec> {
    let mut words = line.split_whitespace();
    let url = words.next()?.trim_end_matches('/').to_owned();
    let mut spec = ReplicaSpec {
        url,
        ..ReplicaSpec::default()
    };
    for word in words {
        match word.split_once('=') {
            Some(("events", value)) => spec.events = Some(value.to_owned()),
            Some(("replay", value)) => spec.replay = Some(value.to_owned()),
            Some(("block_tokens", value)) => spec.block_tokens = value.parse().ok(),
            Some(("capacity_blocks", value)) => spec.capacity_blocks = value.parse().ok(),
            _ => tracing::warn!(word, "a word of the replicas file means nothing"),
        }
    }
    Some(spec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_gives_replicas_and_their_feeds() {
        let feeds = FeedPorts {
            events: Some(5557),
            replay: None,
        };
        let spec = named("10.0.0.1:8000".parse().unwrap(), feeds);
        assert_eq!(spec.url, "http://10.0.0.1:8000");
        assert_eq!(spec.events.as_deref(), Some("tcp://10.0.0.1:5557"));
        assert_eq!(spec.replay, None);
    }

    #[test]
    fn a_file_names_a_replica_a_line() {
        let list =
            parse("# fleet\nhttp://a:1/ events=tcp://a:2 block_tokens=16\n\nhttp://b:1 # spare\n");
        assert_eq!(list.len(), 2);
        assert_eq!(list[0].url, "http://a:1");
        assert_eq!(list[0].events.as_deref(), Some("tcp://a:2"));
        assert_eq!(list[0].block_tokens, Some(16));
        assert_eq!(
            list[1],
            ReplicaSpec {
                url: "http://b:1".into(),
                ..ReplicaSpec::default()
            }
        );
    }
}
