//! `/v1/models` of the whole fleet: each model once.

use crate::{
    app::App,
    reply::{self, Reply},
};
use http::StatusCode;
use onefill_fleet::{Health, ServedModel};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The merged list, of replicas that are up.
pub(crate) fn list(app: &App) -> Reply {
    let mut models: BTreeMap<String, Value> = BTreeMap::new();
    for member in &app.roster().members {
        let status = member.replica.status();
        if status.health == Health::Up {
            for model in status.models.iter() {
                models
                    .entry(model.id.clone())
                    .or_insert_with(|| card(model));
            }
        }
    }
    let data: Vec<Value> = models.into_values().collect();
    reply::json(StatusCode::OK, &json!({ "object": "list", "data": data }))
}

fn card(model: &ServedModel) -> Value {
    json!({
        "id": model.id, "object": "model", "created": 0, "owned_by": "vllm",
        "root": model.root, "parent": model.lora_of, "max_model_len": model.max_model_len,
    })
}
