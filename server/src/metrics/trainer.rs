//! The trainer's numbers as `trainer_*`: where the run stands, the last step's metrics, and what all runs have counted.

use svs_trainer::run::{RunState, Totals, TrainStatus};

use super::describe::describe;
use super::sheet::Sheet;

const STATES: [RunState; 6] = [
    RunState::Idle,
    RunState::Running,
    RunState::Paused,
    RunState::Stopping,
    RunState::Finished,
    RunState::Failed,
];

/// Metrics of a step that have a second name, the one that prime-rl's dashboards know or one that is easy to guess.
const SECOND_NAMES: [(&str, &str); 7] = [
    ("trainer_entropy", "actor/entropy"),
    ("trainer_grad_norm", "actor/grad_norm"),
    ("trainer_learning_rate", "actor/lr"),
    ("trainer_loss", "actor/pg_loss"),
    ("trainer_mismatch_kl", "rollout_corr/kl"),
    ("trainer_reward_mean", "critic/score/mean"),
    ("trainer_throughput_tokens_per_sec", "perf/throughput"),
];

/// Stages of the SvS funnel in order: label and the metric that counts what came out of it.
const FUNNEL: [(&str, &str); 10] = [
    ("problems", "svs/solve/groups"),
    ("solutions", "svs/solve/rows"),
    ("under_performing_prompts", "svs/under_performing_prompts"),
    ("contexts", "svs/contexts"),
    ("synthesized", "svs/synthesized"),
    ("extracted", "svs/extracted"),
    ("valid", "svs/valid"),
    ("synthetic_solutions", "svs/solve_synthetic/rows"),
    ("rewarded", "svs/rewarded"),
    ("kept_synthetic_groups", "svs/solve_synthetic/kept_groups"),
];

/// Counters with one label whose values are what follows in the metric's name.
const BY_REASON: [(&str, &str, &str, &str); 3] = [
    (
        "trainer_svs_rejected_total",
        "reason",
        "svs/rejected/",
        "Outputs of synthesis that became no problem, by reason.",
    ),
    (
        "trainer_svs_contexts_rejected_total",
        "reason",
        "svs/contexts_rejected/",
        "Correct solutions that no problem was written from, by reason.",
    ),
    (
        "trainer_masked_rows_total",
        "reason",
        "training/masked/",
        "Rows that the loss left out, by reason.",
    ),
];

/// Counters without labels.
const COUNTERS: [(&str, &str, &str); 4] = [
    ("trainer_rows_total", "training/rows", "Rows trained on."),
    ("trainer_tokens_total", "training/tokens", "Tokens trained on."),
    (
        "trainer_optimizer_steps_total",
        "training/optimizer_steps",
        "Optimizer steps taken.",
    ),
    (
        "trainer_skipped_steps_total",
        "training/skipped_steps",
        "Optimizer steps skipped because the gradient was not finite.",
    ),
];

/// Wire name of a run state.
pub(crate) fn state_name(state: RunState) -> &'static str {
    match state {
        RunState::Idle => "idle",
        RunState::Running => "running",
        RunState::Paused => "paused",
        RunState::Stopping => "stopping",
        RunState::Finished => "finished",
        RunState::Failed => "failed",
    }
}

/// Puts the trainer's numbers on the sheet.
pub(super) fn put(sheet: &mut Sheet<'_>, status: &TrainStatus, totals: &Totals) {
    for state in STATES {
        let help = "1 for the state that the trainer is in.";
        let value = f64::from(u8::from(state == status.state));
        sheet.gauge_of("trainer_state", help, &[("state", state_name(state))], value);
    }
    let stalled = "1 while the phase makes no progress; GET /v1/train/status tells what it waits for.";
    let last = "When the last step ended, seconds since the epoch; 0 before the first.";
    for (name, help, value) in [
        (
            "trainer_step",
            "Steps done in this run. verl: training/global_step",
            status.step as f64,
        ),
        ("trainer_steps", "Steps planned in this run.", status.steps as f64),
        (
            "trainer_stalled",
            stalled,
            f64::from(u8::from(status.stalled.is_some())),
        ),
        (
            "trainer_last_step_timestamp_seconds",
            last,
            totals.last_step_at.unwrap_or(0.0),
        ),
    ] {
        sheet.gauge(name, help, value);
    }
    since_start(sheet, totals);
    for (name, key) in SECOND_NAMES {
        if let Some(value) = status.metrics.get(key) {
            sheet.gauge(name, &describe(key), *value);
        }
    }
    for (key, value) in &status.metrics {
        let name = format!("trainer_{}", sanitized(key));
        // Two names may meet after sanitizing; the first stands.
        if !sheet.has(&name) {
            sheet.gauge(&name, &describe(key), *value);
        }
    }
}

/// What only grows.
fn since_start(sheet: &mut Sheet<'_>, totals: &Totals) {
    sheet.counter(
        "trainer_steps_done_total",
        "Steps done since the server started.",
        totals.steps,
    );
    sheet.histogram(
        "trainer_staleness_versions",
        "Rows trained on by how many weight versions the policy was ahead of the one that began them. verl: training/off_policy/trajectory_staleness",
        &totals.staleness,
    );
    sheet.histogram(
        "trainer_publish_seconds",
        "Time to pack new weights and publish them, seconds. verl: timing_s/update_weights",
        &totals.publishes,
    );
    let count = |key: &str| totals.counts.get(key).copied().unwrap_or(0.0);
    for (name, key, help) in COUNTERS {
        sheet.counter_of(name, help, &[], count(key));
    }
    for (stage, key) in FUNNEL {
        let help = "What came out of each stage of the SvS funnel: groups of problems, then counts of single ones.";
        sheet.counter_of("trainer_svs_funnel_total", help, &[("stage", stage)], count(key));
    }
    for (name, label, start, help) in BY_REASON {
        for (key, value) in &totals.counts {
            if let Some(reason) = key.strip_prefix(start) {
                sheet.counter_of(name, help, &[(label, reason)], *value);
            }
        }
    }
    for (key, value) in &totals.counts {
        let parts = key.strip_prefix("verifier/").and_then(|rest| rest.split_once('/'));
        if let Some((kind, verdict)) = parts {
            let help = "Verdicts of graders on rollouts trained on or filtered, by kind of experience.";
            let labels = [("kind", kind), ("verdict", verdict)];
            sheet.counter_of("trainer_verdicts_total", help, &labels, *value);
        }
    }
}

/// `name` with everything that a metric name may not hold replaced by `_`.
fn sanitized(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect()
}
