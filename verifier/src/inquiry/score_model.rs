//! `score_model`: a score by a model, in the shape of OpenAI's grader.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::chat::{self, refuse};
use super::{Finding, NoFinding, unreadable};
use crate::Case;
use crate::budget::Budget;
use crate::grader::Stopped;
use crate::spec::template::Template;
use crate::spec::{InputContent, InputPart, InputRole, JudgeSampling, ScoreModelSpec, SpecError};

/// Most messages of a specification.
const MAX_MESSAGES: usize = 32;

#[derive(Debug)]
pub(super) struct ScoreModel {
    model: String,
    messages: Vec<(InputRole, Template)>,
    range: [f64; 2],
    sampling: JudgeSampling,
}

impl ScoreModel {
    pub(super) fn new(spec: &ScoreModelSpec) -> Result<Self, SpecError> {
        chat::check(&spec.model, &spec.sampling_params)?;
        if spec.input.is_empty() || spec.input.len() > MAX_MESSAGES {
            return Err(refuse("`input` has 1 to 32 messages"));
        }
        let [least, most] = spec.range;
        if !(least.is_finite() && most.is_finite() && least < most && (most - least).is_finite()) {
            return Err(refuse("`range` is the least and the greatest score, the least first"));
        }
        let messages = spec.input.iter().map(|message| {
            let (InputContent::Text(text) | InputContent::Part(InputPart::InputText { text })) = &message.content;
            Template::parse(text).map(|template| (message.role, template))
        });
        let messages = messages.collect::<Result<Vec<_>, SpecError>>()?;
        if !messages.iter().any(|(_, text)| text.holds_response()) {
            return Err(refuse("`input` must hold the response, as `{{ sample.output_text }}`"));
        }
        Ok(Self {
            model: spec.model.clone(),
            messages,
            range: spec.range,
            sampling: spec.sampling_params.clone(),
        })
    }

    pub(super) fn body(&self, case: &Case<'_>, budget: &mut Budget) -> Result<Value, Stopped> {
        let mut messages = Vec::with_capacity(self.messages.len());
        for (at, (role, template)) in self.messages.iter().enumerate() {
            let mut text = template.resolve(case, budget)?;
            if at + 1 == self.messages.len() {
                text.push_str(&self.form());
            }
            messages.push(json!({"role": role, "content": text}));
        }
        let properties = [("steps", chat::texts()), ("result", json!({"type": "number"}))];
        let properties: Map<String, Value> = properties
            .map(|(key, value)| (key.to_owned(), value))
            .into_iter()
            .collect();
        Ok(chat::request(
            &self.model,
            messages,
            &chat::object(properties),
            &self.sampling,
        ))
    }

    /// What the answer must look like, for servers that do not hold it to the schema.
    fn form(&self) -> String {
        let [least, most] = self.range;
        format!(
            "\n\nAnswer with a JSON object: `steps`, a list of short texts with your reasons, and `result`, a number from \
             {least} to {most}."
        )
    }

    pub(super) fn read(&self, reply: &Value) -> Result<Finding, NoFinding> {
        let [least, most] = self.range;
        let answer = chat::answer(reply)?;
        let result = answer.get("result").and_then(Value::as_f64);
        let result = result.filter(|result| (least..=most).contains(result));
        let result = result.ok_or_else(|| unreadable(&format!("`result` is no number from {least} to {most}")))?;
        Ok(Finding {
            reward: ((result - least) / (most - least)).clamp(0.0, 1.0),
            rule: "score_model".into(),
            parts: BTreeMap::new(),
        })
    }
}
