//! What a grader is made from: JSON objects, in the shapes of OpenAI's graders where those exist. Unknown fields are
//! refused, and whatever cannot be graded exactly is refused by name when the grader is built, before any answer is seen.

mod build;
pub mod code;
mod error;
mod remote;
pub(crate) mod template;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::MathOptions;
pub use error::SpecError;
pub use remote::{
    ExternalSpec, InputContent, InputMessage, InputPart, InputRole, JudgeSampling, RubricItem, RubricSpec,
    ScoreModelSpec,
};

/// A grader's specification, told apart by its `type`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self", tag = "type", rename_all = "snake_case")]
pub enum GraderSpec {
    /// Compares two texts.
    StringCheck(StringCheckSpec),
    /// Measures how alike two texts are.
    TextSimilarity(TextSimilaritySpec),
    /// Compares two mathematical answers by value.
    Math(MathSpec),
    /// Compares choices, by letter or by the text of the option.
    Choice(ChoiceSpec),
    /// Looks for a pattern.
    Regex(RegexSpec),
    /// Wants JSON that a schema accepts.
    JsonSchema(JsonSchemaSpec),
    /// Wants tags, lengths or scripts.
    Format(FormatSpec),
    /// Wants a good answer to a task whose best answers are hard to find.
    Quality(QualitySpec),
    /// Asks an HTTP endpoint.
    External(ExternalSpec),
    /// Asks a model for a score.
    ScoreModel(ScoreModelSpec),
    /// Asks a model for points by criteria.
    Rubric(RubricSpec),
    /// Runs the program of a response against tests.
    Code(code::CodeSpec),
    /// Combines the rewards of other graders by a formula.
    Multi(MultiSpec),
}

crate::objects_only! { GraderSpec: "a grader", ScriptSpec: "`script`" }

/// `string_check`: 1 if the operation holds between two texts, else 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StringCheckSpec {
    /// Name of the grader.
    pub name: String,
    /// Template of the text that is graded.
    pub input: String,
    /// Template of the text that it is compared with.
    pub reference: String,
    /// What must hold.
    pub operation: StringOperation,
}

/// What a string check wants of an input and a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StringOperation {
    /// The same text.
    Eq,
    /// Another text.
    Ne,
    /// The input contains the reference.
    Like,
    /// The input contains the reference, upper and lower case alike.
    Ilike,
}

/// `text_similarity`: how alike two texts are, from 0 to 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextSimilaritySpec {
    /// Name of the grader.
    pub name: String,
    /// Template of the text that is graded.
    pub input: String,
    /// Template of the text that it is compared with.
    pub reference: String,
    /// The measure.
    pub evaluation_metric: Metric,
}

/// Measures of similarity, by OpenAI's names but for `cosine_words`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are the measures")]
pub enum Metric {
    Cosine,
    CosineWords,
    FuzzyMatch,
    Bleu,
    Gleu,
    Meteor,
    #[serde(rename = "rouge_1")]
    Rouge1,
    #[serde(rename = "rouge_2")]
    Rouge2,
    #[serde(rename = "rouge_3")]
    Rouge3,
    #[serde(rename = "rouge_4")]
    Rouge4,
    #[serde(rename = "rouge_5")]
    Rouge5,
    RougeL,
}

/// `math`: the mathematics grader.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MathSpec {
    /// Name of the grader.
    pub name: String,
    /// Template of the response that is graded.
    #[serde(default = "output_text")]
    pub input: String,
    /// Template of the gold answer.
    pub reference: String,
    /// Options of the mathematics grader; its `max_steps` bounds it within the steps of the case.
    #[serde(default)]
    pub options: MathOptions,
}

/// `choice`: 1 for the right option, by its letter or its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChoiceSpec {
    /// Name of the grader.
    pub name: String,
    /// Template of the response that is graded.
    #[serde(default = "output_text")]
    pub input: String,
    /// Template of the right option: its letter or its text.
    pub reference: String,
    /// Templates of the texts of A, B, …; without them only letters count.
    #[serde(default)]
    pub choices: Vec<String>,
}

/// `regex`: 1 if the pattern matches, in the syntax of the `regex` crate (linear time: no look-around).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegexSpec {
    /// Name of the grader.
    pub name: String,
    /// Template of the text that is graded.
    #[serde(default = "output_text")]
    pub input: String,
    /// The pattern.
    pub pattern: String,
    /// The pattern must match all of the text, not a part of it.
    #[serde(default)]
    pub full: bool,
}

/// `json_schema`: 1 if the text is JSON that the schema accepts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JsonSchemaSpec {
    /// Name of the grader.
    pub name: String,
    /// Template of the text that is graded.
    #[serde(default = "output_text")]
    pub input: String,
    /// The schema, draft 2020-12; docs/graders.md lists the keywords.
    pub schema: serde_json::Value,
}

/// `format`: 1 if every condition holds. At least one must be given.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FormatSpec {
    /// Name of the grader.
    pub name: String,
    /// Template of the text that is graded; the whole response by default, with its reasoning.
    #[serde(default = "full_text")]
    pub input: String,
    /// Names of tags, each opened and closed exactly once, one after the other in this order.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Nothing but whitespace may stand outside of the tags.
    #[serde(default)]
    pub only_tags: bool,
    /// Fewest characters.
    #[serde(default)]
    pub min_chars: Option<u64>,
    /// Most characters.
    #[serde(default)]
    pub max_chars: Option<u64>,
    /// Fewest words, separated by whitespace.
    #[serde(default)]
    pub min_words: Option<u64>,
    /// Most words.
    #[serde(default)]
    pub max_words: Option<u64>,
    /// Scripts that letters must be of.
    #[serde(default)]
    pub script: Option<ScriptSpec>,
}

/// Which scripts the letters of a text are of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct ScriptSpec {
    /// Unicode names of the scripts, such as `Latin` or `Han`.
    pub allowed: Vec<String>,
    /// The least share of letters that must be of them, in (0, 1].
    #[serde(default = "all_letters")]
    pub min_share: f64,
}

/// `quality`: 0 for an answer that is not feasible, else how good it is beside a reference, in (0, 1].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QualitySpec {
    /// Name of the grader.
    pub name: String,
    /// Template of the response that is graded; its last JSON list of whole numbers is the answer.
    #[serde(default = "output_text")]
    pub input: String,
    /// Template of the instance, as JSON.
    #[serde(default = "item_instance")]
    pub instance: String,
    /// Template of the objective of the reference answer.
    #[serde(default = "item_reference")]
    pub reference: String,
}

/// `multi`: a formula over the rewards of named graders.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MultiSpec {
    /// Name of the grader.
    pub name: String,
    /// The graders by the names that the formula uses.
    pub graders: BTreeMap<String, GraderSpec>,
    /// The formula; what it gives is held to [0, 1].
    pub calculate_output: String,
}

fn output_text() -> String {
    "{{ sample.output_text }}".to_owned()
}

fn full_text() -> String {
    "{{ sample.full_text }}".to_owned()
}

fn item_instance() -> String {
    "{{ item.instance }}".to_owned()
}

fn item_reference() -> String {
    "{{ item.reference }}".to_owned()
}

fn all_letters() -> f64 {
    1.0
}
