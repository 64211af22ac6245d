use super::*;

#[test]
fn a_real_dump_is_read() {
    let text = include_str!("../../tests/data/vllm-metrics.txt");
    let figures = Figures::of(text, None);
    assert_eq!(figures.block_tokens, Some(32));
    assert_eq!(figures.capacity_blocks, Some(160));
    assert!(figures.process_start_s > 1.7e9);
    assert!((figures.computed_tokens - 117.0).abs() < 0.1);
    assert_eq!((figures.running, figures.waiting), (0, 0));
}

#[test]
fn ranks_are_told_apart() {
    let text = "vllm:num_requests_running{engine=\"0\",model_name=\"a\"} 2.0\n\
                vllm:num_requests_running{engine=\"1\",model_name=\"a\"} 3.0\n";
    assert_eq!(Figures::of(text, Some(1)).running, 3);
    assert_eq!(Figures::of(text, None).running, 5);
}

#[test]
fn counts_beyond_any_stay_counts() {
    let text = "vllm:num_requests_running{engine=\"0\"} 4294967295\n\
                vllm:num_requests_running{engine=\"1\"} 7\n\
                vllm:num_requests_waiting -3\n";
    let figures = Figures::of(text, None);
    assert_eq!((figures.running, figures.waiting), (u32::MAX, 0));
}

#[test]
fn what_is_no_number_changes_nothing() {
    let text = "vllm:kv_cache_usage_perc NaN\nvllm:kv_cache_usage_perc 1e300\n\
                vllm:prefix_cache_queries_total +Inf\nvllm:prefix_cache_hits_total NaN\n\
                vllm:prefix_cache_queries_total 1e308\nvllm:prefix_cache_queries_total 1e308\n\
                process_start_time_seconds NaN\n\
                vllm:cache_config_info{block_size=\"0\",num_gpu_blocks=\"0\"} 1\n";
    assert_eq!(Figures::of(text, None), Figures::default());
}

#[test]
fn the_newest_set_of_adapters_counts() {
    let text = "vllm:lora_requests_info{max_lora=\"4\",running_lora_adapters=\"a, b\",waiting_lora_adapters=\"c\"} 1.7e9\n\
                vllm:lora_requests_info{max_lora=\"4\",running_lora_adapters=\"\",waiting_lora_adapters=\"\"} 1.6e9\n";
    let adapters = Figures::of(text, None).adapters;
    assert_eq!(adapters.running, ["a", "b"]);
    assert_eq!((adapters.waiting, adapters.max), (vec!["c".to_owned()], 4));
}
