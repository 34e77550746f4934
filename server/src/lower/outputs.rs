//! What an answer reports besides its text.

/// What the answer reports besides the text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outputs {
    /// Logprobs of sampled tokens, with so many alternatives.
    pub logprobs: Option<u32>,
    /// Logprobs of prompt tokens, with so many alternatives.
    pub prompt_logprobs: Option<u32>,
    /// Both logprobs of sampled tokens and what was cut.
    pub raw_logprobs: bool,
    /// Token ids of prompt and answer.
    pub token_ids: bool,
    /// Weight version spans.
    pub weight_versions: bool,
    /// A usage chunk at the end of a stream.
    pub usage: bool,
    /// Answer as a stream.
    pub stream: bool,
}

impl Outputs {
    /// Whether every token is reported, whatever text it makes final.
    #[must_use]
    pub fn are_per_token(self) -> bool {
        self.logprobs.is_some() || self.raw_logprobs || self.token_ids
    }
}
