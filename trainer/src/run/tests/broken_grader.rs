//! A grader that fails on everything ends the run; once it is repaired, the run goes on and learns.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::policy::testing::tiny_model;
use crate::reward::testing::{Reply, Server};
use crate::run::testing::parts;
use crate::run::{RunState, TrainConfig, history};

const STEPS: usize = 5;
/// Steps that may pass without a reward.
const BOUND: usize = 2;

/// A judge that fails until `repaired`, and then likes every other response.
fn judge(repaired: &Arc<AtomicBool>) -> Server {
    let repaired = Arc::clone(repaired);
    Server::start(move |at| match repaired.load(Ordering::SeqCst) {
        false => Reply::status(503),
        true => Reply::json(200, &json!({"reward": at % 2})),
    })
}

fn config(head: &str, url: &str) -> TrainConfig {
    let text = format!(
        "{head}\nsteps = {STEPS}\nrun_id = \"judged\"\n[checkpoint]\nsave_freq = 1\n\
         [problems]\ntrain_batch_size = 2\nprocedural_count = 8\n\
         [rollout]\nn = 4\nmax_prompt_length = 200\nmax_response_length = 8\n\
         [prompts]\nsolve = \"{{question}}\"\n\
         [reward]\nmax_ungraded_steps = {BOUND}\ngrader = {{ type = \"external\", name = \"judge\", endpoint = \"lab\" }}\n\
         [reward.endpoints.lab]\nurl = \"{url}\"\nretries = 0\ncache_entries = 0\n"
    );
    TrainConfig::from_toml(&text).expect("valid")
}

/// The metric `name` at every step of the run's history; 0 where it is missing.
fn metric(folder: &Path, name: &str) -> Vec<f64> {
    let records = history::read(&folder.join("runs/judged")).expect("a history");
    let each = records.iter().map(|record| record.metrics.get(name).copied());
    each.map(Option::unwrap_or_default).collect()
}

#[test]
fn a_run_ends_when_nothing_is_graded_and_learns_once_the_grader_is_repaired() {
    for head in [
        "recipe = \"grpo\"",
        "recipe = \"svs\"",
        "recipe = \"grpo\"\nmode = \"async\"",
    ] {
        let repaired = Arc::new(AtomicBool::new(false));
        let server = judge(&repaired);
        let folder = tempfile::tempdir().expect("a folder");
        let (_engine, _log, trainer) = parts(tiny_model(1), folder.path());
        let config = config(head, &server.url);
        trainer.start(config.clone(), false).expect("starts");
        let status = trainer.wait();
        let error = status.error.unwrap_or_default();
        assert_eq!(
            (status.state, status.step),
            (RunState::Failed, BOUND as u64),
            "{head}: {error}"
        );
        for said in [
            "of 3 steps in a row",
            "max_ungraded_steps = 2",
            "step 3",
            "8 by grader `judge` (",
            "503",
            "resume",
        ] {
            assert!(error.contains(said), "{head}: {said}: {error}");
        }
        assert_eq!(metric(folder.path(), "problems/ungraded"), [2.0; BOUND], "{head}");

        // The configuration is the same: what was broken was the judge.
        repaired.store(true, Ordering::SeqCst);
        trainer.start(config, true).expect("resumes");
        let status = trainer.wait();
        assert_eq!((status.state, status.error), (RunState::Finished, None), "{head}");
        // Step 3 was sampled and logged when the judge failed: it is graded anew, and trained on.
        assert_eq!(
            metric(folder.path(), "problems/ungraded"),
            [2.0, 2.0, 0.0, 0.0, 0.0],
            "{head}"
        );
        let steps = metric(folder.path(), "training/optimizer_steps");
        assert_eq!(steps[..BOUND], [0.0; BOUND], "{head}");
        assert!(steps[BOUND..].iter().all(|steps| *steps > 0.0), "{head}: {steps:?}");
        assert!(status.version > 0, "{head}");
    }
}
