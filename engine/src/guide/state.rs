//! One sample's way through its grammar.

use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

use llguidance::Matcher;
use llguidance::toktrie::SimpleVob;

use super::compiled::Held;

/// Where a sample stands in its grammar. Cloning it forks the sample.
#[derive(Clone)]
pub struct GuideState {
    matcher: Matcher,
    /// The request's share of the memory for guides in use.
    _held: Option<Arc<Held>>,
}

/// Tokens that may come next, one bit per token id.
#[derive(Debug, Clone)]
pub struct Allowed(SimpleVob);

impl Allowed {
    /// Bit `id % 32` of word `id / 32` is set if the token may come; ids beyond the words may not.
    #[must_use]
    pub fn words(&self) -> &[u32] {
        self.0.as_slice()
    }
}

impl GuideState {
    pub(super) fn new(matcher: Matcher, held: Option<Arc<Held>>) -> Self {
        Self { matcher, _held: held }
    }

    /// Tokens that may come next; ends of sequence are among them where the grammar accepts what there is. At least one.
    ///
    /// # Errors
    /// A sentence, if the work exceeds the limits.
    pub fn allowed(&mut self) -> Result<Allowed, String> {
        self.matcher
            .compute_mask_or_eos()
            .map(Allowed)
            .map_err(|error| first_line(&error))
    }

    /// Goes on by a token.
    ///
    /// # Errors
    /// A sentence, if the token is not allowed here or the work exceeds the limits.
    pub fn push(&mut self, token: u32) -> Result<(), String> {
        self.matcher.consume_token(token).map_err(|error| first_line(&error))
    }

    /// The text so far is a whole one.
    ///
    /// # Errors
    /// A sentence, if the state has failed before.
    pub fn accepts(&mut self) -> Result<bool, String> {
        self.matcher.is_accepting().map_err(|error| first_line(&error))
    }
}

impl Debug for GuideState {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "GuideState({})", self.matcher.stop_reason())
    }
}

/// What went wrong, without the parser's inner state and drawings of the place.
pub(super) fn first_line(error: &impl ToString) -> String {
    let text = error.to_string();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = match lines.next().unwrap_or("failed") {
        // What the library calls it when its first mask is empty.
        first if first.contains("NoExtensionBias") => "no token of the vocabulary can follow: no text satisfies it",
        first => first,
    };
    match lines.find(|line| line.starts_with("error: ")) {
        Some(cause) => format!("{first} {cause}"),
        None => first.to_owned(),
    }
}
