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

fn model(app: &App, name: &str, adapter: Option<&Adapter>) -> Model {
    Model {
        id: name.to_string(),
        object: "model".into(),
        created: adapter.map_or(app.started, |adapter| adapter.created),
        owned_by: "svs".into(),
        root: adapter.map_or(&app.model_name, |adapter| &adapter.path).clone(),
        parent: adapter.and_then(|_| Some((*app.names().first()?).to_owned())),
        max_model_len: app.engine.max_model_len(),
        weight_version: adapter.map_or_else(|| app.weight_version(), |adapter| adapter.weights.version),
    }
}

/// Lists the names that requests may use: those of the policy, then adapters with their `parent`.
#[utoipa::path(get, path = "/v1/models", tag = "serving", responses((status = 200, description = "The names.", body = ModelList)))]
pub async fn list(State(app): State<Arc<App>>) -> Json<ModelList> {
    let adapters = app.adapters.all();
    let adapters = adapters.iter().map(|adapter| model(&app, &adapter.name, Some(adapter)));
    let data = app
        .names()
        .into_iter()
        .map(|name| model(&app, name, None))
        .chain(adapters)
        .collect();
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
    )
)]
pub async fn retrieve(
    State(app): State<Arc<App>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Model>, ApiError> {
    let Path(id) = id.map_err(|error| ApiError::value("id", error.body_text()))?;
    let adapter = app.find_model(&id)?;
    Ok(Json(model(&app, &id, adapter.as_deref())))
}
