//! Answers of vLLM's `/inference/v1/generate`.

use std::ops::Range;

use svs_engine::request::Choice;
use svs_openapi::token_generation::{RankedLogprob, SampledLogprob, TokenAnswer, TokenChoice, TokenLogprobs};

use super::logprobs::{self, finite};
use super::{Vocabulary, labelled, stopped_by, usage};
use crate::app::App;
use crate::metrics::finish_name;
use crate::session::Session;

/// How the answers of a request are worded.
#[derive(Debug, Clone)]
pub struct TokenWords {
    /// The id to repeat.
    pub id: String,
    /// Texts beside tokens.
    pub texts: bool,
}

impl TokenWords {
    /// The whole answer of a finished session.
    #[must_use]
    pub fn response(&self, app: &App, session: &Session) -> TokenAnswer {
        let choice = |index: usize| {
            let choice = &session.choices[index].choice;
            let mut out = self.part(session, index, 0..choice.tokens.len(), &choice.text);
            close(app, session, index, &mut out);
            out
        };
        TokenAnswer {
            usage: Some(usage(session)),
            ..self.opened(app, session, (0..session.choices.len()).map(choice).collect())
        }
    }

    /// What is new of choice `index` with its newest token and the `text` that it made final; the first of the stream also
    /// tells of the prompt.
    #[must_use]
    pub fn token(&self, app: &App, session: &Session, index: usize, text: &str, first: bool) -> TokenAnswer {
        let count = session.choices[index].choice.tokens.len();
        let part = self.part(session, index, count - 1..count, text);
        self.chunk(app, session, part, first)
    }

    /// The end of choice `index`, with the `text` that had been held back.
    #[must_use]
    pub fn closing(&self, app: &App, session: &Session, index: usize, text: &str, first: bool) -> TokenAnswer {
        let mut part = self.part(session, index, 0..0, text);
        close(app, session, index, &mut part);
        self.chunk(app, session, part, first)
    }

    /// The chunk with the token counts.
    #[must_use]
    pub fn totals(&self, session: &Session) -> TokenAnswer {
        TokenAnswer {
            usage: Some(usage(session)),
            ..self.envelope(Vec::new())
        }
    }

    fn chunk(&self, app: &App, session: &Session, part: TokenChoice, first: bool) -> TokenAnswer {
        if first {
            self.opened(app, session, vec![part])
        } else {
            self.envelope(vec![part])
        }
    }

    fn envelope(&self, choices: Vec<TokenChoice>) -> TokenAnswer {
        TokenAnswer {
            request_id: self.id.clone(),
            choices,
            usage: None,
            prompt_token_ids: None,
            prompt_logprobs: None,
        }
    }

    fn opened(&self, app: &App, session: &Session, choices: Vec<TokenChoice>) -> TokenAnswer {
        let (outputs, vocabulary) = (session.plan.outputs, Vocabulary(app.engine.tokenizer()));
        let prompt = &session.plan.prompts[0].tokens;
        let scored = session.prompts[0].as_deref();
        TokenAnswer {
            prompt_token_ids: outputs.token_ids.then(|| prompt.clone()),
            prompt_logprobs: outputs
                .prompt_logprobs
                .and_then(|alternatives| Some(vocabulary.prompt(scored?, alternatives))),
            ..self.envelope(choices)
        }
    }

    fn part(&self, session: &Session, index: usize, range: Range<usize>, text: &str) -> TokenChoice {
        let (outputs, choice) = (session.plan.outputs, &session.choices[index].choice);
        TokenChoice {
            index: u32::try_from(index).expect("n fits u32"),
            text: self.texts.then(|| text.to_owned()),
            logprobs: outputs.logprobs.map(|_| sampled(choice, range.clone())),
            logprobs_mode: logprobs::mode(outputs),
            sampled_logprobs: logprobs::sampled(outputs, choice, range.clone()),
            token_ids: choice.tokens[range].to_vec(),
            ..TokenChoice::default()
        }
    }
}

fn close(app: &App, session: &Session, index: usize, out: &mut TokenChoice) {
    let choice = &session.choices[index].choice;
    out.finish_reason = Some(finish_name(choice.finish_reason).into());
    out.stop_reason = stopped_by(choice).filter(|stop| {
        // The model's own end of sequence is no reason that a client gave.
        let mut given = session.plan.sampling.stop_token_ids.iter();
        stop.is_string() || given.any(|token| stop == token)
    });
    out.weight_versions = Some(labelled(app, &choice.spans));
    out.seed = Some(session.seeds[0]);
}

fn sampled(choice: &Choice, range: Range<usize>) -> TokenLogprobs {
    let name = |token: u32| format!("token_id:{token}");
    let entry = |position: usize| {
        let token = choice.tokens[position];
        let ranked = (1..).zip(&choice.top[position]);
        let ranked = ranked.map(|(rank, top)| RankedLogprob {
            token: name(top.token),
            token_id: top.token,
            logprob: finite(top.logprob),
            rank,
        });
        let top_logprobs: Vec<_> = ranked.collect();
        let own = top_logprobs.iter().find(|top| top.token_id == token);
        SampledLogprob {
            token: name(token),
            token_id: token,
            logprob: finite(choice.logprobs[position]),
            rank: own.map(|own| own.rank),
            top_logprobs,
        }
    };
    TokenLogprobs {
        content: range.map(entry).collect(),
    }
}
