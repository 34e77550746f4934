//! Answers of SGLang's `/generate`.

use svs_engine::FinishReason;
use svs_engine::request::{PromptLogprob, TopLogprob};
use svs_openapi::native::{LogprobEntry, NativeAnswer, NativeAnswers, NativeFinish, NativeMeta};

use super::logprobs::{finite, mode};
use super::{Vocabulary, labelled, stopped_by};
use crate::app::App;
use crate::lower::NativeShape;
use crate::metrics::finish_name;
use crate::session::Session;

/// The whole answer of a finished session.
#[must_use]
pub fn response(app: &App, session: &Session, shape: &NativeShape) -> NativeAnswers {
    let mut all = (0..session.choices.len()).map(|index| answer(app, session, shape, index));
    match all.next() {
        Some(one) if !shape.list => NativeAnswers::One(Box::new(one)),
        first => NativeAnswers::Many(first.into_iter().chain(all).collect()),
    }
}

/// Choice `index` as far as it has come.
#[must_use]
pub fn answer(app: &App, session: &Session, shape: &NativeShape, index: usize) -> NativeAnswer {
    let prompt = session.prompt_of(index);
    let tokens = &session.plan.prompts[prompt].tokens;
    let choice = &session.choices[index].choice;
    NativeAnswer {
        text: choice.text.clone(),
        output_ids: choice.tokens.clone(),
        prompt_token_ids: shape.prompt_tokens.then(|| tokens.clone()),
        meta_info: meta(app, session, shape, index),
        index: shape
            .list
            .then(|| u32::try_from(index).expect("prompts times n fit u32")),
    }
}

fn meta(app: &App, session: &Session, shape: &NativeShape, index: usize) -> NativeMeta {
    let prompt = session.prompt_of(index);
    let sampled = &session.choices[index];
    let choice = &sampled.choice;
    let entries = Entries {
        vocabulary: Vocabulary(app.engine.tokenizer()),
        texts: shape.texts,
    };
    let logprobs = session.plan.outputs.logprobs.is_some();
    let alternatives = shape.alternatives && logprobs;
    let scored: Option<&[PromptLogprob]> = match (logprobs, shape.prompt_from, &session.prompts[prompt]) {
        (true, Some(from), Some(scored)) => Some(&scored[from..]),
        (true, _, _) => Some(&[]),
        (false, _, _) => None,
    };
    let newest = session.weight_version([sampled]);
    NativeMeta {
        id: shape.id.clone(),
        finish_reason: sampled.finished.then(|| finish(session, index)),
        prompt_tokens: session.plan.prompts[prompt].tokens.len(),
        completion_tokens: choice.tokens.len(),
        weight_version: app.labels.of(app.engine.weights(), newest),
        weight_versions: labelled(app, &choice.spans),
        seed: session.seeds[prompt],
        logprobs_mode: mode(session.plan.outputs),
        output_token_logprobs: logprobs.then(|| {
            let each = choice.tokens.iter().zip(&choice.logprobs);
            each.map(|(token, logprob)| entries.of(*token, Some(*logprob)))
                .collect()
        }),
        output_top_logprobs: alternatives.then(|| choice.top.iter().map(|top| entries.all(top)).collect()),
        input_token_logprobs: scored.map(|scored| {
            let each = scored.iter().map(|scored| entries.of(scored.token, scored.logprob));
            each.collect()
        }),
        input_top_logprobs: scored.filter(|_| alternatives).map(|scored| {
            let each = scored
                .iter()
                .map(|scored| scored.logprob.map(|_| entries.all(&scored.top)));
            each.collect()
        }),
        e2e_latency: sampled.finished.then(|| session.started.elapsed().as_secs_f64()),
    }
}

fn finish(session: &Session, index: usize) -> NativeFinish {
    let choice = &session.choices[index].choice;
    NativeFinish {
        kind: finish_name(choice.finish_reason).into(),
        matched: stopped_by(choice),
        length: (choice.finish_reason == FinishReason::Length).then_some(choice.tokens.len()),
        message: (choice.finish_reason == FinishReason::Abort).then(|| "the request was aborted".into()),
    }
}

/// Writes tokens with their logprobs.
struct Entries<'a> {
    vocabulary: Vocabulary<'a>,
    texts: bool,
}

impl Entries<'_> {
    fn of(&self, token: u32, logprob: Option<f32>) -> LogprobEntry {
        let text = self.texts.then(|| self.vocabulary.0.token_text(token).0);
        (logprob.map(finite), token, text)
    }

    fn all(&self, top: &[TopLogprob]) -> Vec<LogprobEntry> {
        top.iter().map(|top| self.of(top.token, Some(top.logprob))).collect()
    }
}
