//! Lines that a specified grader scores.

use std::collections::BTreeMap;
use std::time::Instant;

use serde::Serialize;
use serde::de::Error;
use serde_json::Value;
use svs_verifier::{Case, Grader};

/// What is written of a line.
#[derive(Debug, Serialize)]
pub(super) struct ScoredLine {
    id: Value,
    reward: Option<f64>,
    fault: Option<String>,
    rule: String,
    parts: BTreeMap<String, f64>,
    micros: u64,
    steps: u64,
}

impl ScoredLine {
    /// What the summary counts it as.
    pub(super) fn kind(&self) -> &'static str {
        match self.reward {
            None => "fault",
            Some(reward) if reward >= 1.0 => "rewarded",
            Some(reward) if reward > 0.0 => "partly_rewarded",
            Some(_) => "no_reward",
        }
    }
}

/// The score of a line: an object with `id` and `prediction`, that templates see as a whole.
pub(super) fn score(bytes: &[u8], grader: &dyn Grader, max_steps: u64) -> serde_json::Result<ScoredLine> {
    let item: Value = serde_json::from_slice(bytes)?;
    let id = item.get("id").ok_or_else(|| serde_json::Error::missing_field("id"))?;
    let response = item.get("prediction").and_then(Value::as_str);
    let response = response.ok_or_else(|| serde_json::Error::custom("`prediction` is missing or no string"))?;
    let started = Instant::now();
    let scored = grader.grade(&Case {
        response,
        item: &item,
        max_steps,
    });
    let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    Ok(ScoredLine {
        id: id.clone(),
        reward: scored.reward.as_ref().ok().copied(),
        fault: scored.reward.as_ref().err().map(ToString::to_string),
        rule: scored.rule,
        parts: scored.parts,
        micros,
        steps: scored.steps,
    })
}
