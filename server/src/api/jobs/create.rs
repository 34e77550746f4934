//! `POST /v1/fine_tuning/jobs`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::{Request, State};
use serde_json::Value;
use svs_openapi::ErrorResponse;
use svs_openapi::fine_tuning::{CreateJob, Job, Reinforcement, Supervised};
use uuid::Uuid;

use super::{on_disk, wire};
use crate::api::graders::admitted;
use crate::api::train::trainer;
use crate::app::App;
use crate::error::ApiError;
use crate::files::FileError;
use crate::http::body::{decode, only_objects, read_json, refuse_within};
use crate::jobs::plan::{self, Ground, count_rows};
use crate::jobs::record::{TRAINING, VALIDATION};
use crate::jobs::{PREFIX, Record, Status};

/// Fields of OpenAI's that this server does not have.
const UNSUPPORTED: [&str; 1] = ["integrations"];
const SUPERVISED: &str = "supervised";
const REINFORCEMENT: &str = "reinforcement";
/// Where names of fine-tuned models have the organisation.
const ORGANISATION: &str = "svs";
const MAX_SUFFIX: usize = 64;
const MAX_PAIRS: usize = 16;
const MAX_KEY: usize = 64;
const MAX_VALUE: usize = 512;
/// Hexadecimal digits of the job's id in the name of its model.
const SHORT: usize = 12;

/// Makes a job: a run of the trainer on an uploaded file. One runs at a time, others wait.
///
/// # Errors
/// 400 naming the field, 404 `model_not_found`, 409 `jobs_full`, 429 `overloaded` when as many wait as may.
#[utoipa::path(
    post, path = "/v1/fine_tuning/jobs", tag = "training",
    request_body = CreateJob,
    responses(
        (status = 200, description = "The job.", body = Job),
        (status = 400, description = "A field is wrong.", body = ErrorResponse),
        (status = 401, description = "The API key is missing or wrong.", body = ErrorResponse),
        (status = 404, description = "The model is not served.", body = ErrorResponse),
        (status = 409, description = "As many jobs are held as may be.", body = ErrorResponse),
        (status = 429, description = "As many jobs wait as may.", body = ErrorResponse),
        (status = 503, description = "This server keeps no jobs.", body = ErrorResponse),
    )
)]
pub async fn create(State(app): State<Arc<App>>, request: Request) -> Result<Json<Job>, ApiError> {
    let body = read_json(&app.config, request).await?;
    only_objects(
        &body,
        &[
            "hyperparameters",
            "method",
            "method.reinforcement",
            "method.reinforcement.hyperparameters",
            "method.supervised",
            "method.supervised.hyperparameters",
        ],
    )?;
    supported(&body)?;
    let request: CreateJob = decode(body, &UNSUPPORTED)?;
    let method = Asked::of(&request)?;
    let record = on_disk(move || {
        made(&app, &request, &method).map_err(|error| match error.status.is_server_error() {
            // A file that was deleted meanwhile is no fault of the server's.
            true => contents(&app, &request).err().unwrap_or(error),
            false => error,
        })
    })
    .await?;
    tracing::info!(id = record.id, "a fine-tuning job was made");
    Ok(Json(wire(record)))
}

/// Refuses what OpenAI has and this server has not, before the shape is looked at.
fn supported(body: &Value) -> Result<(), ApiError> {
    let Some(method) = body.get("method").and_then(Value::as_object) else {
        return Ok(());
    };
    let kind = method.get("type").and_then(Value::as_str);
    if let Some(other) = kind.filter(|kind| ![SUPERVISED, REINFORCEMENT].contains(kind)) {
        let message = format!("`{other}` is not supported; `{SUPERVISED}` and `{REINFORCEMENT}` are");
        return Err(ApiError::value("method.type", message));
    }
    refuse_within("method", method, &["dpo"])?;
    match method.get(REINFORCEMENT).and_then(Value::as_object) {
        Some(reinforcement) => refuse_within("method.reinforcement", reinforcement, &["response_format"]),
        None => Ok(()),
    }
}

/// How a job is asked to train.
enum Asked {
    Supervised(Box<Supervised>),
    Reinforcement(Box<Reinforcement>),
}

impl Asked {
    /// The method of `request`: without one, as at OpenAI, supervised, with the hyperparameters where older clients have them.
    fn of(request: &CreateJob) -> Result<Self, ApiError> {
        let older = request.hyperparameters.clone();
        let beside = |field: &str, message: &str| Err(ApiError::value(field, message));
        let Some(method) = &request.method else {
            return Ok(Self::Supervised(Box::new(Supervised {
                hyperparameters: older,
                x_svs: None,
            })));
        };
        match (method.kind.as_str(), &method.supervised, &method.reinforcement) {
            (REINFORCEMENT, Some(_), _) => beside("method.supervised", "does not go with the type `reinforcement`"),
            (REINFORCEMENT, None, _) if older.is_some() => {
                beside("hyperparameters", "give them within `method.reinforcement`")
            }
            (REINFORCEMENT, None, Some(reinforcement)) => Ok(Self::Reinforcement(Box::new(reinforcement.clone()))),
            (REINFORCEMENT, None, None) => {
                let field = "method.reinforcement";
                Err(ApiError::invalid(
                    field,
                    "missing_parameter",
                    format!("`{field}` is required"),
                ))
            }
            (_, _, Some(_)) => beside("method.reinforcement", "does not go with the type `supervised`"),
            (_, supervised, None) => {
                let mut supervised = supervised.clone().unwrap_or_default();
                if older.is_some() && supervised.hyperparameters.is_some() {
                    return beside(
                        "hyperparameters",
                        "are given within `method.supervised`, too; give them once",
                    );
                }
                supervised.hyperparameters = supervised.hyperparameters.or(older);
                Ok(Self::Supervised(Box::new(supervised)))
            }
        }
    }
}

fn made(app: &App, request: &CreateJob, method: &Asked) -> Result<Record, ApiError> {
    let base = served(app, &request.model)?;
    check_suffix(request.suffix.as_deref())?;
    check_metadata(request.metadata.as_ref())?;
    let files = contents(app, request)?;
    let digits = Uuid::new_v4().simple().to_string();
    let id = format!("{PREFIX}{digits}");
    let folder = app.jobs.place(&id)?;
    let trainer = trainer(app)?;
    let ground = Ground {
        id: &id,
        folder: &folder,
        defaults: &app.train_defaults,
        rows: count_rows(&files[0].0)?,
        fork_step: &|origin| trainer.fork_step(origin),
    };
    let planned = match method {
        Asked::Supervised(method) => plan::supervised(&ground, request, method)?,
        Asked::Reinforcement(method) => {
            let (_, grader) = admitted(app, "method.reinforcement.grader", &method.grader)?;
            plan::reinforcement(&ground, request, method, grader)?
        }
    };
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let record = Record {
        created_us: u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
        finished_at: None,
        status: Status::ValidatingFiles,
        error: None,
        tuned: format!(
            "ft:{base}:{ORGANISATION}:{}:{}",
            request.suffix.as_deref().unwrap_or_default(),
            &digits[..SHORT]
        ),
        model: base.to_owned(),
        method: planned.method,
        training_file: request.training_file.clone(),
        validation_file: request.validation_file.clone(),
        metadata: request.metadata.clone(),
        trained_tokens: None,
        told: 0,
        saved: 0,
        config: planned.config,
        id,
    };
    Ok(app.jobs.create(record, &files)?)
}

/// Where the contents of the files lie that a job asks for, and their names in its folder; the training file first.
fn contents(app: &App, request: &CreateJob) -> Result<Vec<(PathBuf, &'static str)>, ApiError> {
    let asked = [
        ("training_file", Some(&request.training_file), TRAINING),
        ("validation_file", request.validation_file.as_ref(), VALIDATION),
    ];
    let found = asked.into_iter().filter_map(|(field, id, name)| {
        Some(match app.files.content(id?) {
            Ok(path) => Ok((path, name)),
            Err(error @ FileError::Unknown(_)) => Err(ApiError::value(field, error.to_string())),
            Err(error) => Err(error.into()),
        })
    });
    found.collect()
}

/// The name of the policy under which a job is made.
fn served<'a>(app: &App, model: &'a str) -> Result<&'a str, ApiError> {
    if app.names().contains(&model) {
        return Ok(model);
    }
    if app.describe_model(model)?.is_some() {
        let message = format!(
            "a job begins with the served model; to begin where a run ended, set `x_svs.config.fork_from` instead of naming \
             `{model}`"
        );
        return Err(ApiError::value("model", message));
    }
    Err(ApiError::unknown_model(model))
}

fn check_suffix(suffix: Option<&str>) -> Result<(), ApiError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    match suffix {
        Some(suffix) if !(1..=MAX_SUFFIX).contains(&suffix.len()) || !suffix.chars().all(plain) => {
            let message = format!("must have 1 to {MAX_SUFFIX} letters, digits, `-` and `_`");
            Err(ApiError::value("suffix", message))
        }
        _ => Ok(()),
    }
}

fn check_metadata(metadata: Option<&BTreeMap<String, String>>) -> Result<(), ApiError> {
    let Some(metadata) = metadata else { return Ok(()) };
    if metadata.len() > MAX_PAIRS {
        return Err(ApiError::value("metadata", format!("has more than {MAX_PAIRS} keys")));
    }
    let long = |text: &str, most: usize| text.chars().count() > most;
    match metadata
        .iter()
        .find(|(key, value)| long(key, MAX_KEY) || long(value, MAX_VALUE))
    {
        Some((key, _)) => {
            let message = format!("keys have at most {MAX_KEY} characters, values {MAX_VALUE}");
            Err(ApiError::value(&format!("metadata.{key}"), message))
        }
        None => Ok(()),
    }
}
