//! Less frequent requests: guided answers, scores, logprobs of prompts, an adapter.

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::answer::Choice;
use super::asked::Asked;
use super::clients::Client;
use super::outcomes::pure_span;
use super::weights::folder_of;

/// Rows of the report.
pub(super) const GUIDED: &str = "guided answers";
pub(super) const SCORED: &str = "scores";
pub(super) const PROMPTS: &str = "echoed prompts with logprobs";
pub(super) const ADAPTED: &str = "answers of adapters";

/// The one choice that `more` asks for, and the whole answer.
fn one(client: &Client<'_>, asked: Asked, more: &Value) -> anyhow::Result<(Choice, Value)> {
    let mut body = json!({
        "model": "any", "prompt": asked.prompt(), "seed": asked.0,
        "return_token_ids": true, "return_weight_versions": true,
    });
    if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
        body.extend(more.clone());
    }
    let answer = client.ask("/v1/completions", &body)?;
    let mut choices = [Choice::default()];
    Choice::take(&mut choices, &answer)?;
    let [choice] = choices;
    Ok((choice, answer))
}

/// A number of at most three digits, or an object; complete, and the same for the same weights.
pub(super) fn guided(client: &Client<'_>, asked: Asked) -> anyhow::Result<&'static str> {
    let number = asked.0.is_multiple_of(2);
    let guide = if number {
        json!({"guided_regex": "[0-9]{1,3}", "max_tokens": 8})
    } else {
        let schema = json!({
            "type": "object", "additionalProperties": false, "required": ["count", "sure"],
            "properties": {"count": {"type": "integer", "minimum": 0, "maximum": 99}, "sure": {"type": "boolean"}},
        });
        let format = json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}});
        json!({"response_format": format, "max_tokens": 256})
    };
    let sent = client.published();
    let (choice, _) = one(client, asked, &guide)?;
    choice.check_spans(sent)?;
    let text = &choice.text;
    let fits = if number {
        (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    } else {
        let object: Value = serde_json::from_str(text).with_context(|| format!("`{text}`, {}", choice.finish))?;
        object["count"].as_u64().is_some_and(|count| count < 100) && object["sure"].is_boolean()
    };
    ensure!(fits && choice.finish == "stop", "`{text}`, {}", choice.finish);
    if let Some(first) = pure_span(&choice.spans, sent) {
        let key = ("guided", asked.0, 0, folder_of(first.version));
        client
            .shared
            .outcomes
            .compare(key, &choice.tokens[..first.end as usize])?;
    }
    Ok(GUIDED)
}

/// Scores stay with the weights that they began with, so they are the same bits for the same weights.
pub(super) fn score(client: &Client<'_>, asked: Asked) -> anyhow::Result<&'static str> {
    let responses = [" one two three", " 5", " and so on, and so on."];
    let sent = client.published();
    let body = json!({"model": "any", "prompt": asked.prompt(), "response": responses});
    let answer = client.ask("/v1/score", &body)?;
    let scored = answer["data"].as_array().context("no list")?;
    ensure!(scored.len() == responses.len(), "{} scores", scored.len());
    for (index, response) in scored.iter().enumerate() {
        let version = response["weight_version"].as_u64().context("no version")?;
        ensure!(version >= sent, "scored under {version}, sent under {sent}");
        let [logprobs, entropies] = [bits(&response["logprobs"]), bits(&response["entropies"])];
        let tokens = response["token_ids"].as_array().map_or(0, Vec::len);
        ensure!(
            tokens > 0 && logprobs.len() == tokens && entropies.len() == tokens,
            "{response}"
        );
        let key = ("score", asked.0, index, folder_of(version));
        client.shared.outcomes.compare(key, &[logprobs, entropies].concat())?;
    }
    Ok(SCORED)
}

/// The prompt with its logprobs before one token.
pub(super) fn prompt(client: &Client<'_>, asked: Asked) -> anyhow::Result<&'static str> {
    let sent = client.published();
    let more = json!({"echo": true, "logprobs": 1, "prompt_logprobs": 2, "max_tokens": 1, "ignore_eos": true});
    let (choice, answer) = one(client, asked, &more)?;
    choice.check_spans(sent)?;
    ensure!(
        choice.text.starts_with(&asked.prompt()),
        "`{}` does not begin with the prompt",
        choice.text
    );
    let logprobs = &answer["choices"][0]["logprobs"]["token_logprobs"];
    let alternatives = answer["choices"][0]["prompt_logprobs"].as_array().map_or(0, Vec::len);
    let values = bits(logprobs);
    // The first token of a prompt has none, and the sampled one does.
    ensure!(
        alternatives == choice.prompt.len() && values.len() == choice.prompt.len(),
        "{alternatives} and {} logprobs for a prompt of {} tokens",
        values.len(),
        choice.prompt.len()
    );
    // A swap in the middle of a prompt leaves logprobs of both weights.
    if choice.spans.iter().all(|span| span.version == sent) {
        let key = ("prompt", asked.0, 0, folder_of(sent));
        client.shared.outcomes.compare(key, &values)?;
    }
    Ok(PROMPTS)
}

/// An answer of the adapter, or of the policy as long as none is loaded.
pub(super) fn adapted(client: &Client<'_>, asked: Asked) -> anyhow::Result<&'static str> {
    let Some(adapter) = client.shared.adapter() else {
        return guided(client, asked);
    };
    let choices = client.choices(asked, &adapter.name)?;
    client.shared.outcomes.check_adapter(asked, adapter.version, &choices)?;
    Ok(ADAPTED)
}

/// The bits of a list of f32; nulls are left out.
fn bits(list: &Value) -> Vec<u32> {
    let numbers = list.as_array().into_iter().flatten().filter_map(Value::as_f64);
    numbers.map(|number| (number as f32).to_bits()).collect()
}
