//! `POST /v1/fine_tuning/alpha/graders/validate` and `run`: graders tried out before they are trained with.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde_json::Value;
use svs_openapi::ErrorResponse;
use svs_openapi::graders::{GraderRun, GraderRunErrors, GraderRunMetadata, GraderValidated, RunGrader, ValidateGrader};
use svs_trainer::eval::verdict_name;
use svs_trainer::reward::{Reward, Task, read_client_grader};
use svs_trainer::trajectory::GraderVerdict;
use svs_verifier::Verdict;
use svs_verifier::spec::GraderSpec;

use crate::app::App;
use crate::error::ApiError;
use crate::http::body::{decode, read_json};

/// The graders of the server, and the one that a request brings in `field`: never one that runs programs, nor one that asks endpoints
/// that are not open to requests.
pub(super) fn admitted(app: &App, field: &str, grader: &Value) -> Result<(Reward, GraderSpec), ApiError> {
    let refuse = |reason: String| ApiError::value(field, reason);
    if !grader.is_object() {
        return Err(ApiError::invalid(
            field,
            "invalid_type",
            format!("`{field}` must be a JSON object"),
        ));
    }
    let spec = read_client_grader(grader).map_err(refuse)?;
    let defaults = &app.train_defaults;
    let reward = Reward::new(&defaults.reward, defaults.rollout.strict_grading).map_err(|error| {
        let message = format!("the server's own graders cannot be made: {error}");
        ApiError::server(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", message)
    })?;
    reward.admits(&spec).map_err(refuse)?;
    Ok((reward, spec))
}

/// Whether a grader can be used.
///
/// # Errors
/// 400 naming `grader`.
#[utoipa::path(
    post, path = "/v1/fine_tuning/alpha/graders/validate", tag = "training",
    request_body = ValidateGrader,
    responses(
        (status = 200, description = "It can.", body = GraderValidated),
        (status = 400, description = "It cannot, and why.", body = ErrorResponse),
        (status = 401, description = "The API key is missing or wrong.", body = ErrorResponse),
    )
)]
pub async fn validate(State(app): State<Arc<App>>, request: Request) -> Result<Json<GraderValidated>, ApiError> {
    let body: ValidateGrader = decode(read_json(&app.config, request).await?, &[])?;
    let (_, spec) = admitted(&app, "grader", &body.grader)?;
    let grader = serde_json::to_value(&spec).unwrap_or(body.grader);
    Ok(Json(GraderValidated { grader }))
}

/// Grades one response.
///
/// # Errors
/// 400 naming the field, 429 `overloaded` while `server.max_grader_runs` others run.
#[utoipa::path(
    post, path = "/v1/fine_tuning/alpha/graders/run", tag = "training",
    request_body = RunGrader,
    responses(
        (status = 200, description = "What it found.", body = GraderRun),
        (status = 400, description = "A field is wrong.", body = ErrorResponse),
        (status = 401, description = "The API key is missing or wrong.", body = ErrorResponse),
        (status = 429, description = "Too many runs at once.", body = ErrorResponse),
    )
)]
pub async fn run(State(app): State<Arc<App>>, request: Request) -> Result<Json<GraderRun>, ApiError> {
    let body: RunGrader = decode(read_json(&app.config, request).await?, &[])?;
    let permit = Arc::clone(&app.grading).try_acquire_owned().map_err(|_| {
        let message = "as many graders as server.max_grader_runs allows are at work; try again later";
        ApiError::overloaded("overloaded", message)
    })?;
    let task = tokio::task::spawn_blocking(move || -> Result<GraderRun, ApiError> {
        let _permit = permit;
        let (reward, spec) = admitted(&app, "grader", &body.grader)?;
        let began = Instant::now();
        let asks = !spec.endpoints().is_empty();
        let task = Task {
            reference: None,
            grader: Some(Box::new(spec)),
            item: Value::Object(body.item.unwrap_or_default()),
        };
        let finding = reward.judge(&task).grade(&body.model_sample, &task);
        let kind = body.grader["type"].as_str().unwrap_or_default().to_owned();
        Ok(worded(finding, kind, asks, began.elapsed().as_secs_f64()))
    });
    let outcome = task.await.unwrap_or_else(|error| {
        tracing::error!(%error, "a grader failed");
        let message = "the grader failed; the server's log has the cause";
        Err(ApiError::server(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal_error",
            message,
        ))
    });
    outcome.map(Json)
}

fn worded(finding: GraderVerdict, kind: String, asks: bool, seconds: f64) -> GraderRun {
    let failed = finding.verdict == Verdict::Infrastructure;
    GraderRun {
        reward: finding.reward,
        sub_rewards: BTreeMap::new(),
        metadata: GraderRunMetadata {
            scores: finding
                .reward
                .map(|reward| (finding.grader.clone(), reward))
                .into_iter()
                .collect(),
            name: finding.grader,
            kind,
            execution_time: seconds,
            token_usage: None,
            sampled_model_name: None,
            verdict: verdict_name(finding.verdict).into(),
            errors: GraderRunErrors {
                sample_parse_error: finding.verdict == Verdict::Unparseable,
                other_error: finding.verdict == Verdict::OverBudget || (failed && !asks),
                model_grader_server_error: failed && asks,
                ..GraderRunErrors::default()
            },
        },
        model_grader_token_usage_per_model: BTreeMap::new(),
    }
}
