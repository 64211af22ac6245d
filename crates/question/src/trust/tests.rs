use super::*;

#[test]
fn a_distrusted_model_may_be_trusted_again() {
    let trust = Trust::default();
    assert_eq!(trust.set("a", false), TrustedAs::Different);
    assert_eq!(trust.set("a", false), TrustedAs::Before, "said once");
    assert_eq!(trust.agreed("a"), Some(false));
    assert_eq!(trust.agreed("b"), None, "b was never compared");
    assert_eq!(trust.set("a", true), TrustedAs::Same);
    assert_eq!(trust.agreed("a"), Some(true));
}

#[test]
fn one_way_to_split_is_believed_until_it_is_found_to_differ() {
    let (trust, prompter) = (Trust::default(), Prompter::simulated());
    assert!(trust.is_sure("a", &prompter));
    trust.set("a", false);
    assert!(!trust.is_sure("a", &prompter));
}

#[test]
fn the_replicas_own_tokens_settle_and_others_do_not() {
    let prompter = Prompter::simulated();
    let ours = |probe: Probe| {
        let asked = onefill_prompt::scan(probe.door, &probe.body).unwrap();
        let tokens = prompter.tokens(&asked).unwrap().to_vec();
        (probe, tokens)
    };
    let mut answers: Vec<_> = Checks::probes("a").into_iter().map(ours).collect();
    assert!(!answers.is_empty());
    assert!(Checks::settle(&prompter, &answers));
    answers[0].1.push(TokenId::default());
    assert!(!Checks::settle(&prompter, &answers));
}
