//! Specifications of graders that ask somebody else: an HTTP endpoint, or a model. They name an endpoint that the run's
//! configuration declares, never an address.

use serde::{Deserialize, Serialize};

/// `external`: the reward that an HTTP endpoint gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExternalSpec {
    /// Name of the grader.
    pub name: String,
    /// Name of the endpoint.
    #[serde(default = "default_endpoint")]
    pub endpoint: String,
}

/// `score_model`: the score that a model gives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScoreModelSpec {
    /// Name of the grader.
    pub name: String,
    /// Name of the endpoint, which speaks OpenAI's API.
    #[serde(default = "default_endpoint")]
    pub endpoint: String,
    /// The model that scores.
    pub model: String,
    /// The messages that it reads, with templates.
    pub input: Vec<InputMessage>,
    /// Least and greatest score; they are worth 0 and 1.
    #[serde(default = "unit_range")]
    pub range: [f64; 2],
    /// How it is sampled.
    #[serde(default)]
    pub sampling_params: JudgeSampling,
}

/// A message that a judging model reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct InputMessage {
    /// Who says it.
    pub role: InputRole,
    /// Template of its text.
    pub content: InputContent,
}

/// Who says a message to a judging model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are OpenAI's")]
pub enum InputRole {
    System,
    Developer,
    User,
    Assistant,
}

/// The text of a message, in either of OpenAI's shapes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum InputContent {
    /// The template itself.
    Text(String),
    /// An object around it.
    Part(InputPart),
}

/// A part of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self", tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum InputPart {
    /// A text.
    InputText {
        /// The template.
        text: String,
    },
}

/// How a judging model is sampled; what is absent is left to its server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self", default, deny_unknown_fields)]
pub struct JudgeSampling {
    /// Temperature in [0, 2].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Nucleus mass in (0, 1].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Longest answer, tokens; 1024 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_completions_tokens: Option<u32>,
    /// How long a reasoning model thinks, by the names of its server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<String>,
}

/// `rubric`: weighted criteria, each scored by a model, all of them in one request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RubricSpec {
    /// Name of the grader.
    pub name: String,
    /// Name of the endpoint, which speaks OpenAI's API.
    #[serde(default = "default_endpoint")]
    pub endpoint: String,
    /// The model that scores.
    pub model: String,
    /// Template of the task that was to be done.
    #[serde(default = "item_question")]
    pub question: String,
    /// Template of the response that is graded.
    #[serde(default = "super::output_text")]
    pub input: String,
    /// Template of an answer to compare with, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The criteria.
    pub items: Vec<RubricItem>,
    /// Points that a criterion gives at most.
    #[serde(default = "ten")]
    pub points: u8,
    /// Ask for reasons before the points.
    #[serde(default = "yes")]
    pub reasons: bool,
    /// How it is sampled.
    #[serde(default)]
    pub sampling_params: JudgeSampling,
}

/// A criterion of a rubric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct RubricItem {
    /// Its name: letters, digits and `_`.
    pub name: String,
    /// What the judge looks for, in words.
    pub criterion: String,
    /// Its weight; below 0 for what a response should not do, 0 for a veto that counts no further.
    #[serde(default = "one")]
    pub weight: f64,
    /// Fewer than half of its points make the reward 0, whatever the others give.
    #[serde(default)]
    pub veto: bool,
}

crate::objects_only! {
    InputMessage: "a message of `input`",
    InputPart: "`content`",
    JudgeSampling: "`sampling_params`",
    RubricItem: "a member of `items`",
}

fn default_endpoint() -> String {
    "default".to_owned()
}

fn item_question() -> String {
    "{{ item.question }}".to_owned()
}

fn unit_range() -> [f64; 2] {
    [0.0, 1.0]
}

fn one() -> f64 {
    1.0
}

fn ten() -> u8 {
    10
}

fn yes() -> bool {
    true
}
