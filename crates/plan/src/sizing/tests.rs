//! Sizes and rates are those that were published or measured.

use super::*;
use crate::generate::{Kind, Volume, generate};
use onefill_kv::geometry::CacheDtype;

fn model(name: &str) -> Model {
    Model::find(name, CacheDtype::Auto).expect("known")
}

/// Bytes a token in bf16 and fp8, tokens a GiB.
const KEPT: [(&str, u64, u64, u64); 9] = [
    ("Qwen/Qwen2.5-1.5B-Instruct", 28_672, 14_336, 37_449),
    ("Qwen/Qwen2.5-7B-Instruct", 57_344, 28_672, 18_724),
    ("meta-llama/Llama-3.1-8B-Instruct", 131_072, 65_536, 8_192),
    ("meta-llama/Meta-Llama-3.1-70B", 327_680, 163_840, 3_276),
    ("Qwen/Qwen2.5-72B-Instruct", 327_680, 163_840, 3_276),
    ("meta-llama/Llama-3.1-405B", 516_096, 258_048, 2_080),
    ("deepseek-ai/DeepSeek-V3-0324", 70_272, 35_136, 15_279),
    ("deepseek-ai/DeepSeek-R1", 70_272, 35_136, 15_279),
    ("moonshotai/Kimi-K2-Instruct", 70_272, 35_136, 15_279),
];

#[test]
fn a_token_takes_what_engines_keep_of_it() {
    for (name, half, fp8, tokens) in KEPT {
        let kept = |cache| Model::find(name, cache).expect(name).kv.bytes_per_token();
        assert_eq!(kept(CacheDtype::Auto), half, "{name}");
        assert_eq!(kept(CacheDtype::Fp8), fp8, "{name}");
        assert_eq!((1 << 30) / half, tokens, "{name}");
    }
    let sparse = Model::find("deepseek-v3", CacheDtype::Fp8DsMla).expect("known");
    assert_eq!(sparse.kv.bytes_per_token(), 40_016);
    assert!(Model::find("llama-3.1-8b", CacheDtype::Fp8DsMla).is_err());
}

#[test]
fn a_name_is_of_one_architecture_only() {
    assert_eq!(model("Qwen/Qwen2.5-72B").layers, 80);
    assert_eq!(model("qwen2.5-7b-instruct-awq").layers, 28);
    let distilled = Model::find("DeepSeek-R1-Distill-Llama-70B", CacheDtype::Auto);
    assert!(matches!(distilled, Err(ModelError::Unknown(..))));
}

/// Model, accelerators, prefix, tokens recomputed a second, break-even GB/s, times faster over
/// 10G, 25G, `NVMe4`, 100G, `NVMe5` and 400G.
type Row = (&'static str, u32, &'static str, u64, f64, f64, [f64; 6]);

#[rustfmt::skip]
const BREAK_EVEN: [Row; 16] = [
    ("llama-3.1-8b", 1, "a100", 4, 9_105.0, 1.19, [0.9, 2.3, 5.4, 9.4, 10.9, 37.7]),
    ("llama-3.1-8b", 1, "a100", 32, 6_329.0, 0.83, [1.3, 3.4, 7.8, 13.5, 15.7, 54.0]),
    ("llama-3.1-8b", 1, "h100", 4, 28_861.0, 3.78, [0.3, 0.7, 1.7, 3.0, 3.4, 11.9]),
    ("llama-3.1-8b", 1, "h100", 32, 20_061.0, 2.63, [0.4, 1.1, 2.5, 4.3, 4.9, 17.0]),
    ("llama-3.1-8b", 1, "h100", 128, 9_808.0, 1.29, [0.9, 2.2, 5.1, 8.7, 10.1, 35.0]),
    ("qwen3-32b", 2, "a100", 4, 4_464.0, 1.17, [0.9, 2.4, 5.6, 9.6, 11.1, 38.5]),
    ("qwen3-32b", 2, "h100", 4, 14_150.0, 3.71, [0.3, 0.8, 1.8, 3.0, 3.5, 12.1]),
    ("qwen3-32b", 2, "h100", 32, 9_894.0, 2.59, [0.4, 1.1, 2.5, 4.3, 5.0, 17.0]),
    ("qwen3-32b", 2, "h100", 128, 4_871.0, 1.28, [0.9, 2.2, 5.1, 8.8, 10.2, 35.0]),
    ("llama-3.1-70b", 4, "a100", 4, 4_257.0, 1.40, [0.8, 2.0, 4.7, 8.0, 9.3, 32.0]),
    ("llama-3.1-70b", 4, "h100", 4, 13_495.0, 4.42, [0.2, 0.6, 1.5, 2.5, 2.9, 10.2]),
    ("llama-3.1-70b", 4, "h100", 32, 10_741.0, 3.52, [0.3, 0.8, 1.8, 3.2, 3.7, 12.8]),
    ("llama-3.1-70b", 4, "h100", 128, 6_320.0, 2.07, [0.5, 1.4, 3.1, 5.4, 6.3, 21.7]),
    ("deepseek-v3", 8, "h100", 4, 35_693.0, 2.51, [0.4, 1.1, 2.6, 4.5, 5.2, 17.9]),
    ("deepseek-v3", 8, "h100", 32, 19_289.0, 1.36, [0.8, 2.1, 4.8, 8.3, 9.6, 33.0]),
    ("deepseek-v3", 8, "h100", 128, 7_488.0, 0.53, [2.1, 5.3, 12.4, 21.3, 24.7, 86.0]),
];
/// Links of the table's columns.
const COLUMNS: [usize; 6] = [0, 1, 2, 3, 4, 6];

fn machine<'a>(model: &'a Model, gpus: u32, gpu: &str) -> Machine<'a> {
    Machine {
        model,
        gpu: Gpu::find(gpu).expect("known"),
        gpus,
        software: Software::usual(model),
    }
}

/// Within 2 %, or half of the last digit that was published.
fn near(ours: f64, published: f64, digit: f64) -> bool {
    (ours - published).abs() <= f64::max(0.02 * published, digit / 2.0)
}

#[test]
fn loading_breaks_even_where_it_was_published_to() {
    for (name, gpus, gpu, kilo, rate, break_even, times) in BREAK_EVEN {
        let model = model(name);
        let machine = machine(&model, gpus, gpu);
        let (prefix, kept) = (kilo << 10, model.kv.bytes_per_token());
        let at = format!("{name} on {gpus} {gpu}, {kilo}k");
        let ours = machine.recompute_tokens_s(prefix);
        assert!(near(ours, rate, 1.0), "{at}: {ours}");
        let bytes_s = machine.break_even_bytes_s(prefix, kept);
        assert!(near(bytes_s / 1e9, break_even, 0.01), "{at}: {bytes_s}");
        for (link, times) in COLUMNS.into_iter().zip(times) {
            let ours = LINKS[link].gb_s * 1e9 / bytes_s;
            let digit = if times >= 10.0 && times.fract() == 0.0 {
                1.0
            } else {
                0.1
            };
            assert!(
                near(ours, times, digit),
                "{at}, {}: {ours}",
                LINKS[link].name
            );
        }
    }
}

#[test]
fn the_least_prefix_worth_loading_grows_with_the_time_to_its_first_byte() {
    // 100G, after 50 ms and after 1.2 s; published to two or three digits.
    for (name, gpus, soon, late) in [
        ("llama-3.1-8b", 1, 2.3, 31.9),
        ("llama-3.1-70b", 4, 1.2, 21.4),
        ("qwen3-32b", 2, 1.2, 19.1),
        ("deepseek-v3", 8, 2.5, 28.5),
    ] {
        let model = model(name);
        let machine = machine(&model, gpus, "h100");
        for (first_s, published) in [(0.05, soon), (1.2, late)] {
            let kept = model.kv.bytes_per_token();
            let least = machine.least_tokens(first_s, 11.2e9, kept, 1 << 20);
            // Published in whole blocks of 64.
            let least = least.expect("it wins").next_multiple_of(64) as f64 / 1e3;
            assert!(near(least, published, 0.1), "{name}: {least}");
        }
    }
    // Over 25G dense models on H100s win only where attention has made computing slow.
    let model = model("llama-3.1-8b");
    let machine = machine(&model, 1, "h100");
    let least = machine.least_tokens(0.0, 2.8e9, 131_072, 1 << 20);
    assert!(
        least.is_some_and(|least| (20_000..70_000).contains(&least)),
        "{least:?}"
    );
    assert_eq!(machine.least_tokens(0.0, 0.5e9, 131_072, 1 << 17), None);
}

#[test]
fn a_workload_is_sized_with_room_for_what_it_shares() {
    let trace = generate(
        Kind::Chat,
        &Volume {
            requests: 2000,
            ..Volume::default()
        },
    );
    let ideal = ideal_ratio(&trace);
    let eviction = onefill_evict::Choice::Lru;
    let tokens = size_for(&trace, 0.9 * ideal, eviction).expect("in reach");
    let blocks = trace.blocks_of(tokens);
    assert!(hit_ratio(&trace, blocks, eviction, 0.0) >= 0.9 * ideal);
    assert!(hit_ratio(&trace, blocks * 9 / 10, eviction, 0.0) < 0.9 * ideal);
    assert_eq!(size_for(&trace, ideal + 0.01, eviction), None);
}

fn site(replicas: u32) -> Site {
    Site {
        gpu: Gpu::find("h100").expect("known"),
        gpus: 1,
        replicas,
        gpu_memory_share: 0.9,
        weight_bits: 16.0,
        host_bytes: None,
        node_bytes: 64.0 * (1_u64 << 30) as f64,
        network_bytes_s: 11.2e9,
        first_byte_s: 0.005,
        prefill_tokens_s: None,
    }
}

fn asked<'a>(model: &'a Model, site: Site, trace: Option<&'a crate::trace::Trace>) -> Ask<'a> {
    Ask {
        model,
        site,
        block_tokens: 16,
        trace,
        wanted: None,
        prices: Prices::default(),
    }
}

#[test]
fn without_a_workload_the_store_is_four_times_the_replicas_host_memory() {
    let model = model("llama-3.1-8b");
    let plan = plan(&asked(&model, site(4), None), &mut |_| {}).expect("fits");
    assert_eq!(
        section(&plan),
        "kvCache:\n  enabled: true\n  offload:\n    cpu: 4Gi\n  store:\n    mode: Managed\n    \
         size: 64Gi\n  routing:\n    mode: KV\n    blockSize: 16\n"
    );
}

#[test]
fn one_replica_shares_with_nobody() {
    let model = model("llama-3.1-8b");
    let plan = plan(&asked(&model, site(1), None), &mut |_| {}).expect("fits");
    assert!(plan.words[0].contains("nobody to share with"));
    assert!(section(&plan).contains("store:\n    mode: None\n  routing:\n    mode: None\n"));
}

#[test]
fn a_network_that_is_slower_than_computing_gets_no_store() {
    let model = model("llama-3.1-8b");
    let slow = Site {
        network_bytes_s: 0.1e9,
        ..site(4)
    };
    let plan = plan(&asked(&model, slow, None), &mut |_| {}).expect("fits");
    assert_eq!((plan.stores, plan.least_tokens), (0, None));
    assert!(plan.words[0].contains("no store"), "{:?}", plan.words);
}

#[test]
fn weights_that_leave_no_room_are_said() {
    let model = model("llama-3.1-70b");
    let fault = plan(&asked(&model, site(2), None), &mut |_| {}).expect_err("too large");
    assert!(fault.to_string().contains("--gpus"), "{fault}");
}

#[test]
fn requests_that_share_nothing_are_said_to_gain_nothing() {
    let model = model("llama-3.1-8b");
    let volume = Volume {
        requests: 300,
        ..Volume::default()
    };
    let trace = generate(Kind::Unrelated, &volume);
    let plan = plan(&asked(&model, site(2), Some(&trace)), &mut |_| {}).expect("fits");
    assert!(
        plan.words
            .iter()
            .any(|words| words.contains("share next to nothing"))
    );
    assert_eq!(plan.stores, 0);
}
