use super::*;
use crate::scheduler::Limits;

/// `name type` of each family.
fn families(text: &str) -> Vec<(&str, &str)> {
    text.lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .collect()
}

fn ours() -> String {
    let limits = Limits {
        block_tokens: 32,
        seqs_max: 8,
        batched_tokens_max: 512,
    };
    let mut config = Config::default();
    config.cache.blocks = 160;
    config.cache.block_tokens = 32;
    page(&config, &Scheduler::new(limits, 160), 1_795_361_473.5)
}

#[test]
fn every_family_is_vllms() {
    let real = include_str!("../../tests/data/vllm-metrics.txt");
    let (known, text) = (families(real), ours());
    for family in families(&text) {
        assert!(known.contains(&family), "{family:?}");
    }
    assert!(families(&text).len() > 15);
}

#[test]
fn every_sample_has_vllms_labels() {
    let real = include_str!("../../tests/data/vllm-metrics.txt");
    let head = |line: &str| line.split_once(['{', ' ']).map(|(name, _)| name.to_owned());
    let labels = |line: &str| -> Vec<String> {
        let inner = line.split_once('{').map_or("", |(_, rest)| rest);
        let mut parts: Vec<&str> = inner.split("=\"").collect();
        parts.pop(); // what follows the last name
        let names = parts
            .iter()
            .filter_map(|part| part.rsplit(['"', ',']).next());
        names.map(str::to_owned).collect()
    };
    for line in ours().lines().filter(|line| !line.starts_with('#')) {
        let twin = real
            .lines()
            .find(|other| !other.starts_with('#') && head(other) == head(line));
        let twin = twin.unwrap_or_else(|| panic!("a real replica has no {line}"));
        for label in labels(line) {
            assert!(twin.contains(&label), "{label} of {line}");
        }
        assert!(
            line.rsplit(' ').next().expect("a value").contains('.'),
            "{line}"
        );
    }
}
