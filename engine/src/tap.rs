//! Hidden states, read inside the forward: a [`Tap`] sees each state as it passes and keeps what it reduces them to, so
//! that `[tokens, hidden]` states never leave the engine.

use std::fmt::Debug;
use std::sync::Arc;

/// Reads the hidden states of one choice. It runs on the engine's thread, so it must be quick; if it panics its request
/// fails.
pub trait Tap: Debug + Send + Sync {
    /// `state`, `[hidden]` f32, is the output of the final norm that the logits of the response's token `at` came from,
    /// 0 being its first. Tokens come in order and once each, also over a preemption; those that a controller forced, and
    /// those that a choice was resumed or forked with, are not seen.
    fn on_hidden(&mut self, at: usize, state: &[f32]);

    /// What it makes of the states so far, at most [`MAX_TAPPED`] numbers. Controllers see it, and the end of the choice
    /// reports it.
    fn reduced(&self) -> Vec<f32>;
}

/// Makes the taps of a request.
pub trait TapSource: Debug + Send + Sync {
    /// A tap for a choice, asked for when it has its first state; forks get one of their own.
    fn tap(&self, choice: u32) -> Box<dyn Tap>;
}

/// Most numbers that a tap may reduce a choice to.
pub const MAX_TAPPED: usize = 1024;

/// A choice's tap, made at its first state, where a panic fails only its request.
#[derive(Debug)]
pub(crate) struct Tapped {
    pub(crate) source: Arc<dyn TapSource>,
    choice: u32,
    tap: Option<Box<dyn Tap>>,
}

impl Tapped {
    pub(crate) fn new(source: &Arc<dyn TapSource>, choice: u32) -> Self {
        Self {
            source: Arc::clone(source),
            choice,
            tap: None,
        }
    }

    pub(crate) fn on_hidden(&mut self, at: usize, state: &[f32]) {
        let tap = self.tap.get_or_insert_with(|| self.source.tap(self.choice));
        tap.on_hidden(at, state);
    }

    /// Nothing before the first state.
    pub(crate) fn reduced(&self) -> Vec<f32> {
        self.tap.as_ref().map(|tap| tap.reduced()).unwrap_or_default()
    }
}
