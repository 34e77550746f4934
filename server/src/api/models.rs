//! `GET /v1/models` and `GET /v1/models/{id}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use svs_openapi::ErrorResponse;
use svs_openapi::models::{Model, ModelList};

use crate::adapters::Adapter;
use crate::app::App;
use crate::error::ApiError;
use crate::jobs::tuned::{Wanted, checkpoint_name, resolve};

fn model(app: &App, name: &str, adapter: Option<&Adapter>) -> Model {
    Model {
        id: name.to_string(),
        object: "model".into(),
        created: adapter.map_or(app.started, |adapter| adapter.created),
        owned_by: "svs".into(),
        root: adapter.map_or(&app.model_name, |adapter| &adapter.path).clone(),
        parent: adapter.and_then(|_| Some((*app.names().first()?).to_owned())),
        max_model_len: app.engine.max_model_len(),
        weight_version: Some(adapter.map_or_else(|| app.weight_version(), |adapter| adapter.weights.version)),
    }
}

/// A job's model, in memory or not.
fn tuned(app: &App, name: &str, wanted: Wanted) -> Model {
    Model {
        created: wanted.created,
        root: name.to_owned(),
        parent: Some(wanted.parent),
        weight_version: app.tuned.resident(name).map(|model| model.weights.version),
        ..model(app, name, None)
    }
}

/// The models of all jobs: what came out of those that succeeded, and every checkpoint that is still kept.
fn made_by_jobs(app: &App) -> Vec<Model> {
    let jobs = app.jobs.list().unwrap_or_default();
    let mut models = Vec::new();
    for job in &jobs {
        let checkpoints = app
            .trainer
            .as_ref()
            .and_then(|trainer| trainer.checkpoints(&job.id).ok());
        let steps = checkpoints.into_iter().flatten();
        let names = steps.map(|checkpoint| checkpoint_name(&job.tuned, checkpoint.step));
        for name in std::iter::once(job.tuned.clone()).chain(names) {
            if let Ok(Some(wanted)) = resolve([job], &name) {
                models.push(tuned(app, &name, wanted));
            }
        }
    }
    models
}

/// Lists the names that requests may use: those of the policy, then adapters and models of fine-tuning jobs, with their
/// `parent`.
#[utoipa::path(get, path = "/v1/models", tag = "serving", responses((status = 200, description = "The names.", body = ModelList)))]
pub async fn list(State(app): State<Arc<App>>) -> Json<ModelList> {
    let adapters = app.adapters.all();
    let adapters = adapters.iter().map(|adapter| model(&app, &adapter.name, Some(adapter)));
    let mut data: Vec<Model> = app
        .names()
        .into_iter()
        .map(|name| model(&app, name, None))
        .chain(adapters)
        .collect();
    let shared = Arc::clone(&app);
    // A look into the folders of the runs; a panic there would be in the log.
    let made = tokio::task::spawn_blocking(move || made_by_jobs(&shared)).await;
    data.extend(made.unwrap_or_default());
    Json(ModelList {
        object: "list".into(),
        data,
    })
}

/// Describes one name.
///
/// # Errors
/// 404 `model_not_found`, 400 for an id that is not UTF-8.
#[utoipa::path(
    get, path = "/v1/models/{id}", tag = "serving",
    params(("id" = String, Path, description = "A name from /v1/models.")),
    responses(
        (status = 200, description = "The name.", body = Model),
        (status = 404, description = "The model is not served.", body = ErrorResponse),
        (status = 429, description = "The session of the key takes no more; see Retry-After.", body = ErrorResponse),
    )
)]
pub async fn retrieve(
    State(app): State<Arc<App>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Model>, ApiError> {
    let Path(id) = id.map_err(|error| ApiError::value("id", error.body_text()))?;
    if let Some(adapter) = app.adapters.get(&id) {
        return Ok(Json(model(&app, &id, Some(&adapter))));
    }
    if let Some(wanted) = app.describe_model(&id)? {
        let trainer = app.trainer.clone();
        let (job, step) = (wanted.job.clone(), wanted.step);
        let kept = move || trainer.map_or(Ok(Vec::new()), |trainer| trainer.checkpoints(&job));
        let kept = tokio::task::spawn_blocking(kept).await.unwrap_or(Ok(Vec::new()))?;
        if !kept
            .iter()
            .any(|checkpoint| step.is_none_or(|step| step == checkpoint.step))
        {
            return Err(ApiError::unknown_model(&id));
        }
        return Ok(Json(tuned(&app, &id, wanted)));
    }
    app.find_model(&id)?;
    Ok(Json(model(&app, &id, None)))
}
