use super::*;

fn bytes(config: &str, cache: CacheDtype) -> u64 {
    KvGeometry::from_config(config, cache)
        .unwrap()
        .bytes_per_token()
}

/// Layers, heads, KV heads, hidden size of published models; bytes per token in bf16 and fp8.
const GROUPED: [(&str, [u32; 4], u64, u64); 6] = [
    ("Qwen2.5-1.5B", [28, 12, 2, 1536], 28_672, 14_336),
    ("Qwen2.5-7B", [28, 28, 4, 3584], 57_344, 28_672),
    ("Llama-3.1-8B", [32, 32, 8, 4096], 131_072, 65_536),
    ("Llama-3.1-70B", [80, 64, 8, 8192], 327_680, 163_840),
    ("Qwen2.5-72B", [80, 64, 8, 8192], 327_680, 163_840),
    ("Llama-3.1-405B", [126, 128, 8, 16_384], 516_096, 258_048),
];

#[test]
fn grouped_heads_with_a_derived_size() {
    for (name, [layers, heads, kv_heads, hidden], half, fp8) in GROUPED {
        let config = format!(
            r#"{{"num_hidden_layers":{layers},"num_attention_heads":{heads},"hidden_size":{hidden},
                "num_key_value_heads":{kv_heads},"torch_dtype":"bfloat16"}}"#
        );
        assert_eq!(bytes(&config, CacheDtype::Auto), half, "{name}");
        assert_eq!(bytes(&config, CacheDtype::Fp8), fp8, "{name}");
        assert_eq!(bytes(&config, CacheDtype::Float32), 2 * half, "{name}");
    }
}

/// DeepSeek-V3 and Kimi-K2 keep the same.
const LATENT: &str = r#"{"num_hidden_layers":61,"num_attention_heads":128,"num_key_value_heads":128,
    "hidden_size":7168,"kv_lora_rank":512,"qk_rope_head_dim":64,"torch_dtype":"bfloat16"}"#;

#[test]
fn latent_attention_keeps_one_vector() {
    assert_eq!(bytes(LATENT, CacheDtype::Auto), 70_272);
    assert_eq!(bytes(LATENT, CacheDtype::Fp8), 35_136);
    assert_eq!(bytes(LATENT, CacheDtype::Fp8DsMla), 40_016);
    let chunk = KvGeometry::from_config(LATENT, CacheDtype::Auto).unwrap();
    assert_eq!(chunk.bytes_per_block(256), 17_989_632);
}

#[test]
fn as_many_kv_heads_as_heads_and_a_given_size() {
    let own = r#"{"n_layer":2,"n_head":4,"n_embd":10,"head_dim":8,"dtype":"float32"}"#;
    assert_eq!(bytes(own, CacheDtype::Auto), 2 * 2 * 4 * 8 * 2);
}

#[test]
fn one_kv_head() {
    let falcon = r#"{"num_hidden_layers":32,"num_attention_heads":71,"hidden_size":4544,
        "multi_query":true,"torch_dtype":"bfloat16"}"#;
    assert_eq!(bytes(falcon, CacheDtype::Auto), 2 * 32 * 64 * 2);
    let glm = r#"{"num_layers":28,"num_attention_heads":32,"hidden_size":4096,"kv_channels":128,
        "multi_query":true,"multi_query_group_num":2,"torch_dtype":"float16"}"#;
    assert_eq!(bytes(glm, CacheDtype::Auto), 2 * 28 * 2 * 128 * 2);
}

#[test]
fn the_text_part_of_a_multimodal_model() {
    let nested = r#"{"dtype":"bfloat16","vision_config":{"num_hidden_layers":99},
        "thinker_config":{"text_config":{"num_hidden_layers":28,"num_attention_heads":28,
        "num_key_value_heads":4,"hidden_size":3584}}}"#;
    assert_eq!(bytes(nested, CacheDtype::Auto), 57_344);
}

#[test]
fn layers_of_linear_attention_keep_nothing_of_a_token() {
    let hybrid = r#"{"num_hidden_layers":4,"num_attention_heads":16,"num_key_value_heads":2,
        "head_dim":256,"dtype":"bfloat16","layer_types":
        ["linear_attention","linear_attention","linear_attention","full_attention"]}"#;
    assert_eq!(bytes(hybrid, CacheDtype::Auto), 2 * 2 * 256 * 2);
}

#[test]
fn a_block_of_the_test_model() {
    let tiny = r#"{"num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":2,
        "hidden_size":128,"head_dim":32,"dtype":"bfloat16"}"#;
    let tiny = KvGeometry::from_config(tiny, CacheDtype::Auto).unwrap();
    assert_eq!(tiny.bytes_per_block(32), 16 * 1024);
}

#[test]
fn errors_name_the_field() {
    let said = |config: &str, cache| {
        KvGeometry::from_config(config, cache)
            .unwrap_err()
            .to_string()
    };
    let said_auto = |config| said(config, CacheDtype::Auto);
    assert!(said_auto("[1]").contains("not a JSON object"));
    assert!(said_auto("{}").ends_with("has no num_attention_heads"));
    assert!(said_auto(r#"{"num_attention_heads":4}"#).contains("has no head_dim"));
    assert!(said_auto(r#"{"kv_lora_rank":4}"#).ends_with("has no qk_rope_head_dim"));
    let odd = r#"{"num_attention_heads":3,"hidden_size":10,"num_hidden_layers":1}"#;
    assert!(said_auto(odd).contains("hidden_size is 10"));
    let heads = r#"{"num_attention_heads":2,"hidden_size":10,"num_hidden_layers":1}"#;
    assert!(said_auto(heads).ends_with("has no dtype or torch_dtype"));
    assert!(said(heads, CacheDtype::Fp8DsMla).contains("fp8_ds_mla"));
    let zero = r#"{"num_attention_heads":0}"#;
    assert!(said_auto(zero).contains("num_attention_heads is 0"));
    let typed = r#"{"num_attention_heads":2,"hidden_size":10,"dtype":"int4"}"#;
    assert!(said_auto(typed).contains(r#"dtype is "int4""#));
    let layerless = r#"{"num_attention_heads":2,"hidden_size":10,"dtype":"float16"}"#;
    assert!(said_auto(layerless).ends_with("has no num_hidden_layers"));
}

#[test]
fn cache_types_have_vllms_names() {
    assert_eq!(CacheDtype::parse("fp8_e4m3"), Some(CacheDtype::Fp8));
    assert_eq!(CacheDtype::parse("auto"), Some(CacheDtype::Auto));
    assert_eq!(CacheDtype::parse("nonsense"), None);
}

#[test]
fn parameters_are_counted_from_the_sizes() {
    let near = |config: &str, all: f64, active: f64| {
        let dims = ModelDims::from_config(config).unwrap();
        let off = |count: u64, published: f64| (count as f64 / published / 1e9 - 1.0).abs();
        assert!(off(dims.parameters, all) < 0.01, "{}", dims.parameters);
        assert!(off(dims.active, active) < 0.02, "{}", dims.active);
        dims
    };
    let llama = r#"{"num_hidden_layers":32,"num_attention_heads":32,"num_key_value_heads":8,
        "hidden_size":4096,"intermediate_size":14336,"vocab_size":128256,"torch_dtype":"bfloat16"}"#;
    let llama = near(llama, 8.03, 8.03);
    assert_eq!((llama.key_dim, llama.value_dim), (128, 128));
    let deepseek = r#"{"num_hidden_layers":61,"num_attention_heads":128,"num_key_value_heads":128,
        "hidden_size":7168,"intermediate_size":18432,"moe_intermediate_size":2048,"vocab_size":129280,
        "n_routed_experts":256,"num_experts_per_tok":8,"n_shared_experts":1,"first_k_dense_replace":3,
        "q_lora_rank":1536,"kv_lora_rank":512,"qk_nope_head_dim":128,"qk_rope_head_dim":64,
        "v_head_dim":128,"torch_dtype":"bfloat16"}"#;
    let deepseek = near(deepseek, 671.0, 37.6);
    assert_eq!((deepseek.key_dim, deepseek.value_dim), (192, 128));
}
