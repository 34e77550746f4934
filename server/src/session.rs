//! A running request: its generations in the engine, and what each choice has gathered so far.
//!
//! Dropping a session aborts what has not finished. It knows nothing of wire shapes.

use std::sync::Arc;
use std::time::Instant;

use svs_engine::request::{Choice, PromptLogprob};
use svs_engine::text::Tokenizer;
use svs_engine::{Event, FinishReason, GenerateRequest, Generation, TokenEvent};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::app::App;
use crate::error::ApiError;
use crate::lower::Plan;
use crate::metrics::Stopwatch;
use crate::otlp::{self, RequestSpan};
use crate::running::Ticket;
use crate::sessions::{self, Lease};

/// Events that may wait between a generation and its reader; beyond that they stay in the engine's channel.
const BUFFERED_EVENTS: usize = 64;

/// One choice of one prompt as gathered so far.
#[derive(Debug, Clone)]
pub struct Sampled {
    /// Tokens, logprobs, text, spans; `finish_reason` holds once `finished`.
    pub choice: Choice,
    /// The choice has ended.
    pub finished: bool,
}

/// What just happened to a choice; the session has already taken it in.
#[derive(Debug)]
pub enum Update {
    /// A token was sampled.
    Token {
        /// Prompt index times `n` plus sample index.
        index: usize,
        /// The token.
        event: TokenEvent,
    },
    /// The choice ended.
    Finished {
        /// Prompt index times `n` plus sample index.
        index: usize,
        /// Text that stop matching had held back.
        text: String,
    },
}

/// A running request.
#[derive(Debug)]
pub struct Session {
    /// What was asked.
    pub plan: Plan,
    /// Choices by index.
    pub choices: Vec<Sampled>,
    /// Scored prompts by prompt index.
    pub prompts: Vec<Option<Vec<PromptLogprob>>>,
    /// Seed of each prompt.
    pub seeds: Vec<u64>,
    /// Version of the adapter, or of the policy when the request began; answers without sampled tokens report it.
    pub start_version: u64,
    /// When it began.
    pub started: Instant,
    events: mpsc::Receiver<(usize, Event)>,
    pumps: JoinSet<()>,
    watch: Stopwatch,
    tokenizer: Tokenizer,
    ticket: Ticket,
    /// The agent's session that the request belongs to; it does not end before this does.
    pub lease: Option<Arc<Lease>>,
    /// Somebody made the request end; only what has arrived counts.
    cut: bool,
    span: RequestSpan,
}

impl Session {
    /// Submits every prompt of `plan`.
    ///
    /// # Errors
    /// The engine's refusal; prompts already submitted are aborted.
    pub fn start(app: &App, plan: Plan) -> Result<Self, ApiError> {
        let adapter = plan.adapter.as_ref().map(|adapter| adapter.weights.version);
        let start_version = adapter.unwrap_or_else(|| app.weight_version());
        // Before the engine has it: who sees it run may end it.
        let ticket = app.running.enter(plan.id.clone(), plan.request_id.clone());
        let (sender, events) = mpsc::channel(BUFFERED_EVENTS);
        // The engine's wait for a first step begins after this, and is a part of what is timed.
        let started = Instant::now();
        let (mut pumps, mut seeds) = (JoinSet::new(), Vec::with_capacity(plan.prompts.len()));
        for (prompt, planned) in plan.prompts.iter().enumerate() {
            let mut sampling = plan.sampling.clone();
            sampling.max_tokens = planned.max_tokens;
            let generation = app.engine.submit(GenerateRequest {
                prompt: planned.tokens.clone(),
                n: plan.n,
                sampling,
                // By version, which is never given twice; the plan holds the set.
                weights: adapter.map(|version| version.to_string()),
                cache_salt: plan.cache_salt.clone(),
                priority: plan.priority,
                continues_text: plan.continues_text,
                ..GenerateRequest::default()
            })?;
            seeds.push(generation.seed());
            pumps.spawn(pump(prompt, generation, sender.clone()));
        }
        let total = plan.prompts.len() * plan.n as usize;
        let watch = app.metrics.stopwatch(&plan, total, started);
        let prompts = vec![None; plan.prompts.len()];
        let choices = (0..plan.prompts.len()).flat_map(|_| 0..plan.n);
        let choices = choices.map(|index| Sampled {
            choice: Choice::unfinished(index),
            finished: false,
        });
        let choices = choices.collect();
        Ok(Self {
            plan,
            choices,
            prompts,
            seeds,
            start_version,
            started,
            events,
            pumps,
            watch,
            tokenizer: app.engine.tokenizer().clone(),
            ticket,
            lease: sessions::current(),
            cut: false,
            span: otlp::current(),
        })
    }

    /// The next update; `None` once every choice has ended.
    ///
    /// # Errors
    /// The engine's failure; nothing follows.
    pub async fn next(&mut self) -> Result<Option<Update>, ApiError> {
        while !self.choices.iter().all(|sampled| sampled.finished) {
            let event = if self.cut {
                match self.events.try_recv() {
                    Ok(event) => Some(event),
                    Err(_) => return Ok(self.cut_off()),
                }
            } else {
                tokio::select! {
                    biased;
                    () = self.ticket.aborted() => {
                        // The generations end with the tasks that held them.
                        self.cut = true;
                        self.pumps.abort_all();
                        continue;
                    }
                    event = self.events.recv() => event,
                }
            };
            let Some((prompt, event)) = event else {
                return Err(svs_engine::EngineError::Stopped("it ended in the middle of the request".into()).into());
            };
            if let Some(update) = self.take_in(prompt, event)? {
                return Ok(Some(update));
            }
        }
        Ok(None)
    }

    /// Waits until every choice has ended.
    ///
    /// # Errors
    /// The engine's failure.
    pub async fn finish(&mut self) -> Result<(), ApiError> {
        while self.next().await?.is_some() {}
        Ok(())
    }

    /// Prompt that choice `index` belongs to.
    #[must_use]
    pub fn prompt_of(&self, index: usize) -> usize {
        index / self.plan.n as usize
    }

    /// Newest version that a token of these choices was drawn under.
    #[must_use]
    pub fn weight_version<'a>(&self, choices: impl IntoIterator<Item = &'a Sampled>) -> u64 {
        let last = choices
            .into_iter()
            .flat_map(|sampled| sampled.choice.spans.iter().map(|span| span.version))
            .max();
        last.unwrap_or(self.start_version)
    }

    /// Ends the first choice that has not, with the tokens that have arrived.
    fn cut_off(&mut self) -> Option<Update> {
        let index = self.choices.iter().position(|sampled| !sampled.finished)?;
        let sampled = &mut self.choices[index];
        let text = held_back(&self.tokenizer, sampled, self.plan.keeps_first_space());
        sampled.choice.text.push_str(&text);
        sampled.choice.finish_reason = FinishReason::Abort;
        sampled.finished = true;
        self.watch
            .finished(index, FinishReason::Abort, sampled.choice.tokens.len(), None);
        Some(Update::Finished { index, text })
    }

    fn take_in(&mut self, prompt: usize, event: Event) -> Result<Option<Update>, ApiError> {
        let first = prompt * self.plan.n as usize;
        match event {
            Event::Prompt(scored) => {
                self.prompts[prompt] = Some(scored);
                Ok(None)
            }
            Event::Token(event) => {
                let index = first + event.choice as usize;
                self.watch.token(index, event.sampled_at);
                self.choices[index].choice.push(&event);
                Ok(Some(Update::Token { index, event }))
            }
            Event::Finished {
                choice,
                reason,
                stop,
                text,
                aborted,
                tapped: _,
                queued_s,
            } => {
                let index = first + choice as usize;
                let sampled = &mut self.choices[index];
                sampled.choice.text.push_str(&text);
                sampled.choice.finish_reason = reason;
                sampled.choice.stop = stop;
                sampled.choice.aborted = aborted;
                sampled.finished = true;
                self.watch
                    .finished(index, reason, sampled.choice.tokens.len(), Some(queued_s));
                Ok(Some(Update::Finished { index, text }))
            }
            // Requests that sample have no controller that could fork them, and pool no states.
            Event::Forked { .. } | Event::Pooled(_) => Ok(None),
            Event::Failed(error) => {
                let error = ApiError::from(error);
                self.span.failed(error.code);
                let field = self.plan.guide_field.as_deref().unwrap_or("guide");
                Err(error.rename_param("guide", field))
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.span.generated(self, self.watch.timing());
    }
}

/// The text of a choice's tokens beyond what was said of it; stop strings had held it back.
fn held_back(tokenizer: &Tokenizer, sampled: &Sampled, verbatim: bool) -> String {
    let stream = tokenizer.stream();
    let mut stream = if verbatim { stream.verbatim() } else { stream };
    let mut whole: String = sampled.choice.tokens.iter().map(|token| stream.push(*token)).collect();
    whole.push_str(&stream.finish());
    let rest = whole.strip_prefix(&sampled.choice.text);
    rest.unwrap_or_default().to_owned()
}

/// Forwards the events of one generation; ends, and so aborts it, when the session is dropped.
async fn pump(prompt: usize, mut generation: Generation, sender: mpsc::Sender<(usize, Event)>) {
    while let Some(event) = generation.next().await {
        if sender.send((prompt, event)).await.is_err() {
            return;
        }
    }
}
