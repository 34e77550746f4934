//! What came of the requests. What is asked for again under the same weights must give the same bits, whatever else runs and
//! however often the weights are swapped for others and back.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::ensure;
use svs_engine::InFlight;
use svs_openapi::WeightVersionSpan;

use super::answer::Choice;
use super::asked::Asked;
use super::weights::{ADAPTER, crossing_into, folder_of};

/// Errors kept for the report.
const MOST_KEPT: usize = 20;
/// Streams kept of each version that they crossed into, to be computed again at the end.
const CROSSED_PER_VERSION: u64 = 2;

/// A stream that crossed swaps.
#[derive(Debug)]
pub(super) struct Crossed {
    pub(super) asked: Asked,
    pub(super) index: usize,
    pub(super) choice: Choice,
}

/// What was computed: kind, request, choice, and the folder it was computed with.
type Key = (&'static str, u64, usize, &'static str);

#[derive(Debug, Default)]
pub(super) struct Outcomes {
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    counts: BTreeMap<&'static str, u64>,
    errors: u64,
    examples: Vec<String>,
    known: HashMap<Key, Vec<u32>>,
    crossed: Vec<Crossed>,
    crossed_into: BTreeMap<u64, u64>,
}

impl Outcomes {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn count(&self, what: &'static str) {
        *self.held().counts.entry(what).or_default() += 1;
    }

    pub(super) fn of(&self, what: &str) -> u64 {
        self.held().counts.get(what).copied().unwrap_or(0)
    }

    pub(super) fn count_error(&self, error: &anyhow::Error) {
        let mut held = self.held();
        held.errors += 1;
        if held.examples.len() < MOST_KEPT {
            held.examples.push(format!("{error:#}"));
        }
    }

    /// How many errors, and the first in words.
    pub(super) fn errors(&self) -> (u64, Vec<String>) {
        let held = self.held();
        (held.errors, held.examples.clone())
    }

    /// Compares values with those of the same key before, as far as both go: a stream may have crossed a swap earlier.
    pub(super) fn compare(&self, key: Key, values: &[u32]) -> anyhow::Result<()> {
        let mut held = self.held();
        let known = held.known.entry(key).or_default();
        let both = known.len().min(values.len());
        ensure!(
            known[..both] == values[..both],
            "{key:?} was answered otherwise than before"
        );
        if values.len() > known.len() {
            *known = values.to_vec();
        }
        Ok(())
    }

    /// Checks choices of the policy and keeps some that crossed swaps.
    pub(super) fn check_policy(&self, asked: Asked, sent: u64, choices: &[Choice]) -> anyhow::Result<()> {
        for (index, choice) in choices.iter().enumerate() {
            choice.check_spans(sent)?;
            let Some(first) = pure_span(&choice.spans, sent) else {
                self.count("prompts that a swap crossed");
                continue;
            };
            let key = ("text", asked.0, index, folder_of(first.version));
            self.compare(key, &choice.tokens[..first.end as usize])?;
            if asked.keeps_its_place() && can_be_repeated(&choice.spans) {
                self.keep_crossed(asked, index, choice);
            }
        }
        Ok(())
    }

    /// Checks choices of an adapter, which no swap touches.
    pub(super) fn check_adapter(&self, asked: Asked, version: u64, choices: &[Choice]) -> anyhow::Result<()> {
        for (index, choice) in choices.iter().enumerate() {
            choice.check_spans(version)?;
            ensure!(
                choice.spans.len() == 1 && choice.spans[0].version == version,
                "an adapter of version {version} answered as {:?}",
                choice.spans
            );
            self.compare(("text", asked.0, index, ADAPTER), &choice.tokens)?;
        }
        Ok(())
    }

    fn keep_crossed(&self, asked: Asked, index: usize, choice: &Choice) {
        let Some(last) = choice.spans.last() else { return };
        let mut held = self.held();
        let kept = held.crossed_into.entry(last.version).or_default();
        if *kept < CROSSED_PER_VERSION {
            *kept += 1;
            held.crossed.push(Crossed {
                asked,
                index,
                choice: choice.clone(),
            });
        }
    }

    pub(super) fn take_crossed(&self) -> Vec<Crossed> {
        std::mem::take(&mut self.held().crossed)
    }

    /// Texts known under all of the weights, and those of them that each weights answered with other tokens.
    pub(super) fn told_apart(&self) -> (usize, usize) {
        let held = self.held();
        let texts = |folder| {
            let of = held
                .known
                .iter()
                .filter(move |(key, _)| key.0 == "text" && key.3 == folder);
            of.map(|(key, tokens)| ((key.1, key.2), tokens))
                .collect::<HashMap<_, _>>()
        };
        let [even, odd, adapter] = [folder_of(0), folder_of(1), ADAPTER].map(texts);
        let all = even
            .iter()
            .filter_map(|(key, even)| Some([*even, *odd.get(key)?, *adapter.get(key)?]));
        let (mut known, mut different) = (0, 0);
        for [even, odd, adapter] in all {
            known += 1;
            different += usize::from(even != odd && even != adapter && odd != adapter);
        }
        (known, different)
    }
}

/// The first span, if all KV that its tokens were drawn over is of its version. A request that a swap met in its prompt has
/// KV of the version before it too, unless that was computed anew.
pub(super) fn pure_span(spans: &[WeightVersionSpan], sent: u64) -> Option<&WeightVersionSpan> {
    let pure = |span: &&WeightVersionSpan| span.version == sent || crossing_into(span.version) == InFlight::Recompute;
    spans.first().filter(pure)
}

/// Spans from version to next version: what stood between two tokens is known.
fn can_be_repeated(spans: &[WeightVersionSpan]) -> bool {
    spans.len() > 1 && spans.windows(2).all(|pair| pair[1].version == pair[0].version + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(tokens: &[u32], ends: &[(u64, u32)]) -> Choice {
        let starts = std::iter::once(0).chain(ends.iter().map(|(_, end)| *end));
        let spans = starts
            .zip(ends)
            .map(|(start, &(version, end))| WeightVersionSpan { version, start, end });
        Choice {
            tokens: tokens.to_vec(),
            spans: spans.collect(),
            ..Choice::default()
        }
    }

    /// Versions 0, 1, 4 and 5 are crossed into with `keep`, 2 and 3 with `recompute`.
    #[test]
    fn what_no_weights_explain_is_found() {
        let known = choice(&[5, 6, 7, 8], &[(0, 4)]);
        let table = [
            ("the same again", 0, choice(&[5, 6, 7, 8], &[(0, 4)]), ""),
            (
                "the same weights under a later version",
                2,
                choice(&[5, 6, 7, 8], &[(2, 4)]),
                "",
            ),
            ("other tokens", 0, choice(&[5, 6, 7, 9], &[(0, 4)]), "otherwise"),
            (
                "other tokens before a swap",
                0,
                choice(&[5, 9, 1, 1], &[(0, 2), (1, 4)]),
                "otherwise",
            ),
            (
                "other tokens after a swap",
                0,
                choice(&[5, 6, 1, 1], &[(0, 2), (1, 4)]),
                "",
            ),
            ("the other weights", 1, choice(&[1, 2, 3, 4], &[(1, 4)]), ""),
            ("computed anew", 1, choice(&[9, 6, 7, 8], &[(2, 4)]), "otherwise"),
            ("a prompt over a swap", 3, choice(&[9, 6, 7, 8], &[(4, 4)]), ""),
            (
                "older than what was served",
                2,
                choice(&[5, 6, 7, 8], &[(0, 4)]),
                "spans",
            ),
            ("a gap", 0, choice(&[5, 6, 7, 8], &[(0, 3)]), "spans"),
            ("back in time", 0, choice(&[5, 6, 7, 8], &[(2, 2), (1, 4)]), "spans"),
        ];
        for (what, sent, answer, wanted) in table {
            let outcomes = Outcomes::default();
            let check = |sent, choice: &Choice| outcomes.check_policy(Asked(0), sent, std::slice::from_ref(choice));
            check(0, &known).expect("the first answer");
            let failed = check(sent, &answer)
                .err()
                .map(|error| error.to_string())
                .unwrap_or_default();
            assert!(
                failed.is_empty() == wanted.is_empty() && failed.contains(wanted),
                "{what}: {failed}"
            );
        }
    }
}
