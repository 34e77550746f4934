//! What the update gets of a group: the rewards of the last verdicts less penalties, and advantages where a recipe shapes them.

use std::collections::BTreeMap;

use super::{TrainConfig, TrainError};
use crate::hidden::{Bonuses, Dynamics, Means};
use crate::objective::advantages;
use crate::policy::{UpdateConfig, UpdateGroup};
use crate::trajectory::{Group, Trajectory};

/// `group` for the update. `longest` is the limit on responses, tokens; `usual` what hidden states did so far: before there
/// is any, nothing is shaped. `bonuses` counts what is.
pub(super) fn to_update(
    group: &Group,
    config: &TrainConfig,
    update: &UpdateConfig,
    longest: u32,
    usual: Option<&Means>,
    bonuses: &mut Bonuses,
) -> Result<UpdateGroup, TrainError> {
    let overlong = &config.algorithm.overlong_buffer;
    let reward = |member: &Trajectory| {
        let reward = member.verdicts.last().and_then(|finding| finding.reward);
        reward.map(|reward| reward + overlong.penalty(member.scored().len(), longest))
    };
    let rewards: Vec<Option<f64>> = group.members.iter().map(reward).collect();
    let shaping = &config.algorithm.hidden_shaping;
    let shaped = match usual.filter(|_| shaping.enabled) {
        None => None,
        Some(usual) => {
            let plain = advantages(&rewards, &update.objective).map_err(|error| TrainError::Run(error.to_string()))?;
            Some(shaping.shape_group(&plain, &group.members, usual, bonuses))
        }
    };
    Ok(UpdateGroup {
        rewards,
        group: group.clone(),
        advantages: shaped,
    })
}

/// What the hidden states of the members did, where that was measured; their means go to `metrics`.
pub(super) fn measured(groups: &[Group], metrics: &mut BTreeMap<String, f64>) -> Vec<Dynamics> {
    let members = groups.iter().flat_map(|group| &group.members);
    let found: Vec<Dynamics> = members.filter_map(|member| member.hidden).collect();
    if !found.is_empty() {
        let mut sum = Dynamics::default();
        for one in &found {
            sum.rank += one.rank;
            sum.velocity += one.velocity;
            sum.acceleration += one.acceleration;
        }
        for (name, sum) in [
            ("rank", sum.rank),
            ("velocity", sum.velocity),
            ("acceleration", sum.acceleration),
        ] {
            metrics.insert(format!("hidden/effective_{name}"), sum / found.len() as f64);
        }
    }
    found
}

#[cfg(test)]
mod tests;
