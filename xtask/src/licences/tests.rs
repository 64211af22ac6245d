use super::{allowed, faults};
use serde_json::json;

fn fits(licence: &str) -> bool {
    let allowed = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "ISC"].map(String::from);
    let metadata = json!({"packages": [{"name": "a", "license": licence}]});
    faults(&metadata, &allowed).is_empty()
}

#[test]
fn a_choice_fits_if_one_side_does() {
    assert!(fits("MIT"));
    assert!(fits("MIT OR LGPL-2.1-or-later"));
    assert!(fits("GPL-3.0/MIT"));
    assert!(!fits("GPL-3.0 OR AGPL-3.0"));
}

#[test]
fn both_sides_of_and_must_fit() {
    assert!(fits("Apache-2.0 AND ISC"));
    assert!(!fits("MIT AND GPL-3.0"));
    assert!(fits("(MIT OR GPL-3.0) AND ISC"));
    assert!(!fits("MIT AND (GPL-3.0 OR AGPL-3.0)"));
    assert!(fits("GPL-3.0 OR MIT AND ISC"), "AND binds first");
}

#[test]
fn an_exception_belongs_to_its_licence() {
    assert!(fits("Apache-2.0 WITH LLVM-exception OR GPL-3.0"));
    assert!(!fits("MIT WITH LLVM-exception"));
}

#[test]
fn what_cannot_be_read_does_not_fit() {
    for odd in [
        "", "MIT OR", "MIT ISC", "(MIT", "MIT)", "MIT WITH", "AND MIT",
    ] {
        assert!(!fits(odd), "{odd}");
    }
    let unnamed = json!({"packages": [{"name": "a", "license": null}]});
    assert_eq!(faults(&unnamed, &[]), ["a names no licence"]);
}

#[test]
fn the_list_is_read_from_deny_toml() {
    let allowed = allowed(include_str!("../../../deny.toml"));
    assert!(allowed.len() > 5 && allowed.contains(&"Apache-2.0 WITH LLVM-exception".to_owned()));
    assert!(!allowed.iter().any(|licence| licence.contains("GPL")));
}
