//! Groups that are all right or all wrong: there is nothing to learn, and nothing is learned.

use std::path::Path;

use crate::policy::testing::tiny_model;
use crate::run::testing::run;
use crate::run::{RunState, history};

/// Whatever a response says is right.
const RIGHT: &str = "(?s).*";
/// Nothing that random weights say is.
const WRONG: &str = "no model says this by chance";

const BATCH: f64 = 2.0;
const STEPS: usize = 3;

/// A run whose weights every optimizer step would change, be its gradient zero.
fn toml(head: &str, pattern: &str, algorithm: &str) -> String {
    format!(
        "{head}\nsteps = {STEPS}\nrun_id = \"equal\"\n[optim]\nlr = 0.1\nweight_decay = 0.1\n\
         [problems]\ntrain_batch_size = {BATCH}\nprocedural_count = 8\n\
         [rollout]\nn = 4\nmax_prompt_length = 200\nmax_response_length = 8\n\
         [prompts]\nsolve = \"{{question}}\"\n\
         [reward]\ngrader = {{ type = \"regex\", name = \"fixed\", pattern = \"{pattern}\" }}\n\
         [algorithm]\n{algorithm}\n"
    )
}

fn weights(model: &Path) -> Vec<u8> {
    std::fs::read(model.join("model.safetensors")).expect("a saved model")
}

#[test]
fn groups_without_contrast_change_no_weight_and_are_counted() {
    const SVS: &str = "recipe = \"svs\"";
    const GRPO: &str = "recipe = \"grpo\"";
    const AHEAD: &str = "recipe = \"grpo\"\nmode = \"async\"";
    const OFF: &str = "filter_groups = false";
    // Head, grader, algorithm, waves of problems a step; only without the filter do groups stay.
    let rows = [
        (GRPO, RIGHT, "", 1.0),
        (GRPO, WRONG, "", 1.0),
        (SVS, RIGHT, "", 1.0),
        (SVS, WRONG, "", 1.0),
        (AHEAD, WRONG, "", 1.0),
        (GRPO, RIGHT, "max_num_gen_batches = 3", 3.0),
        (SVS, WRONG, "max_num_gen_batches = 3", 3.0),
        (GRPO, RIGHT, OFF, 1.0),
        (SVS, WRONG, OFF, 1.0),
        (AHEAD, RIGHT, OFF, 1.0),
        (GRPO, RIGHT, "filter_groups = false\nadv_estimator = \"rloo\"", 1.0),
        (GRPO, WRONG, "filter_groups = false\nadv_estimator = \"psr\"", 1.0),
        (GRPO, RIGHT, "filter_groups = false\nadv_estimator = \"nsr\"", 1.0),
        (GRPO, RIGHT, "filter_groups = false\nloss_mode = \"real\"", 1.0),
        (GRPO, WRONG, "filter_groups = false\nloss_mode = \"gspo\"", 1.0),
        (
            GRPO,
            WRONG,
            "filter_groups = false\nhidden_shaping = {enabled = true}",
            1.0,
        ),
    ];
    let start = tempfile::tempdir().expect("a folder");
    let (model, path) = (tiny_model(1), start.path().join("start"));
    svs_engine::load::save(&path, &model, &model.params).expect("saved");
    for (head, pattern, algorithm, waves) in rows {
        let what = format!("{head}, {pattern}, {algorithm}");
        let folder = tempfile::tempdir().expect("a folder");
        let status = run(model.clone(), folder.path(), &toml(head, pattern, algorithm));
        assert_eq!(
            (status.state, status.error, status.version),
            (RunState::Finished, None, 0),
            "{what}"
        );
        let run = folder.path().join("runs/equal");
        let records = history::read(&run).expect("a history");
        assert_eq!(records.len(), STEPS, "{what}");
        let kept = if algorithm.contains(OFF) { BATCH } else { 0.0 };
        for record in &records {
            let metric = |name: &str| record.metrics.get(name).copied();
            let wanted = [
                ("svs/solve/groups", waves * BATCH),
                ("svs/solve/kept_groups", kept),
                ("svs/gen_batches", waves),
                ("training/groups", kept),
                ("training/groups_with_contrast", 0.0),
                (
                    "problems/all_correct",
                    if pattern == RIGHT { waves * BATCH } else { 0.0 },
                ),
                (
                    "problems/none_correct",
                    if pattern == WRONG { waves * BATCH } else { 0.0 },
                ),
                ("problems/mixed", 0.0),
                ("problems/ungraded", 0.0),
                ("training/optimizer_steps", 0.0),
                ("training/skipped_steps", 0.0),
                ("svs/solve/acc_mean", if pattern == RIGHT { 1.0 } else { 0.0 }),
            ];
            for (name, value) in wanted {
                assert_eq!(metric(name), Some(value), "{what}: {name} of {record:?}");
            }
        }
        assert!(
            weights(&run.join("model")) == weights(&path),
            "{what}: the weights moved"
        );
    }
}
