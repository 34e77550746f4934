//! `external`: an endpoint of one's own that gives rewards.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Finding, MAX_NAME, NoFinding, unreadable};
use crate::Case;
use crate::budget::Budget;
use crate::grader::{Fault, Stopped};
use crate::spec::ExternalSpec;
use crate::text::extract::after_reasoning;

/// Most parts that a reply may have.
const MAX_PARTS: usize = 64;
/// Bytes that are copied for one step.
const BYTES_PER_STEP: usize = 64;

#[derive(Debug)]
pub(super) struct External {
    name: String,
}

impl External {
    pub(super) fn new(spec: &ExternalSpec) -> Self {
        Self {
            name: spec.name.clone(),
        }
    }

    pub(super) fn body(&self, case: &Case<'_>, budget: &mut Budget) -> Result<Value, Stopped> {
        let body = json!({
            "name": self.name,
            "item": case.item,
            "sample": {"output_text": after_reasoning(case.response), "full_text": case.response},
        });
        let steps = |bytes: usize| (bytes / BYTES_PER_STEP) as u64;
        budget
            .charge(steps(case.item.to_string().len()))
            .map_err(|_| Fault::TooLong)?;
        budget
            .charge(steps(2 * case.response.len()))
            .map_err(|_| Stopped::OVER_BUDGET)?;
        Ok(body)
    }
}

/// `{"reward": 0.5}`, with `rule` and `parts` or not; `{"fault": "why"}` where there is no reward to give.
pub(super) fn read(reply: &Value) -> Result<Finding, NoFinding> {
    let shown = |text: &str| -> String { text.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect() };
    if let Some(fault) = reply.get("fault").filter(|fault| !fault.is_null()) {
        return Err(NoFinding::Declined(shown(fault.as_str().unwrap_or("no reason given"))));
    }
    let reward = share(reply.get("reward")).ok_or_else(|| unreadable("`reward` is no number from 0 to 1"))?;
    let rule = match reply.get("rule") {
        None | Some(Value::Null) => "external".to_owned(),
        Some(Value::String(rule)) => shown(rule),
        Some(_) => return Err(unreadable("`rule` is no text")),
    };
    let parts = match reply.get("parts") {
        None | Some(Value::Null) => BTreeMap::new(),
        Some(Value::Object(parts)) if parts.len() <= MAX_PARTS => {
            let part = |(name, value): (&String, &Value)| Some((shown(name), share(Some(value))?));
            let parts: Option<BTreeMap<String, f64>> = parts.iter().map(part).collect();
            parts.ok_or_else(|| unreadable("`parts` are numbers from 0 to 1"))?
        }
        Some(_) => return Err(unreadable("`parts` is an object of at most 64 numbers")),
    };
    Ok(Finding { reward, rule, parts })
}

fn share(value: Option<&Value>) -> Option<f64> {
    let value = value?.as_f64()?;
    (0.0..=1.0).contains(&value).then_some(value)
}
