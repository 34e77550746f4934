//! Hand-made trajectories for tests of the stages.

use svs_engine::{FinishReason, SamplingParams, VersionSpan};
use svs_verifier::Verdict;

use crate::trajectory::{GraderVerdict, Group, Kind, Segment, SegmentRole, Trajectory};

pub(crate) fn verdict(verdict: Verdict) -> GraderVerdict {
    GraderVerdict {
        grader: "math".into(),
        verdict,
        reward: verdict.reward(),
    }
}

pub(crate) fn trajectory(id: &str, group_id: &str, size: u32, kind: Kind, text: &str) -> Trajectory {
    Trajectory {
        id: id.into(),
        group_id: group_id.into(),
        group_size: size,
        problem_id: None,
        parent: None,
        kind,
        segments: vec![
            Segment {
                role: SegmentRole::Prompt,
                tokens: vec![1, 2],
                trainable: false,
            },
            Segment {
                role: SegmentRole::Sampled,
                tokens: vec![3],
                trainable: true,
            },
        ],
        logprobs: vec![-0.5],
        raw_logprobs: vec![-0.5],
        thresholds: vec![None],
        spans: vec![VersionSpan {
            version: 0,
            start: 0,
            end: 1,
        }],
        adapter: None,
        mixed_kv: false,
        approximate: false,
        sampling: SamplingParams::default(),
        choice: 0,
        finish_reason: FinishReason::Stop,
        weight: 1.0,
        reference: None,
        verdicts: Vec::new(),
        text: text.into(),
        metadata: serde_json::Value::Null,
        created_at: 0.0,
    }
}

/// A group of `n` solutions of which the first `correct` are right; their texts differ.
pub(crate) fn group(id: &str, n: u32, correct: u32) -> Group {
    let members = (0..n).map(|sample| {
        let mut member = trajectory(
            &format!("{id}/{sample}"),
            id,
            n,
            Kind::Solve,
            &format!("solution {sample} of {id}"),
        );
        member.verdicts = vec![verdict(if sample < correct {
            Verdict::Correct
        } else {
            Verdict::Wrong
        })];
        member
    });
    Group {
        id: id.into(),
        members: members.collect(),
    }
}
