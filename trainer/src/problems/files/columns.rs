//! Which columns hold question and answer, and how their values become text.

use std::path::Path;

use serde_json::Value;
use svs_verifier::spec::GraderSpec;

use super::super::Problem;
use super::{AnswerForm, FileOptions, ProblemError, conversation};
use crate::reward::{GRADER_KEY, read_grader};

/// Column in which a row may name its source, as verl's files do.
const SOURCE: &str = "data_source";
/// Longest such name; a longer one is no name.
const MAX_SOURCE_BYTES: usize = 100;

/// A schema known by its columns.
struct Preset {
    source: &'static str,
    question: &'static [&'static str],
    answer: &'static str,
    form: AnswerForm,
    id: Option<&'static str>,
}

/// Known schemas, most particular first.
const PRESETS: &[Preset] = &[
    Preset {
        source: "svamp",
        question: &["Body", "Question"],
        answer: "Answer",
        form: AnswerForm::Plain,
        id: Some("ID"),
    },
    Preset {
        source: "dapo",
        question: &["prompt"],
        answer: "reward_model.ground_truth",
        form: AnswerForm::Plain,
        id: Some("extra_info.index"),
    },
    Preset {
        source: "math",
        question: &["question"],
        answer: "ref_answer",
        form: AnswerForm::Plain,
        id: None,
    },
    Preset {
        source: "gsm8k",
        question: &["question"],
        answer: "answer",
        form: AnswerForm::Auto,
        id: None,
    },
    Preset {
        source: "math",
        question: &["problem"],
        answer: "answer",
        form: AnswerForm::Plain,
        id: None,
    },
    Preset {
        source: "math",
        question: &["problem"],
        answer: "solution",
        form: AnswerForm::LastBoxed,
        id: None,
    },
    // What `svs problems` writes.
    Preset {
        source: "quality",
        question: &["question"],
        answer: "reference",
        form: AnswerForm::Plain,
        id: Some("id"),
    },
];

/// The columns chosen for a file.
#[derive(Debug)]
pub(super) struct Columns {
    question: Vec<String>,
    answer: String,
    form: AnswerForm,
    id: Option<String>,
    grader: Option<String>,
    hint: Option<String>,
    /// Source that the configuration gives to all rows.
    source: Option<String>,
    /// Name of the schema, where its own columns are read.
    schema: Option<&'static str>,
    stem: String,
}

impl Columns {
    /// The options' columns, completed by the first known schema whose columns are all there.
    pub(super) fn choose(
        path: &Path,
        options: &FileOptions,
        found: Vec<String>,
        has: impl Fn(&str) -> bool,
    ) -> Result<Self, ProblemError> {
        let named = options
            .question
            .iter()
            .chain(&options.messages)
            .chain(options.answer.as_ref().filter(|_| options.messages.is_none()))
            .chain(&options.id)
            .chain(&options.hint);
        let preset = PRESETS
            .iter()
            .find(|p| has(p.answer) && p.question.iter().all(|q| has(q)));
        let refuse = |reason: String| ProblemError::Columns {
            path: path.to_owned(),
            reason,
            found: found.clone(),
        };
        if let Some(missing) = named.into_iter().find(|column| !has(column)) {
            return Err(refuse(format!("no column `{missing}`")));
        }
        if options.messages.is_some() {
            let other = [
                ("question", !options.question.is_empty()),
                ("hint", options.hint.is_some()),
                ("grader", options.grader.is_some()),
            ];
            if let Some((column, _)) = other.into_iter().find(|(_, given)| *given) {
                return Err(refuse(format!(
                    "a conversation (`messages`) has no `{column}` beside it"
                )));
            }
        }
        let unknown = |what: &str| refuse(format!("the {what} column is not given and no known schema fits"));
        let question = match (options.question.as_slice(), preset) {
            ([], _) if options.messages.is_some() => options.messages.iter().cloned().collect(),
            ([], None) => return Err(unknown("question")),
            ([], Some(preset)) => preset.question.iter().map(|q| (*q).to_owned()).collect(),
            (given, _) => given.to_vec(),
        };
        let answer = match (&options.answer, preset) {
            (None, _) if options.messages.is_some() => conversation::ANSWER.to_owned(),
            (None, None) => return Err(unknown("answer")),
            (None, Some(preset)) => preset.answer.to_owned(),
            (Some(given), _) => given.clone(),
        };
        // A preset's form belongs to its answer column.
        let fitting = preset.filter(|p| p.answer == answer);
        let form = match options.answer_form {
            AnswerForm::Auto => fitting.map_or(AnswerForm::Auto, |p| p.form),
            given => given,
        };
        let stem = path
            .file_stem()
            .map_or_else(|| "file".into(), |s| s.to_string_lossy().into_owned());
        Ok(Self {
            question,
            answer,
            form,
            id: options
                .id
                .clone()
                .or_else(|| preset.and_then(|p| p.id).filter(|id| has(id)).map(str::to_owned)),
            grader: options.grader.clone(),
            hint: options.hint.clone(),
            source: options.source.clone(),
            schema: fitting.filter(|_| options.question.is_empty()).map(|p| p.source),
            stem,
        })
    }

    /// Every column that is read, whether there or not.
    pub(super) fn all(&self) -> impl Iterator<Item = &str> {
        self.question
            .iter()
            .chain([&self.answer])
            .chain(&self.id)
            .chain(&self.hint)
            .map(String::as_str)
            .chain([self.grader_column(), SOURCE])
    }

    /// Where a row's own grader is looked for.
    pub(super) fn grader_column(&self) -> &str {
        self.grader.as_deref().unwrap_or(GRADER_KEY)
    }

    /// The problem in a row; `row` counts from 1.
    pub(super) fn problem(
        &self,
        path: &Path,
        row: usize,
        value: &Value,
        options: &FileOptions,
    ) -> Result<Problem, ProblemError> {
        let bad = |column: &str, reason: String| ProblemError::Row {
            path: path.to_owned(),
            row,
            column: column.to_owned(),
            reason,
        };
        let text = |column: &str| {
            let found = lookup(value, column).ok_or_else(|| bad(column, "is missing".into()))?;
            let text = as_text(found).map_err(|reason| bad(column, reason))?;
            match text.len() {
                0 => Err(bad(column, "is empty".into())),
                n if n > options.max_text_bytes => Err(bad(
                    column,
                    format!("has {n} bytes, more than `max_text_bytes` = {}", options.max_text_bytes),
                )),
                _ => Ok(text),
            }
        };
        let id = match &self.id {
            Some(column) => text(column)?,
            None => format!("{}-{row}", self.stem),
        };
        if let Some(column) = &options.messages {
            let found = conversation::problem(value, column, options);
            let problem = found.map_err(|(field, reason)| bad(&field, reason))?;
            let source = self.source(value, "").to_owned();
            return Ok(Problem { id, source, ..problem });
        }
        let parts = self
            .question
            .iter()
            .map(|column| text(column))
            .collect::<Result<Vec<_>, _>>()?;
        let raw = text(&self.answer)?;
        let answer = answer_in(&raw, self.form).map_err(|reason| bad(&self.answer, reason.into()))?;
        let has_hint = |column: &&String| lookup(value, column).is_some_and(|found| !found.is_null() && found != "");
        let hint = self
            .hint
            .as_ref()
            .filter(has_hint)
            .map(|column| text(column))
            .transpose()?;
        let grader = self.grader(value).map_err(|(column, reason)| bad(column, reason))?;
        let row = if options.keep_rows || grader.is_some() {
            value.as_object().cloned().map(Box::new)
        } else {
            None
        };
        Ok(Problem {
            id,
            question: join(&parts),
            answer: answer.to_owned(),
            source: self.source(value, &raw).to_owned(),
            messages: None,
            hint,
            grader,
            row,
        })
    }

    /// Where a row comes from: what the configuration says, what the row says, the schema, the file.
    fn source<'r>(&'r self, row: &'r Value, answer: &str) -> &'r str {
        let own = row.get(SOURCE).and_then(Value::as_str);
        let own = own.filter(|own| (1..=MAX_SOURCE_BYTES).contains(&own.len()));
        // Any file may have columns `question` and `answer`; the hashes are GSM8K's.
        let schema = self
            .schema
            .filter(|schema| *schema != "gsm8k" || answer.contains("####"));
        self.source.as_deref().or(own).or(schema).unwrap_or(&self.stem)
    }

    /// The row's own grader. A column that was asked for must be there, but may be null.
    fn grader(&self, value: &Value) -> Result<Option<Box<GraderSpec>>, (&str, String)> {
        let column = self.grader_column();
        match lookup(value, column) {
            None if self.grader.is_some() => Err((column, "is missing".into())),
            None | Some(Value::Null) => Ok(None),
            // An unasked column of that name that holds something else is not ours.
            Some(found) if self.grader.is_none() && !found.is_object() => Ok(None),
            Some(found) => match read_grader(found) {
                Ok(spec) => Ok(Some(Box::new(spec))),
                Err(reason) => Err((column, format!("is no grader: {reason}"))),
            },
        }
    }
}

/// The value at a column: the whole name first, then segment by segment; a number indexes a list.
pub(super) fn lookup<'v>(value: &'v Value, column: &str) -> Option<&'v Value> {
    if let Some(found) = value.get(column) {
        return Some(found);
    }
    column.split('.').try_fold(value, |value, segment| match value {
        Value::Array(items) => items.get(segment.parse::<usize>().ok()?),
        other => other.get(segment),
    })
}

/// Text of a value: strings trimmed, whole numbers without a point, chat messages by their user turn.
pub(super) fn as_text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.trim().to_owned()),
        Value::Number(number) => Ok(match number.as_f64() {
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 1e15 => format!("{float:.0}"),
            _ => number.to_string(),
        }),
        Value::Array(messages) => user_turn(messages),
        Value::Null => Err("is null".into()),
        Value::Bool(_) => Err("is a boolean, not a text".into()),
        Value::Object(_) => Err("is an object, not a text".into()),
    }
}

/// The content of the only user message; a system message beside it is left out.
fn user_turn(messages: &[Value]) -> Result<String, String> {
    let mut user = None;
    for message in messages {
        let role = message
            .get("role")
            .and_then(Value::as_str)
            .ok_or("is a list, but not of chat messages")?;
        match role {
            "user" if user.is_some() => return Err("has more than one user message".into()),
            "user" => {
                let content = message.get("content").and_then(Value::as_str);
                user = Some(content.ok_or("has a user message without text")?.trim().to_owned());
            }
            "system" | "developer" => {}
            other => {
                return Err(format!(
                    "has a message of role `{other}`: only one user turn can be a problem"
                ));
            }
        }
    }
    user.ok_or_else(|| "has no user message".into())
}

fn answer_in(text: &str, form: AnswerForm) -> Result<&str, &'static str> {
    let after_hashes = text.rsplit_once("####").map(|(_, answer)| answer.trim());
    let answer = match form {
        AnswerForm::Plain => text,
        AnswerForm::Auto => after_hashes.unwrap_or(text),
        AnswerForm::AfterHashes => after_hashes.ok_or("has no `####`")?,
        AnswerForm::LastBoxed => svs_verifier::last_boxed(text).ok_or("has no `\\boxed{}`")?.trim(),
    };
    if answer.is_empty() {
        Err("holds no answer")
    } else {
        Ok(answer)
    }
}

/// One text of several columns; a part without punctuation at its end gets a full stop, an open condition a comma.
fn join(parts: &[String]) -> String {
    let mut joined = String::new();
    for part in parts {
        if !joined.is_empty() {
            if joined.ends_with(|c: char| c.is_alphanumeric()) {
                let start = joined.rfind(". ").map_or(0, |at| at + 2);
                joined.push(if joined[start..].starts_with("If ") { ',' } else { '.' });
            }
            joined.push(' ');
        }
        joined.push_str(part);
    }
    joined
}
