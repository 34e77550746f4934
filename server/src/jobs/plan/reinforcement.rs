//! `method.reinforcement` → the configuration of the run.

use serde_json::{Value, json};
use svs_openapi::fine_tuning::{CreateJob, Extension, Hyperparameters, Reinforcement};
use svs_trainer::TrainConfig;
use svs_trainer::problems::FileOptions;
use svs_trainer::run::config::{ProblemSource, Recipe};
use svs_verifier::spec::GraderSpec;

use super::{At, Ground, Planned, auto, check_seed};
use crate::error::ApiError;
use crate::jobs::record::{TRAINING, VALIDATION};

/// Keys of a configuration that other fields of the request, or the server, decide.
const DECIDED: [(&str, &str); 10] = [
    ("run_id", "the id of the job is that of the run"),
    ("recipe", "use `x_svs.recipe`"),
    ("seed", "use `seed`"),
    ("problems.source", "a job trains on its training file"),
    ("problems.files", "use `training_file`"),
    ("problems.columns", "a job's files hold conversations"),
    ("eval.files", "use `validation_file`"),
    ("reward.grader", "use `method.reinforcement.grader`"),
    (
        "reward.endpoints",
        "endpoints are declared in the server's own configuration",
    ),
    ("reward.code", "what programs may do is set where the server is started"),
];
const AT: At = At("method.reinforcement");

/// Plans the run of a job.
///
/// # Errors
/// 400 naming the field.
pub fn plan(
    ground: &Ground<'_>,
    request: &CreateJob,
    method: &Reinforcement,
    grader: GraderSpec,
) -> Result<Planned, ApiError> {
    let (defaults, folder, rows) = (ground.defaults, ground.folder, ground.rows);
    check_seed(request.seed)?;
    let mut config = TrainConfig {
        run_id: Some(ground.id.to_owned()),
        fork_from: None,
        recipe: recipe(method.x_svs.as_ref())?,
        seed: request.seed.unwrap_or(defaults.seed),
        ..defaults.clone()
    };
    config.problems.source = ProblemSource::Files;
    config.problems.files = vec![folder.join(TRAINING)];
    config.problems.columns = FileOptions {
        messages: Some("messages".into()),
        ..FileOptions::default()
    };
    config.reward.grader = Some(grader.clone());
    config.eval.files.clear();
    config.eval.test_freq = 0;
    if request.validation_file.is_some() {
        config.eval.files = vec![folder.join(VALIDATION)];
    }
    let given = method.hyperparameters.clone().unwrap_or_default();
    let epochs = set(&given, &mut config, ground)?;
    let over = AT.overlay(method.x_svs.iter().flat_map(|extension| &extension.config))?;
    AT.decided(&over, &DECIDED)?;
    let steps_given = over.contains_key("steps");
    config = config.overlaid(&over).map_err(|faults| AT.refusal(&faults))?;
    if let Some(epochs) = epochs {
        if steps_given {
            return Err(AT.hyper("n_epochs", "give it or `x_svs.config.steps`, not both"));
        }
        config.steps = (rows as u64 * epochs).div_ceil(config.problems.train_batch_size as u64);
    }
    let begun = AT.begin(ground, &mut config, steps_given)?;
    if config.eval.test_freq > 0 && config.eval.files.is_empty() && config.problems.held_out_fraction == 0.0 {
        let reason = "there is nothing to evaluate on: give a `validation_file`, or `problems.held_out_fraction`";
        return Err(AT.hyper("eval_interval", reason));
    }
    if config.eval.test_freq == 0 && auto(given.eval_samples.as_ref()) != "auto" {
        let reason = "the job evaluates nothing: give a `validation_file` or an `eval_interval` too";
        return Err(AT.hyper("eval_samples", reason));
    }
    config
        .validate()
        .map_err(|error| AT.hyper("n_epochs", &error.to_string()))?;
    let shown = json!({
        "type": "reinforcement",
        "reinforcement": {
            "grader": grader,
            "hyperparameters": resolved(&given, &config, ground, epochs.unwrap_or_else(|| passes(&config, begun, rows))),
            "x_svs": {"recipe": config.recipe.name(), "config": over},
        },
    });
    Ok(Planned { config, method: shown })
}

fn recipe(extension: Option<&Extension>) -> Result<Recipe, ApiError> {
    match extension.and_then(|extension| extension.recipe.as_deref()) {
        None | Some("grpo") => Ok(Recipe::Grpo),
        Some("svs") => Ok(Recipe::Svs),
        Some(other) => {
            let message = format!("`{other}` is neither `grpo` nor `svs`");
            Err(ApiError::value("method.reinforcement.x_svs.recipe", message))
        }
    }
}

/// Puts the hyperparameters into `config`; the passes over the file are for later.
fn set(given: &Hyperparameters, config: &mut TrainConfig, ground: &Ground<'_>) -> Result<Option<u64>, ApiError> {
    let (defaults, rows) = (ground.defaults, ground.rows);
    if given
        .reasoning_effort
        .as_deref()
        .is_some_and(|effort| effort != "default")
    {
        return Err(AT.hyper(
            "reasoning_effort",
            "is not supported; a conversation in the file can ask for it",
        ));
    }
    let size = AT.whole("batch_size", given.batch_size.as_ref(), 100_000)?;
    let all = defaults.problems.train_batch_size.min(rows).max(1);
    config.problems.train_batch_size = size.map_or(all, |size| size as usize);
    if let Some(factor) = AT.factor("learning_rate_multiplier", given.learning_rate_multiplier.as_ref())? {
        config.optim.lr = defaults.optim.lr * factor;
    }
    if let Some(factor) = AT.factor("compute_multiplier", given.compute_multiplier.as_ref())? {
        let samples = (f64::from(defaults.rollout.n) * factor)
            .round()
            .clamp(2.0, f64::from(u32::MAX));
        config.rollout.n = samples as u32;
    }
    if let Some(steps) = AT.whole("eval_interval", given.eval_interval.as_ref(), 1_000_000)? {
        config.eval.test_freq = steps;
    } else if !config.eval.files.is_empty() {
        config.eval.test_freq = defaults.eval.test_freq.max(1);
    }
    if let Some(samples) = AT.whole("eval_samples", given.eval_samples.as_ref(), 1024)? {
        config.eval.samples = samples as u32;
        config.eval.k.retain(|k| u64::from(*k) <= samples);
    }
    AT.whole("n_epochs", given.n_epochs.as_ref(), 10_000)
}

/// Passes over the file, begun ones counted whole, of a run that begins at the step `begun`.
fn passes(config: &TrainConfig, begun: u64, rows: usize) -> u64 {
    let steps = config.steps.saturating_sub(begun);
    let drawn = steps.saturating_mul(config.problems.train_batch_size as u64);
    drawn.div_ceil(rows.max(1) as u64).max(1)
}

/// The hyperparameters as the run has them.
fn resolved(given: &Hyperparameters, config: &TrainConfig, ground: &Ground<'_>, epochs: u64) -> Value {
    let defaults = ground.defaults;
    json!({
        "batch_size": config.problems.train_batch_size,
        "learning_rate_multiplier": config.optim.lr / defaults.optim.lr,
        "n_epochs": epochs,
        "compute_multiplier": f64::from(config.rollout.n) / f64::from(defaults.rollout.n),
        "eval_interval": match config.eval.test_freq { 0 => auto(given.eval_interval.as_ref()), steps => json!(steps) },
        "eval_samples": config.eval.samples,
        "reasoning_effort": "default",
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn planned(rows: usize, request: &Value) -> Result<Planned, ApiError> {
        let mut whole = json!({"model": "m", "training_file": "f", "method": {"type": "reinforcement"}});
        let grader = json!({"type": "string_check", "name": "x", "input": "a", "reference": "b", "operation": "eq"});
        whole["method"]["reinforcement"] = json!({"grader": grader});
        for (key, value) in request.as_object().expect("an object") {
            match key.as_str() {
                "x_svs" | "hyperparameters" => whole["method"]["reinforcement"][key] = value.clone(),
                _ => whole[key] = value.clone(),
            }
        }
        let request: CreateJob = serde_json::from_value(whole).expect("a request");
        let method = request
            .method
            .clone()
            .and_then(|method| method.reinforcement)
            .expect("given");
        let grader = serde_json::from_value(method.grader.clone()).expect("a grader");
        let defaults = TrainConfig::default();
        plan(&Ground::of_test(&defaults, rows), &request, &method, grader)
    }

    #[test]
    fn hyperparameters_reach_the_run() {
        let request = json!({
            "seed": 5,
            "validation_file": "v",
            "hyperparameters": {
                "batch_size": 4, "learning_rate_multiplier": 2, "n_epochs": 3, "compute_multiplier": 0.5,
                "eval_interval": 2, "eval_samples": 3, "reasoning_effort": "default",
            },
            "x_svs": {"recipe": "svs", "config": {"rollout.temperature": 0.5, "optim": {"weight_decay": 0.5}}},
        });
        let Planned { config, method } = planned(10, &request).expect("valid");
        let defaults = TrainConfig::default();
        assert_eq!((config.steps, config.problems.train_batch_size, config.seed), (8, 4, 5));
        assert_eq!(config.optim.lr, 2.0 * defaults.optim.lr);
        assert_eq!(
            (config.rollout.n, config.rollout.temperature),
            (defaults.rollout.n / 2, 0.5)
        );
        assert_eq!((config.eval.test_freq, config.eval.samples), (2, 3));
        assert_eq!((config.recipe, config.optim.weight_decay), (Recipe::Svs, 0.5));
        assert_eq!(config.problems.files, [Path::new("/runs/x/training.jsonl")]);
        assert_eq!(config.eval.files, [Path::new("/runs/x/validation.jsonl")]);
        let shown = &method["reinforcement"]["hyperparameters"];
        assert_eq!(
            (&shown["batch_size"], &shown["n_epochs"]),
            (&json!(4), &json!(3)),
            "as asked"
        );
        let plain = planned(
            10,
            &json!({"hyperparameters": {"n_epochs": "auto", "batch_size": null}}),
        );
        let plain = plain.expect("valid").config;
        assert_eq!(
            (plain.steps, plain.recipe, plain.eval.test_freq),
            (defaults.steps, Recipe::Grpo, 0)
        );
        let forked =
            json!({"hyperparameters": {"batch_size": 4, "n_epochs": 2}, "x_svs": {"config": {"fork_from": "before"}}});
        let Planned { config, method } = planned(10, &forked).expect("valid");
        let shown = &method["reinforcement"]["hyperparameters"]["n_epochs"];
        assert_eq!(
            (config.steps, shown),
            (7 + 5, &json!(2)),
            "behind the steps of its origin"
        );
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_by_name() {
        let hyper = |name: &str, value: Value| (json!({"hyperparameters": {name: value}}), name.to_owned());
        let config = |key: &str, value: Value| (json!({"x_svs": {"config": {key: value}}}), key.to_owned());
        for (request, field) in [
            hyper("batch_size", json!(0)),
            hyper("batch_size", json!(1.5)),
            hyper("n_epochs", json!("many")),
            hyper("learning_rate_multiplier", json!(0)),
            hyper("compute_multiplier", json!(-1)),
            hyper("eval_interval", json!(2)),
            hyper("eval_samples", json!(3)),
            hyper("reasoning_effort", json!("high")),
            config("run_id", json!("x")),
            config("fork_from", json!("nobody")),
            config("problems.files", json!(["/etc/passwd"])),
            config("reward.endpoints", json!({})),
            config("reward.code.mode", json!("strict")),
            config("rollout.nn", json!(3)),
            config("optim.lr", json!(-1)),
            (json!({"x_svs": {"config": {"steps.x": 3}}}), "steps".to_owned()),
        ] {
            let error = planned(10, &request).expect_err(&field);
            let param = error.param.unwrap_or_default();
            let wanted = if field == "reward.code.mode" {
                "reward.code"
            } else {
                &field
            };
            assert!(param.starts_with(AT.0) && param.ends_with(wanted), "{param}: {wanted}");
        }
        let both = json!({"hyperparameters": {"n_epochs": 2}, "x_svs": {"config": {"steps": 4}}});
        assert!(planned(10, &both).is_err());
        let deep = vec!["a"; 100_000].join(".");
        let deep = planned(10, &json!({"x_svs": {"config": {deep: 1}}})).expect_err("too deep");
        assert!(
            deep.message.contains("more sections") && deep.message.len() < 1000,
            "{}",
            deep.message
        );
        let seed = planned(10, &json!({"seed": u64::MAX})).expect_err("no such seed in TOML");
        assert_eq!(seed.param.as_deref(), Some("seed"));
        let twice = json!({"x_svs": {"config": {"rollout": {"n": 4}, "rollout.n": {"x": 1}}}});
        assert!(planned(10, &twice).is_err());
        let twice = json!({"x_svs": {"config": {"rollout": {"n": 4}, "rollout.n": 4}}});
        let twice = planned(10, &twice).expect_err("said twice").message;
        assert!(twice.contains("given twice"), "{twice}");
    }
}
