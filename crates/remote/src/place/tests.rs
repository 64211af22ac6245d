use super::*;

#[test]
fn a_bucket_has_a_prefix_and_maybe_an_endpoint() {
    let (place, prefix) =
        Place::parse("s3://kv/team/a?endpoint=http://10.0.0.1:9000").expect("one");
    let s3 = S3 {
        bucket: "kv".into(),
        endpoint: Some("http://10.0.0.1:9000".into()),
        region: None,
    };
    assert_eq!((place, prefix.as_str()), (Place::S3(s3), "team/a"));
    let (_, prefix) = Place::parse("s3://kv").expect("one");
    assert_eq!(prefix, "");
}

#[test]
fn valkey_has_a_user_a_database_and_a_prefix() {
    let (place, prefix) = Place::parse("valkeys://me:p%40ss+@v.example:7000/x?db=3").expect("one");
    let Place::Valkey(valkey) = place else {
        panic!("no valkey");
    };
    assert_eq!((valkey.host.as_str(), valkey.port), ("v.example", 7000));
    assert_eq!(valkey.user.as_deref(), Some("me"));
    assert_eq!(valkey.password.as_deref(), Some("p@ss+"));
    assert!(valkey.tls && valkey.db == 3 && prefix == "x");
    assert!(!format!("{valkey:?}").contains("p@ss"));
    let (place, prefix) = Place::parse("redis://localhost").expect("one");
    assert!(matches!(
        place,
        Place::Valkey(Valkey {
            port: 6379,
            tls: false,
            ..
        })
    ));
    assert_eq!(prefix, VALKEY_PREFIX);
}

#[test]
fn a_folder_is_a_folder() {
    let (place, prefix) = Place::parse("file:///mnt/kv").expect("one");
    assert_eq!(
        (place, prefix.as_str()),
        (Place::Folder("/mnt/kv".into()), "")
    );
}

#[test]
fn what_is_wrong_is_named_and_secrets_are_not() {
    for (text, word) in [
        ("kv", "relative URL"),
        ("ftp://kv", "no such kind"),
        ("s3:///prefix", "names no host"),
        ("s3://kv?regio=x", "`regio`"),
        ("valkey://a?db=x", "db is no number"),
        ("valkey://me:secret@a:1/?bd=1", "`bd`"),
    ] {
        let said = Place::parse(text).expect_err(text).to_string();
        assert!(
            said.contains(word) && said.contains("s3://BUCKET"),
            "{said}"
        );
        assert!(!said.contains("secret"), "{said}");
    }
}
