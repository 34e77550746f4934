//! Batches from trajectories that HTTP clients made: groups as the log closed them, graded by the trainer.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use svs_verifier::{MathOptions, grade_math};

use super::TrainError;
use super::config::TrainConfig;
use super::control::Control;
use super::tally::Tally;
use crate::log::{GroupQuery, TrajectoryLog};
use crate::svs::band::Score;
use crate::trajectory::{GraderVerdict, Group, Kind};

/// Groups read from the log at a time.
const PAGE: usize = 64;

/// What a step trains on.
#[derive(Debug, Default)]
pub(super) struct ClientBatch {
    /// Graded groups, in the order in which they closed.
    pub(super) groups: Vec<Group>,
    /// Closing number of the last group looked at.
    pub(super) cursor: i64,
    /// Counts of what was looked at.
    pub(super) tally: Tally,
    /// Groups left out because no member has a reference answer.
    pub(super) without_reference: usize,
    /// Groups with members that were sampled from an adapter instead of the policy.
    pub(super) of_adapters: usize,
    /// Groups left out because they are all right or all wrong.
    pub(super) without_contrast: usize,
    /// Groups that closed at the timeout with fewer members than declared.
    pub(super) expired: usize,
}

/// Collects the next `groups_per_step` usable groups after `cursor`, waiting for clients. After the idle timeout it
/// takes what there is; `None` if that is nothing or a stop was asked for.
pub(super) fn collect(
    log: &TrajectoryLog,
    config: &TrainConfig,
    control: &Control,
    cursor: i64,
) -> Result<Option<ClientBatch>, TrainError> {
    let mut batch = ClientBatch {
        cursor,
        ..ClientBatch::default()
    };
    let settings = &config.trajectories;
    let since = Instant::now();
    loop {
        log.close_expired(settings.group_timeout_s, unix_time())?;
        let query = GroupQuery {
            after_seq: batch.cursor,
            limit: PAGE,
            kinds: vec![Kind::Client],
            untrained_only: true,
            ..GroupQuery::default()
        };
        let page = log.closed_groups(&query)?;
        let found = !page.is_empty();
        for closed in page {
            batch.take(closed.group, closed.closed_seq, closed.expired, config);
            if batch.groups.len() == settings.groups_per_step {
                return Ok(Some(batch));
            }
        }
        if control.stopping() {
            return Ok(None);
        }
        if since.elapsed().as_secs_f64() > settings.idle_timeout_s && !found {
            return Ok((!batch.groups.is_empty()).then_some(batch));
        }
        if !found {
            std::thread::sleep(Duration::from_millis(settings.poll_ms));
        }
    }
}

impl ClientBatch {
    fn take(&mut self, mut group: Group, closed_seq: i64, expired: bool, config: &TrainConfig) {
        self.cursor = closed_seq;
        self.expired += usize::from(expired);
        if group.members.iter().any(|member| member.adapter.is_some()) {
            self.of_adapters += 1;
            return;
        }
        if group.members.iter().all(|member| member.reference.is_none()) {
            self.without_reference += 1;
            return;
        }
        grade(&mut group, config.rollout.strict_grading);
        group.members.iter().for_each(|member| self.tally.count(member));
        if config.algorithm.filter_groups && !Score::of(&group).is_mixed() {
            self.without_contrast += 1;
            return;
        }
        self.groups.push(group);
    }
}

/// Grades each member against its own reference, else against the one another member brought.
fn grade(group: &mut Group, strict: bool) {
    let options = MathOptions {
        strict,
        ..MathOptions::default()
    };
    let shared = group.members.iter().find_map(|member| member.reference.clone());
    for member in &mut group.members {
        if let Some(gold) = member.reference.as_deref().or(shared.as_deref()) {
            let verdict = grade_math(&member.text, gold, &options).verdict;
            member.verdicts.push(GraderVerdict {
                grader: "math".into(),
                verdict,
                reward: verdict.reward(),
            });
        }
    }
}

fn unix_time() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests;
