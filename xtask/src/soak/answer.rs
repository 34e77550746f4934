//! An answer of the text routes, whole or from a stream, and what it says of the weights.

use anyhow::{Context, ensure};
use serde_json::Value;
use svs_openapi::WeightVersionSpan;

/// One choice.
#[derive(Debug, Clone, Default)]
pub(super) struct Choice {
    pub(super) text: String,
    pub(super) finish: String,
    pub(super) prompt: Vec<u32>,
    pub(super) tokens: Vec<u32>,
    pub(super) spans: Vec<WeightVersionSpan>,
}

impl Choice {
    /// Adds what an answer or event says of its choices.
    pub(super) fn take(choices: &mut [Self], answer: &Value) -> anyhow::Result<()> {
        for part in answer["choices"].as_array().into_iter().flatten() {
            let index = part["index"].as_u64().context("a choice has no index")? as usize;
            let choice = choices.get_mut(index).context("an index beyond n")?;
            choice.text.push_str(part["text"].as_str().unwrap_or(""));
            choice.tokens.extend(ids(&part["token_ids"]));
            choice.prompt.extend(ids(&part["prompt_token_ids"]));
            if let Some(finish) = part["finish_reason"].as_str() {
                choice.finish = finish.to_owned();
            }
            if part["weight_versions"].is_array() {
                choice.spans = serde_json::from_value(part["weight_versions"].clone()).context("weight_versions")?;
            }
        }
        Ok(())
    }

    /// Spans must cover the tokens, one after the other, with ever newer versions from `sent` on: that of the newest weights
    /// before the request was sent.
    pub(super) fn check_spans(&self, sent: u64) -> anyhow::Result<()> {
        let mut at = 0;
        for (index, span) in self.spans.iter().enumerate() {
            let before = index.checked_sub(1).map(|index| self.spans[index].version);
            let newer = before.map_or(span.version >= sent, |before| span.version > before);
            ensure!(
                span.start == at && span.end > at && newer,
                "spans {:?} of a request sent under version {sent}",
                self.spans
            );
            at = span.end;
        }
        ensure!(
            at as usize == self.tokens.len(),
            "spans {:?} over {} tokens",
            self.spans,
            self.tokens.len()
        );
        Ok(())
    }
}

fn ids(list: &Value) -> impl Iterator<Item = u32> + '_ {
    let ids = list.as_array().into_iter().flatten();
    ids.filter_map(|id| u32::try_from(id.as_u64()?).ok())
}
