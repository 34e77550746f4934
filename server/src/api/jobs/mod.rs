//! `/v1/fine_tuning/jobs`: runs of the trainer in OpenAI's shape.

mod create;
mod events;

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use svs_openapi::ErrorResponse;
use svs_openapi::fine_tuning::{CheckpointList, Job, JobCheckpoint, JobList, JobQuery};
use svs_trainer::run::{TrainError, history};

use crate::app::App;
use crate::error::ApiError;
use crate::http::paging::{Bound, page};
use crate::http::query::read_query;
use crate::jobs::tuned::checkpoint_name;
use crate::jobs::{JobError, Jobs, Record, Status, metrics_of};

pub use create::{__path_create, create};
pub use events::{__path_events, events};

const JOBS: Bound = Bound { default: 20, most: 100 };
const CHECKPOINTS: Bound = Bound { default: 10, most: 100 };

fn wire(job: Record) -> Job {
    Job {
        object: "fine_tuning.job".into(),
        created_at: job.created_us / 1_000_000,
        finished_at: job.finished_at,
        status: job.status.name().into(),
        error: job.error,
        model: job.model,
        fine_tuned_model: Some(job.tuned).filter(|_| job.status == Status::Succeeded),
        hyperparameters: job.method[job.method["type"].as_str().unwrap_or_default()]["hyperparameters"].clone(),
        method: job.method,
        organization_id: "svs".into(),
        result_files: Vec::new(),
        seed: job.config.seed,
        trained_tokens: job.trained_tokens,
        training_file: job.training_file,
        validation_file: job.validation_file,
        integrations: Vec::new(),
        metadata: job.metadata,
        estimated_finish: None,
        id: job.id,
    }
}

fn given(id: Result<Path<String>, PathRejection>) -> Result<String, ApiError> {
    id.map(|Path(id)| id)
        .map_err(|error| ApiError::value("id", error.body_text()))
}

/// Works on the disk, away from the threads that answer requests.
async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        tracing::error!(%error, "working on a job failed");
        let message = "the server failed while working on the job; its log has the cause";
        Err(ApiError::server(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal_error",
            message,
        ))
    })
}

async fn change(
    app: &App,
    id: Result<Path<String>, PathRejection>,
    action: fn(&Jobs, &str) -> Result<Record, JobError>,
) -> Result<Json<Job>, ApiError> {
    let (id, jobs) = (given(id)?, Arc::clone(&app.jobs));
    let record = on_disk(move || Ok(action(&jobs, &id)?)).await?;
    Ok(Json(wire(record)))
}

/// Lists jobs, newest first.
///
/// # Errors
/// 400 naming the parameter.
#[utoipa::path(get, path = "/v1/fine_tuning/jobs", tag = "training", params(JobQuery), responses(
    (status = 200, description = "A page of jobs.", body = JobList),
    (status = 400, description = "A parameter is wrong.", body = ErrorResponse),
    (status = 401, description = "The API key is missing or wrong.", body = ErrorResponse),
    (status = 503, description = "This server keeps no jobs.", body = ErrorResponse),
))]
pub async fn list(State(app): State<Arc<App>>, uri: Uri) -> Result<Json<JobList>, ApiError> {
    let query: JobQuery = read_query(&uri)?;
    let mut jobs = app.jobs.list()?;
    jobs.reverse();
    let (page, has_more) = page(jobs, |job| &job.id, (query.after.as_deref(), query.limit), JOBS)?;
    Ok(Json(JobList {
        object: "list".into(),
        data: page.into_iter().map(wire).collect(),
        has_more,
    }))
}

/// Describes a job.
///
/// # Errors
/// 404 `job_not_found`.
#[utoipa::path(
    get, path = "/v1/fine_tuning/jobs/{id}", tag = "training",
    params(("id" = String, Path, description = "An id from /v1/fine_tuning/jobs.")),
    responses(
        (status = 200, description = "The job.", body = Job),
        (status = 401, description = "The API key is missing or wrong.", body = ErrorResponse),
        (status = 404, description = "There is no such job.", body = ErrorResponse),
        (status = 503, description = "This server keeps no jobs.", body = ErrorResponse),
    )
)]
pub async fn retrieve(
    State(app): State<Arc<App>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Job>, ApiError> {
    Ok(Json(wire(app.jobs.get(&given(id)?)?)))
}

/// Ends a job: one that waits at once, one that is trained after its current step.
///
/// # Errors
/// 404 `job_not_found`, 409 `wrong_state`.
#[utoipa::path(
    post, path = "/v1/fine_tuning/jobs/{id}/cancel", tag = "training",
    params(("id" = String, Path, description = "An id from /v1/fine_tuning/jobs.")),
    responses(
        (status = 200, description = "The job.", body = Job),
        (status = 401, description = "The API key is missing or wrong.", body = ErrorResponse),
        (status = 404, description = "There is no such job.", body = ErrorResponse),
        (status = 409, description = "It has ended.", body = ErrorResponse),
        (status = 503, description = "This server keeps no jobs.", body = ErrorResponse),
    )
)]
pub async fn cancel(
    State(app): State<Arc<App>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Job>, ApiError> {
    change(&app, id, Jobs::cancel).await
}

/// Pauses a running job after its current step. It keeps the trainer: others go on waiting.
///
/// # Errors
/// 404 `job_not_found`, 409 `wrong_state`.
#[utoipa::path(
    post, path = "/v1/fine_tuning/jobs/{id}/pause", tag = "training",
    params(("id" = String, Path, description = "An id from /v1/fine_tuning/jobs.")),
    responses(
        (status = 200, description = "The job.", body = Job),
        (status = 401, description = "The API key is missing or wrong.", body = ErrorResponse),
        (status = 404, description = "There is no such job.", body = ErrorResponse),
        (status = 409, description = "It is not running.", body = ErrorResponse),
        (status = 503, description = "This server keeps no jobs.", body = ErrorResponse),
    )
)]
pub async fn pause(
    State(app): State<Arc<App>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Job>, ApiError> {
    change(&app, id, Jobs::pause).await
}

/// Lets a paused job go on.
///
/// # Errors
/// 404 `job_not_found`, 409 `wrong_state`.
#[utoipa::path(
    post, path = "/v1/fine_tuning/jobs/{id}/resume", tag = "training",
    params(("id" = String, Path, description = "An id from /v1/fine_tuning/jobs.")),
    responses(
        (status = 200, description = "The job.", body = Job),
        (status = 401, description = "The API key is missing or wrong.", body = ErrorResponse),
        (status = 404, description = "There is no such job.", body = ErrorResponse),
        (status = 409, description = "It is not paused.", body = ErrorResponse),
        (status = 503, description = "This server keeps no jobs.", body = ErrorResponse),
    )
)]
pub async fn resume(
    State(app): State<Arc<App>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Job>, ApiError> {
    change(&app, id, Jobs::resume).await
}

/// Lists the checkpoints of a job that are still kept, newest first; each is a model that requests may name.
///
/// # Errors
/// 400 naming the parameter, 404 `job_not_found`.
#[utoipa::path(
    get, path = "/v1/fine_tuning/jobs/{id}/checkpoints", tag = "training",
    params(("id" = String, Path, description = "An id from /v1/fine_tuning/jobs."), JobQuery),
    responses(
        (status = 200, description = "A page of checkpoints.", body = CheckpointList),
        (status = 400, description = "A parameter is wrong.", body = ErrorResponse),
        (status = 401, description = "The API key is missing or wrong.", body = ErrorResponse),
        (status = 404, description = "There is no such job.", body = ErrorResponse),
        (status = 503, description = "This server keeps no jobs.", body = ErrorResponse),
    )
)]
pub async fn checkpoints(
    State(app): State<Arc<App>>,
    id: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Result<Json<CheckpointList>, ApiError> {
    let query: JobQuery = read_query(&uri)?;
    let job = app.jobs.get(&given(id)?)?;
    let shared = Arc::clone(&app);
    let found = on_disk(move || Ok(found(&shared, &job)?)).await?;
    let (data, has_more) = page(found, |one| &one.id, (query.after.as_deref(), query.limit), CHECKPOINTS)?;
    Ok(Json(CheckpointList {
        object: "list".into(),
        first_id: data.first().map(|one| one.id.clone()),
        last_id: data.last().map(|one| one.id.clone()),
        data,
        has_more,
    }))
}

/// The checkpoints of a job, newest first.
fn found(app: &App, job: &Record) -> Result<Vec<JobCheckpoint>, TrainError> {
    let Some(trainer) = &app.trainer else {
        return Ok(Vec::new());
    };
    let checkpoints = trainer.checkpoints(&job.id)?;
    let steps = match trainer.folder(&job.id) {
        Some(folder) => history::read(&folder)?,
        None => Vec::new(),
    };
    let one = |checkpoint: &svs_trainer::run::Checkpoint| {
        let step = steps.iter().find(|step| step.step == checkpoint.step);
        JobCheckpoint {
            id: format!("ftckpt-{}-{}", job.id.trim_start_matches("ftjob-"), checkpoint.step),
            object: "fine_tuning.job.checkpoint".into(),
            created_at: checkpoint.created,
            fine_tuned_model_checkpoint: checkpoint_name(&job.tuned, checkpoint.step),
            fine_tuning_job_id: job.id.clone(),
            step_number: checkpoint.step,
            metrics: step.map_or_else(|| serde_json::json!({"step": checkpoint.step}), metrics_of),
        }
    };
    Ok(checkpoints.iter().rev().map(one).collect())
}
