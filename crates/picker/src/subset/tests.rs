use super::{KEY, NAMESPACE, Subset};
use crate::proto::Metadata;
use core::net::SocketAddr;
use prost_types::{ListValue, Struct, Value, value::Kind};

fn hint(kind: Kind) -> Option<Subset> {
    let value = Value { kind: Some(kind) };
    let fields = [(KEY.to_owned(), value)].into();
    let filter_metadata = [(NAMESPACE.to_owned(), Struct { fields })].into();
    Subset::read(Some(&Metadata { filter_metadata }))
}

fn text(text: &str) -> Kind {
    Kind::StringValue(text.to_owned())
}

fn list(words: &[&str]) -> Kind {
    let values = words.iter().map(|word| Value {
        kind: Some(text(word)),
    });
    Kind::ListValue(ListValue {
        values: values.collect(),
    })
}

fn allowed(subset: &Subset) -> Vec<&'static str> {
    let all = [
        "10.0.0.1:8000",
        "10.0.0.1:8001",
        "10.0.0.2:8000",
        "[fd00::1]:8000",
    ];
    let address = |text: &&&str| -> SocketAddr { text.parse().expect("an address") };
    all.iter()
        .filter(|each| subset.allows(address(each)))
        .copied()
        .collect()
}

#[test]
fn a_hint_is_a_list_a_text_or_texts_with_commas() {
    let want = ["10.0.0.1:8000", "10.0.0.2:8000"];
    for kind in [
        list(&["10.0.0.1:8000", "10.0.0.2:8000"]),
        text("10.0.0.1:8000,10.0.0.2:8000"),
        list(&["10.0.0.1:8000 , 10.0.0.2:8000"]),
    ] {
        assert_eq!(allowed(&hint(kind).expect("a hint")), want);
    }
}

#[test]
fn an_address_without_a_port_allows_all_its_ports() {
    let subset = hint(list(&["10.0.0.1"])).expect("a hint");
    assert_eq!(allowed(&subset), ["10.0.0.1:8000", "10.0.0.1:8001"]);
}

#[test]
fn ipv6_is_an_address_like_any_other() {
    for words in ["[fd00::1]:8000", "fd00::1", "[fd00::1]"] {
        let subset = hint(text(words)).expect("a hint");
        assert_eq!(allowed(&subset), ["[fd00::1]:8000"], "{words}");
    }
}

#[test]
fn a_hint_that_names_nobody_allows_nobody() {
    for kind in [
        list(&[]),
        text(""),
        text("10.0.0.9:8000"),
        text("pod-one"),
        Kind::NumberValue(1.0),
    ] {
        assert!(allowed(&hint(kind).expect("a hint")).is_empty());
    }
    assert_eq!(Subset::read(Some(&Metadata::default())), None);
    assert_eq!(Subset::read(None), None);
}
