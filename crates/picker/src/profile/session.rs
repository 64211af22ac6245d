//! A session stays where it is.

use super::Scene;
use crate::endpoint::Endpoint;
use hashbrown::HashMap;
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};

/// Sessions remembered; at the bound the stale leave, then new ones are not remembered.
const SESSIONS_MAX: usize = 100_000;

/// How a request names its session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Strategy {
    /// The client brings back the token that it was given: base64 of `namespace/name`.
    Token {
        /// Header both ways.
        header: String,
    },
    /// The client names it; where it went is remembered here.
    Id {
        /// Headers that may name it, the first that does counts.
        headers: Vec<String>,
        /// For how long after its last request.
        ttl: Duration,
    },
}

impl Default for Strategy {
    fn default() -> Self {
        Self::Token {
            header: "x-session-token".to_owned(),
        }
    }
}

/// Knows which endpoint a session belongs to. Clones (a filter and a scorer) share what they know.
#[derive(Clone, Debug, Default)]
pub struct Affinity {
    strategy: Strategy,
    known: Arc<Mutex<HashMap<String, (String, Duration)>>>,
}

impl Affinity {
    /// With nothing known yet.
    #[must_use]
    pub fn new(strategy: Strategy) -> Self {
        Self {
            strategy,
            known: Arc::default(),
        }
    }

    /// Name of the endpoint to which the request's session belongs.
    fn owner(&self, scene: &Scene<'_>) -> Option<String> {
        match &self.strategy {
            Strategy::Token { header } => decode(&scene.headers.get(header)?),
            Strategy::Id { ttl, .. } => {
                let known = self.known.lock();
                let (name, at) = known.get(&self.id(scene)?)?;
                (scene.now < *at + *ttl).then(|| name.clone())
            }
        }
    }

    fn id(&self, scene: &Scene<'_>) -> Option<String> {
        let Strategy::Id { headers, .. } = &self.strategy else {
            return None;
        };
        let mut values = headers.iter().filter_map(|name| scene.headers.get(name));
        values
            .find(|id| !id.is_empty())
            .map(std::borrow::Cow::into_owned)
    }

    /// Whether the request's session belongs there.
    pub(super) fn is_of(&self, scene: &Scene<'_>, one: &Endpoint) -> bool {
        self.owner(scene).is_some_and(|owner| owner == name(one))
    }

    /// Those to which the session belongs; all where there is none such.
    pub(super) fn keep(&self, scene: &Scene<'_>, places: Vec<usize>) -> Vec<usize> {
        let Some(owner) = self.owner(scene) else {
            return places;
        };
        let its = |place: &&usize| name(&scene.endpoints[**place]) == owner;
        let kept: Vec<usize> = places.iter().filter(its).copied().collect();
        if kept.is_empty() { places } else { kept }
    }

    /// The session goes there from now on.
    pub(super) fn chosen(&self, scene: &Scene<'_>, at: &Endpoint) -> Option<(String, String)> {
        match &self.strategy {
            Strategy::Token { header } => Some((header.clone(), encode(&name(at)))),
            Strategy::Id { ttl, .. } => {
                let id = self.id(scene)?;
                let mut known = self.known.lock();
                if known.len() >= SESSIONS_MAX && !known.contains_key(&id) {
                    known.retain(|_, (_, at)| scene.now < *at + *ttl);
                }
                if known.len() < SESSIONS_MAX || known.contains_key(&id) {
                    known.insert(id, (name(at), scene.now));
                }
                None
            }
        }
    }
}

fn name(one: &Endpoint) -> String {
    format!("{}/{}", one.pod.namespace, one.pod.name)
}

fn encode(name: &str) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    STANDARD.encode(name)
}

fn decode(token: &str) -> Option<String> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    String::from_utf8(STANDARD.decode(token.trim()).ok()?).ok()
}
