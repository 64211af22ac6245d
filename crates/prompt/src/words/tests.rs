use super::{PATTERNS, Words, parts};
use serde_json::{Value as Json, json};
use std::path::Path;
use tokenizers::Tokenizer;

fn file() -> Json {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tiny/tokenizer.json");
    let bytes = std::fs::read(path).expect("reads");
    serde_json::from_slice(&bytes).expect("JSON")
}

fn tokenizer(pre_tokenizer: Json, normalizer: Json) -> Tokenizer {
    let mut file = file();
    file["pre_tokenizer"] = pre_tokenizer;
    file["normalizer"] = normalizer;
    Tokenizer::from_bytes(file.to_string()).expect("a tokenizer")
}

fn split(pattern: &str) -> Json {
    json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false})
}

fn bytes(use_regex: bool) -> Json {
    json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex})
}

fn in_turn(steps: &[Json]) -> Json {
    json!({"type": "Sequence", "pretokenizers": steps})
}

/// Texts of all that patterns look at, in any order.
fn texts() -> impl Iterator<Item = String> {
    const PIECES: [&str; 40] = [
        "a",
        "b",
        "z",
        "the",
        " the",
        " of",
        "re",
        "ll",
        "s",
        "t",
        "A",
        "Zed",
        "\u{e9}",
        "e\u{301}",
        "\u{301}",
        " ",
        "  ",
        "\n",
        "\r\n",
        "\t",
        "\u{a0}",
        "\u{3000}",
        "1",
        "23",
        "4567",
        "\u{664}",
        "'",
        "'s",
        "'LL",
        "\u{2019}",
        ".",
        ",",
        "...",
        "/",
        "_",
        "\u{4e16}",
        "\u{3042}",
        "\u{1f600}",
        "\u{e01}",
        "x y",
    ];
    let mut state = 1_u64;
    let mut next = move |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap_or(0) % below
    };
    (0..3000).map(move |_| {
        let count = 1 + next(24);
        (0..count).map(|_| PIECES[next(PIECES.len())]).collect()
    })
}

fn compare(tokenizer: &Tokenizer) {
    let words = Words::of(tokenizer).expect("may be cut");
    let whole = |text: &str| {
        tokenizer
            .encode_fast(text, false)
            .expect("encodes")
            .get_ids()
            .to_vec()
    };
    let mut cut = 0;
    for text in texts().chain(texts()) {
        let mut tokens = Vec::new();
        let encoded = words.encode(&text, &mut tokens, |part| Ok(whole(part)));
        assert_eq!(encoded, Ok(()));
        assert_eq!(tokens, whole(&text), "{text:?}");
        cut += usize::from(parts(&text).count() > 1);
    }
    assert!(cut > 1000, "only {cut} texts were cut");
}

#[test]
fn words_apart_give_what_the_whole_text_gives() {
    compare(&tokenizer(bytes(true), Json::Null));
    for pattern in PATTERNS.iter().filter(|pattern| pattern.contains(r"\p{L}")) {
        compare(&tokenizer(
            in_turn(&[split(pattern), bytes(false)]),
            Json::Null,
        ));
        compare(&tokenizer(
            in_turn(&[split(pattern), bytes(false)]),
            json!({"type": "NFC"}),
        ));
    }
    let deepseek: Vec<Json> = PATTERNS[7..10]
        .iter()
        .map(|pattern| split(pattern))
        .collect();
    let deepseek = [deepseek, vec![bytes(false)]].concat();
    compare(&tokenizer(in_turn(&deepseek), Json::Null));
    let digits = json!({"type": "Digits", "individual_digits": true});
    compare(&tokenizer(in_turn(&[digits, bytes(true)]), Json::Null));
}

#[test]
fn tokenizers_that_are_not_known_are_left_whole() {
    let none =
        |pre_tokenizer, normalizer| Words::of(&tokenizer(pre_tokenizer, normalizer)).is_none();
    assert!(none(bytes(false), Json::Null), "nothing splits");
    assert!(
        none(split(r".*|\p{L}"), Json::Null),
        "a pattern that is not known"
    );
    assert!(
        none(in_turn(&[split(PATTERNS[7]), bytes(false)]), Json::Null),
        "digits only"
    );
    assert!(
        none(bytes(true), json!({"type": "Lowercase"})),
        "another normalizer"
    );
    let prefixed = json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true});
    assert!(none(prefixed, Json::Null), "a space before the first word");
}

#[test]
fn parts_are_the_text() {
    for text in texts() {
        assert_eq!(parts(&text).collect::<String>(), text);
    }
    assert_eq!(
        parts("one two, three 4 five").collect::<Vec<_>>(),
        ["one", " two, three 4 five"]
    );
}
