//! The error object of the OpenAI API; every response that is not 2xx carries one.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Envelope of an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorResponse {
    /// The error.
    pub error: ErrorBody,
}

/// What went wrong, for people and for programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// What is wrong and what is allowed.
    pub message: String,
    /// Class: `invalid_request_error`, `authentication_error`, `rate_limit_error` or `server_error`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The request field at fault, e.g. `temperature` or `messages[0].content`.
    pub param: Option<String>,
    /// Stable code, e.g. `context_length_exceeded`.
    pub code: Option<String>,
}
