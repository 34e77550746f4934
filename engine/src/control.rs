//! Control of a generation while it runs: a [`Controller`] sees what each choice has sampled and says how it goes on.

use std::fmt::Debug;
use std::sync::Arc;

/// Judges a choice at a step boundary. Its verdict must depend on nothing but what it sees: then the same seed gives the
/// same tokens under any load. It runs on the engine's thread, so it must be quick; if it panics its request fails.
pub trait Controller: Debug + Send + Sync {
    /// How the choice goes on.
    fn verdict(&self, seen: &Seen<'_>) -> Verdict;
}

/// A controller and its bounds, attached to a request.
#[derive(Debug, Clone)]
pub struct Control {
    /// Who judges.
    pub controller: Arc<dyn Controller>,
    /// Sampled tokens between two verdicts, at least 1.
    pub every: u32,
    /// Forks that each of the request's choices may make. Choices with their forks count against
    /// [`crate::EngineConfig::max_choices`].
    pub forks: u32,
}

/// How a choice goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// As if nobody had asked.
    Continue,
    /// These tokens come next. They count towards `max_tokens`, stops apply to them, a guide must allow them. They are
    /// reported as forced, with logprobs of 0: they were certain, not drawn.
    Force(Vec<u32>),
    /// It ends with what it has, for this reason.
    Abort(String),
    /// A new choice begins with the first `at` generated tokens of this one and samples from there under a key of its
    /// own; this one goes on. The new choice is judged too, but may not fork.
    Fork {
        /// Generated tokens that the new choice shares, at most as many as there are.
        at: usize,
    },
}

/// A choice as its controller sees it.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// Index of the choice.
    pub choice: u32,
    /// Tokens of the prompt.
    pub prompt: &'a [u32],
    /// Tokens sampled and forced so far.
    pub generated: &'a [u32],
    /// The tokens sampled since the last verdict, the newest last.
    pub steps: &'a [Observed],
    /// What the request's [`crate::tap::Tap`] makes of the hidden states so far; empty without one.
    pub tapped: &'a [f32],
    /// Forks that it may still make.
    pub forks_left: u32,
}

/// A sampled token with what the model's own logits (temperature 1, nothing masked or cut) said of its place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observed {
    /// Token id.
    pub token: u32,
    /// Behaviour logprob, nats.
    pub logprob: f32,
    /// Logprob of the best token less that of the second best, nats.
    pub margin: f32,
    /// Entropy, nats.
    pub entropy: f32,
}

impl Control {
    /// Index of the `made`-th fork of `choice` in a request with `n` choices: it depends on nothing else, so it is the
    /// same under any load.
    #[must_use]
    pub(crate) fn fork_index(&self, n: u32, choice: u32, made: u32) -> u32 {
        n + choice * self.forks + made
    }
}
