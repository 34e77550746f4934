//! `method.supervised` → the configuration of the run.

use serde_json::{Map, Value, json};
use svs_openapi::fine_tuning::{CreateJob, Supervised};
use svs_trainer::TrainConfig;
use svs_trainer::run::config::{ProblemSource, Recipe};
use svs_trainer::sft::SftConfig;

use super::{At, Ground, Planned, check_seed};
use crate::error::ApiError;
use crate::jobs::record::{TRAINING, VALIDATION};

const AT: At = At("method.supervised");
/// Passes over the file where nothing else is asked for.
const EPOCHS: u64 = 3;
/// Keys, or sections, of a configuration that a supervised run has a use for and no other field of the request decides.
const USED: [&str; 13] = [
    "steps",
    "fork_from",
    "train_share",
    "tensorboard",
    "watchdog_s",
    "publish_wait_s",
    "optim",
    "lora",
    "checkpoint",
    "eval.test_freq",
    "eval.limit",
    "algorithm.ppo_max_token_len",
    "algorithm.max_skipped_steps",
];

/// Plans the run of a job.
///
/// # Errors
/// 400 naming the field.
pub fn plan(ground: &Ground<'_>, request: &CreateJob, method: &Supervised) -> Result<Planned, ApiError> {
    let (defaults, folder, rows) = (ground.defaults, ground.folder, ground.rows);
    check_seed(request.seed)?;
    let given = method.hyperparameters.clone().unwrap_or_default();
    let mut config = begin(defaults);
    config.run_id = Some(ground.id.to_owned());
    config.seed = request.seed.unwrap_or(defaults.seed);
    config.problems.files = vec![folder.join(TRAINING)];
    let batch = AT.whole("batch_size", given.batch_size.as_ref(), 100_000)?;
    let batch = batch.unwrap_or((defaults.problems.train_batch_size.min(rows)).max(1) as u64);
    config.problems.train_batch_size = batch as usize;
    let rate = SftConfig::default().optim.lr;
    let factor = AT.factor("learning_rate_multiplier", given.learning_rate_multiplier.as_ref())?;
    let factor = factor.unwrap_or(1.0);
    config.optim.lr = rate * factor;
    // A batch ends where a pass ends.
    let steps_of_pass = (rows as u64).div_ceil(batch).max(1);
    if request.validation_file.is_some() {
        config.eval.files = vec![folder.join(VALIDATION)];
        config.eval.test_freq = steps_of_pass;
    }
    let epochs = AT.whole("n_epochs", given.n_epochs.as_ref(), 10_000)?;
    config.steps = steps_of_pass * epochs.unwrap_or(EPOCHS);
    let over = AT.overlay(method.x_svs.iter().flat_map(|extension| &extension.config))?;
    check_used(&over)?;
    let steps_given = over.contains_key("steps");
    if epochs.is_some() && steps_given {
        return Err(AT.hyper("n_epochs", "give it or `x_svs.config.steps`, not both"));
    }
    if config.eval.files.is_empty() && Value::Object(over.clone()).pointer("/eval/test_freq").is_some() {
        return Err(AT.key(
            "eval.test_freq",
            "there is nothing to evaluate on: give a `validation_file`",
        ));
    }
    let mut config = config.overlaid(&over).map_err(|faults| AT.refusal(&faults))?;
    let begun = AT.begin(ground, &mut config, steps_given)?;
    // As it was given, not as the product divides, unless the configuration has a rate of its own.
    let kept = config.optim.lr.to_bits() == (rate * factor).to_bits();
    let factor = if kept { factor } else { config.optim.lr / rate };
    let shown = json!({
        "type": "supervised",
        "supervised": {
            "hyperparameters": {
                "batch_size": batch,
                "learning_rate_multiplier": factor,
                "n_epochs": config.steps.saturating_sub(begun).div_ceil(steps_of_pass),
            },
            "x_svs": {"config": over},
        },
    });
    Ok(Planned { config, method: shown })
}

/// A supervised run with what the server's own configuration says that is of use to it.
fn begin(defaults: &TrainConfig) -> TrainConfig {
    let mut config = TrainConfig {
        recipe: Recipe::Sft,
        train_share: defaults.train_share,
        tensorboard: defaults.tensorboard,
        watchdog_s: defaults.watchdog_s,
        publish_wait_s: defaults.publish_wait_s,
        optim: defaults.optim.clone(),
        lora: defaults.lora.clone(),
        checkpoint: defaults.checkpoint.clone(),
        ..TrainConfig::default()
    };
    config.problems.source = ProblemSource::Files;
    config.eval.limit = defaults.eval.limit;
    config.algorithm.ppo_max_token_len = defaults.algorithm.ppo_max_token_len;
    config.algorithm.max_skipped_steps = defaults.algorithm.max_skipped_steps;
    config
}

/// Refuses the first key that the run would not look at.
fn check_used(over: &Map<String, Value>) -> Result<(), ApiError> {
    let used = |key: &str| {
        USED.iter()
            .any(|used| key == *used || key.starts_with(&format!("{used}.")))
    };
    match keys("", over).into_iter().find(|key| !used(key)) {
        None => Ok(()),
        Some(key) => {
            let reason = format!("a supervised job has no use for it; it takes {}", USED.join(", "));
            Err(AT.key(&key, &reason))
        }
    }
}

/// Dotted names of all keys that are no sections.
fn keys(above: &str, table: &Map<String, Value>) -> Vec<String> {
    let named = table.iter().flat_map(|(key, value)| match value {
        Value::Object(inner) if !inner.is_empty() => keys(&format!("{above}{key}."), inner),
        _ => vec![format!("{above}{key}")],
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn planned(rows: usize, request: &Value) -> Result<Planned, ApiError> {
        let mut whole = json!({"model": "m", "training_file": "f", "method": {"type": "supervised", "supervised": {}}});
        for (key, value) in request.as_object().expect("an object") {
            match key.as_str() {
                "x_svs" | "hyperparameters" => whole["method"]["supervised"][key] = value.clone(),
                _ => whole[key] = value.clone(),
            }
        }
        let request: CreateJob = serde_json::from_value(whole).expect("a request");
        let method = request
            .method
            .clone()
            .and_then(|method| method.supervised)
            .expect("given");
        let mut defaults = TrainConfig::default();
        defaults.optim.weight_decay = 0.25;
        defaults.algorithm.kl_loss_coef = 0.5;
        plan(&Ground::of_test(&defaults, rows), &request, &method)
    }

    #[test]
    fn hyperparameters_reach_the_run() {
        let request = json!({
            "seed": 5,
            "validation_file": "v",
            "hyperparameters": {"batch_size": 4, "learning_rate_multiplier": 2, "n_epochs": 3},
            "x_svs": {"config": {"checkpoint.save_freq": 1, "optim": {"warmup_steps": 2}}},
        });
        let Planned { config, method } = planned(10, &request).expect("valid");
        assert_eq!((config.recipe, config.seed), (Recipe::Sft, 5));
        assert_eq!((config.steps, config.problems.train_batch_size), (9, 4));
        assert_eq!((config.optim.lr, config.optim.weight_decay), (2e-5, 0.25));
        assert_eq!((config.optim.warmup_steps, config.checkpoint.save_freq), (2, 1));
        assert_eq!(config.algorithm.kl_loss_coef, 0.0, "what is for rollouts stays out");
        assert_eq!(config.problems.files, [Path::new("/runs/x/training.jsonl")]);
        assert_eq!(config.eval.files, [Path::new("/runs/x/validation.jsonl")]);
        assert_eq!(config.eval.test_freq, 3, "once a pass");
        config.validate().expect("a run");
        let shown = &method["supervised"]["hyperparameters"];
        assert_eq!(
            *shown,
            json!({"batch_size": 4, "learning_rate_multiplier": 2.0, "n_epochs": 3})
        );
        let Planned { config, method } = planned(10, &json!({"hyperparameters": {"n_epochs": "auto"}})).expect("valid");
        assert_eq!((config.steps, config.problems.train_batch_size), (EPOCHS, 10));
        assert_eq!((config.eval.test_freq, config.optim.lr), (0, 1e-5));
        assert_eq!(method["supervised"]["hyperparameters"]["n_epochs"], json!(EPOCHS));
    }

    #[test]
    fn a_fork_makes_its_passes_behind_the_steps_of_its_origin() {
        for (hyper, more, wanted) in [
            (json!({"n_epochs": 2, "batch_size": 4}), json!({}), (7 + 6, 2)),
            (json!({}), json!({}), (7 + EPOCHS, EPOCHS)),
            (json!({"batch_size": 4}), json!({"steps": 9}), (9, 1)),
        ] {
            let mut request = json!({"hyperparameters": hyper, "x_svs": {"config": {"fork_from": "before"}}});
            let over = request["x_svs"]["config"].as_object_mut().expect("a section");
            over.extend(more.as_object().cloned().unwrap_or_default());
            let Planned { config, method } = planned(10, &request).expect("valid");
            let shown = method["supervised"]["hyperparameters"]["n_epochs"].as_u64();
            assert_eq!((config.steps, shown), (wanted.0, Some(wanted.1)), "{request}");
        }
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_by_name() {
        let hyper = |name: &str, value: Value| {
            let request = json!({"hyperparameters": {name: value}});
            (request, format!("method.supervised.hyperparameters.{name}"))
        };
        let config = |key: &str, value: Value| {
            let request = json!({"x_svs": {"config": {key: value}}});
            (request, format!("method.supervised.x_svs.config.{key}"))
        };
        for (request, field) in [
            hyper("batch_size", json!(0)),
            hyper("n_epochs", json!("many")),
            hyper("learning_rate_multiplier", json!(-1)),
            config("recipe", json!("grpo")),
            config("fork_from", json!("nobody")),
            config("rollout.n", json!(4)),
            config("problems.files", json!(["/etc/passwd"])),
            config("reward.code.mode", json!("strict")),
            config("algorithm.kl_loss_coef", json!(0.5)),
            config("eval.files", json!(["/etc/passwd"])),
            config("eval.test_freq", json!(2)),
            config("optim.speed", json!(2)),
            config("optim.lr", json!(-1)),
        ] {
            let error = planned(10, &request).expect_err(&field);
            assert_eq!(error.param.as_deref(), Some(field.as_str()), "{}", error.message);
        }
        let both = json!({"hyperparameters": {"n_epochs": 2}, "x_svs": {"config": {"steps": 4}}});
        assert!(planned(10, &both).is_err());
    }
}
