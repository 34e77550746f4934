//! Which groups are trained on. Groups are kept or dropped whole, on accuracy, before any reward is shaped.

use super::SvsConfig;
use super::band::{Score, has_contrast};
use crate::seeds::{SplitMix, choose, derive};
use crate::trajectory::Group;

/// Solving groups whose rewards differ.
#[must_use]
pub fn mixed(groups: Vec<Group>) -> Vec<Group> {
    groups.into_iter().filter(has_contrast).collect()
}

/// Synthesis groups with a rewarded member, thinned to the training ratio.
#[must_use]
pub fn synthesis(groups: Vec<Group>, config: &SvsConfig, seed: u64) -> Vec<Group> {
    let useful = |group: &Group| {
        let score = Score::of(group);
        score.correct > 0 && !(config.drop_all_rewarded && score.correct == score.graded)
    };
    let kept: Vec<Group> = groups.into_iter().filter(useful).collect();
    let share = (kept.len() as f64 * config.synthesis_training_ratio + 1e-9).floor() as usize;
    let chosen = choose(kept.len(), share, derive(&["synthesis", &seed.to_string()]));
    pick(kept, &chosen)
}

/// As many whole groups as fit into `max_rows`, chosen by `seed`, in their order; and the rows left out.
#[must_use]
pub fn within(groups: Vec<Group>, max_rows: usize, seed: u64) -> (Vec<Group>, usize) {
    let total: usize = groups.iter().map(|group| group.members.len()).sum();
    if total <= max_rows {
        return (groups, 0);
    }
    let mut order: Vec<usize> = (0..groups.len()).collect();
    SplitMix::new(derive(&["rows", &seed.to_string()])).shuffle(&mut order);
    let mut rows = 0;
    let mut chosen: Vec<usize> = Vec::new();
    for at in order {
        let size = groups[at].members.len();
        if rows + size <= max_rows {
            rows += size;
            chosen.push(at);
        }
    }
    chosen.sort_unstable();
    (pick(groups, &chosen), total - rows)
}

/// The groups at the ascending indices `chosen`.
fn pick(groups: Vec<Group>, chosen: &[usize]) -> Vec<Group> {
    let indexed = groups.into_iter().enumerate();
    indexed
        .filter(|(at, _)| chosen.binary_search(at).is_ok())
        .map(|(_, group)| group)
        .collect()
}
