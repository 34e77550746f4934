//! Texts of answers in a vocabulary that begins words with a space.

use super::*;
use crate::text::tests::sentence_piece;

/// `▁a` in the vocabulary of [`sentence_piece`].
const WORD: u32 = 262;

/// Two choices of two certain words after `prompt`.
fn certain(continues_text: bool, resume: &[u32]) -> Vec<String> {
    let config = ModelConfig {
        vocab_size: 265,
        ..model()
    };
    let params = Params::zeros(Arc::new(ParamLayout::of(&config)));
    let weights = Arc::new(WeightSet::pack(&config, &params, 1, "v1"));
    let mut engine = Engine::new(weights, sentence_piece(), &EngineConfig::default()).expect("bounds hold");
    let mut request = request("", 1, 2);
    request.prompt = vec![1, WORD];
    request.resume = resume.to_vec();
    request.n = if resume.is_empty() { 2 } else { 1 };
    request.continues_text = continues_text;
    request.sampling.logit_bias = vec![(WORD, 100.0)];
    let (mut generation, mut collected) = submit(&mut engine, &request);
    while engine.step() {
        while let Some(event) = generation.try_next() {
            collected.push(event).expect("no request fails");
        }
    }
    let choices = collected.completion.choices.into_iter();
    choices.map(|choice| choice.text).collect()
}

#[test]
fn an_answer_that_goes_on_in_its_prompt_keeps_the_space_between() {
    assert_eq!(certain(true, &[]), [" a a", " a a"]);
    assert_eq!(certain(false, &[]), ["a a", "a a"]);
    // The first word was said before.
    for continues_text in [false, true] {
        assert_eq!(certain(continues_text, &[WORD]), [" a"]);
    }
}
