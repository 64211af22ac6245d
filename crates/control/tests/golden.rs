//! Each `LLMInference` of `cases` comes to the objects of `golden`, which were read by eye. After a change that
//! is meant: `ONEFILL_GOLDEN=write cargo test -p onefill-control --test golden`, and read the difference.
#![expect(clippy::expect_used, reason = "helpers of tests, for tests only")]

use onefill_control::{Input, Settings, Wrapping, compose};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs, path::Path};

fn read(path: &Path) -> Value {
    serde_saphyr::from_str(&fs::read_to_string(path).expect("a file")).expect("YAML")
}

/// Objects by key, the status and what else is told.
fn outcome(xr: &Value) -> Value {
    let composed = compose(&Input {
        composite: xr,
        observed: &BTreeMap::new(),
        found: &BTreeMap::new(),
        settings: &Settings::default(),
        wrapping: Wrapping::AsWanted,
    })
    .expect("a good one");
    let resources = composed.resources.into_iter();
    let objects: serde_json::Map<String, Value> = resources
        .map(|(key, resource)| (key, resource.object))
        .collect();
    json!({"objects": objects, "status": composed.status})
}

#[test]
fn every_case_comes_to_the_objects_that_were_read_by_eye() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let write = std::env::var_os("ONEFILL_GOLDEN").is_some();
    let mut cases = 0;
    let mut wrong = Vec::new();
    for entry in fs::read_dir(tests.join("cases")).expect("cases") {
        let case = entry.expect("a case").path();
        let golden = tests.join("golden").join(case.file_name().expect("a name"));
        let made = outcome(&read(&case));
        cases += 1;
        if write {
            let mut options = serde_saphyr::SerializerOptions::default();
            options.prefer_block_scalars = false;
            let text = serde_saphyr::to_string_with_options(&made, options).expect("YAML");
            fs::write(&golden, text).expect("written");
        } else if made != read(&golden) {
            wrong.push(case.display().to_string());
        }
    }
    assert!(cases >= 20, "{cases}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}
