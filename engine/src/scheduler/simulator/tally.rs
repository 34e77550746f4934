//! Counts of what a simulation met.

/// What happened, and the extremes seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) events: usize,
    pub(super) steps: usize,
    pub(super) arrivals: usize,
    pub(super) refused: usize,
    pub(super) finished: usize,
    pub(super) aborts: usize,
    /// Runs of one token, and of several.
    pub(super) forced: [usize; 2],
    /// At the end, and before it.
    pub(super) forks: [usize; 2],
    /// Arrivals that are pinned, forks of such, and publishes that leave some where they are.
    pub(super) pinned: [usize; 3],
    /// Prompts whose scores became complete.
    pub(super) scored: usize,
    pub(super) swaps: [usize; 3],
    pub(super) pauses: [usize; 3],
    pub(super) denials: usize,
    pub(super) cleared: usize,
    pub(super) preemptions: u64,
    pub(super) prefix_hits: u64,
    pub(super) copies: usize,
    pub(super) most_idle_steps: usize,
    pub(super) most_overtaken: u32,
}

impl Tally {
    pub(super) fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.steps += other.steps;
        self.arrivals += other.arrivals;
        self.refused += other.refused;
        self.finished += other.finished;
        self.aborts += other.aborts;
        for at in 0..2 {
            self.forced[at] += other.forced[at];
            self.forks[at] += other.forks[at];
        }
        self.scored += other.scored;
        for at in 0..3 {
            self.pinned[at] += other.pinned[at];
            self.swaps[at] += other.swaps[at];
            self.pauses[at] += other.pauses[at];
        }
        self.denials += other.denials;
        self.cleared += other.cleared;
        self.preemptions += other.preemptions;
        self.prefix_hits += other.prefix_hits;
        self.copies += other.copies;
        self.most_idle_steps = self.most_idle_steps.max(other.most_idle_steps);
        self.most_overtaken = self.most_overtaken.max(other.most_overtaken);
    }

    /// Every kind of event came up.
    pub(super) fn covers_everything(&self) -> bool {
        let counts = [
            self.finished,
            self.aborts,
            self.scored,
            self.denials,
            self.cleared,
            self.preemptions as usize,
            self.prefix_hits as usize,
            self.copies,
            self.most_overtaken as usize,
        ];
        counts
            .iter()
            .chain(&self.forced)
            .chain(&self.forks)
            .chain(&self.pinned)
            .chain(&self.swaps)
            .chain(&self.pauses)
            .all(|count| *count > 0)
    }
}
