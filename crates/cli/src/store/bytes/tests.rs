use super::parse;

#[test]
fn sizes_have_units() {
    assert_eq!(parse("4GiB"), Ok(4 << 30));
    assert_eq!(parse("512 MiB"), Ok(512 << 20));
    assert_eq!(parse("1GB"), Ok(1_000_000_000));
    assert_eq!(parse("4096"), Ok(4096));
    assert_eq!(parse("7B"), Ok(7));
    assert!(parse("4 gigs").is_err());
    assert!(parse("-1GiB").is_err());
    assert!(parse("99999999999TiB").is_err());
}
