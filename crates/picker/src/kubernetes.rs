//! A pool in Kubernetes: an `InferencePool` and the pods that it selects, and what is said of models
//! (`InferenceObjective`, `InferenceModelRewrite`). Lists are watched, and listed anew where a watch
//! breaks or is too old; an API server that is away changes nothing.

mod mirror;
mod objects;

use crate::{
    pods::{Found, Tell},
    rules::Rules,
};
use futures_util::{Stream, StreamExt, stream::BoxStream};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject},
    runtime::{
        WatchStreamExt,
        watcher::{self, Event},
    },
};
use mirror::Mirror;
use objects::{PodObject, Pool};
use onefill_fleet::FeedPorts;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Changes that come so close together are one.
const TOGETHER: Duration = Duration::from_millis(20);
/// Kinds that are not installed are looked for this often.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Groups of `InferenceObjective` and `InferenceModelRewrite`, the current one first.
const MODEL_GROUPS: [&str; 2] = ["llm-d.ai", "inference.networking.x-k8s.io"];
const MODEL_VERSION: &str = "v1alpha2";

/// Which endpoints make up the pool.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Members {
    /// Those of an `InferencePool`.
    Pool {
        /// Its name.
        name: String,
        /// Its API group.
        group: String,
    },
    /// Pods with these labels, at these ports.
    Selector {
        /// All of which a pod must have.
        labels: BTreeMap<String, String>,
        /// Of each pod.
        ports: Vec<u16>,
    },
}

/// A pool's place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// Of the pool and its pods.
    pub namespace: String,
    /// Who belongs to it.
    pub members: Members,
    /// Where pods publish their events, if they are too old to tell.
    pub feeds: FeedPorts,
}

/// No way to the API server.
#[derive(Debug, thiserror::Error)]
#[error("no way to Kubernetes' API server: {0}")]
pub struct NoCluster(#[from] kube::Error);

/// Follows a pool of the cluster that this process is in, or that `KUBECONFIG` names, until `stop`.
pub async fn follow_here(
    place: &Place,
    stop: &CancellationToken,
) -> Result<(Found, watch::Receiver<Arc<Rules>>), NoCluster> {
    let client = Client::try_default().await?;
    Ok(follow(&client, place, stop))
}

/// Follows a pool until `stop`; gives its endpoints, and what is said of models.
pub fn follow(
    client: &Client,
    place: &Place,
    stop: &CancellationToken,
) -> (Found, watch::Receiver<Arc<Rules>>) {
    let (tell, found) = Found::channel(place.feeds);
    let (tell_rules, rules) = watch::channel(Arc::default());
    let watching = Watching {
        client: client.clone(),
        place: place.clone(),
    };
    let rules_too = watching.clone();
    tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
        watching.endpoints(&tell).await;
    }));
    tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
        rules_too.rules(&tell_rules).await;
    }));
    (found, rules)
}

type Events = BoxStream<'static, watcher::Result<Event<DynamicObject>>>;

#[derive(Clone)]
struct Watching {
    client: Client,
    place: Place,
}

impl Watching {
    fn watch(&self, resource: &ApiResource, config: watcher::Config) -> Events {
        let api = Api::namespaced_with(self.client.clone(), &self.place.namespace, resource);
        watcher::watcher(api, config).default_backoff().boxed()
    }

    async fn endpoints(&self, tell: &Tell) {
        let mut pools = match &self.place.members {
            Members::Pool { name, group } => {
                let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
                self.watch(&resource(group, "v1", "InferencePool"), config)
            }
            Members::Selector { .. } => futures_util::stream::pending().boxed(),
        };
        let mut pool = match &self.place.members {
            Members::Pool { .. } => None,
            Members::Selector { labels, ports } => Some(Pool {
                labels: labels.clone(),
                ports: ports.clone(),
            }),
        };
        let mut known: Mirror<Pool> = Mirror::default();
        let mut pods: Mirror<PodObject> = Mirror::default();
        let mut events = self.pods(pool.as_ref());
        let mut dirty = false;
        loop {
            tokio::select! {
                Some(event) = pools.next() => {
                    if heard("InferencePool", known.on(event, objects::pool)) {
                        let now = self.named(&known);
                        if now.as_ref().map(|pool| &pool.labels) != pool.as_ref().map(|pool| &pool.labels) {
                            pods = Mirror::default();
                            events = self.pods(now.as_ref());
                        }
                        pool = now;
                        dirty = true;
                    }
                }
                Some(event) = events.next() => {
                    dirty |= heard("Pod", pods.on(event, objects::pod));
                }
                () = tokio::time::sleep(TOGETHER), if dirty => {
                    dirty = false;
                    // Pods are not known yet right after the pool is.
                    if pods.is_whole() || pool.is_none() {
                        tell.all(objects::endpoints(pool.as_ref(), pods.all()));
                    }
                }
            }
        }
    }

    /// The pool of that name: an API server that knows no field selectors tells of others too.
    fn named(&self, known: &Mirror<Pool>) -> Option<Pool> {
        match &self.place.members {
            Members::Pool { name, .. } => known.get(name).cloned(),
            Members::Selector { .. } => None,
        }
    }

    fn pods(&self, pool: Option<&Pool>) -> Events {
        let Some(pool) = pool else {
            return futures_util::stream::pending().boxed();
        };
        let each = pool
            .labels
            .iter()
            .map(|(key, value)| format!("{key}={value}"));
        let selector = each.collect::<Vec<_>>().join(",");
        self.watch(
            &resource("", "v1", "Pod"),
            watcher::Config::default().labels(&selector),
        )
    }

    async fn rules(&self, tell: &watch::Sender<Arc<Rules>>) {
        let pool = match &self.place.members {
            Members::Pool { name, .. } => Some(name.as_str()),
            Members::Selector { .. } => None,
        };
        let objectives = self.optional("InferenceObjective");
        let rewrites = self.optional("InferenceModelRewrite");
        tokio::pin!(objectives, rewrites);
        let mut priorities = Mirror::default();
        let mut rules = Mirror::default();
        loop {
            let changed = tokio::select! {
                Some(event) = objectives.next() => {
                    heard("InferenceObjective", priorities.on(event, |object| objects::objective(object, pool)))
                }
                Some(event) = rewrites.next() => {
                    heard("InferenceModelRewrite", rules.on(event, |object| objects::rewrite(object, pool)))
                }
            };
            if changed {
                let now = objects::rules(&priorities, &rules);
                tell.send_replace(Arc::new(now));
            }
        }
    }

    /// Events of a kind that may not be installed, from whichever group has it.
    fn optional(
        &self,
        kind: &'static str,
    ) -> impl Stream<Item = watcher::Result<Event<DynamicObject>>> + use<> {
        let watching = self.clone();
        let started = async move {
            loop {
                for group in MODEL_GROUPS {
                    let resource = resource(group, MODEL_VERSION, kind);
                    if watching.is_served(&resource).await {
                        return watching.watch(&resource, watcher::Config::default());
                    }
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        futures_util::stream::once(started).flatten()
    }

    /// Whether the API server has a kind.
    async fn is_served(&self, resource: &ApiResource) -> bool {
        let listed = self
            .client
            .list_api_group_resources(&resource.api_version)
            .await;
        listed.is_ok_and(|list| list.resources.iter().any(|one| one.kind == resource.kind))
    }
}

fn resource(group: &str, version: &str, kind: &str) -> ApiResource {
    ApiResource::from_gvk(&kube::core::GroupVersionKind::gvk(group, version, kind))
}

/// Whether something has changed; a watch that broke is said once in a while, and goes on by itself.
fn heard(kind: &'static str, event: Result<bool, watcher::Error>) -> bool {
    event.unwrap_or_else(|error| {
        tracing::warn!(kind, %error, "what is known of it may be old: the API server does not answer as it should");
        false
    })
}

#[cfg(test)]
mod tests;
