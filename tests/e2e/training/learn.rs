//! The loop learns, and SvS really runs its three kinds of experience.

use svs_engine::{Precision, Storage};
use svs_trainer::log::ListQuery;
use svs_trainer::run::config::{LoraSection, Recipe};
use svs_trainer::run::{RunState, history};
use svs_trainer::trajectory::Kind;

use super::toy::{Parts, config};

fn mean(records: &[history::Record], name: &str) -> f64 {
    records.iter().map(|record| record.metrics[name]).sum::<f64>() / records.len() as f64
}

#[test]
fn plain_grpo_moves_the_reward() {
    learns(None, 0.2);
}

#[test]
fn an_adapter_moves_the_reward() {
    // Less than all parameters together: the tied embedding stays.
    learns(Some(LoraSection::default()), 0.1);
}

#[test]
fn whatever_weights_and_kv_are_stored_in_training_computes_what_was_sampled() {
    let stored = |weights, kv| Storage { weights, kv };
    let (half, full) = (Precision::Bf16, Precision::F32);
    for storage in [stored(half, half), stored(half, full), stored(full, half)] {
        let folder = tempfile::tempdir().unwrap();
        let parts = Parts::open_in(storage, folder.path());
        let config = config(folder.path(), Recipe::Grpo, 5);
        parts.trainer.start(config, false).unwrap();
        let status = parts.trainer.wait();
        assert_eq!(
            (status.state, status.step),
            (RunState::Finished, 5),
            "{:?}",
            status.error
        );
        assert!(status.version > 2, "{storage:?}: most steps publish");
        samples_as_it_trains(&history::read(&folder.path().join("toy")).unwrap(), 2);
    }
}

/// The logprobs recorded at sampling are those that more than `fewest` steps computed, to the bit.
fn samples_as_it_trains(records: &[history::Record], fewest: usize) {
    for difference in ["log_ppl_abs_diff", "log_ppl_diff", "logprob_abs_diff_max"] {
        let name = format!("rollout_corr/{difference}");
        let measured: Vec<f64> = records
            .iter()
            .filter_map(|record| record.metrics.get(&name))
            .copied()
            .collect();
        assert!(measured.len() > fewest, "{name} in {} steps", measured.len());
        assert!(measured.iter().all(|one| *one == 0.0), "{name}: {measured:?}");
    }
}

fn learns(lora: Option<LoraSection>, gain: f64) {
    let folder = tempfile::tempdir().unwrap();
    let parts = Parts::open(folder.path());
    let mut config = config(folder.path(), Recipe::Grpo, 40);
    config.lora = lora;
    config.rollout.n = 16;
    config.eval.test_freq = 40;
    config.eval.files = config.problems.files.clone();
    parts.trainer.start(config, false).unwrap();
    let status = parts.trainer.wait();
    assert_eq!(
        (status.state, status.error.as_deref(), status.step),
        (RunState::Finished, None, 40)
    );
    let records = history::read(&folder.path().join("toy")).unwrap();
    assert_eq!(records.len(), 40);
    let (first, last) = (
        mean(&records[..4], "critic/score/mean"),
        mean(&records[36..], "critic/score/mean"),
    );
    assert!(first < 0.35 && last > first + gain, "reward {first:.2} -> {last:.2}");
    let measured = |name: &str| records[39].metrics[&format!("val-core/held_out/{name}")];
    assert!(measured("pass@1") > first + gain);
    // The same number, summed in two orders.
    assert!((measured("acc/mean@8") - measured("pass@1")).abs() < 1e-12);
    assert!((0.0..=1.0).contains(&measured("acc/maj@8/mean")) && measured("answer_entropy") >= 0.0);
    samples_as_it_trains(&records, 20);
    assert_eq!(parts.engine.stats().version, status.version);
    assert!(status.version > 20, "most steps publish");
    assert!(records.iter().all(|record| !record.metrics.contains_key("svs/nothing")));
    assert!(folder.path().join("toy/model/model.safetensors").exists());
}

#[test]
fn svs_solves_writes_and_solves_what_it_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let parts = Parts::open(folder.path());
    parts
        .trainer
        .start(config(folder.path(), Recipe::Svs, 6), false)
        .unwrap();
    let status = parts.trainer.wait();
    assert_eq!((status.state, status.error.as_deref()), (RunState::Finished, None));
    let records = history::read(&folder.path().join("toy")).unwrap();
    let total = |name: &str| records.iter().map(|record| record.metrics[name]).sum::<f64>();
    for name in ["svs/contexts", "svs/extracted", "svs/valid", "svs/rewarded"] {
        assert!(total(name) > 0.0, "{name} stayed 0");
    }
    for kind in ["solve", "synthesize", "solve_synthetic"] {
        assert!(total(&format!("svs/{kind}/kept_rows")) > 0.0, "nothing kept of {kind}");
    }
    // Every synthesis descends from a correct solution, every synthetic solution from a synthesis of the same problem.
    let rows = parts
        .log
        .list(&ListQuery {
            limit: 1000,
            ..ListQuery::default()
        })
        .unwrap();
    let mut checked = 0;
    for row in rows.iter().map(|row| &row.trajectory) {
        let wanted = match row.kind {
            Kind::Solve => continue,
            Kind::Synthesize => Kind::Solve,
            _ => Kind::Synthesize,
        };
        let parent = parts
            .log
            .get(row.parent.as_deref().unwrap())
            .unwrap()
            .unwrap()
            .trajectory;
        assert_eq!((parent.kind, &parent.problem_id), (wanted, &row.problem_id));
        assert!(wanted == Kind::Synthesize || parent.verdicts[0].reward == Some(1.0));
        checked += 1;
    }
    assert!(checked > 20);
}
