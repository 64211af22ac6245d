//! Who disturbs: one fault after the other, never so many that no replica is left. Its sleeps are
//! how long faults last and how far apart they come, not waits for an effect.

use crate::{
    client::Random,
    fleet::{Fleet, REPLICAS},
};
use serde_json::json;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

#[derive(Default)]
pub(crate) struct Done {
    pub(crate) kills: u64,
    pub(crate) cuts: u64,
}

/// Until `stop`. One replica at a time is away; another one's feed may be cut meanwhile.
pub(crate) async fn disturb(fleet: &Fleet, seed: u64, stop: CancellationToken) -> Done {
    let mut random = Random(seed ^ 0xc4a0_5000);
    let mut done = Done::default();
    while !stop.is_cancelled() {
        let place = random.below(REPLICAS as u64) as usize;
        let engine = &fleet.engines[place];
        let other = &fleet.engines[(place + 1) % REPLICAS];
        let away = Duration::from_millis(50 + random.below(700));
        match random.below(9) {
            0 | 1 => {
                engine.kill().await;
                done.kills += 1;
                tokio::time::sleep(away).await;
                engine.start().await;
            }
            2 => {
                engine.post("/fault", &json!({"restart": true})).await;
            }
            3 => {
                let order = json!({"unavailable_ms": away.as_millis() as u64});
                engine.post("/fault", &order).await;
                tokio::time::sleep(away).await;
            }
            4 => {
                // Refusals left over would add up: on every replica at once, none could serve.
                engine.post("/fault", &json!({"errors_503": 3})).await;
                tokio::time::sleep(away).await;
                engine.post("/fault", &json!({"errors_503": 0})).await;
            }
            5 => {
                engine.post("/fault", &json!({"cut_streams": 2})).await;
            }
            6 => {
                done.cuts += 1;
                other.post("/fault", &json!({"drop_batches": 3})).await;
            }
            7 => {
                done.cuts += 1;
                other.post("/fault", &json!({"lose_batches": 2})).await;
            }
            _ => {
                done.cuts += 1;
                other.post("/fault", &json!({"silence": true})).await;
                tokio::time::sleep(away).await;
                other.post("/fault", &json!({"silence": false})).await;
            }
        }
        tokio::time::sleep(Duration::from_millis(random.below(400))).await;
    }
    done
}
