//! What is written is read again; what is bounded stays so.

use super::*;
use onefill_kv::{BlockKey, KeySeed};
use std::{path::Path, sync::Arc};

fn observed(at_ms: u64, keys: impl IntoIterator<Item = u64>) -> Observed {
    let chain: Arc<[BlockKey]> = keys.into_iter().map(BlockKey).collect();
    Observed {
        at_ms,
        prompt_tokens: 16 * chain.len() as u32 + 3,
        output_tokens: Some(9),
        block_tokens: 16,
        chain,
        session: Some(77),
        replica: 2,
        overlap_tokens: 32,
        cached_tokens: Some(48),
        queue_ms: 1.25,
        first_ms: Some(20.04),
        whole_ms: 300.0,
        capacity_tokens: 12_288,
        ended: Ended::Done,
    }
}

fn written(writer: &mut Writer, all: &[Observed]) -> String {
    let mut text = String::new();
    writer.head(&mut text);
    for each in all {
        writer.line(each, &mut text);
    }
    text
}

fn entries(text: &str) -> Vec<Entry> {
    let mut reader = Reader::default();
    let each = text.lines().map(|line| reader.line(line).expect("a line"));
    each.flatten().collect()
}

#[test]
fn prompts_that_begin_alike_are_written_once_and_read_whole() {
    let mut writer = Writer::new(KeySeed(1), "kv");
    let (one, two) = (observed(5, 0..16), observed(6, (0..8).chain(100..108)));
    let text = written(&mut writer, &[one, two.clone(), two]);
    let read = entries(&text);
    assert_eq!(read.len(), 3);
    assert_eq!(read[0].chain.len(), 4, "one name for 64 tokens");
    assert_eq!(read[0].chain[..2], read[1].chain[..2]);
    assert_ne!(read[0].chain[2], read[1].chain[2]);
    assert_eq!(read[1].chain, read[2].chain);
    let last = text.lines().last().expect("a line");
    assert!(!last.contains("\"k\""), "nothing new in it: {last}");
    let first = &read[0];
    assert_eq!(
        (first.at_ms, first.prompt_tokens, first.block_tokens),
        (5, 259, 64)
    );
    assert_eq!(
        (first.cached_tokens, first.first_ms),
        (Some(48), Some(20.0))
    );
    assert_eq!((first.capacity_tokens, first.ended), (12_288, Ended::Done));
}

#[test]
fn names_say_nothing_without_the_deployments_secret() {
    let chain = 0..16;
    let text = |seed| {
        written(
            &mut Writer::new(KeySeed(seed), "kv"),
            &[observed(1, chain.clone())],
        )
    };
    let (one, other) = (entries(&text(1)), entries(&text(2)));
    assert!(
        one[0]
            .chain
            .iter()
            .all(|name| !other[0].chain.contains(name))
    );
    assert!(!one[0].chain.contains(&3), "not the router's own keys");
    assert_ne!(one[0].session, other[0].session);
}

#[test]
fn a_line_that_is_wrong_is_told() {
    let mut reader = Reader::default();
    assert!(matches!(reader.line("{}"), Err(LineError::Form(_))));
    let later = r#"{"onefill_record":2,"policy":"kv"}"#;
    assert_eq!(reader.line(later), Err(LineError::Version(2)));
    let lost = r#"{"t":1,"in":9,"b":64,"p":"00000000000000ff","n":1,"r":0,"e":"done"}"#;
    assert!(matches!(reader.line(lost), Err(LineError::Unknown(_))));
    let short = r#"{"t":1,"in":9,"b":64,"k":"ff","n":1,"r":0,"e":"done"}"#;
    assert!(matches!(reader.line(short), Err(LineError::Name(_))));
}

fn config(folder: &Path, bytes_max: u64) -> Config {
    Config {
        folder: folder.to_owned(),
        bytes_max,
        seed: KeySeed(1),
        policy: "kv",
    }
}

#[test]
fn a_record_has_a_bound_and_each_of_its_files_stands_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let recorder = Recorder::start(config(folder.path(), 40_000)).expect("starts");
    for number in 0..2000_u64 {
        // Slower than the disk: what is asked is the bound, not the speed.
        while !recorder.observe(observed(
            number,
            (0..16).map(|block| number / 100 * 1000 + block),
        )) {
            std::thread::yield_now();
        }
    }
    recorder.flush();
    let files = folder::files(folder.path()).expect("listed");
    let bytes: u64 = files.iter().map(|(_, bytes)| bytes).sum();
    assert!(files.len() > 1 && bytes <= 40_000 + 20_000, "{files:?}");
    let (newest, _) = files.last().expect("files");
    let newest = std::fs::read_to_string(newest).expect("read");
    assert!(entries(&newest).iter().all(|entry| entry.chain.len() == 4));
    let all = entries(&read_folder(folder.path()).expect("read"));
    assert_eq!(all.last().map(|entry| entry.at_ms), Some(1999));
    assert!(all.len() < 2000);
}

#[test]
fn a_folder_that_cannot_be_used_is_told_at_the_start() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let refused = Recorder::start(config(&file.path().join("in"), 1 << 20));
    assert!(matches!(refused, Err(RecordError::Folder { .. })));
}
