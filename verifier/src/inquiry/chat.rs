//! Requests to a model that judges and its replies, in the shape of OpenAI's chat completions.

use serde_json::{Map, Value, json};

use super::{NoFinding, unreadable};
use crate::spec::{JudgeSampling, SpecError};
use crate::text::extract::after_reasoning;

/// Longest answer of a judge that is not told otherwise, tokens.
const MAX_TOKENS: u32 = 1024;
/// Longest answer that may be asked for, tokens.
const MOST_TOKENS: u32 = 65_536;

pub(super) fn refuse(why: &str) -> SpecError {
    SpecError::Judge(why.to_owned())
}

/// Checks a model's name and how it is sampled.
pub(super) fn check(model: &str, sampling: &JudgeSampling) -> Result<(), SpecError> {
    let within = |value: Option<f64>, least: f64, most: f64| value.is_none_or(|v| (least..=most).contains(&v));
    match sampling {
        _ if model.is_empty() || model.len() > 256 => Err(refuse("`model` has 1 to 256 bytes")),
        s if !within(s.temperature, 0.0, 2.0) => Err(refuse("`temperature` lies in 0..=2")),
        s if !within(s.top_p, f64::MIN_POSITIVE, 1.0) => Err(refuse("`top_p` is above 0 and at most 1")),
        s if !s.max_completions_tokens.is_none_or(|n| (1..=MOST_TOKENS).contains(&n)) => {
            Err(refuse("`max_completions_tokens` lies in 1..=65536"))
        }
        s if s.reasoning_effort.as_ref().is_some_and(|effort| effort.len() > 32) => {
            Err(refuse("`reasoning_effort` has at most 32 bytes"))
        }
        _ => Ok(()),
    }
}

/// A request for an answer of a shape.
pub(super) fn request(model: &str, messages: Vec<Value>, schema: &Value, sampling: &JudgeSampling) -> Value {
    let mut body = json!({
        "model": model,
        "messages": messages,
        // A server of ours would log the question as a trajectory to train on.
        "store": false,
        "max_completion_tokens": sampling.max_completions_tokens.unwrap_or(MAX_TOKENS),
        "response_format": {"type": "json_schema", "json_schema": {"name": "grade", "strict": true, "schema": schema}},
    });
    let optional = [
        ("temperature", sampling.temperature.map(Value::from)),
        ("top_p", sampling.top_p.map(Value::from)),
        ("seed", sampling.seed.map(Value::from)),
        ("reasoning_effort", sampling.reasoning_effort.clone().map(Value::from)),
    ];
    for (key, value) in optional {
        if let Some(value) = value {
            body[key] = value;
        }
    }
    body
}

/// A schema of an object that has all of `properties` and nothing else, reasons first.
pub(super) fn object(properties: Map<String, Value>) -> Value {
    let required: Vec<&String> = properties.keys().collect();
    json!({"type": "object", "required": required, "additionalProperties": false, "properties": properties})
}

/// The schema of reasons.
pub(super) fn texts() -> Value {
    json!({"type": "array", "items": {"type": "string"}})
}

/// The JSON object that a judge answered with: all of its answer after its reasoning, or what stands between the first and
/// the last brace of it, for servers that do not hold answers to a schema.
pub(super) fn answer(reply: &Value) -> Result<Value, NoFinding> {
    let content = reply.pointer("/choices/0/message/content").and_then(Value::as_str);
    let content = content.ok_or_else(|| unreadable("the reply has no `choices[0].message.content`"))?;
    // The whole first: an answer may quote a tag of the response's reasoning.
    let whole: Option<Value> = serde_json::from_str(content.trim()).ok();
    if let Some(found) = whole.filter(Value::is_object) {
        return Ok(found);
    }
    let text = after_reasoning(content);
    let braces = || text.find('{').zip(text.rfind('}')).filter(|(open, close)| open < close);
    let found = serde_json::from_str(text.trim()).ok().or_else(|| {
        let (open, close) = braces()?;
        serde_json::from_str(&text[open..=close]).ok()
    });
    let found: Option<Value> = found.filter(Value::is_object);
    found.ok_or_else(|| unreadable("the judge's answer is no JSON object"))
}
