use super::*;

fn chain(seed: u64, salt: Option<&str>, tokens: &[TokenId]) -> Vec<BlockKey> {
    let seed = KeySeed(seed);
    let mut chain = Vec::new();
    seed.extend_chain(seed.root(None, salt), tokens, 4, &mut chain);
    chain
}

#[test]
fn equal_keys_mean_equal_prefixes() {
    let a = chain(7, None, &[1, 2, 3, 4, 5, 6, 7, 8, 9]);
    let b = chain(7, None, &[9, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(a.len(), 2, "only full blocks have keys");
    assert_ne!(a[0], b[0]);
    assert_ne!(
        a[1], b[1],
        "the second block holds equal tokens after another prefix"
    );
    assert_eq!(a[0], chain(7, None, &[1, 2, 3, 4])[0]);
}

#[test]
fn salts_loras_and_seeds_part_chains() {
    let tokens = [1, 2, 3, 4];
    assert_ne!(chain(7, None, &tokens), chain(7, Some("a"), &tokens));
    assert_ne!(chain(7, None, &tokens), chain(8, None, &tokens));
    let seed = KeySeed(7);
    assert_ne!(seed.root(Some("a"), None), seed.root(None, Some("a")));
    assert_ne!(seed.root(None, Some("")), seed.root(None, None));
}

#[test]
fn long_blocks_hash_like_their_bytes() {
    let tokens: Vec<u32> = (0..300).collect();
    let bytes: Vec<u8> = tokens.iter().flat_map(|t| t.to_le_bytes()).collect();
    assert_eq!(
        KeySeed(3).content(&tokens),
        KeySeed(3).content_of_bytes(&bytes)
    );
    assert_eq!(
        KeySeed(3).content(&tokens[..16]),
        KeySeed(3).content_of_bytes(&bytes[..64])
    );
}
