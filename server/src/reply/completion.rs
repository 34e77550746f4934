//! Text completion responses and chunks.

use svs_openapi::Completion;
use svs_openapi::completion::{CompletionChoice, CompletionLogprobs};

use super::{Vocabulary, spans, usage};
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
/// start in characters.
fn opened(session: &Session, vocabulary: Vocabulary<'_>, index: usize) -> (CompletionChoice, usize) {
    let outputs = session.plan.outputs;
    let prompt = session.prompt_of(index);
    let planned = &session.plan.prompts[prompt];
    let scored = session.prompts[prompt].as_deref();
    let mut logprobs = outputs.logprobs.map(|_| CompletionLogprobs::default());
    let mut offset = 0;
    if let (Some(out), Some(alternatives), Some(_), Some(scored)) =
        (&mut logprobs, outputs.logprobs, &planned.echo, scored)
    {
        offset = vocabulary.append_prompt(out, scored, alternatives, 0);
    }
    let choice = CompletionChoice {
        index: u32::try_from(index).expect("prompts times n fit u32"),
        text: planned.echo.clone().unwrap_or_default(),
        logprobs,
        prompt_token_ids: outputs.token_ids.then(|| planned.tokens.clone()),
        prompt_logprobs: outputs
            .prompt_logprobs
            .and_then(|alternatives| Some(vocabulary.prompt(scored?, alternatives))),
        ..CompletionChoice::default()
    };
    (choice, offset)
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
        let (mut out, offset) = opened(session, vocabulary, index);
        out.text.push_str(&choice.text);
        if let Some(logprobs) = &mut out.logprobs {
            vocabulary.append_sampled(logprobs, choice, 0..choice.tokens.len(), offset);
        }
        out.token_ids = session.plan.outputs.token_ids.then(|| choice.tokens.clone());
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
/// Also returns where its sampled tokens start in characters.
#[must_use]
pub fn opening(session: &Session, vocabulary: Vocabulary<'_>, index: usize) -> (Option<Completion>, usize) {
    let (choice, offset) = opened(session, vocabulary, index);
    let speaks = !choice.text.is_empty() || choice.prompt_token_ids.is_some() || choice.prompt_logprobs.is_some();
    (speaks.then(|| envelope(session, vec![choice])), offset)
}

/// The newest token of choice `index`, which starts at character `offset`, with the `text` it made final; `None` if it
/// would say nothing. Also returns where the next token starts.
#[must_use]
pub fn token(
    session: &Session,
    vocabulary: Vocabulary<'_>,
    index: usize,
    text: &str,
    offset: usize,
) -> (Option<Completion>, usize) {
    let (outputs, choice) = (session.plan.outputs, &session.choices[index].choice);
    if text.is_empty() && outputs.logprobs.is_none() && !outputs.token_ids {
        return (None, offset);
    }
    let newest = choice.tokens.len() - 1..choice.tokens.len();
    let (mut logprobs, mut next) = (outputs.logprobs.map(|_| CompletionLogprobs::default()), offset);
    if let Some(out) = &mut logprobs {
        next = vocabulary.append_sampled(out, choice, newest.clone(), offset);
    }
    let choice = CompletionChoice {
        index: u32::try_from(index).expect("prompts times n fit u32"),
        text: text.to_string(),
        logprobs,
        token_ids: outputs.token_ids.then(|| choice.tokens[newest].to_vec()),
        ..CompletionChoice::default()
    };
    (Some(envelope(session, vec![choice])), next)
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
