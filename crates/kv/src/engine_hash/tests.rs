//! Against digests made by `CPython`'s pickle, cbor2 and xxhash on the same objects (`vectors.tsv`):
//! name, form, then sha256, `sha256_cbor`, xxhash, `xxhash_cbor`; parents are `NONE_HASH` of seed "0".

use super::*;

const VECTORS: &str = include_str!("vectors.tsv");

/// A name of the table, its tokens and its extra keys.
type Case = (Vec<TokenId>, Vec<Extra<'static>>);

fn leak(text: String) -> &'static str {
    text.leak()
}

fn image(identity: &'static str, offset: i64) -> Extra<'static> {
    Extra::Multimodal { identity, offset }
}

const EMBEDS: [u8; 32] = {
    let mut bytes = [0; 32];
    let mut at = 0;
    while at < 32 {
        bytes[at] = at as u8;
        at += 1;
    }
    bytes
};

fn repeat(text: &str, count: usize) -> &'static str {
    leak(text.repeat(count))
}

fn case(name: &str) -> Case {
    let sixteen = || (0..16).collect();
    match name {
        "plain" => (
            vec![1, 255, 256, 65535, 65536, 128_255, 2_147_483_647],
            vec![],
        ),
        "no tokens" => (vec![], vec![]),
        "one" => (vec![7], vec![]),
        "salt" => (sixteen(), vec![Extra::Salt("tenant-a")]),
        "lora and salt" => (
            sixteen(),
            vec![
                Extra::Lora {
                    name: "my-lora",
                    path: "/adapters/my-lora",
                },
                Extra::Salt("s3cret"),
            ],
        ),
        "images" => {
            let (f, e) = (repeat("f", 64), repeat("e", 64));
            (sixteen(), vec![image(f, 3), image(e, -200), image(f, 9)])
        }
        "far offsets" => (
            vec![5],
            vec![
                image("id", -1),
                image("id2", -(1 << 31)),
                image("id3", -(1 << 31) - 1),
                image("id4", 1 << 31),
                image("id5", 128 - (1 << 15) - (1 << 40)),
            ],
        ),
        "four" => (
            sixteen(),
            vec![
                Extra::Lora {
                    name: "lé",
                    path: repeat("p", 300),
                },
                image("img", 0),
                Extra::Salt(repeat("z", 300)),
                Extra::Embeds(&EMBEDS),
            ],
        ),
        "embeds" => (vec![1, 2], vec![Extra::Embeds(&EMBEDS)]),
        "frames" => (
            (70_000..110_000).collect(),
            vec![image("a1", 1), image("b2", 2)],
        ),
        "huge salt" => (vec![1, 2, 3], vec![Extra::Salt(repeat("y", 70_000))]),
        "huge lora" => (
            vec![9; 30_000],
            vec![
                Extra::Lora {
                    name: "nn",
                    path: repeat("x", 65_536),
                },
                image("kk", 1),
                Extra::Salt(repeat("y", 65_535)),
            ],
        ),
        "many images" => (
            vec![1],
            (0..3000)
                .map(|at| image(leak(format!("i{at}")), at))
                .collect(),
        ),
        other => panic!("no case {other}"),
    }
}

fn rows() -> impl Iterator<Item = Vec<&'static str>> {
    VECTORS.lines().map(|line| line.split('\t').collect())
}

#[test]
fn blocks_hash_as_python_does() {
    let mut compared = 0;
    for row in rows().filter(|row| row[0] != "seed") {
        let (tokens, extras) = case(row[0]);
        for (algorithm, want) in Algorithm::ALL.into_iter().zip(&row[2..]) {
            let mut hasher = EngineHasher::new(algorithm, Some("0"), row[1] == "tagged");
            let parent = hasher.none_hash();
            let got = hasher.block(&parent, &tokens, &extras).to_string();
            assert_eq!(got, *want, "{} {} {}", row[0], row[1], algorithm.name());
            compared += 1;
        }
    }
    assert_eq!(compared, 23 * 4);
}

#[test]
fn seeds_hash_as_python_does() {
    for row in rows().filter(|row| row[0] == "seed") {
        let seed = Some(row[1]).filter(|seed| *seed != DEFAULT_SEED);
        for (algorithm, want) in Algorithm::ALL.into_iter().zip(&row[2..]) {
            let got = EngineHasher::new(algorithm, seed, true).none_hash();
            assert_eq!(got.to_string(), *want, "{seed:?} {}", algorithm.name());
        }
    }
}

#[test]
fn algorithms_have_vllms_names() {
    for algorithm in Algorithm::ALL {
        assert_eq!(Algorithm::parse(algorithm.name()), Some(algorithm));
    }
    assert_eq!(Algorithm::parse("builtin"), None);
}

#[test]
fn events_carry_the_last_eight_bytes() {
    let raw: Vec<u8> = (0..32).collect();
    for (length, tail) in [(32, 24), (16, 8), (8, 0)] {
        let digest = Digest::new(&raw[..length]).unwrap();
        let want = u64::from_be_bytes(raw[tail..tail + 8].try_into().unwrap());
        assert_eq!(digest.engine_hash().0, want);
        assert_eq!(digest.as_bytes(), &raw[..length]);
    }
    assert_eq!(Digest::new(&raw[..7]), None);
    assert_eq!(Digest::new(&[0; 33]), None);
}
