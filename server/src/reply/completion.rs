//! Text completion responses and chunks.

use svs_openapi::Completion;
use svs_openapi::completion::{CompletionChoice, CompletionLogprobs};

use super::logprobs::{mode, sampled};
use super::{Offsets, Vocabulary, spans, usage};
use crate::metrics::finish_name;
use crate::session::Session;

fn envelope(session: &Session, choices: Vec<CompletionChoice>) -> Completion {
    Completion {
        id: session.plan.id.clone(),
        object: "text_completion".into(),
        created: session.plan.created,
        model: session.plan.model.clone(),
        choices,
        usage: None,
        weight_version: None,
    }
}

/// A choice with what is reported of its prompt: echo, prompt tokens and logprobs. Returns where its sampled tokens
/// start.
fn opened(session: &Session, vocabulary: Vocabulary<'_>, index: usize) -> (CompletionChoice, Offsets) {
    let outputs = session.plan.outputs;
    let prompt = session.prompt_of(index);
    let planned = &session.plan.prompts[prompt];
    let scored = session.prompts[prompt].as_deref();
    let mut logprobs = outputs.logprobs.map(|_| CompletionLogprobs::default());
    if let (Some(out), Some(alternatives), Some(echo), Some(scored)) =
        (&mut logprobs, outputs.logprobs, &planned.echo, scored)
    {
        vocabulary.append_prompt(out, scored, alternatives, echo);
    }
    let choice = CompletionChoice {
        index: u32::try_from(index).expect("prompts times n fit u32"),
        text: planned.echo.clone().unwrap_or_default(),
        logprobs,
        logprobs_mode: mode(outputs),
        prompt_token_ids: outputs.token_ids.then(|| planned.tokens.clone()),
        prompt_logprobs: outputs
            .prompt_logprobs
            .and_then(|alternatives| Some(vocabulary.prompt(scored?, alternatives))),
        ..CompletionChoice::default()
    };
    let offsets = Offsets::sampled(vocabulary.0, &choice.text);
    (choice, offsets)
}

fn close(session: &Session, index: usize, out: &mut CompletionChoice) {
    let choice = &session.choices[index].choice;
    out.finish_reason = Some(finish_name(choice.finish_reason).into());
    out.stop_reason.clone_from(&choice.stop);
    out.weight_versions = session.plan.outputs.weight_versions.then(|| spans(&choice.spans));
    out.seed = Some(session.seeds[session.prompt_of(index)]);
}

/// The whole answer of a finished session.
#[must_use]
pub fn response(session: &Session, vocabulary: Vocabulary<'_>) -> Completion {
    let choice = |index: usize| {
        let choice = &session.choices[index].choice;
        let (mut out, mut offsets) = opened(session, vocabulary, index);
        out.text.push_str(&choice.text);
        if let Some(logprobs) = &mut out.logprobs {
            vocabulary.append_sampled(logprobs, choice, 0..choice.tokens.len(), &mut offsets);
        }
        let outputs = session.plan.outputs;
        out.sampled_logprobs = sampled(outputs, choice, 0..choice.tokens.len());
        out.token_ids = outputs.token_ids.then(|| choice.tokens.clone());
        close(session, index, &mut out);
        out
    };
    Completion {
        usage: Some(usage(session)),
        weight_version: Some(session.weight_version(&session.choices)),
        ..envelope(session, (0..session.choices.len()).map(choice).collect())
    }
}

/// Opens choice `index` of a stream; `None` if there is nothing to say of its prompt.
/// Also returns where its sampled tokens start.
#[must_use]
pub fn opening(session: &Session, vocabulary: Vocabulary<'_>, index: usize) -> (Option<Completion>, Offsets) {
    let (choice, offsets) = opened(session, vocabulary, index);
    let speaks = !choice.text.is_empty() || choice.prompt_token_ids.is_some() || choice.prompt_logprobs.is_some();
    (speaks.then(|| envelope(session, vec![choice])), offsets)
}

/// The newest token of choice `index`, the next one in `offsets`, with the `text` it made final; `None` if it would say
/// nothing.
pub fn token(
    session: &Session,
    vocabulary: Vocabulary<'_>,
    index: usize,
    text: &str,
    offsets: &mut Offsets,
) -> Option<Completion> {
    let (outputs, choice) = (session.plan.outputs, &session.choices[index].choice);
    if text.is_empty() && !outputs.are_per_token() {
        return None;
    }
    let newest = choice.tokens.len() - 1..choice.tokens.len();
    let mut logprobs = outputs.logprobs.map(|_| CompletionLogprobs::default());
    if let Some(out) = &mut logprobs {
        vocabulary.append_sampled(out, choice, newest.clone(), offsets);
    }
    let choice = CompletionChoice {
        index: u32::try_from(index).expect("prompts times n fit u32"),
        text: text.to_string(),
        logprobs,
        logprobs_mode: mode(outputs),
        sampled_logprobs: sampled(outputs, choice, newest.clone()),
        token_ids: outputs.token_ids.then(|| choice.tokens[newest].to_vec()),
        ..CompletionChoice::default()
    };
    Some(envelope(session, vec![choice]))
}

/// Closes choice `index` with the `text` that had been held back.
#[must_use]
pub fn closing(session: &Session, index: usize, text: &str) -> Completion {
    let index_u32 = u32::try_from(index).expect("prompts times n fit u32");
    let mut choice = CompletionChoice {
        index: index_u32,
        text: text.to_string(),
        ..CompletionChoice::default()
    };
    close(session, index, &mut choice);
    Completion {
        weight_version: Some(session.weight_version([&session.choices[index]])),
        ..envelope(session, vec![choice])
    }
}

/// The chunk with the token counts.
#[must_use]
pub fn totals(session: &Session) -> Completion {
    Completion {
        usage: Some(usage(session)),
        ..envelope(session, Vec::new())
    }
}
