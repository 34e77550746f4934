//! The problems and prompts of a run, made ready before it starts.

use std::collections::HashSet;
use std::path::PathBuf;

use serde::Deserialize;
use svs_engine::EngineHandle;
use svs_engine::load::LoadedModel;

use super::config::{ProblemSource, Recipe};
use super::{TrainConfig, TrainError};
use crate::problems::procedural::{Generator, Split};
use crate::problems::{FileOptions, Problem, load, split};
use crate::svs::Prompts;

/// The split of a file depends on its questions only: every run and every evaluation agree on it.
const SPLIT_SEED: u64 = 0;

/// A model's own wording.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wording {
    prompts: Option<Prompts>,
}

/// The templates of a run: the config's, else the model's own (`svs.json`), else the defaults.
///
/// # Errors
/// [`TrainError::Config`] if the model's file does not parse or its templates are not valid.
pub fn prompts(given: Option<&Prompts>, model: &LoadedModel) -> Result<Prompts, TrainError> {
    if let Some(prompts) = given {
        return Ok(prompts.clone());
    }
    let Some(bytes) = model.extra("svs.json") else {
        return Ok(Prompts::default());
    };
    let refuse = |reason: String| TrainError::Config {
        field: "svs.json".into(),
        reason,
    };
    let wording: Wording = serde_json::from_slice(bytes).map_err(|error| refuse(error.to_string()))?;
    let prompts = wording.prompts.unwrap_or_default();
    prompts.validate().map_err(|error| refuse(error.to_string()))?;
    Ok(prompts)
}

/// Problems of a source, with ids that are unique across files; none for the recipe `sft`, which poses none.
///
/// # Errors
/// [`TrainError::Config`] if a file cannot be read or nothing is left.
pub fn problems(run: &TrainConfig) -> Result<Vec<Problem>, TrainError> {
    if run.recipe == Recipe::Sft {
        return Ok(Vec::new());
    }
    let (config, seed) = (&run.problems, run.seed);
    let mut problems = match config.source {
        ProblemSource::Trajectories => return Ok(Vec::new()),
        ProblemSource::Procedural => procedural(
            config.procedural_seed.unwrap_or(seed),
            Split::Train,
            config.procedural_count,
        ),
        ProblemSource::Files => {
            let all = read_files(&config.files, &columns(run), "problems.files")?;
            split_files(all, config.held_out_fraction)?.0
        }
    };
    problems.truncate(config.limit.unwrap_or(usize::MAX));
    check_rewards(run, &problems)?;
    make_ids_unique(&mut problems);
    if problems.is_empty() {
        return Err(TrainError::Config {
            field: "problems".into(),
            reason: "the source has no problems".into(),
        });
    }
    Ok(problems)
}

/// How files are read: with their rows, if the run has a grader that may look into them.
fn columns(config: &TrainConfig) -> FileOptions {
    FileOptions {
        keep_rows: config.reward.grader.is_some(),
        ..config.problems.columns.clone()
    }
}

/// Refuses a problem whose grader gives rewards that the advantage estimator has no rule for, or asks an endpoint that is
/// not declared.
fn check_rewards(config: &TrainConfig, problems: &[Problem]) -> Result<(), TrainError> {
    for problem in problems {
        if let Some(Err(reason)) = problem.grader.as_ref().map(|grader| config.reward.declares(grader)) {
            return Err(TrainError::Config {
                field: "problems.files".into(),
                reason: format!("the grader of problem `{}`: {reason}", problem.id),
            });
        }
    }
    if let Some(problem) = problems.iter().find(|problem| problem.answer.is_empty()) {
        let needs = match (config.recipe, &config.reward.grader) {
            (Recipe::Svs, _) => Some("the recipe `svs` compares with reference answers"),
            (Recipe::Grpo, None) => Some("without a grader, mathematics needs reference answers"),
            (Recipe::Grpo, Some(_)) | (Recipe::Sft, _) => None,
        };
        if let Some(needs) = needs {
            let reason = format!("{needs}, and problem `{}` has none (column `answer`)", problem.id);
            return Err(refuse("problems.files", reason));
        }
    }
    let between = |problem: &&Problem| problem.grader.as_ref().is_some_and(|grader| !grader.is_binary());
    match problems.iter().find(between) {
        Some(problem) if !config.takes_partial_rewards() => Err(TrainError::Config {
            field: "problems.files".into(),
            reason: format!(
                "the grader of problem `{}` gives rewards between right and wrong, for which \
                 `algorithm.adv_estimator` has no rule",
                problem.id
            ),
        }),
        _ => Ok(()),
    }
}

/// Generated problems of one split.
#[must_use]
pub fn procedural(seed: u64, split: Split, count: usize) -> Vec<Problem> {
    Generator::new(seed, split)
        .take(count)
        .map(|generated| generated.problem)
        .collect()
}

/// Problems of files, in order.
///
/// # Errors
/// [`TrainError::Config`] with the file, and the line or row, that cannot be read.
pub fn read_files(files: &[PathBuf], options: &FileOptions, field: &str) -> Result<Vec<Problem>, TrainError> {
    let mut problems = Vec::new();
    for file in files {
        problems.extend(load(file, options).map_err(|error| refuse(field, error))?);
    }
    Ok(problems)
}

/// The problems to train on and those held out of them.
///
/// # Errors
/// [`TrainError::Config`] if the fraction is not in [0, 1].
pub fn split_files(problems: Vec<Problem>, fraction: f64) -> Result<(Vec<Problem>, Vec<Problem>), TrainError> {
    split(problems, fraction, SPLIT_SEED).map_err(|error| refuse("problems.held_out_fraction", error))
}

/// The held-out problems of a run's evaluation: `eval.files`, else those held out of `problems.files`, else generated.
///
/// # Errors
/// [`TrainError::Config`] if a file cannot be read.
pub(super) fn held_out(config: &TrainConfig) -> Result<Vec<Problem>, TrainError> {
    match config.eval.test_freq {
        _ if config.recipe == Recipe::Sft => Ok(Vec::new()),
        0 => Ok(Vec::new()),
        _ => evaluated(config),
    }
}

/// As [`held_out`], whether or not the run evaluates by itself.
pub(super) fn evaluated(config: &TrainConfig) -> Result<Vec<Problem>, TrainError> {
    let (eval, problems) = (&config.eval, &config.problems);
    let mut found = if !eval.files.is_empty() {
        read_files(&eval.files, &columns(config), "eval.files")?
    } else if problems.source == ProblemSource::Files && problems.held_out_fraction > 0.0 {
        let all = read_files(&problems.files, &columns(config), "problems.files")?;
        split_files(all, problems.held_out_fraction)?.1
    } else {
        procedural(config.seed, Split::HeldOut, eval.limit)
    };
    found.truncate(eval.limit);
    make_ids_unique(&mut found);
    Ok(found)
}

fn refuse(field: &str, error: impl ToString) -> TrainError {
    TrainError::Config {
        field: field.into(),
        reason: error.to_string(),
    }
}

fn make_ids_unique(problems: &mut [Problem]) {
    let mut seen = HashSet::new();
    for problem in problems {
        if !seen.insert(problem.id.clone()) {
            let base = format!("{}:{}", problem.source, problem.id);
            let numbered = (2..).map(|number| format!("{base}:{number}"));
            let fresh = std::iter::once(base.clone())
                .chain(numbered)
                .find(|id| !seen.contains(id));
            problem.id = fresh.expect("numbers do not run out");
            seen.insert(problem.id.clone());
        }
    }
}

/// Longest prompt and longest response, tokens, fitted to the engine's context length.
///
/// # Errors
/// [`TrainError::Config`] if they do not fit.
pub(super) fn limits(config: &TrainConfig, engine: &EngineHandle) -> Result<(usize, u32), TrainError> {
    let context = engine.max_model_len();
    let prompt = config.rollout.max_prompt_length.unwrap_or((context / 2).min(1024));
    let left = u32::try_from(context.saturating_sub(prompt)).unwrap_or(u32::MAX);
    let response = config.rollout.max_response_length.unwrap_or(left.min(1024));
    if prompt == 0 || response == 0 || prompt + response as usize > context {
        return Err(TrainError::Config {
            field: "rollout.max_response_length".into(),
            reason: format!(
                "rollout.max_prompt_length {prompt} and rollout.max_response_length {response} must be at least 1 and \
                 together at most the context length, {context}"
            ),
        });
    }
    Ok((prompt, response))
}

/// Leaves out problems whose prompt is too long; returns how many.
///
/// # Errors
/// [`TrainError::Config`] if none is left, [`TrainError::Run`] if the template refuses a problem.
pub(super) fn drop_long(
    problems: &mut Vec<Problem>,
    prompts: &Prompts,
    engine: &EngineHandle,
    longest: usize,
) -> Result<usize, TrainError> {
    let before = problems.len();
    let mut kept = Vec::with_capacity(before);
    for problem in problems.drain(..) {
        let tokenizer = engine.tokenizer();
        let messages = prompts.messages_of(&problem);
        let bytes = messages.iter().map(|message| message.content.len()).sum();
        let fits = tokenizer.least_tokens(bytes) <= longest && tokenizer.encode_chat(&messages, true)?.len() <= longest;
        if fits {
            kept.push(problem);
        }
    }
    *problems = kept;
    if problems.is_empty() && before > 0 {
        let reason = format!("all {before} problems have prompts of more than {longest} tokens");
        return Err(TrainError::Config {
            field: "rollout.max_prompt_length".into(),
            reason,
        });
    }
    Ok(before - problems.len())
}
