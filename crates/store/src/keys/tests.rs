use super::*;
use proptest::prelude::*;

const MODEL: &str = "meta-llama/Llama-3.1-8B-Instruct";

#[test]
fn keys_of_engines_take_no_more_than_a_key() {
    assert_eq!(size_of::<Key>(), 40);
    let mut keys = Keys::default();
    for hash in ["0123456789abcdef".repeat(4), "f".repeat(63), "a1".repeat(8)] {
        for key in [
            format!("{MODEL}@8@7@{hash}@bfloat16"),
            format!("{MODEL}@8@7@{hash}@bfloat16kv_bytes"),
            format!("{MODEL}@01000100@0@{hash}"),
        ] {
            let kept = keys.keep(key.as_bytes());
            assert_eq!(kept.heap_bytes(), 0, "{key}");
            assert!(keys.is(&kept, key.as_bytes()));
            assert_eq!(*keys.name(&kept), *key.as_bytes());
        }
    }
}

#[test]
fn forms_are_bounded_and_come_back() {
    let mut keys = Keys::default();
    let key = |form: usize| format!("{MODEL}@{form}-@{}", "ab".repeat(32)).into_bytes();
    let kept: Vec<Key> = (0..2 * FORMS_MAX)
        .map(|form| keys.keep(&key(form)))
        .collect();
    assert_eq!(keys.forms.len(), FORMS_MAX);
    assert_eq!(kept[FORMS_MAX - 1].heap_bytes(), 0);
    assert_eq!(kept[FORMS_MAX].heap_bytes(), FORM + key(FORMS_MAX).len());
    for (form, kept) in kept.iter().enumerate() {
        assert!(keys.is(kept, &key(form)) && !keys.is(kept, &key(form + 1)));
        keys.let_go(kept);
    }
    assert!(keys.by_text.is_empty());
    assert_eq!(keys.keep(&key(5000)).heap_bytes(), 0);
}

proptest! {
    /// Whatever a key is, it comes back as it was, and no other key is taken for it.
    #[test]
    fn keys_come_back(keys in proptest::collection::vec("[a-g0-9@A]{0,90}", 1..40)) {
        let mut all = Keys::default();
        let kept: Vec<Key> = keys.iter().map(|key| all.keep(key.as_bytes())).collect();
        for (one, kept) in keys.iter().zip(&kept) {
            prop_assert_eq!(&*all.name(kept), one.as_bytes());
            for other in &keys {
                prop_assert_eq!(all.is(kept, other.as_bytes()), one == other);
            }
        }
        for kept in &kept {
            all.let_go(kept);
        }
        prop_assert!(all.by_text.is_empty());
    }
}
