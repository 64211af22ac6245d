use super::*;

fn tokens(text: &str) -> Vec<TokenId> {
    let asked = Asked {
        input: Input::Text(vec![text.into()]),
        ..Asked::default()
    };
    Prompter::simulated()
        .tokens(&asked)
        .expect("tokens")
        .to_vec()
}

#[test]
fn an_answer_sent_back_gives_its_tokens_again() {
    let vocabulary = Vocabulary::new(&Prompter::simulated()).expect("words");
    for seed in 0..50 {
        let before = "<|im_start|>assistant\n";
        let speech = Speech::of(&[1, 2, seed], 7, 1000, false);
        assert!(speech.stops);
        let mut spoken = tokens(before);
        speech.append(&vocabulary, &mut spoken);
        let texts = (0..speech.tokens).map(|place| speech.text(&vocabulary, place));
        let text: String = texts.collect();
        assert_eq!(tokens(&format!("{before}{text}<|im_end|>")), spoken);
    }
}

#[test]
fn answers_differ_by_prompt_and_seed_only() {
    let of = |prompt: &[u32], seed| Speech::of(prompt, seed, 64, true);
    assert_eq!(of(&[1, 2], 3), of(&[1, 2], 3));
    assert_ne!(of(&[1, 2], 3), of(&[1, 3], 3));
    assert_ne!(of(&[1, 2], 3), of(&[1, 2], 4));
}

#[test]
fn no_answer_is_longer_than_allowed() {
    for prompt in 0..200 {
        let speech = Speech::of(&[prompt], 0, 20, false);
        assert!(speech.tokens <= 20 && speech.tokens >= 16);
        assert!(speech.stops || speech.tokens == 20);
        assert_eq!(Speech::of(&[prompt], 0, 20, true).tokens, 20);
    }
}
