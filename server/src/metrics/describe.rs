//! What the trainer's metrics mean, in which unit, and what verl calls them.

/// Ours, or verl's too.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Verl,
    Svs,
}
use Of::{Svs, Verl};

/// Patterns of metric names (`*` stands for one part between slashes) with unit and meaning; the first that fits counts.
const MEANINGS: &[(&str, Of, &str)] = &[
    (
        "critic/score/*",
        Verl,
        "Reward of solutions of original problems over the step",
    ),
    (
        "critic/rewards/*",
        Verl,
        "Reward of solutions of original problems over the step",
    ),
    ("critic/advantages/*", Verl, "Advantages of the rows trained on"),
    (
        "actor/entropy",
        Verl,
        "Entropy of the policy over the tokens trained on, nats",
    ),
    ("actor/pg_loss", Verl, "Policy gradient loss"),
    ("actor/kl_loss", Verl, "Divergence from the reference in the loss, nats"),
    (
        "actor/pg_clipfrac",
        Verl,
        "Share of tokens whose ratio was clipped, 0 to 1",
    ),
    (
        "actor/pg_clipfrac_lower",
        Verl,
        "Share of tokens clipped from below, 0 to 1",
    ),
    ("actor/ppo_kl", Verl, "Divergence from the behaviour policy, nats"),
    ("actor/ratio_*", Svs, "Probability ratio of policy to behaviour policy"),
    ("actor/grad_norm", Verl, "Norm of the gradient before clipping"),
    ("actor/lr", Verl, "Learning rate"),
    (
        "response_length/clip_ratio",
        Verl,
        "Share of responses cut at the limit, 0 to 1",
    ),
    ("response_length/*", Verl, "Length of responses, tokens"),
    ("prompt_length/*", Verl, "Length of prompts, tokens"),
    (
        "rollout_corr/exact_rows",
        Svs,
        "Rows whose logprobs had to equal the trainer's bit for bit, count",
    ),
    (
        "rollout_corr/approximate_rows",
        Svs,
        "Rows sampled in the CUDA mode `fast`, count",
    ),
    (
        "rollout_corr/corrected_rows",
        Svs,
        "Rows with an importance weight, count",
    ),
    (
        "rollout_corr/rollout_rs_masked_fraction",
        Verl,
        "Share of tokens that rejection sampling left out, 0 to 1",
    ),
    ("rollout_corr/rollout_is_*", Verl, "Importance weight of what is kept"),
    ("rollout_corr/*", Verl, "Sampler against trainer, nats"),
    (
        "training/rollout_probs_diff_max",
        Verl,
        "Largest difference of a token's probability between sampler and trainer",
    ),
    (
        "training/off_policy/trajectory_staleness/*",
        Verl,
        "Weight versions by which rows are behind the policy",
    ),
    (
        "training/off_policy/max_versions_behind",
        Svs,
        "Weight versions by which the oldest row is behind the policy",
    ),
    (
        "training/masked/*",
        Svs,
        "Rows that the loss left out for this reason, count",
    ),
    ("training/global_step", Verl, "Steps done in this run"),
    ("training/epoch", Verl, "Passes over the problems"),
    (
        "training/generated_tokens",
        Svs,
        "Tokens sampled for rollouts since the run began",
    ),
    ("training/tokens", Svs, "Tokens trained on, count"),
    ("training/*", Svs, "Of the update, count"),
    ("timing_s/*", Verl, "Duration, seconds"),
    (
        "perf/throughput",
        Verl,
        "Tokens of prompts and responses per second of the step",
    ),
    (
        "perf/gen_tokens_per_s",
        Svs,
        "Tokens sampled per second of the rollouts",
    ),
    ("perf/total_num_tokens", Verl, "Tokens of prompts and responses, count"),
    ("publish/ms", Svs, "Packing and publishing the weights, milliseconds"),
    (
        "publish/pause_ms",
        Svs,
        "Time for which no engine step ran because of the swap, milliseconds",
    ),
    ("publish/in_flight", Svs, "Sequences that crossed the swap, count"),
    (
        "training/groups_with_contrast",
        Svs,
        "Groups to train on whose rewards differ, count",
    ),
    (
        "problems/all_correct",
        Svs,
        "Problems whose samples were all right, count",
    ),
    (
        "problems/none_correct",
        Svs,
        "Problems of which no sample was right, count",
    ),
    ("problems/mixed", Svs, "Problems with right and wrong samples, count"),
    (
        "problems/ungraded",
        Svs,
        "Problems of which no sample could be graded, count",
    ),
    (
        "problems/too_long",
        Svs,
        "Problems left out because their prompt is too long, count",
    ),
    ("verifier/*/*", Svs, "Verdicts on rollouts of this kind, count"),
    ("verifier/*", Svs, "Verdicts on the step's solutions, count"),
    (
        "svs/*/acc_mean",
        Svs,
        "Share of graded rollouts of this kind that are correct (of syntheses: rewarded), 0 to 1",
    ),
    (
        "svs/*/entropy",
        Svs,
        "Mean of -logprob over the tokens sampled for this kind, nats",
    ),
    (
        "svs/extracted_rate",
        Svs,
        "Share of outputs of synthesis with a marked problem, 0 to 1",
    ),
    (
        "svs/valid_rate",
        Svs,
        "Share of outputs of synthesis that became a problem, 0 to 1",
    ),
    (
        "svs/rewarded_rate",
        Svs,
        "Share of synthetic problems that earned their writer a reward, 0 to 1",
    ),
    (
        "svs/rejected/*",
        Svs,
        "Outputs of synthesis that became no problem for this reason, count",
    ),
    (
        "svs/contexts_rejected/*",
        Svs,
        "Correct solutions not used as contexts for this reason, count",
    ),
    ("svs/*/*", Svs, "Groups or rows of this kind of experience, count"),
    ("svs/*", Svs, "Stage of the SvS funnel, count"),
    (
        "hidden/bonus_mean",
        Svs,
        "Mean bonus of the rows shaped by hidden states",
    ),
    (
        "hidden/bonus_clipped",
        Svs,
        "Share of the bonuses cut at the advantage's size over kappa",
    ),
    (
        "hidden/*",
        Svs,
        "Mean over the rows trained on of what their hidden states did",
    ),
    (
        "trajectories/rejected/*",
        Svs,
        "Groups of clients left out for this reason, count",
    ),
    ("trajectories/*", Svs, "Groups of clients, count"),
    ("val-core/*/acc/*/mean", Verl, "Accuracy on held-out problems, 0 to 1"),
    ("val-core/*/acc/*", Verl, "Accuracy on held-out problems, 0 to 1"),
    (
        "val-core/*/response_length/clip_ratio",
        Svs,
        "Share of responses of the evaluation cut at the limit, 0 to 1",
    ),
    (
        "val-core/*/response_length/mean",
        Svs,
        "Length of responses of the evaluation, tokens",
    ),
    (
        "val-core/*/answer_entropy",
        Svs,
        "Entropy of the answers of the evaluation, nats",
    ),
    ("val-core/*/*", Svs, "Share on held-out problems, 0 to 1"),
    (
        "val-aux/*/entropy",
        Svs,
        "Mean of -logprob over the tokens sampled by the evaluation, nats",
    ),
];

/// One sentence about the metric `key` of the last step: meaning, unit, and its name in verl or in `metrics.jsonl`.
pub(super) fn describe(key: &str) -> String {
    let found = MEANINGS.iter().find(|(pattern, _, _)| fits(pattern, key));
    let (whose, meaning) = found.map_or((Svs, "Of the last step; see docs/svs.md"), |(_, of, meaning)| {
        (*of, *meaning)
    });
    let which = match key.rsplit('/').next() {
        Some(which @ ("mean" | "min" | "max")) => format!(", {which}"),
        _ => String::new(),
    };
    let whose = if whose == Verl { "verl" } else { "metrics.jsonl" };
    format!("{meaning}{which}. {whose}: {key}")
}

/// Whether each part of `key` is that of `pattern`, or what a `*` in it stands for.
fn fits(pattern: &str, key: &str) -> bool {
    let (mut wanted, mut found) = (pattern.split('/'), key.split('/'));
    loop {
        match (wanted.next(), found.next()) {
            (None, None) => return true,
            (Some(wanted), Some(found)) => {
                let fits = match wanted.strip_suffix('*') {
                    Some(start) => found.starts_with(start),
                    None => wanted == found,
                };
                if !fits {
                    return false;
                }
            }
            _ => return false,
        }
    }
}

#[test]
fn a_description_has_meaning_unit_and_key() {
    for (key, expected) in [
        (
            "critic/score/mean",
            "Reward of solutions of original problems over the step, mean. verl: critic/score/mean",
        ),
        ("timing_s/gen", "Duration, seconds. verl: timing_s/gen"),
        (
            "verifier/solve/correct",
            "Verdicts on rollouts of this kind, count. metrics.jsonl: verifier/solve/correct",
        ),
        (
            "svs/solve/entropy",
            "Mean of -logprob over the tokens sampled for this kind, nats. metrics.jsonl: svs/solve/entropy",
        ),
        (
            "new/thing",
            "Of the last step; see docs/svs.md. metrics.jsonl: new/thing",
        ),
    ] {
        assert_eq!(describe(key), expected);
    }
}

#[test]
fn a_star_stands_for_one_part_or_its_end() {
    for (pattern, key, expected) in [
        ("a/*", "a/b", true),
        ("a/*", "a/b/c", false),
        ("a/*/c", "a/b/c", true),
        ("a/b_*", "a/b_max", true),
        ("a/b_*", "a/c_max", false),
        ("a", "a/b", false),
    ] {
        assert_eq!(fits(pattern, key), expected, "{pattern} {key}");
    }
}
