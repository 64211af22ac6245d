//! The replica model beside prefill times that were measured: Splitwise's table
//! (`splitwise_perf_model.csv`), where it lies in `$ONEFILL_TRACES` or `shared/traces` beside the
//! checkout.
#![expect(clippy::expect_used, reason = "a test")]

use onefill_kv::geometry::CacheDtype;
use onefill_plan::sizing::{Gpu, Machine, Model, Software};
use std::path::PathBuf;

fn table() -> Option<String> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/traces");
    let folder = std::env::var_os("ONEFILL_TRACES").map_or(beside.into(), PathBuf::from);
    std::fs::read_to_string(folder.join("splitwise_perf_model.csv")).ok()
}

/// Relative error of one row; `None` for accelerators that were capped in power.
fn error(header: &[&str], row: &str) -> Option<f64> {
    let fields: Vec<&str> = row.split(',').collect();
    let field = |name: &str| fields[header.iter().position(|each| *each == name).expect(name)];
    let number = |name: &str| field(name).parse::<f64>().expect(name);
    let gpu = match field("hardware") {
        "a100-80gb" => "a100",
        "h100-80gb" => "h100",
        _ => return None,
    };
    let name = match field("model") {
        "llama2-70b" => "llama-2-70b",
        _ => "bloom",
    };
    let model = Model::find(name, CacheDtype::Auto).expect("known");
    let machine = Machine {
        model: &model,
        gpu: Gpu::find(gpu).expect("known"),
        gpus: number("tensor_parallel") as u32,
        software: Software::measured_2023(gpu).expect("known"),
    };
    let (prompts, tokens) = (number("batch_size") as u64, number("prompt_size") as u64);
    let seconds = machine.batch_s(prompts, 0, tokens);
    Some((seconds * 1e3 / number("prompt_time") - 1.0).abs())
}

#[test]
fn prefill_times_are_those_that_were_measured() {
    let Some(table) = table() else {
        println!("skipped: splitwise_perf_model.csv is not there");
        return;
    };
    let mut lines = table.lines();
    let header: Vec<&str> = lines.next().expect("a header").split(',').collect();
    for (model, gpu) in [
        ("llama2-70b", "a100-80gb"),
        ("llama2-70b", "h100-80gb"),
        ("bloom-176b", "a100-80gb"),
        ("bloom-176b", "h100-80gb"),
    ] {
        let of = format!("{model},{gpu},");
        let rows = lines.clone().filter(|row| row.starts_with(&of));
        let mut errors: Vec<f64> = rows.filter_map(|row| error(&header, row)).collect();
        errors.sort_by(f64::total_cmp);
        let median = errors[errors.len() / 2];
        let (percent, rows) = (100.0 * median, errors.len());
        println!("{model} on {gpu}: median error {percent:.1} % of {rows} rows");
        assert!(median < 0.10, "{model} on {gpu}: {median}");
    }
}
