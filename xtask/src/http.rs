//! Requests to a server under test.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;

/// Longest time of an answer.
const PATIENCE: Duration = Duration::from_secs(120);

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
}

impl Answer {
    /// The JSON of an answer that must be a 200.
    pub(crate) fn ok(&self) -> anyhow::Result<Value> {
        ensure!(self.status == 200, "{}: {}", self.status, self.text);
        serde_json::from_str(&self.text).context("no JSON")
    }
}

fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder().http_status_as_error(false);
    config.timeout_global(Some(PATIENCE)).build().new_agent()
}

pub(crate) fn get(url: &str, path: &str) -> anyhow::Result<Answer> {
    read(agent().get(format!("{url}{path}")).call()?)
}

pub(crate) fn post(url: &str, path: &str, body: &Value) -> anyhow::Result<Answer> {
    let request = agent()
        .post(format!("{url}{path}"))
        .header("content-type", "application/json");
    read(request.send(body.to_string().as_bytes())?)
}

/// A post without a body.
pub(crate) fn post_nothing(url: &str, path: &str) -> anyhow::Result<Answer> {
    read(agent().post(format!("{url}{path}")).send_empty()?)
}

fn read(mut response: ureq::http::Response<ureq::Body>) -> anyhow::Result<Answer> {
    let status = response.status().as_u16();
    let text = response.body_mut().read_to_string()?;
    Ok(Answer { status, text })
}
