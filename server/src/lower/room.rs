//! What fits the context: prompts before they are encoded, and tokens to sample after them.

use crate::app::App;
use crate::error::ApiError;

/// Longest sequence served.
#[derive(Clone, Copy)]
pub(super) struct Room(pub(super) usize);

impl Room {
    pub(super) fn of(app: &App) -> Self {
        Self(app.engine.max_model_len())
    }

    /// Refuses a text that is too long whatever its tokens are, before minutes go into encoding it.
    pub(super) fn admit(self, app: &App, source: &str, bytes: usize) -> Result<(), ApiError> {
        let least = app.engine.tokenizer().least_tokens(bytes);
        if least <= self.0 {
            return Ok(());
        }
        let message = format!(
            "{bytes} bytes, thus at least {least} tokens; the context length is {}",
            self.0
        );
        Err(ApiError::invalid(
            source,
            "context_length_exceeded",
            format!("`{source}`: {message}"),
        ))
    }
}

/// How many tokens a request wants.
pub(super) struct Limit {
    /// The field that says so.
    pub(super) field: &'static str,
    /// What it says.
    pub(super) asked: Option<u32>,
    /// What counts where it says nothing.
    pub(super) default: usize,
    /// Whether none may be asked for.
    pub(super) zero: bool,
}

impl Limit {
    /// Tokens to sample after a prompt of `prompt` tokens, which the field `source` gave.
    pub(super) fn resolve(&self, source: &str, prompt: usize, Room(room): Room) -> Result<u32, ApiError> {
        let scoring = self.asked == Some(0) && self.zero;
        if self.asked == Some(0) && !self.zero {
            let message = "must be at least 1; 0 is for scoring a prompt with `echo` or `prompt_logprobs`";
            return Err(ApiError::value(self.field, message));
        }
        let wanted = self.asked.map_or(usize::from(!scoring), |asked| asked as usize);
        if prompt.saturating_add(wanted) > room {
            let message = match self.asked {
                Some(asked) => format!(
                    "the prompt has {prompt} tokens and `{}` asks for {asked} more, but the context length is {room}",
                    self.field
                ),
                None => format!("the prompt has {prompt} tokens, which leaves no room in the context length of {room}"),
            };
            return Err(ApiError::invalid(source, "context_length_exceeded", message));
        }
        let tokens = self
            .asked
            .map_or_else(|| self.default.min(room - prompt), |asked| asked as usize);
        Ok(u32::try_from(tokens).unwrap_or(u32::MAX))
    }
}
