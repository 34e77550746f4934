//! The solve stage: problems in waves until enough groups pass the filter, and hints where every attempt failed.

use std::collections::BTreeMap;

use super::band::{Band, Score, has_contrast};
use super::{Ask, Funnel, Plan, Rollouts};
use crate::Problem;
use crate::reward::Task;
use crate::trajectory::{Group, Kind};

/// Which solving groups are trained on: those whose rewards differ and whose accuracy lies in the band.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GroupFilter {
    /// Accuracies, inclusive.
    pub band: Band,
}

impl GroupFilter {
    /// Whether `group` is trained on.
    #[must_use]
    pub fn keeps(&self, group: &Group) -> bool {
        has_contrast(group) && self.band.holds(Score::of(group))
    }
}

/// The problems of an iteration and their groups, at the same positions.
pub(super) struct Solved {
    pub(super) problems: Vec<Problem>,
    pub(super) asks: Vec<Ask>,
    /// Sampled from the problem alone.
    pub(super) groups: Vec<Group>,
    /// Sampled with the hint, by position.
    hinted: BTreeMap<usize, Group>,
}

impl Solved {
    /// The group at `at` as it is trained on: with the members that had a hint.
    fn whole(&self, at: usize) -> Group {
        let mut group = self.groups[at].clone();
        if let Some(hinted) = self.hinted.get(&at) {
            group.members.extend(hinted.members.iter().cloned());
        }
        group
    }

    /// The groups to train on.
    pub(super) fn to_train(&self, filter: Option<GroupFilter>) -> Vec<Group> {
        let whole = (0..self.groups.len()).map(|at| self.whole(at));
        whole
            .filter(|group| filter.is_none_or(|filter| filter.keeps(group)))
            .collect()
    }
}

/// Solves the problems that `draw` gives, `plan.batch` of them, and further waves of at most so many while fewer groups than
/// that pass the filter, up to `plan.max_batches` waves. Problems beyond the last group needed are given back: they are not
/// part of what is returned.
///
/// # Source
/// Dynamic sampling: DAPO, arXiv 2503.14476, section 3.2.
pub(super) fn solve<R: Rollouts>(
    draw: &mut dyn FnMut(usize) -> Vec<Problem>,
    plan: Plan<'_>,
    rollouts: &mut R,
    funnel: &mut Funnel,
) -> Result<Solved, R::Error> {
    let mut solved = Solved {
        problems: Vec::new(),
        asks: Vec::new(),
        groups: Vec::new(),
        hinted: BTreeMap::new(),
    };
    // Positions of the groups that pass the filter.
    let mut kept: Vec<usize> = Vec::new();
    while funnel.gen_batches < plan.max_batches as usize && kept.len() < plan.batch {
        let from = solved.groups.len();
        solved.problems.extend(draw(wave(plan.batch, kept.len(), from)));
        solved.asks = asks(&solved.problems, plan);
        solved.groups.extend(rollouts.sample(&solved.asks[from..])?);
        hint(&mut solved, from, plan, rollouts)?;
        let passes = |at: &usize| plan.filter.is_none_or(|filter| filter.keeps(&solved.whole(*at)));
        kept.extend((from..solved.groups.len()).filter(passes));
        funnel.gen_batches += 1;
    }
    if kept.len() > plan.batch {
        let needed = kept[plan.batch - 1] + 1;
        funnel.given_back = solved.groups.len() - needed;
        solved.problems.truncate(needed);
        solved.asks.truncate(needed);
        solved.groups.truncate(needed);
        solved.hinted.retain(|at, _| *at < needed);
    }
    funnel.hinted_groups = solved.hinted.len();
    Ok(solved)
}

/// Problems of the next wave: as many as the share kept so far lets expect to be needed, at most a batch.
fn wave(batch: usize, kept: usize, sampled: usize) -> usize {
    let missing = batch - kept;
    (missing * sampled).div_ceil(kept.max(1)).clamp(missing, batch)
}

/// One ask per problem. A problem that comes again in the batch (small sets) gets a key of its own.
fn asks(problems: &[Problem], plan: Plan<'_>) -> Vec<Ask> {
    let mut visits: BTreeMap<&str, u32> = BTreeMap::new();
    let ask = |problem| {
        let Problem { id, .. }: &Problem = problem;
        let visit = visits.entry(id).and_modify(|visit| *visit += 1).or_default();
        Ask {
            key: if *visit == 0 {
                id.clone()
            } else {
                format!("{id}~{visit}")
            },
            kind: Kind::Solve,
            problem_id: id.clone(),
            parent: None,
            messages: plan.prompts.messages_of(problem),
            trained_as: None,
            task: Some(Task::of(problem)),
            n: plan.n,
        }
    };
    problems.iter().map(ask).collect()
}

/// Samples again, with the problem's hint, where every graded attempt from `from` on failed.
///
/// # Source
/// Guide, arXiv 2506.13923: the hinted attempts are trained on as if the hint had not been there.
fn hint<R: Rollouts>(solved: &mut Solved, from: usize, plan: Plan<'_>, rollouts: &mut R) -> Result<(), R::Error> {
    let Some(n) = plan.n_hinted else { return Ok(()) };
    let (mut positions, mut hinted) = (Vec::new(), Vec::new());
    for (at, group) in solved.groups.iter().enumerate().skip(from) {
        let (score, ask, problem) = (Score::of(group), &solved.asks[at], &solved.problems[at]);
        let Some(hint) = problem.hint.as_ref().filter(|_| score.graded > 0 && score.correct == 0) else {
            continue;
        };
        let messages = plan.prompts.hint_messages(&problem.question, hint);
        if !rollouts.fits(&messages)? {
            continue;
        }
        positions.push(at);
        hinted.push(Ask {
            key: format!("{}/h", ask.key),
            kind: Kind::SolveHinted,
            messages,
            trained_as: Some(ask.messages.clone()),
            n,
            ..ask.clone()
        });
    }
    if !hinted.is_empty() {
        let groups = rollouts.sample(&hinted)?;
        solved.hinted.extend(positions.into_iter().zip(groups));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
