//! A request under way, as its caller sees it.

use tokio::sync::mpsc::Receiver;

use crate::error::EngineError;
use crate::request::{Choice, Completion, Event, PromptLogprob};

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
            Some(Event::Forked { .. }) => self.unfinished += 1,
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
        Self {
            completion: Completion {
                seed,
                choices: (0..n).map(Choice::unfinished).collect(),
                prompt: None::<Vec<PromptLogprob>>,
                pooled: None,
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
            Event::Pooled(state) => self.completion.pooled = Some(state),
            Event::Token(token) => self.choice(token.choice).push(&token),
            Event::Forked {
                choice,
                parent,
                at,
                text,
            } => self.fork(choice, parent, at, text),
            Event::Finished {
                choice,
                reason,
                stop,
                text,
                aborted,
                tapped,
                queued_s: _,
            } => {
                let choice = self.choice(choice);
                choice.text.push_str(&text);
                (choice.finish_reason, choice.stop) = (reason, stop);
                (choice.aborted, choice.tapped) = (aborted, tapped);
            }
            Event::Failed(error) => return Err(error),
        }
        Ok(())
    }

    /// The choice with this index, which has begun.
    fn choice(&mut self, index: u32) -> &mut Choice {
        let at = self.completion.choices.partition_point(|choice| choice.index < index);
        &mut self.completion.choices[at]
    }

    fn fork(&mut self, index: u32, parent: u32, at: usize, text: String) {
        let fork = self.choice(parent).forked(index, at, text);
        let place = self.completion.choices.partition_point(|choice| choice.index < index);
        self.completion.choices.insert(place, fork);
    }
}
