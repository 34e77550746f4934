//! From a choice to what a trajectory keeps of it: segments by origin, and numbers of the sampled tokens only.

use std::time::{SystemTime, UNIX_EPOCH};

use svs_engine::request::Choice;
use svs_engine::{SamplingParams, VersionSpan};

use crate::trajectory::{Kind, Segment, SegmentRole, Trajectory};

impl Trajectory {
    /// What `choice`, sampled after `prompt` with `sampling`, was: a client's, in a group of its own and ungraded, until the
    /// caller says otherwise. `approximate`: the engine samples in the CUDA mode `fast`.
    #[must_use]
    pub fn of_choice(prompt: &[u32], choice: &Choice, sampling: SamplingParams, approximate: bool) -> Self {
        Self {
            id: String::new(),
            group_id: String::new(),
            group_size: 1,
            session: None,
            awaits_reward: false,
            problem_id: None,
            parent: None,
            kind: Kind::Client,
            segments: segments(prompt, choice),
            trained_prompt: None,
            logprobs: sampled(choice, &choice.logprobs),
            raw_logprobs: sampled(choice, &choice.raw_logprobs),
            thresholds: sampled(choice, &choice.thresholds),
            spans: spans(choice),
            adapter: None,
            mixed_kv: choice.mixed_kv,
            approximate,
            hidden: None,
            sampling,
            choice: choice.index,
            finish_reason: choice.finish_reason,
            weight: 1.0,
            reference: None,
            verdicts: Vec::new(),
            text: choice.text.clone(),
            metadata: serde_json::Value::Null,
            created_at: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0.0, |since| since.as_secs_f64()),
        }
    }
}

/// The prompt, then runs of sampled and forced tokens. What a fork shares with its parent is not trainable: the parent's
/// trajectory has it.
fn segments(prompt: &[u32], choice: &Choice) -> Vec<Segment> {
    let mut segments = vec![segment(SegmentRole::Prompt, prompt, false)];
    let shared = choice.origin.map_or(0, |origin| origin.at);
    let kind = |at: usize| (choice.forced[at], at >= shared);
    let mut start = 0;
    for end in 1..=choice.tokens.len() {
        if end < choice.tokens.len() && kind(end) == kind(start) {
            continue;
        }
        let (forced, own) = kind(start);
        let role = if forced {
            SegmentRole::Forced
        } else {
            SegmentRole::Sampled
        };
        segments.push(segment(role, &choice.tokens[start..end], own && !forced));
        start = end;
    }
    segments
}

fn segment(role: SegmentRole, tokens: &[u32], trainable: bool) -> Segment {
    Segment {
        role,
        tokens: tokens.to_vec(),
        trainable,
    }
}

/// Those of `values`, one per token, that belong to sampled tokens.
fn sampled<T: Copy>(choice: &Choice, values: &[T]) -> Vec<T> {
    let pairs = values.iter().zip(&choice.forced);
    pairs.filter(|(_, forced)| !**forced).map(|(value, _)| *value).collect()
}

/// The version spans with forced tokens left out.
fn spans(choice: &Choice) -> Vec<VersionSpan> {
    let mut spans: Vec<VersionSpan> = Vec::new();
    let mut end = 0;
    for span in &choice.spans {
        let tokens = &choice.forced[span.start as usize..span.end as usize];
        let count = u32::try_from(tokens.iter().filter(|forced| !**forced).count()).expect("a sequence fits u32");
        if count > 0 {
            spans.push(VersionSpan {
                version: span.version,
                start: end,
                end: end + count,
            });
            end += count;
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;
    use svs_engine::TokenEvent;

    #[test]
    fn forced_tokens_and_shared_ones_are_not_trained_on() {
        let mut choice = Choice::unfinished(0);
        // (token, forced, version)
        for (token, forced, version) in [(5, false, 1), (6, true, 1), (7, true, 2), (8, false, 2), (9, false, 2)] {
            choice.push(&TokenEvent {
                choice: 0,
                token,
                logprob: -(token as f32),
                raw_logprob: -(token as f32),
                threshold: None,
                top: Vec::new(),
                text: String::new(),
                version,
                mixed_kv: false,
                sampled_at: std::time::Instant::now(),
                forced,
            });
        }
        let roles = |recorded: &Trajectory| -> Vec<(SegmentRole, Vec<u32>, bool)> {
            let segments = recorded.segments.iter();
            segments
                .map(|segment| (segment.role, segment.tokens.clone(), segment.trainable))
                .collect()
        };
        let whole = Trajectory::of_choice(&[1, 2], &choice, SamplingParams::default(), false);
        let prompt = (SegmentRole::Prompt, vec![1, 2], false);
        let expected = [
            prompt.clone(),
            (SegmentRole::Sampled, vec![5], true),
            (SegmentRole::Forced, vec![6, 7], false),
            (SegmentRole::Sampled, vec![8, 9], true),
        ];
        assert_eq!(roles(&whole), expected);
        assert_eq!(
            (whole.logprobs.as_slice(), whole.thresholds.len()),
            (&[-5.0, -8.0, -9.0][..], 3)
        );
        let spans: Vec<_> = whole
            .spans
            .iter()
            .map(|span| (span.version, span.start, span.end))
            .collect();
        assert_eq!(spans, [(1, 0, 1), (2, 1, 3)]);
        let fork = Trajectory::of_choice(
            &[1, 2],
            &choice.forked(3, 4, String::new()),
            SamplingParams::default(),
            false,
        );
        let expected = [
            prompt,
            (SegmentRole::Sampled, vec![5], false),
            (SegmentRole::Forced, vec![6, 7], false),
            (SegmentRole::Sampled, vec![8], false),
        ];
        assert_eq!(roles(&fork), expected);
        assert_eq!(fork.logprobs.len(), 2);
    }
}
