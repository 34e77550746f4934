//! Which problems seed synthesis, and which of their solutions are contexts.

use std::collections::HashSet;

use super::SvsConfig;
use super::band::{Band, Score, is_correct};
use crate::seeds::{choose, derive};
use crate::trajectory::Group;

/// Indices of the under-performing groups, ascending, and how many more there were than the cap allows.
#[must_use]
pub fn seeds(groups: &[Group], config: &SvsConfig, seed: u64) -> (Vec<usize>, usize) {
    let band = Band {
        lower: config.under_performing_acc_lower,
        upper: config.under_performing_acc_upper,
    };
    let found: Vec<usize> = (0..groups.len())
        .filter(|&at| band.holds(Score::of(&groups[at])))
        .collect();
    let chosen = choose(
        found.len(),
        config.max_seed_prompts,
        derive(&["seeds", &seed.to_string()]),
    );
    (chosen.iter().map(|&at| found[at]).collect(), found.len() - chosen.len())
}

/// What became of the correct solutions of one seed group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contexts {
    /// Member indices used, ascending.
    pub used: Vec<usize>,
    /// Left out because an earlier solution has the same text.
    pub repeated: usize,
    /// Left out by the cap.
    pub capped: usize,
}

/// The correct solutions of `group` that become contexts.
#[must_use]
pub fn contexts(group: &Group, config: &SvsConfig, seed: u64) -> Contexts {
    let correct: Vec<usize> = (0..group.members.len())
        .filter(|&at| is_correct(&group.members[at]))
        .collect();
    let mut texts = HashSet::new();
    let distinct: Vec<usize> = correct
        .iter()
        .copied()
        .filter(|&at| texts.insert(group.members[at].text.as_str()) || !config.distinct_contexts)
        .collect();
    let salt = derive(&[
        "contexts",
        &seed.to_string(),
        group.members[0].problem_id.as_deref().unwrap_or(""),
    ]);
    let chosen = choose(distinct.len(), config.max_contexts_per_prompt, salt);
    Contexts {
        used: chosen.iter().map(|&at| distinct[at]).collect(),
        repeated: correct.len() - distinct.len(),
        capped: distinct.len() - chosen.len(),
    }
}
