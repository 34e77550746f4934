//! A request under way, as its caller sees it.

use tokio::sync::mpsc::Receiver;

use crate::error::EngineError;
use crate::request::{Choice, Completion, Event, FinishReason, PromptLogprob, TokenEvent, VersionSpan};

/// A submitted request. Dropping it aborts what has not finished.
#[derive(Debug)]
pub struct Generation {
    seed: u64,
    events: Receiver<Event>,
    unfinished: u32,
}

impl Generation {
    /// The caller's end of a request with `n` choices.
    #[must_use]
    pub fn new(seed: u64, n: u32, events: Receiver<Event>) -> Self {
        Self {
            seed,
            events,
            unfinished: n,
        }
    }

    /// The seed in use, drawn if the request had none.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The next event; `None` after the last.
    pub async fn next(&mut self) -> Option<Event> {
        let event = self.events.recv().await;
        self.noted(event)
    }

    /// The next event, blocking the thread; not for async contexts.
    pub fn blocking_next(&mut self) -> Option<Event> {
        let event = self.events.blocking_recv();
        self.noted(event)
    }

    /// An event if there is one already; for an engine stepped by hand.
    pub fn try_next(&mut self) -> Option<Event> {
        let event = self.events.try_recv().ok()?;
        self.noted(Some(event))
    }

    /// A stream that breaks off before its ends is a stopped engine, not a finished request.
    fn noted(&mut self, event: Option<Event>) -> Option<Event> {
        match event {
            Some(Event::Finished { .. }) => self.unfinished = self.unfinished.saturating_sub(1),
            Some(Event::Failed(_)) => self.unfinished = 0,
            None if self.unfinished > 0 => {
                self.unfinished = 0;
                return Some(Event::Failed(EngineError::Stopped(
                    "before the request was done".into(),
                )));
            }
            _ => {}
        }
        event
    }

    /// Waits for the end, blocking.
    ///
    /// # Errors
    /// The error of [`Event::Failed`], or [`EngineError::Stopped`].
    pub fn collect_blocking(mut self) -> Result<Completion, EngineError> {
        let mut collected = Collected::new(self.seed, self.unfinished);
        while let Some(event) = self.blocking_next() {
            collected.push(event)?;
        }
        Ok(collected.completion)
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// The error of [`Event::Failed`], or [`EngineError::Stopped`].
    pub async fn collect(mut self) -> Result<Completion, EngineError> {
        let mut collected = Collected::new(self.seed, self.unfinished);
        while let Some(event) = self.next().await {
            collected.push(event)?;
        }
        Ok(collected.completion)
    }
}

/// Folds events into a completion.
#[derive(Debug)]
pub struct Collected {
    /// What has arrived.
    pub completion: Completion,
}

impl Collected {
    /// Nothing yet, of `n` choices.
    #[must_use]
    pub fn new(seed: u64, n: u32) -> Self {
        let empty = Choice {
            tokens: Vec::new(),
            logprobs: Vec::new(),
            raw_logprobs: Vec::new(),
            thresholds: Vec::new(),
            top: Vec::new(),
            text: String::new(),
            finish_reason: FinishReason::Abort,
            stop: None,
            spans: Vec::new(),
            mixed_kv: false,
        };
        Self {
            completion: Completion {
                seed,
                choices: vec![empty; n as usize],
                prompt: None::<Vec<PromptLogprob>>,
            },
        }
    }

    /// Adds an event.
    ///
    /// # Errors
    /// The error of [`Event::Failed`].
    pub fn push(&mut self, event: Event) -> Result<(), EngineError> {
        match event {
            Event::Prompt(prompt) => self.completion.prompt = Some(prompt),
            Event::Token(token) => push_token(&mut self.completion.choices[token.choice as usize], token),
            Event::Finished {
                choice,
                reason,
                stop,
                text,
            } => {
                let choice = &mut self.completion.choices[choice as usize];
                choice.text.push_str(&text);
                (choice.finish_reason, choice.stop) = (reason, stop);
            }
            Event::Failed(error) => return Err(error),
        }
        Ok(())
    }
}

fn push_token(choice: &mut Choice, token: TokenEvent) {
    let at = u32::try_from(choice.tokens.len()).expect("a sequence fits u32");
    match choice.spans.last_mut() {
        Some(span) if span.version == token.version => span.end = at + 1,
        _ => choice.spans.push(VersionSpan {
            version: token.version,
            start: at,
            end: at + 1,
        }),
    }
    choice.tokens.push(token.token);
    choice.logprobs.push(token.logprob);
    choice.raw_logprobs.push(token.raw_logprob);
    choice.thresholds.push(token.threshold);
    choice.top.push(token.top);
    choice.text.push_str(&token.text);
    choice.mixed_kv |= token.mixed_kv;
}
