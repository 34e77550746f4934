//! What can go wrong in the engine, one variant per thing a caller can do something about.

/// Errors of the engine's public surface.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// A request parameter is out of range; `field` is its wire name.
    #[error("{field}: {reason}")]
    InvalidParameter {
        /// Wire name of the parameter.
        field: &'static str,
        /// What was wrong and what is allowed.
        reason: String,
    },
    /// Prompt plus requested tokens do not fit the context length.
    #[error(
        "the prompt has {prompt_tokens} tokens and {max_tokens} were requested, but the model's context length is {context_length}"
    )]
    ContextLengthExceeded {
        /// Tokens of the prompt.
        prompt_tokens: usize,
        /// Tokens requested.
        max_tokens: usize,
        /// Longest sequence served.
        context_length: usize,
    },
    /// The waiting queue is full; try again later.
    #[error("the engine's queue is full ({waiting} sequences waiting, limit {limit})")]
    Overloaded {
        /// Sequences waiting.
        waiting: usize,
        /// `max_waiting` of the config.
        limit: usize,
    },
    /// A bound other than the queue's is reached; try again later.
    #[error("no room at present for further {what}, limit {limit}")]
    Busy {
        /// What there are too many of.
        what: &'static str,
        /// The bound.
        limit: usize,
    },
    /// The process that tries unknown guides cannot run.
    #[error("no guide can be tried at present: {0}")]
    GuideTrial(String),
    /// No weights under that name or version are held.
    #[error("no weights named or versioned `{0}` are held by the engine")]
    UnknownWeights(String),
    /// The weight set offered does not match the model being served.
    #[error("weights do not fit the served model: {0}")]
    IncompatibleWeights(String),
    /// No further weight set can be held.
    #[error("no room for further weights: {0}")]
    NoRoom(String),
    /// The engine thread has stopped.
    #[error("the engine has stopped: {0}")]
    Stopped(String),
    /// The device that runs the decoder cannot be used, or failed.
    #[error(transparent)]
    Device(#[from] crate::device::DeviceError),
    /// A pause or somebody else ended it before it was done.
    #[error("the request was aborted before it was done; try again")]
    Aborted,
    /// Its memory is released.
    #[error("the engine sleeps; wake it up first")]
    Asleep,
    /// Generation went on before a pause was complete.
    #[error("generation was resumed before the pause was complete")]
    Resumed,
    /// A model computation produced a non-finite number.
    #[error("non-finite logits for sequence at position {position} under weight version {version}")]
    NonFiniteLogits {
        /// Position of the row.
        position: usize,
        /// Weight version in use.
        version: u64,
    },
}
