//! Cross-field checks, with dotted names.

use svs_engine::request::{MAX_STOP_BYTES, MAX_STOPS};

use super::super::fork;
use super::faults::Faults;
use super::{Mode, ProblemSource, Recipe, TrainConfig, TrainError};
use crate::hidden::Scope;
use crate::objective::{AdvEstimator, LossMode};
use crate::optim::Decay;
use crate::svs::Prompts;

/// Whether `text` may name a run, and so a folder.
pub(in super::super) fn is_run_id(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    (1..=100).contains(&text.len()) && text.chars().all(plain) && !text.starts_with('.')
}

impl TrainConfig {
    /// Reads TOML and checks it.
    ///
    /// # Errors
    /// [`TrainError::Config`] or, for several faults, [`TrainError::Faults`]: bad TOML, unknown keys, wrong types, values out
    /// of range.
    pub fn from_toml(text: &str) -> Result<Self, TrainError> {
        Self::from_toml_with(text, &[])
    }

    /// The document with every key, for the run folder.
    ///
    /// # Errors
    /// [`TrainError::Config`] for an integer that TOML cannot hold.
    pub fn to_toml(&self) -> Result<String, TrainError> {
        toml::to_string_pretty(self).map_err(|error| TrainError::Config {
            field: "config".into(),
            reason: error.to_string(),
        })
    }

    /// Checks ranges and how sections fit together.
    ///
    /// # Errors
    /// [`TrainError::Config`] or [`TrainError::Faults`] with the dotted names of the offending keys.
    pub fn validate(&self) -> Result<(), TrainError> {
        let mut faults = Faults::default();
        self.check_values(&mut faults);
        self.check_relations(&mut faults);
        faults.into_result()
    }

    /// What is wrong with single values.
    pub(super) fn check_values(&self, faults: &mut Faults) {
        self.check_run_id(faults);
        if let Some(Err(TrainError::Config { field, reason })) = self.fork_from.as_deref().map(fork::check) {
            faults.add(field, reason);
        }
        faults.note(self.reward.validate().err());
        faults.note(self.svs.faults());
        self.check_lora(faults);
        if let Some(Err(error)) = self.prompts.as_ref().map(Prompts::validate) {
            faults.add(error.field, error.reason);
        }
        let (correction, shaping) = (&self.algorithm.rollout_correction, &self.algorithm.hidden_shaping);
        let found = correction.faults().into_iter().chain(shaping.faults());
        faults.note(found.map(|(field, reason)| (format!("algorithm.{field}"), reason)));
        self.check_counts(faults);
        if self.watchdog_s != 0.0 && !(0.05..=86_400.0).contains(&self.watchdog_s) {
            faults.add("watchdog_s", "must be 0 (off) or lie in 0.05..=86400");
        }
        self.check_reals(faults);
        let stop = &self.rollout.stop;
        if stop.len() > MAX_STOPS || stop.iter().any(|text| text.is_empty() || text.len() > MAX_STOP_BYTES) {
            faults.add(
                "rollout.stop",
                format!("at most {MAX_STOPS} strings of 1 to {MAX_STOP_BYTES} bytes"),
            );
        }
        if !(0.0..1.0).contains(&self.problems.held_out_fraction) {
            faults.add("problems.held_out_fraction", "must be at least 0 and less than 1");
        }
    }

    /// What does not go together.
    pub(super) fn check_relations(&self, faults: &mut Faults) {
        faults.note(self.eval.check().err());
        self.check_rewards(faults);
        self.check_sources(faults);
        self.check_supervised(faults);
    }

    /// The name of the run's folder.
    #[must_use]
    pub fn run_name(&self) -> String {
        self.run_id
            .clone()
            .unwrap_or_else(|| format!("{}-seed{}", self.recipe.name(), self.seed))
    }

    /// Whether the advantage estimator has a rule for rewards between 0 and 1.
    #[must_use]
    pub fn takes_partial_rewards(&self) -> bool {
        matches!(self.algorithm.adv_estimator, AdvEstimator::Grpo | AdvEstimator::Rloo)
    }

    fn check_run_id(&self, faults: &mut Faults) {
        if !self.run_id.as_deref().is_none_or(is_run_id) {
            faults.add(
                "run_id",
                "must be 1 to 100 letters, digits, `-`, `_` or `.`, not starting with `.`",
            );
        }
    }

    fn check_lora(&self, faults: &mut Faults) {
        let Some(lora) = &self.lora else { return };
        if !((1..=1024).contains(&lora.r) && (1e-3..=1e6).contains(&lora.lora_alpha)) {
            faults.add("lora", "`r` must be 1 to 1024 and `lora_alpha` 0.001 to 1000000");
        }
        if lora.target_modules.as_ref().is_some_and(Vec::is_empty) {
            faults.add(
                "lora.target_modules",
                "is empty; leave it out to take every linear layer",
            );
        }
    }

    fn check_counts(&self, faults: &mut Faults) {
        let counts: [(&str, u64, u64, u64); 21] = [
            ("steps", self.steps, 1, 1 << 32),
            (
                "max_generated_tokens",
                self.max_generated_tokens.unwrap_or(1),
                1,
                1 << 53,
            ),
            ("seed", self.seed, 0, i64::MAX as u64),
            (
                "problems.train_batch_size",
                self.problems.train_batch_size as u64,
                1,
                1 << 20,
            ),
            (
                "problems.procedural_count",
                self.problems.procedural_count as u64,
                1,
                1 << 24,
            ),
            ("problems.limit", self.problems.limit.unwrap_or(1) as u64, 1, 1 << 32),
            ("rollout.n", u64::from(self.rollout.n), 2, 1024),
            (
                "rollout.n_hinted",
                u64::from(self.rollout.n_hinted.unwrap_or(1)),
                1,
                1024,
            ),
            (
                "algorithm.max_num_gen_batches",
                u64::from(self.algorithm.max_num_gen_batches),
                1,
                1024,
            ),
            ("rollout.top_k", u64::from(self.rollout.top_k.unwrap_or(1)), 1, 1 << 32),
            (
                "rollout.max_groups_in_flight",
                self.rollout.max_groups_in_flight as u64,
                1,
                1 << 16,
            ),
            (
                "trajectories.groups_per_step",
                self.trajectories.groups_per_step as u64,
                1,
                1 << 20,
            ),
            ("trajectories.poll_ms", self.trajectories.poll_ms, 1, 60_000),
            (
                "algorithm.ppo_mini_batch_size",
                self.algorithm.ppo_mini_batch_size as u64,
                1,
                1 << 32,
            ),
            (
                "algorithm.ppo_max_token_len",
                self.algorithm.ppo_max_token_len as u64,
                1,
                1 << 32,
            ),
            ("algorithm.ppo_epochs", u64::from(self.algorithm.ppo_epochs), 1, 64),
            (
                "algorithm.max_skipped_steps",
                self.algorithm.max_skipped_steps,
                0,
                1 << 20,
            ),
            ("checkpoint.save_freq", self.checkpoint.save_freq, 1, 1 << 32),
            ("checkpoint.keep", self.checkpoint.keep as u64, 1, 1 << 20),
            ("eval.limit", self.eval.limit as u64, 1, 1 << 32),
            ("eval.samples", u64::from(self.eval.samples), 1, 1024),
        ];
        for (field, value, least, greatest) in counts {
            if !(least..=greatest).contains(&value) {
                faults.add(field, format!("{value} is outside {least}..={greatest}"));
            }
        }
    }

    fn check_reals(&self, faults: &mut Faults) {
        let (algorithm, optim) = (&self.algorithm, &self.optim);
        let reals = [
            ("train_share", self.train_share, 1e-6, 0.5),
            ("publish_wait_s", self.publish_wait_s, 0.0, 86_400.0),
            ("rollout.temperature", f64::from(self.rollout.temperature), 1e-3, 10.0),
            ("rollout.top_p", f64::from(self.rollout.top_p), 1e-6, 1.0),
            (
                "trajectories.group_timeout_s",
                self.trajectories.group_timeout_s,
                0.0,
                1e6,
            ),
            (
                "trajectories.idle_timeout_s",
                self.trajectories.idle_timeout_s,
                0.0,
                1e9,
            ),
            ("algorithm.positive_weight", algorithm.positive_weight, 0.0, 1e3),
            (
                "algorithm.loss_scale_factor",
                algorithm.loss_scale_factor.unwrap_or(1.0),
                1.0,
                1e8,
            ),
            (
                "algorithm.overlong_buffer.penalty_factor",
                algorithm.overlong_buffer.penalty_factor,
                0.0,
                1e6,
            ),
            ("algorithm.real_tau", algorithm.real_tau, 1e-3, 1e6),
            ("algorithm.filter_acc_lower", algorithm.filter_acc_lower, 0.0, 1.0),
            (
                "algorithm.filter_acc_upper",
                algorithm.filter_acc_upper,
                algorithm.filter_acc_lower,
                1.0,
            ),
            ("algorithm.clip_ratio_low", algorithm.clip_ratio_low, 0.0, 1.0),
            ("algorithm.clip_ratio_high", algorithm.clip_ratio_high, 0.0, 100.0),
            ("algorithm.clip_ratio_c", algorithm.clip_ratio_c, 1.0 + 1e-9, 1e6),
            ("algorithm.kl_loss_coef", algorithm.kl_loss_coef, 0.0, 1e3),
            ("algorithm.parity_tolerance", algorithm.parity_tolerance, 0.0, 1e9),
            ("algorithm.entropy_coeff", algorithm.entropy_coeff, -10.0, 10.0),
            ("optim.lr", optim.lr, 0.0, 10.0),
            ("optim.beta1", optim.beta1, 0.0, 1.0 - 1e-9),
            ("optim.beta2", optim.beta2, 0.0, 1.0 - 1e-9),
            ("optim.min_lr_ratio", optim.min_lr_ratio, 0.0, 1.0),
            ("optim.eps", optim.eps, 1e-30, 1.0),
            ("optim.weight_decay", optim.weight_decay, 0.0, 10.0),
            ("optim.grad_clip", optim.grad_clip, 1e-9, 1e9),
        ];
        for (field, value, least, greatest) in reals {
            if !(least..=greatest).contains(&value) {
                faults.add(field, format!("{value} is outside {least}..={greatest}"));
            }
        }
    }

    fn check_rewards(&self, faults: &mut Faults) {
        if self.takes_partial_rewards() {
            return;
        }
        if self.algorithm.overlong_buffer.len > 0 {
            faults.add(
                "algorithm.overlong_buffer.len",
                "the penalty makes rewards between right and wrong, for which `algorithm.adv_estimator` has no rule",
            );
        }
        if self.reward.grader.as_ref().is_some_and(|grader| !grader.is_binary()) {
            faults.add(
                "reward.grader",
                "gives rewards between right and wrong, for which `algorithm.adv_estimator` has no rule",
            );
        }
    }

    fn check_sources(&self, faults: &mut Faults) {
        if self.algorithm.hidden_shaping.enabled && self.problems.source == ProblemSource::Trajectories {
            faults.add(
                "algorithm.hidden_shaping.enabled",
                "hidden states are only seen of rollouts that the run samples itself",
            );
        }
        let of_last_token = self.algorithm.hidden_shaping.scope == Scope::LastToken;
        if of_last_token && matches!(self.algorithm.loss_mode, LossMode::Gspo | LossMode::Real) {
            faults.add(
                "algorithm.hidden_shaping.scope",
                "`last_token` needs a loss of single tokens: `loss_mode` vanilla or cispo",
            );
        }
        if self.algorithm.max_num_gen_batches > 1 && !self.algorithm.filter_groups {
            faults.add(
                "algorithm.max_num_gen_batches",
                "refills what `algorithm.filter_groups` drops, but that is off",
            );
        }
        if self.rollout.n_hinted.is_some() && self.problems.columns.hint.is_none() {
            faults.add(
                "rollout.n_hinted",
                "needs `problems.columns.hint`, the column that hints are in",
            );
        }
        if self.optim.decay != Decay::Constant && self.optim.total_steps == 0 {
            faults.add(
                "optim.total_steps",
                "a decay needs the number of optimizer steps it runs over",
            );
        }
        let files = !self.problems.files.is_empty();
        match self.problems.source {
            ProblemSource::Files if !files => {
                faults.add("problems.files", "`problems.source = \"files\"` needs a file");
            }
            ProblemSource::Procedural | ProblemSource::Trajectories if files => {
                faults.add(
                    "problems.files",
                    "files are given, but `problems.source` is not \"files\"",
                );
            }
            ProblemSource::Trajectories if self.mode == Mode::Async => faults.add(
                "mode",
                "client trajectories are sampled at any time anyway; `async` is for rollouts of the run's own",
            ),
            ProblemSource::Trajectories if self.recipe == Recipe::Svs => faults.add(
                "recipe",
                "training on client trajectories samples nothing of its own, so it needs `recipe = \"grpo\"`",
            ),
            _ => {}
        }
    }
}
