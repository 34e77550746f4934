//! Chat responses and chunks.

use svs_openapi::chat::{AssistantMessage, ChatChoice, ChunkChoice, Delta};
use svs_openapi::{ChatCompletion, ChatCompletionChunk, PromptLogprobs};

use super::logprobs::{mode, sampled as sampled_logprobs};
use super::reading::Said;
use super::{Reading, Vocabulary, spans, usage};
use crate::session::{Sampled, Session};

fn prompt_logprobs(session: &Session, vocabulary: Vocabulary<'_>) -> Option<PromptLogprobs> {
    let alternatives = session.plan.outputs.prompt_logprobs?;
    Some(vocabulary.prompt(session.prompts[0].as_ref()?, alternatives))
}

/// The whole answer of a finished session.
#[must_use]
pub fn response(session: &Session, vocabulary: Vocabulary<'_>) -> ChatCompletion {
    let plan = &session.plan;
    let choice = |(index, sampled): (usize, &Sampled)| {
        let choice = &sampled.choice;
        let said = Reading::of(session).finish(&choice.text);
        ChatChoice {
            index: u32::try_from(index).expect("n fits u32"),
            finish_reason: said.finish_reason(choice.finish_reason),
            message: AssistantMessage {
                role: "assistant".into(),
                content: (said.calls.is_empty() || !said.text.is_empty()).then_some(said.text),
                refusal: None,
                tool_calls: (!said.calls.is_empty()).then_some(said.calls),
            },
            logprobs: plan
                .outputs
                .logprobs
                .map(|_| vocabulary.chat(choice, 0..choice.tokens.len())),
            logprobs_mode: mode(plan.outputs),
            sampled_logprobs: sampled_logprobs(plan.outputs, choice, 0..choice.tokens.len()),
            stop_reason: choice.stop.clone(),
            token_ids: plan.outputs.token_ids.then(|| choice.tokens.clone()),
            weight_versions: plan.outputs.weight_versions.then(|| spans(&choice.spans)),
        }
    };
    ChatCompletion {
        id: plan.id.clone(),
        object: "chat.completion".into(),
        created: plan.created,
        model: plan.model.clone(),
        choices: session.choices.iter().enumerate().map(choice).collect(),
        usage: usage(session),
        weight_version: session.weight_version(&session.choices),
        seed: session.seeds[0],
        prompt_token_ids: plan.outputs.token_ids.then(|| plan.prompts[0].tokens.clone()),
        prompt_logprobs: prompt_logprobs(session, vocabulary),
    }
}

fn chunk(session: &Session, choices: Vec<ChunkChoice>) -> ChatCompletionChunk {
    ChatCompletionChunk {
        id: session.plan.id.clone(),
        object: "chat.completion.chunk".into(),
        created: session.plan.created,
        model: session.plan.model.clone(),
        choices,
        usage: None,
        weight_version: None,
        seed: None,
        prompt_token_ids: None,
        prompt_logprobs: None,
    }
}

fn numbered(index: usize) -> ChunkChoice {
    ChunkChoice {
        index: u32::try_from(index).expect("n fits u32"),
        ..ChunkChoice::default()
    }
}

/// Opens choice `index`; the first chunk of the stream also carries what is reported of the prompt.
#[must_use]
pub fn opening(session: &Session, vocabulary: Vocabulary<'_>, index: usize, first: bool) -> ChatCompletionChunk {
    let delta = Delta {
        role: Some("assistant".into()),
        content: Some(String::new()),
        tool_calls: None,
    };
    let mut chunk = chunk(
        session,
        vec![ChunkChoice {
            delta,
            ..numbered(index)
        }],
    );
    if first {
        chunk.prompt_token_ids = session
            .plan
            .outputs
            .token_ids
            .then(|| session.plan.prompts[0].tokens.clone());
        chunk.prompt_logprobs = prompt_logprobs(session, vocabulary);
    }
    chunk
}

/// The newest token of choice `index` with what it made final; `None` if it would say nothing.
#[must_use]
pub fn token(session: &Session, vocabulary: Vocabulary<'_>, index: usize, said: Said) -> Option<ChatCompletionChunk> {
    let (outputs, choice) = (session.plan.outputs, &session.choices[index].choice);
    if said.text.is_empty() && said.calls.is_empty() && !outputs.are_per_token() {
        return None;
    }
    let newest = choice.tokens.len() - 1..choice.tokens.len();
    let choice = ChunkChoice {
        delta: said.delta(),
        logprobs: outputs.logprobs.map(|_| vocabulary.chat(choice, newest.clone())),
        logprobs_mode: mode(outputs),
        sampled_logprobs: sampled_logprobs(outputs, choice, newest.clone()),
        token_ids: outputs.token_ids.then(|| choice.tokens[newest].to_vec()),
        ..numbered(index)
    };
    Some(chunk(session, vec![choice]))
}

/// Closes choice `index` with what had been held back.
#[must_use]
pub fn closing(session: &Session, index: usize, said: Said) -> ChatCompletionChunk {
    let choice = &session.choices[index].choice;
    let closed = ChunkChoice {
        finish_reason: Some(said.finish_reason(choice.finish_reason)),
        delta: said.delta(),
        stop_reason: choice.stop.clone(),
        weight_versions: session.plan.outputs.weight_versions.then(|| spans(&choice.spans)),
        ..numbered(index)
    };
    ChatCompletionChunk {
        weight_version: Some(session.weight_version([&session.choices[index]])),
        seed: Some(session.seeds[0]),
        ..chunk(session, vec![closed])
    }
}

/// The chunk with the token counts.
#[must_use]
pub fn totals(session: &Session) -> ChatCompletionChunk {
    ChatCompletionChunk {
        usage: Some(usage(session)),
        ..chunk(session, Vec::new())
    }
}
