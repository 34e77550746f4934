//! `GET /v1/train/problems`: how each problem of a run fared at its visits.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use svs_openapi::ErrorResponse;
use svs_openapi::train::{ProblemQuery, TrainProblem, TrainProblems};
use svs_trainer::run::accuracy::{ProblemAccuracy, ProblemSort};

use super::train::blocking;
use crate::app::App;
use crate::error::ApiError;
use crate::http::paging::{Bound, oldest_first, page};
use crate::http::query::read_query;

const PAGE: Bound = Bound {
    default: 100,
    most: 1000,
};

fn sort(named: Option<&str>) -> Result<ProblemSort, ApiError> {
    let Some(named) = named else {
        return Ok(ProblemSort::default());
    };
    let found = ProblemSort::ALL.into_iter().find(|(name, _)| *name == named);
    found.map(|(_, sort)| sort).ok_or_else(|| {
        let names = ProblemSort::ALL.map(|(name, _)| format!("`{name}`"));
        ApiError::value("sort", format!("`{named}` is none of {}", names.join(", ")))
    })
}

fn wire(problem: ProblemAccuracy, with_accuracies: bool) -> TrainProblem {
    TrainProblem {
        count: problem.count(),
        last_accuracy: problem.last(),
        max_accuracy: problem.max,
        slope: problem.slope,
        problem_id: problem.problem_id,
        accuracies: with_accuracies.then_some(problem.accuracies),
    }
}

/// How the problems of the current or last run fared at every visit, a page of them.
///
/// # Errors
/// 400 naming the parameter, 404 `run_not_found` before the first run, 404 `no_trainer`.
#[utoipa::path(get, path = "/v1/train/problems", tag = "training", params(ProblemQuery), responses(
    (status = 200, description = "A page of problems.", body = TrainProblems),
    (status = 400, description = "A parameter is wrong.", body = ErrorResponse),
    (status = 404, description = "No run has begun since the server started.", body = ErrorResponse),
))]
pub async fn list(State(app): State<Arc<App>>, uri: Uri) -> Result<Json<TrainProblems>, ApiError> {
    let query: ProblemQuery = read_query(&uri)?;
    let by = sort(query.sort.as_deref())?;
    let descending = query.order.is_some() && !oldest_first(query.order.as_deref())?;
    PAGE.of(query.limit)?;
    let found = blocking(&app, move |trainer| {
        let (run_id, problems) = trainer.problems(by, descending).ok_or_else(|| {
            let message = "no run has begun since the server started";
            ApiError::refused(StatusCode::NOT_FOUND, "run_not_found", message)
        })?;
        let total = problems.len();
        let (problems, has_more) = page(
            problems,
            |problem| &problem.problem_id,
            (query.after.as_deref(), query.limit),
            PAGE,
        )?;
        let data = problems.into_iter().map(|problem| wire(problem, query.accuracies));
        Ok(TrainProblems {
            object: "list".into(),
            run_id,
            total,
            data: data.collect(),
            has_more,
        })
    });
    Ok(Json(found.await?))
}
