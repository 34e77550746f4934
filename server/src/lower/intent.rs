//! What a client wants logged with its request: the keys of `metadata` that the trainer reads.

use std::collections::BTreeMap;

use serde_json::Value;
use svs_trainer::reward::{GRADER_KEY, read_client_grader};

use crate::error::ApiError;

const MAX_PAIRS: usize = 16;
const MAX_KEY_CHARS: usize = 64;
const MAX_VALUE_CHARS: usize = 512;
/// Longest specification of a grader.
const MAX_GRADER_CHARS: usize = 4096;
/// Largest group that a client may declare.
const MAX_GROUP_SIZE: u32 = 65_536;

/// How the trajectories of a request are to be logged.
#[derive(Debug, Clone, PartialEq)]
pub struct Intent {
    /// Group of the trajectories, if the client named one; else the samples of one prompt.
    pub group: Option<String>,
    /// Declared size of the group.
    pub group_size: u32,
    /// Problem that the prompt poses.
    pub problem_id: Option<String>,
    /// Reference answer.
    pub reference: Option<String>,
    /// The reward comes later, by `POST /v1/trajectories/{id}/reward`.
    pub awaits_reward: bool,
    /// Metadata as given.
    pub metadata: Value,
}

impl Intent {
    /// Reads `metadata` of a request with `prompts` prompts and `n` samples each.
    ///
    /// # Errors
    /// 400 `invalid_value` naming `metadata` or one of its keys.
    pub(super) fn read(metadata: Option<BTreeMap<String, String>>, prompts: usize, n: u32) -> Result<Self, ApiError> {
        let Some(metadata) = metadata else {
            return Ok(Self {
                group: None,
                group_size: n,
                problem_id: None,
                reference: None,
                awaits_reward: false,
                metadata: Value::Null,
            });
        };
        check_size(&metadata)?;
        for key in ["group", "group_size", "problem_id", "reference", "answer"] {
            if prompts > 1 && metadata.contains_key(key) {
                let message = "speaks of one prompt, and this request has several; send one request per prompt";
                return Err(ApiError::value(&format!("metadata.{key}"), message));
            }
        }
        if let (Some(reference), Some(answer)) = (metadata.get("reference"), metadata.get("answer"))
            && reference != answer
        {
            return Err(ApiError::value(
                "metadata.answer",
                "differs from `metadata.reference`; give one of them",
            ));
        }
        if let Some(grader) = metadata.get(GRADER_KEY) {
            let read = read_client_grader(&Value::String(grader.clone()));
            read.map_err(|reason| ApiError::value("metadata.grader", reason))?;
        }
        let group_size = match metadata.get("group_size") {
            Some(text) => group_size(text, n, metadata.contains_key("group"))?,
            None => n,
        };
        if metadata.get("group").is_some_and(String::is_empty) {
            return Err(ApiError::value("metadata.group", "must not be empty"));
        }
        let awaits_reward = match metadata.get("await_reward").map(String::as_str) {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => {
                return Err(ApiError::value(
                    "metadata.await_reward",
                    "must be \"true\" or \"false\"",
                ));
            }
        };
        Ok(Self {
            group: metadata.get("group").cloned(),
            group_size,
            awaits_reward,
            problem_id: metadata.get("problem_id").cloned(),
            reference: metadata.get("reference").or_else(|| metadata.get("answer")).cloned(),
            metadata: metadata
                .into_iter()
                .map(|(key, value)| (key, Value::String(value)))
                .collect(),
        })
    }
}

fn check_size(metadata: &BTreeMap<String, String>) -> Result<(), ApiError> {
    if metadata.len() > MAX_PAIRS {
        return Err(ApiError::value(
            "metadata",
            format!("{} pairs; allowed are at most {MAX_PAIRS}", metadata.len()),
        ));
    }
    for (key, value) in metadata {
        if key.chars().count() > MAX_KEY_CHARS {
            return Err(ApiError::value(
                "metadata",
                format!("a key has more than {MAX_KEY_CHARS} characters"),
            ));
        }
        let most = if key == GRADER_KEY {
            MAX_GRADER_CHARS
        } else {
            MAX_VALUE_CHARS
        };
        if value.chars().count() > most {
            let message = format!("the value has more than {most} characters");
            return Err(ApiError::value(&format!("metadata.{key}"), message));
        }
    }
    Ok(())
}

fn group_size(text: &str, n: u32, named: bool) -> Result<u32, ApiError> {
    let refuse = |message: String| Err(ApiError::value("metadata.group_size", message));
    let Ok(size) = text.parse::<u32>() else {
        return refuse(format!(
            "`{text}` is not a whole number (metadata values are strings, e.g. \"8\")"
        ));
    };
    if !(n..=MAX_GROUP_SIZE).contains(&size) {
        return refuse(format!(
            "{size} is out of range; allowed is n = {n} to {MAX_GROUP_SIZE}"
        ));
    }
    if !named && size != n {
        return refuse(format!(
            "{size} differs from n = {n}; a group over several requests needs `metadata.group`"
        ));
    }
    Ok(size)
}
