//! What a run can be asked between its steps: `/v1/train/step`, `/checkpoint`, `/eval`, `/rollback`, `/config`.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{StatusCode, Uri};
use serde::de::DeserializeOwned;
use serde_json::Value;
use svs_openapi::ErrorResponse;
use svs_openapi::train::{
    ConfigQuery, EvalRequest, Evaluated, MetricsQuery, RollbackRequest, StepMetrics, TrainConfiguration, TrainMetrics,
    TrainPatch, TrainStatus,
};
use svs_trainer::run::changes::{self, CHANGEABLE};
use svs_trainer::run::config::Recipe;
use svs_trainer::run::{Target, Task, TrainError, history};
use svs_trainer::{TrainConfig, TrainerHandle};

use super::train::{blocking, trainer, wire};
use crate::app::App;
use crate::error::ApiError;
use crate::http::body::{decode, read_json, read_nothing};
use crate::http::query::read_query;

const DEFAULT_STEPS: usize = 1000;
const MAX_STEPS: usize = 10_000;
/// Problems that one request may have evaluated.
const MAX_EVAL_PROBLEMS: usize = 10_000;

type Answer = Result<Json<TrainStatus>, ApiError>;

/// Asks the run and waits until it has done it.
async fn ask(app: &App, task: Task) -> Answer {
    let outcome = trainer(app)?.ask(task)?;
    let seconds = app.config.train_task_timeout_seconds;
    match tokio::time::timeout(Duration::from_secs(seconds), outcome).await {
        Ok(Ok(status)) => Ok(wire(status?)),
        Ok(Err(_)) => Err(TrainError::State("the run ended before it got to it".into()).into()),
        Err(_) => {
            let message = format!(
                "the step is still going on after {seconds} s (server.train_task_timeout_seconds); it is done when the step is"
            );
            Err(ApiError::server(
                StatusCode::SERVICE_UNAVAILABLE,
                "train_timeout",
                message,
            ))
        }
    }
}

/// Reads a body that may be empty.
async fn optional<T: DeserializeOwned + Default>(app: &App, request: Request) -> Result<T, ApiError> {
    match read_json(&app.config, request).await? {
        Value::Null => Ok(T::default()),
        body => decode(body, &[]),
    }
}

/// One step of a paused run; answers when it is done, and the run is paused again.
///
/// # Errors
/// 400 for a parameter, 409 `wrong_state`, 503 `train_timeout`.
#[utoipa::path(post, path = "/v1/train/step", tag = "training", responses(
    (status = 200, description = "Where the run stands after the step.", body = TrainStatus),
    (status = 409, description = "The run is not paused, or there is none.", body = ErrorResponse),
    (status = 503, description = "The step goes on after server.train_task_timeout_seconds.", body = ErrorResponse),
))]
pub async fn step(State(app): State<Arc<App>>, request: Request) -> Answer {
    read_nothing(&app.config, request).await?;
    ask(&app, Task::Step).await
}

/// Writes a checkpoint between two steps.
///
/// # Errors
/// 400 for a parameter, 409 `wrong_state`, 503 `train_timeout`.
#[utoipa::path(post, path = "/v1/train/checkpoint", tag = "training", responses(
    (status = 200, description = "It is written.", body = TrainStatus),
    (status = 409, description = "No run is active.", body = ErrorResponse),
    (status = 503, description = "The step goes on after server.train_task_timeout_seconds.", body = ErrorResponse),
))]
pub async fn checkpoint(State(app): State<Arc<App>>, request: Request) -> Answer {
    read_nothing(&app.config, request).await?;
    ask(&app, Task::Checkpoint).await
}

/// Goes back to a checkpoint of the run: its weights are published as a new version, and the run goes on from its step.
///
/// # Errors
/// 400 naming `version` or `step`, 409 `wrong_state`, 503 `train_timeout`.
#[utoipa::path(
    post, path = "/v1/train/rollback", tag = "training",
    request_body = RollbackRequest,
    responses(
        (status = 200, description = "Where the run stands now.", body = TrainStatus),
        (status = 400, description = "The run has no such checkpoint.", body = ErrorResponse),
        (status = 409, description = "No run is active.", body = ErrorResponse),
        (status = 503, description = "The step goes on after server.train_task_timeout_seconds.", body = ErrorResponse),
    )
)]
pub async fn rollback(State(app): State<Arc<App>>, request: Request) -> Answer {
    let body: RollbackRequest = decode(read_json(&app.config, request).await?, &[])?;
    let target = match (body.version, body.step) {
        (Some(version), None) => Target::Version(version),
        (None, Some(step)) => Target::Step(step),
        (None, None) => {
            let message = "give `version` or `step`, of a checkpoint of the run";
            return Err(ApiError::invalid("version", "missing_parameter", message));
        }
        (Some(_), Some(_)) => return Err(ApiError::value("step", "give it or `version`, not both")),
    };
    // The field is the body's own here, not one of a configuration.
    let status = ask(&app, Task::RollBack(target)).await.map_err(|error| {
        let param = error.param.as_deref().and_then(|param| param.strip_prefix("config."));
        let param = param.map(str::to_owned).or_else(|| error.param.clone());
        ApiError { param, ..error }
    })?;
    if let Some(run) = status.run_id.clone() {
        let (jobs, step) = (Arc::clone(&app.jobs), status.step);
        blocking(&app, move |_| Ok(jobs.rolled_back(&run, step)?)).await?;
    }
    Ok(status)
}

/// Changes what is safe to change while the run goes on, from its next step on. The change is noted in the run's
/// `changes.jsonl` and made again when the run is resumed.
///
/// # Errors
/// 400 naming the key, 409 `wrong_state`, 503 `train_timeout`.
#[utoipa::path(
    patch, path = "/v1/train/config", tag = "training",
    request_body = TrainPatch,
    responses(
        (status = 200, description = "The configuration now.", body = TrainConfiguration),
        (status = 400, description = "A key cannot change, or its value is wrong.", body = ErrorResponse),
        (status = 409, description = "No run is active.", body = ErrorResponse),
        (status = 503, description = "The step goes on after server.train_task_timeout_seconds.", body = ErrorResponse),
    )
)]
pub async fn configure(State(app): State<Arc<App>>, request: Request) -> Result<Json<TrainConfiguration>, ApiError> {
    let body: TrainPatch = decode(read_json(&app.config, request).await?, &[])?;
    if body.config.is_empty() {
        return Err(ApiError::value("config", "names no key to change"));
    }
    let changed = ask(&app, Task::Configure(body.config)).await?;
    if let Some(run) = changed.run_id.clone() {
        let jobs = Arc::clone(&app.jobs);
        blocking(&app, move |_| Ok(jobs.reconfigured(&run)?)).await?;
    }
    described(&app, None).await
}

/// The configuration of a run, resolved; without any run the server's defaults.
///
/// # Errors
/// 404 `run_not_found`.
#[utoipa::path(get, path = "/v1/train/config", tag = "training", params(ConfigQuery), responses(
    (status = 200, description = "The configuration.", body = TrainConfiguration),
    (status = 404, description = "There is no such run.", body = ErrorResponse),
))]
pub async fn config(State(app): State<Arc<App>>, uri: Uri) -> Result<Json<TrainConfiguration>, ApiError> {
    let query: ConfigQuery = read_query(&uri)?;
    described(&app, query.run).await
}

async fn described(app: &Arc<App>, named: Option<String>) -> Result<Json<TrainConfiguration>, ApiError> {
    let defaults = app.train_defaults.clone();
    let described = blocking(app, move |trainer| {
        let current = trainer.status().run_id;
        let (run_id, config) = match named.or_else(|| current.clone()) {
            None => (None, Some(defaults)),
            Some(run) if Some(&run) == current.as_ref() => (Some(run), trainer.config()),
            Some(run) => (Some(run), None),
        };
        let folder = run_id.as_deref().map(|run| existing(trainer, run)).transpose()?;
        let config = match (config, &folder) {
            (Some(config), _) => config,
            (None, Some(folder)) => TrainConfig::from_toml(&read_config(folder)?)?,
            (None, None) => TrainConfig::default(),
        };
        let changes = match &folder {
            Some(folder) => changes::read(folder)?,
            None => Vec::new(),
        };
        Ok(TrainConfiguration {
            run_id,
            config: serde_json::to_value(&config).unwrap_or_default(),
            changeable: CHANGEABLE.map(str::to_owned).to_vec(),
            changes: changes
                .iter()
                .filter_map(|entry| serde_json::to_value(entry).ok())
                .collect(),
        })
    });
    Ok(Json(described.await?))
}

fn read_config(folder: &std::path::Path) -> Result<String, ApiError> {
    let path = folder.join("config.toml");
    std::fs::read_to_string(&path).map_err(|error| TrainError::Run(format!("{}: {error}", path.display())).into())
}

fn existing(trainer: &TrainerHandle, run: &str) -> Result<std::path::PathBuf, ApiError> {
    trainer.folder(run).ok_or_else(|| {
        let message = format!("there is no run `{run}`");
        ApiError {
            param: Some("run".into()),
            ..ApiError::refused(StatusCode::NOT_FOUND, "run_not_found", message)
        }
    })
}

/// The metrics of a run, step by step.
///
/// # Errors
/// 400 naming the parameter, 404 `run_not_found`.
#[utoipa::path(get, path = "/v1/train/metrics", tag = "training", params(MetricsQuery), responses(
    (status = 200, description = "Steps, oldest first.", body = TrainMetrics),
    (status = 400, description = "A parameter is wrong.", body = ErrorResponse),
    (status = 404, description = "There is no such run, or none yet.", body = ErrorResponse),
))]
pub async fn metrics(State(app): State<Arc<App>>, uri: Uri) -> Result<Json<TrainMetrics>, ApiError> {
    let query: MetricsQuery = read_query(&uri)?;
    let limit = query.limit.unwrap_or(DEFAULT_STEPS);
    if !(1..=MAX_STEPS).contains(&limit) {
        let message = format!("{limit} is out of range; allowed is 1 to {MAX_STEPS}");
        return Err(ApiError::value("limit", message));
    }
    let keys: Vec<String> = match &query.keys {
        Some(keys) => keys.split(',').map(|key| key.trim().to_owned()).collect(),
        None => Vec::new(),
    };
    let found = blocking(&app, move |trainer| {
        let run = query.run.or_else(|| trainer.status().run_id).ok_or_else(|| {
            let message = "no run has begun since the server started; name one with `run`";
            ApiError::refused(StatusCode::NOT_FOUND, "run_not_found", message)
        })?;
        let folder = existing(trainer, &run)?;
        let (records, has_more) = history::page(&folder, query.since_step.unwrap_or(0), limit, &keys)?;
        let steps = records.into_iter().map(|record| StepMetrics {
            step: record.step,
            metrics: record.metrics,
        });
        Ok(TrainMetrics {
            object: "list".into(),
            run_id: run,
            data: steps.collect(),
            has_more,
        })
    });
    Ok(Json(found.await?))
}

/// Evaluates the weights that are served now on the held-out problems of the run (of the server's defaults where there is
/// none, or a supervised one), behind all other requests; they stay to the end of it, whatever is published meanwhile. One at a time.
///
/// # Errors
/// 400 naming the field, 409 `sleeping`, 429 `overloaded`, 500 `train_failed`.
#[utoipa::path(
    post, path = "/v1/train/eval", tag = "training",
    request_body(content = EvalRequest, description = "May be empty."),
    responses(
        (status = 200, description = "What was found.", body = Evaluated),
        (status = 400, description = "A field is wrong.", body = ErrorResponse),
        (status = 409, description = "The server sleeps.", body = ErrorResponse),
        (status = 429, description = "Another evaluation is under way.", body = ErrorResponse),
    )
)]
pub async fn eval(State(app): State<Arc<App>>, request: Request) -> Result<Json<Evaluated>, ApiError> {
    let body: EvalRequest = optional(&app, request).await?;
    drop(app.sleep.awake()?);
    let permit = Arc::clone(&app.evaluating).try_acquire_owned();
    let permit = permit.map_err(|_| ApiError::overloaded("overloaded", "another evaluation is under way"))?;
    // A supervised run has no problems to solve.
    let ran = trainer(&app)?.config().filter(|config| config.recipe != Recipe::Sft);
    let mut config = ran.unwrap_or_else(|| app.train_defaults.clone());
    let samples = app.engine.config().max_choices as u64;
    for (field, given, most) in [
        ("samples", body.samples.map(u64::from), samples),
        ("limit", body.limit.map(|limit| limit as u64), MAX_EVAL_PROBLEMS as u64),
    ] {
        if given.is_some_and(|given| !(1..=most).contains(&given)) {
            return Err(ApiError::value(field, format!("allowed is 1 to {most}")));
        }
    }
    config.eval.limit = body.limit.unwrap_or(config.eval.limit).min(MAX_EVAL_PROBLEMS);
    if let Some(samples) = body.samples {
        config.eval.samples = samples;
        config.eval.k.retain(|k| *k <= samples);
    }
    let report = blocking(&app, move |trainer| {
        let _permit = permit;
        Ok(trainer.evaluate(&config)?)
    });
    let report = report.await?;
    Ok(Json(Evaluated {
        object: "train.evaluation".into(),
        weight_version: report.version,
        problems: report.scores.len(),
        samples: report.samples,
        metrics: report
            .metrics()
            .into_iter()
            .filter(|(_, value)| value.is_finite())
            .collect(),
    }))
}
