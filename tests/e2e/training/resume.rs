//! A run that stops and resumes equals one that does not, bit for bit.

use std::collections::BTreeMap;
use std::path::Path;

use svs_trainer::TrainConfig;
use svs_trainer::log::ListQuery;
use svs_trainer::run::config::{LoraSection, Recipe};
use svs_trainer::run::{RunState, TrainError, history};

use super::toy::{Parts, config};

/// Weights as saved, and the metrics that do not measure time.
fn outcome(run: &Path, adapter: bool) -> (Vec<u8>, Vec<(u64, BTreeMap<String, f64>)>) {
    let mut weights = std::fs::read(run.join("model/model.safetensors")).unwrap();
    let path = run.join("adapter/adapter_model.safetensors");
    assert_eq!(path.exists(), adapter);
    if adapter {
        weights.extend(std::fs::read(path).unwrap());
    }
    let timeless = |record: history::Record| {
        let timed = |name: &String| {
            ["timing_s/", "perf/", "publish/"]
                .iter()
                .any(|prefix| name.starts_with(prefix))
        };
        (
            record.step,
            record.metrics.into_iter().filter(|(name, _)| !timed(name)).collect(),
        )
    };
    (weights, history::read(run).unwrap().into_iter().map(timeless).collect())
}

#[test]
fn stop_and_resume_is_bit_equal_to_going_on() {
    for lora in [None, Some(LoraSection::default())] {
        stop_and_resume(lora);
    }
}

fn stop_and_resume(lora: Option<LoraSection>) {
    let folder = tempfile::tempdir().unwrap();
    let adapter = lora.is_some();
    let config = TrainConfig {
        lora,
        ..config(folder.path(), Recipe::Svs, 7)
    };
    let (straight, parted) = (folder.path().join("straight"), folder.path().join("parted"));
    for runs in [&straight, &parted] {
        std::fs::create_dir(runs).unwrap();
    }
    let whole = Parts::open(&straight);
    whole.trainer.start(config.clone(), false).unwrap();
    assert_eq!(whole.trainer.wait().state, RunState::Finished);

    let first = Parts::open(&parted);
    let heard = first.trainer.subscribe();
    first.trainer.start(config.clone(), false).unwrap();
    heard.iter().find(|status| status.step >= 2).unwrap();
    first.trainer.stop().unwrap();
    let stopped = first.trainer.wait();
    assert!(stopped.state == RunState::Finished && stopped.step < 7, "{stopped:?}");
    drop(first);

    let mut faster = config.clone();
    faster.optim.lr *= 2.0;
    let mut other = config.clone();
    other.lora = (!adapter).then(LoraSection::default);
    let second = Parts::open(&parted);
    let refused = second.trainer.start(faster, true).unwrap_err();
    assert!(
        matches!(&refused, TrainError::Config { field, .. } if field == "optim"),
        "{refused}"
    );
    let refused = second.trainer.start(other, true).unwrap_err();
    assert!(
        matches!(&refused, TrainError::Config { field, .. } if field == "lora"),
        "{refused}"
    );
    let refused = second.trainer.start(config.clone(), false).unwrap_err();
    assert!(
        refused.to_string().contains("resume it or choose another run_id"),
        "{refused}"
    );
    second.trainer.start(config, true).unwrap();
    let resumed = second.trainer.wait();
    assert_eq!((resumed.state, resumed.step), (RunState::Finished, 7));

    let (whole, parted) = (
        outcome(&straight.join("toy"), adapter),
        outcome(&parted.join("toy"), adapter),
    );
    assert_eq!(whole.1, parted.1);
    assert!(whole.0 == parted.0, "the weights differ");
}

#[test]
fn a_run_that_does_not_exist_is_not_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let parts = Parts::open(folder.path());
    let error = parts
        .trainer
        .start(config(folder.path(), Recipe::Grpo, 1), true)
        .unwrap_err();
    assert!(error.to_string().contains("there is no run `toy`"), "{error}");
}

/// Tokens of every trajectory in the log.
fn sampled_tokens(parts: &Parts) -> usize {
    let mut query = ListQuery {
        limit: 1000,
        ..ListQuery::default()
    };
    let mut tokens = 0;
    loop {
        let page = parts.log.list(&query).unwrap();
        let Some(last) = page.last() else { return tokens };
        query.before_seq = Some(last.seq);
        tokens += page.iter().map(|row| row.trajectory.logprobs.len()).sum::<usize>();
    }
}

#[test]
fn a_budget_of_generated_tokens_ends_a_run_and_counts_on_after_a_resume() {
    let folder = tempfile::tempdir().unwrap();
    let plain = config(folder.path(), Recipe::Svs, 7);
    let (straight, parted) = (folder.path().join("straight"), folder.path().join("parted"));
    for runs in [&straight, &parted] {
        std::fs::create_dir(runs).unwrap();
    }
    let generated = |runs: &Path| -> Vec<f64> {
        let records = history::read(&runs.join("toy")).unwrap();
        records
            .iter()
            .map(|record| record.metrics["training/generated_tokens"])
            .collect()
    };
    let whole = Parts::open(&straight);
    whole.trainer.start(plain.clone(), false).unwrap();
    assert_eq!(whole.trainer.wait().state, RunState::Finished);
    let counts = generated(&straight);
    assert!(
        counts.len() == 7 && counts[0] > 0.0 && counts.is_sorted_by(|a, b| a < b),
        "{counts:?}"
    );
    assert_eq!(
        counts[6],
        sampled_tokens(&whole) as f64,
        "every sampled token is counted, once"
    );

    // One token more than the second step has needs the third; the same again does nothing; no budget runs to the end.
    let parts = Parts::open(&parted);
    for (resume, budget, steps) in [
        (false, Some(counts[1] as u64), 2),
        (true, Some(counts[1] as u64 + 1), 3),
        (true, Some(counts[1] as u64 + 1), 3),
        (true, None, 7),
    ] {
        let budgeted = TrainConfig {
            max_generated_tokens: budget,
            ..plain.clone()
        };
        parts.trainer.start(budgeted, resume).unwrap();
        let ended = parts.trainer.wait();
        assert_eq!((ended.state, ended.step), (RunState::Finished, steps), "{budget:?}");
    }
    assert_eq!(
        outcome(&straight.join("toy"), false),
        outcome(&parted.join("toy"), false)
    );
}
