//! Three simulated replicas and a router.

use crate::{
    client::{json_of, text_of},
    programs::{free_address, onefill, wait_for},
};
use serde_json::{Value, json};
use std::net::SocketAddr;
use tokio::{process::Child, sync::Mutex};

pub(crate) const REPLICAS: usize = 3;

pub(crate) struct Engine {
    pub(crate) address: SocketAddr,
    line: String,
    program: Mutex<Option<Child>>,
}

impl Engine {
    fn new() -> Self {
        let (address, events, replay) = (free_address(), free_address(), free_address());
        let line = format!(
            "engine --listen {address} --events tcp://*:{} --replay tcp://*:{} --blocks 700 \
             --block-size 16 --prefill-rate 40000 --decode-rate 400",
            events.port(),
            replay.port()
        );
        Self {
            address,
            line,
            program: Mutex::default(),
        }
    }

    /// Starts it, and waits until it answers.
    pub(crate) async fn start(&self) {
        *self.program.lock().await = Some(onefill(&self.line));
        let well = || async { self.get("/load").await.is_some() };
        wait_for("a replica answers", well).await;
    }

    /// SIGKILL.
    pub(crate) async fn kill(&self) {
        if let Some(mut program) = self.program.lock().await.take() {
            program.kill().await.expect("killed");
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Option<Value> {
        json_of(self.address, "GET", path, &Value::Null).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Option<Value> {
        json_of(self.address, "POST", path, body).await
    }
}

pub(crate) struct Fleet {
    pub(crate) engines: Vec<Engine>,
    pub(crate) door: SocketAddr,
    pub(crate) admin: SocketAddr,
    router: Child,
}

/// What the router takes of the machine.
pub(crate) struct Size {
    pub(crate) memory_bytes: u64,
    pub(crate) files: usize,
}

impl Fleet {
    pub(crate) async fn start() -> Self {
        let engines: Vec<Engine> = (0..REPLICAS).map(|_| Engine::new()).collect();
        for engine in &engines {
            engine.start().await;
        }
        let (door, admin) = (free_address(), free_address());
        let replicas: String = engines
            .iter()
            .map(|engine| format!(" --replica http://{}", engine.address))
            .collect();
        let router = onefill(&format!(
            "router --listen {door} --admin {admin} --policy kv --tokenizer simulated{replicas}"
        ));
        let fleet = Self {
            engines,
            door,
            admin,
            router,
        };
        wait_for("all replicas exact", || async { fleet.all_exact().await }).await;
        fleet
    }

    pub(crate) async fn known(&self) -> Vec<Value> {
        let page = json_of(self.admin, "GET", "/debug/fleet", &Value::Null).await;
        let replicas = page.map(|page| page["replicas"].clone());
        replicas
            .and_then(|replicas| replicas.as_array().cloned())
            .unwrap_or_default()
    }

    async fn all_exact(&self) -> bool {
        let known = self.known().await;
        known.len() == REPLICAS && known.iter().all(|each| each["knowledge"] == "exact")
    }

    /// Waits until nothing is in flight, every feed is read to its end, and every client's
    /// connection is gone.
    pub(crate) async fn quiet(&self) {
        let idle = || async {
            let known = self.known().await;
            let busy = |each: &Value| each["running"] != 0 || each["waiting"] != 0;
            known.len() == REPLICAS && !known.iter().any(busy) && self.all_exact().await
        };
        wait_for("the fleet is idle and exact", idle).await;
        // The one that asks is a connection too.
        let alone = || async { self.gauge("onefill_connections").await == Some(1) };
        wait_for("all clients are gone", alone).await;
    }

    /// A gauge of the router without labels.
    async fn gauge(&self, name: &str) -> Option<i64> {
        let page = text_of(self.admin, "GET", "/metrics", &Value::Null).await?;
        let mut lines = page.lines();
        lines.find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    }

    /// Ends all faults. What was lost for good is known again after a restart.
    pub(crate) async fn heal(&self) {
        for engine in &self.engines {
            let order = json!({"silence": false, "drop_batches": 0, "lose_batches": 0,
                "unavailable_ms": 0, "refuse_ms": 0, "errors_503": 0, "cut_streams": 0, "restart": true});
            engine.post("/fault", &order).await.expect("faults end");
        }
        wait_for("all replicas exact again", || async {
            self.all_exact().await
        })
        .await;
    }

    pub(crate) fn router_size(&self) -> Size {
        let process = self.router.id().expect("the router lives");
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("status");
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .expect("VmRSS");
        let kib: u64 = line
            .split_whitespace()
            .nth(1)
            .expect("a number")
            .parse()
            .expect("KiB");
        let files = std::fs::read_dir(format!("/proc/{process}/fd"))
            .expect("fd")
            .count();
        Size {
            memory_bytes: kib << 10,
            files,
        }
    }
}
