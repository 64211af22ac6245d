use super::*;

#[test]
fn changes_have_signs() {
    assert_eq!(change(200.0, 50.0), "-75 %");
    assert_eq!(change(100.0, 110.0), "+10 %");
    assert_eq!(change(0.0, 1.0), "");
    assert_eq!(points(0.31, 0.84), "+53 points");
    assert!(is_better("+53 points") && is_better("-75 %"));
    assert!(!is_better("-3 points") && !is_better("+10 %"));
}

#[test]
fn the_ending_says_what_to_try_but_not_what_was_just_done() {
    let ending = |vllm, keep| ending(Path::new("/x.html"), vllm, keep);
    assert!(ending(false, false).contains("--keep") && ending(false, false).contains("--vllm"));
    assert!(!ending(false, true).contains("--keep"));
    assert!(!ending(true, false).contains("--vllm"));
    for (vllm, keep) in [(false, false), (false, true), (true, false), (true, true)] {
        assert_eq!(ending(vllm, keep).matches("try next").count(), 1);
    }
}
