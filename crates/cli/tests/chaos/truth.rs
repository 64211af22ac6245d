//! The index beside what each replica says of itself.

use crate::{
    client::{body, json_of},
    fleet::Fleet,
    programs::wait_for,
};
use serde_json::Value;

/// Compares every prompt of the clients on every replica; gives how many were compared.
pub(crate) async fn compare(fleet: &Fleet, seed: u64) -> u64 {
    let counts = || async {
        let known = fleet.known().await;
        for (each, engine) in known.iter().zip(&fleet.engines) {
            let own = engine.get("/debug/blocks").await.unwrap_or_default();
            if each["held_blocks"] != own["cached_blocks"] {
                return false;
            }
        }
        true
    };
    wait_for("the index counts what the replicas hold", counts).await;
    let mut compared = 0;
    let mut held = 0;
    for chat in 0..48 {
        for turn in 0..4 {
            let (path, body) = body(chat, turn, false);
            let route = format!("/debug/route?path={path}");
            let page = json_of(fleet.admin, "POST", &route, &body)
                .await
                .expect("a route");
            for candidate in page["candidates"].as_array().expect("candidates") {
                let url = candidate["replica"].as_str().expect("its address");
                let engine = fleet
                    .engines
                    .iter()
                    .find(|engine| url.ends_with(&engine.address.to_string()));
                let page = format!("/debug/blocks?path={path}");
                let own = engine.expect("known").post(&page, &body).await;
                let own: Value = own.expect("an overlap");
                assert_eq!(
                    candidate["overlap_tokens"], own["cached_tokens"],
                    "seed {seed}, chat {chat}, turn {turn} on {url}: {candidate} {own}"
                );
                held += u64::from(own["cached_tokens"] != 0);
            }
            compared += 1;
        }
    }
    assert!(
        held > compared / 4,
        "nearly nothing was held: {held} of {compared}"
    );
    compared
}
