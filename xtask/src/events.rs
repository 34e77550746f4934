//! Reads streams of server-sent events.

use std::io::{BufRead, BufReader};

use anyhow::{Context, bail, ensure};
use serde_json::Value;

/// Gives `take` every event of a stream, until it says that it has enough (the rest is left: false) or `[DONE]` comes
/// (true). An error in the stream, or an end without `[DONE]`, is an error.
pub(crate) fn read(
    response: ureq::http::Response<ureq::Body>,
    mut take: impl FnMut(&Value) -> anyhow::Result<bool>,
) -> anyhow::Result<bool> {
    let lines = BufReader::new(response.into_body().into_reader()).lines();
    for line in lines {
        let line = line.context("the stream broke off")?;
        let Some(event) = line.strip_prefix("data: ") else {
            continue;
        };
        if event == "[DONE]" {
            return Ok(true);
        }
        let event: Value = serde_json::from_str(event).context("an event is no JSON")?;
        ensure!(event["error"].is_null(), "in a stream: {}", event["error"]);
        if !take(&event)? {
            return Ok(false);
        }
    }
    bail!("a stream ended without [DONE]")
}
