//! The training configuration of the demo: sized so that two cores finish within five minutes.

use svs_trainer::TrainConfig;
use svs_trainer::eval::EvalConfig;
use svs_trainer::run::config::Recipe;

/// Longest response of the tiny policy, tokens; its worked solutions take about half.
pub const MAX_RESPONSE_TOKENS: u32 = 96;

/// The run that the demo performs.
#[must_use]
pub fn train_config(recipe: Recipe, seed: u64, steps: u64) -> TrainConfig {
    let mut config = TrainConfig {
        recipe,
        steps,
        seed,
        ..TrainConfig::default()
    };
    config.problems.train_batch_size = 64;
    config.rollout.max_response_length = Some(MAX_RESPONSE_TOKENS);
    config.svs.max_seed_prompts = 16;
    config.svs.max_contexts_per_prompt = 1;
    config.svs.max_synthetic_problems = 24;
    config.optim.lr = 1e-4;
    config.checkpoint.save_freq = steps.max(1);
    config
}

/// How the demo measures the policy before and after.
#[must_use]
pub fn eval_config(seed: u64) -> EvalConfig {
    EvalConfig {
        seed,
        max_tokens: MAX_RESPONSE_TOKENS,
        ..EvalConfig::default()
    }
}
