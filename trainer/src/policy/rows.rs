//! Groups to rows: which trajectories the loss may reach, with which advantage, and whether they are exactly on-policy.

use std::collections::BTreeMap;

use svs_engine::train::TrainSequence;
use svs_engine::weights::ADAPTER_VERSIONS;
use svs_engine::{FinishReason, SamplingParams};

use super::{PolicyError, SkippedRow, UpdateConfig, UpdateGroup};
use crate::objective::{Advantage, advantages};
use crate::trajectory::Trajectory;

/// One trajectory as the update uses it.
#[derive(Debug, Clone)]
pub(super) struct Row {
    /// Id of the trajectory.
    pub(super) id: String,
    /// Number of its group in the batch.
    pub(super) group: usize,
    /// Tokens and scored positions.
    pub(super) sequence: TrainSequence,
    /// Behaviour logprob of each scored token, nats.
    pub(super) behaviour: Vec<f32>,
    /// Logprob of each scored token under the weights that the update starts from, where ratios are taken to that.
    pub(super) start: Option<Vec<f32>>,
    /// What each token's loss is multiplied by; 0 leaves it out.
    pub(super) factors: Option<Vec<f64>>,
    /// Advantages of the scored tokens.
    pub(super) advantage: Advantage,
    /// Weight in the loss.
    pub(super) weight: f64,
    /// Reward it came from.
    pub(super) reward: Option<f64>,
    /// Sampled from the very parameters being trained, untruncated: rescoring must give the recorded logprobs.
    pub(super) exact: bool,
    /// The same, but sampled in the CUDA mode `fast`: rescoring comes near.
    pub(super) approximate: bool,
}

impl Row {
    /// The row for a record of a step that was not taken, with the logprobs that it came to.
    pub(super) fn skipped(&self, logprobs: Option<&Vec<f32>>, reference: Option<&Vec<f32>>) -> SkippedRow {
        SkippedRow {
            id: self.id.clone(),
            tokens: self.sequence.tokens.clone(),
            scored: self.sequence.scored.clone(),
            temperature: self.sequence.temperature,
            behaviour: self.behaviour.clone(),
            advantage: self.advantage.every,
            last_advantage: self.advantage.last,
            weight: self.weight,
            group: self.group,
            logprobs: logprobs.cloned(),
            start: self.start.clone(),
            reference: reference.cloned(),
            factors: self.factors.clone(),
        }
    }

    /// Tokens that the loss reaches.
    pub(super) fn counted(&self) -> usize {
        match &self.factors {
            Some(factors) => factors.iter().filter(|factor| **factor != 0.0).count(),
            None => self.behaviour.len(),
        }
    }
}

/// The rows of one group, in the order of its members; rows left out are counted in `masked`.
pub(super) fn rows_of(
    (number, group): (usize, &UpdateGroup),
    config: &UpdateConfig,
    version: u64,
    masked: &mut BTreeMap<String, u64>,
) -> Result<Vec<Row>, PolicyError> {
    let members = &group.group.members;
    let wrong = |reason: String| PolicyError::Batch(format!("group `{}`: {reason}", group.group.id));
    if group.rewards.len() != members.len() {
        return Err(wrong(format!(
            "{} rewards for {} members",
            group.rewards.len(),
            members.len()
        )));
    }
    let mut rewards = group.rewards.clone();
    for (member, reward) in members.iter().zip(&mut rewards) {
        if let Some(reason) = unusable(member, *reward, group.advantages.is_some(), config, version) {
            *masked.entry(reason.into()).or_default() += 1;
            *reward = None;
        }
    }
    let each: Vec<Option<Advantage>> = match &group.advantages {
        None => {
            let plain = advantages(&rewards, &config.objective).map_err(|error| wrong(error.to_string()))?;
            plain.into_iter().map(|one| one.map(Advantage::from)).collect()
        }
        Some(given) if given.len() == members.len() => {
            let usable = |member| unusable(member, None, true, config, version).is_none();
            given
                .iter()
                .zip(members)
                .map(|(advantage, member)| advantage.filter(|_| usable(member)))
                .collect()
        }
        Some(given) => {
            return Err(wrong(format!(
                "{} advantages for {} members",
                given.len(),
                members.len()
            )));
        }
    };
    let mut rows = Vec::new();
    for ((member, reward), advantage) in members.iter().zip(rewards).zip(each) {
        let Some(advantage) = advantage else { continue };
        let finite = advantage.every.is_finite() && advantage.last.is_finite();
        if !finite || !member.weight.is_finite() {
            return Err(wrong(format!("advantage or weight of `{}` is not finite", member.id)));
        }
        rows.push(
            row(number, member, reward, advantage, version)
                .map_err(|reason| wrong(format!("`{}`: {reason}", member.id)))?,
        );
    }
    Ok(rows)
}

/// Why a trajectory cannot be trained on, if it cannot.
fn unusable(
    member: &Trajectory,
    reward: Option<f64>,
    advantage_given: bool,
    config: &UpdateConfig,
    version: u64,
) -> Option<&'static str> {
    let oldest = member.spans.iter().map(|span| span.version).min().unwrap_or(version);
    if member.sampling.temperature <= 0.0 {
        // A greedy rollout is no sample of the policy: its ratio means nothing.
        Some("greedy")
    } else if member.finish_reason == FinishReason::Abort {
        Some("aborted")
    } else if member.scored().first().is_none_or(|first| *first == 0) {
        Some("no_tokens")
    } else if member.adapter.is_some() || oldest >= ADAPTER_VERSIONS {
        // Its logprobs are those of other weights, of which no version of the policy is near.
        Some("adapter")
    } else if version.saturating_sub(oldest) > config.max_staleness {
        Some("stale")
    } else if reward.is_none() && !advantage_given {
        Some("no_reward")
    } else {
        None
    }
}

fn row(
    group: usize,
    member: &Trajectory,
    reward: Option<f64>,
    advantage: Advantage,
    version: u64,
) -> Result<Row, String> {
    let (tokens, scored) = member.trained();
    let sequence = TrainSequence {
        tokens,
        scored,
        temperature: member.sampling.temperature,
    };
    let current = member.spans.iter().all(|span| span.version == version);
    let untruncated = member.thresholds.iter().all(Option::is_none) && samples_plainly(&member.sampling);
    let as_sampled = !member.mixed_kv && member.trained_prompt.is_none();
    let on_policy = current && as_sampled && untruncated;
    Ok(Row {
        id: member.id.clone(),
        group,
        sequence,
        behaviour: member.scored_logprobs()?,
        start: None,
        factors: None,
        advantage,
        weight: member.weight,
        reward,
        exact: on_policy && !member.approximate,
        approximate: on_policy && member.approximate,
    })
}

/// True if tokens were drawn from the model's own distribution at the temperature, with nothing cut, biased, penalised or ruled out
/// by a grammar.
fn samples_plainly(sampling: &SamplingParams) -> bool {
    sampling.top_p >= 1.0
        && sampling.top_k.is_none_or(|k| k == 0)
        && sampling.min_p <= 0.0
        && sampling.presence_penalty == 0.0
        && sampling.frequency_penalty == 0.0
        && sampling.repetition_penalty == 1.0
        && sampling.min_tokens == 0
        && sampling.logit_bias.is_empty()
        && sampling.guide.is_none()
}
