//! Batches from trajectories that HTTP clients made: groups as the log closed them, graded by the trainer.

use std::time::{Duration, Instant};

use svs_verifier::spec::GraderSpec;

use super::TrainError;
use super::config::TrainConfig;
use super::control::Control;
use super::tally::Tally;
use crate::clock::unix_s;
use crate::log::{ClosedGroup, GroupQuery, TrajectoryLog};
use crate::reward::{GRADER_KEY, Judge, Reward, Task, grade_all, read_client_grader};
use crate::svs::band::Score;
use crate::trajectory::{Group, Kind};

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
    /// Groups left out because a member brings a grader that cannot be built.
    pub(super) with_bad_grader: usize,
    /// Groups left out because a reward is neither 0 nor 1 and the advantage estimator has no rule for it.
    pub(super) between: usize,
    /// Groups left out because no member has a reference answer or a grader, and the run has no grader either.
    pub(super) without_reference: usize,
    /// Groups with members that were sampled from an adapter instead of the policy.
    pub(super) of_adapters: usize,
    /// Groups left out because their rewards are all the same.
    pub(super) without_contrast: usize,
    /// Groups left out because the grader failed on every member.
    pub(super) ungraded: usize,
    /// Groups that closed at the timeout with fewer members than declared.
    pub(super) expired: usize,
    /// Trajectories whose rows in the log cannot be read; their groups go on without them.
    pub(super) unreadable: usize,
}

/// What came of waiting for clients.
#[derive(Debug, PartialEq)]
pub(super) enum Waited<T> {
    /// This.
    Found(T),
    /// Something else is to be done first.
    Interrupted,
    /// Nothing, until the idle timeout.
    Nothing,
}

impl<T> Waited<T> {
    /// What `change` makes of what was found.
    pub(super) fn map<U>(self, change: impl FnOnce(T) -> U) -> Waited<U> {
        match self {
            Self::Found(found) => Waited::Found(change(found)),
            Self::Interrupted => Waited::Interrupted,
            Self::Nothing => Waited::Nothing,
        }
    }
}

/// Groups of clients that wait for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    /// Closed ones that it will train on, or has not looked at.
    pub groups: u64,
    /// So many can wait before what comes last is too old when its turn comes: each update makes all others older by one
    /// version.
    pub most: u64,
}

/// The groups that wait for the active run, if it trains on those of clients.
pub(super) fn backlog(log: &TrajectoryLog, control: &Control) -> Result<Option<Backlog>, TrainError> {
    let Some((config, cursor, usable)) = control.of_clients() else {
        return Ok(None);
    };
    let settings = &config.trajectories;
    let groups = usable + log.closed_after(Kind::Client, cursor)?;
    let most = (settings.max_staleness + 1).saturating_mul(settings.groups_per_step as u64);
    Ok(Some(Backlog { groups, most }))
}

/// Collects the next `groups_per_step` usable groups after `cursor`, waiting for clients. After the idle timeout it
/// takes what there is. Where the graders fail on everything the step is over after `groups_per_step` such groups, with nothing
/// to train on: the run counts it.
pub(super) fn collect(
    log: &TrajectoryLog,
    (config, reward): (&TrainConfig, &Reward),
    control: &Control,
    cursor: i64,
) -> Result<Waited<ClientBatch>, TrainError> {
    let mut batch = ClientBatch {
        cursor,
        ..ClientBatch::default()
    };
    let settings = &config.trajectories;
    control.progress(0, settings.groups_per_step);
    let since = Instant::now();
    loop {
        log.close_expired(settings.group_timeout_s, unix_s())?;
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
            batch.take(closed, (config, reward));
            if batch.groups.len() == settings.groups_per_step || batch.nothing_graded_of(settings.groups_per_step) {
                control.looked_at(batch.cursor, batch.groups.len() as u64);
                return Ok(Waited::Found(batch));
            }
        }
        control.looked_at(batch.cursor, batch.groups.len() as u64);
        if found {
            control.progress(batch.groups.len(), settings.groups_per_step);
        }
        // Groups looked at but not trained on are looked at again.
        if control.is_interrupted() {
            return Ok(Waited::Interrupted);
        }
        if since.elapsed().as_secs_f64() > settings.idle_timeout_s && !found {
            return Ok(match batch.groups.is_empty() {
                true => Waited::Nothing,
                false => Waited::Found(batch),
            });
        }
        if !found {
            std::thread::sleep(Duration::from_millis(settings.poll_ms));
        }
    }
}

impl ClientBatch {
    /// Whether the graders failed on `most` groups and judged no response of any other.
    fn nothing_graded_of(&self, most: usize) -> bool {
        self.ungraded >= most && self.tally.graded() == 0
    }

    fn take(&mut self, closed: ClosedGroup, (config, reward): (&TrainConfig, &Reward)) {
        let mut group = closed.group;
        self.cursor = closed.closed_seq;
        self.expired += usize::from(closed.expired);
        self.unreadable += closed.unreadable;
        if group.members.is_empty() {
            return;
        }
        if group.members.iter().any(|member| member.adapter.is_some()) {
            self.of_adapters += 1;
            return;
        }
        match grade(&mut group, reward) {
            Ok(true) => {}
            Ok(false) => {
                self.without_reference += 1;
                return;
            }
            Err(reason) => {
                tracing::warn!(
                    group = group.id,
                    reason,
                    "the grader of a client's group cannot be built"
                );
                self.with_bad_grader += 1;
                return;
            }
        }
        if !config.takes_partial_rewards() && has_partial_reward(&group) {
            self.between += 1;
            return;
        }
        group.members.iter().for_each(|member| self.tally.count(member));
        if Score::of(&group).graded == 0 {
            self.ungraded += 1;
            return;
        }
        if config.group_filter().is_some_and(|filter| !filter.keeps(&group)) {
            self.without_contrast += 1;
            return;
        }
        self.groups.push(group);
    }
}

/// Grades each member by the grader and the reference that it brings, else by those that another member brought, else by
/// the run's own grader. A member that was given a reward keeps it. `false` if there is nothing to grade by.
///
/// # Errors
/// What is wrong with the grader that a member brings.
fn grade(group: &mut Group, reward: &Reward) -> Result<bool, String> {
    let graders = graders_of(group)?;
    graders.iter().flatten().try_for_each(|grader| reward.admits(grader))?;
    let shared_grader = graders.iter().flatten().next().cloned();
    let shared_reference = group.members.iter().find_map(|member| member.reference.clone());
    let rewarded = group.members.iter().any(|member| !member.verdicts.is_empty());
    if shared_grader.is_none() && shared_reference.is_none() && !reward.has_grader() && !rewarded {
        return Ok(false);
    }
    let mut tasks = Vec::with_capacity(graders.len());
    // Members mostly bring the same grader, which is then built once.
    let mut judges: Vec<Judge<'_>> = Vec::new();
    let mut before = None;
    for (member, own) in group.members.iter().zip(graders) {
        let grader = own.or_else(|| shared_grader.clone()).map(Box::new);
        let reference = member.reference.clone().or_else(|| shared_reference.clone());
        let task = Task::of_client(member, grader, reference);
        let brought = member.metadata.get(GRADER_KEY);
        if before != Some(brought) {
            judges.push(reward.judge(&task));
            before = Some(brought);
        }
        tasks.push((judges.len() - 1, task));
    }
    for given in group.members.iter_mut().filter_map(|member| member.verdicts.last_mut()) {
        reward.judge_given(given);
    }
    let members = group.members.iter().zip(&tasks);
    let ungraded = members.filter(|(member, _)| member.verdicts.is_empty());
    let cases = ungraded.map(|(member, (judge, task))| (&judges[*judge], member.text.as_str(), task));
    let findings = grade_all(&cases.collect::<Vec<_>>());
    let ungraded = group.members.iter_mut().filter(|member| member.verdicts.is_empty());
    ungraded
        .zip(findings)
        .for_each(|(member, finding)| member.verdicts.push(finding));
    Ok(true)
}

/// The grader that each member brings; one that the member before it brought as well is not read again.
fn graders_of(group: &Group) -> Result<Vec<Option<GraderSpec>>, String> {
    let mut graders: Vec<Option<GraderSpec>> = Vec::with_capacity(group.members.len());
    let mut before = None;
    for member in &group.members {
        let brought = member.metadata.get(GRADER_KEY);
        let grader = match (brought, graders.last()) {
            (Some(_), Some(last)) if brought == before => last.clone(),
            _ => brought.map(read_client_grader).transpose()?,
        };
        graders.push(grader);
        before = brought;
    }
    Ok(graders)
}

/// Whether some last reward is neither 0 nor 1.
fn has_partial_reward(group: &Group) -> bool {
    let rewards = group.members.iter().filter_map(|member| member.verdicts.last()?.reward);
    rewards.into_iter().any(|reward| reward != 0.0 && reward != 1.0)
}

#[cfg(test)]
mod tests;
