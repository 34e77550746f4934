//! Verdicts on the latest guides, so that a request finds what another has had compiled, and a refusal costs its work once.

use std::collections::VecDeque;

use super::{CompiledGuide, Guide, GuideLimits};

/// A compiled guide, or why there is none.
pub(super) type Verdict = Result<CompiledGuide, String>;

/// Verdicts by guide, the latest used last; bounded in number and in bytes.
#[derive(Default)]
pub(super) struct Kept {
    verdicts: VecDeque<(Guide, Verdict)>,
}

impl Kept {
    /// The verdict on `guide`, which is now the latest used.
    pub(super) fn find(&mut self, guide: &Guide) -> Option<Verdict> {
        let at = self.verdicts.iter().position(|(other, _)| other == guide)?;
        let entry = self.verdicts.remove(at)?;
        let found = entry.1.clone();
        self.verdicts.push_back(entry);
        Some(found)
    }

    /// Keeps a verdict, and lets go of the oldest ones beyond the bounds.
    pub(super) fn keep(&mut self, guide: Guide, verdict: Verdict, limits: &GuideLimits) {
        self.verdicts.push_back((guide, verdict));
        while self.verdicts.len() > limits.cached || (self.verdicts.len() > 1 && self.bytes() > limits.cached_bytes) {
            self.verdicts.pop_front();
        }
    }

    fn bytes(&self) -> usize {
        let compiled = self.verdicts.iter().filter_map(|(_, verdict)| verdict.as_ref().ok());
        compiled.map(CompiledGuide::bytes).sum()
    }
}
