//! Hand-made trajectories and a scripted engine for tests of the stages.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::LazyLock;

use svs_engine::text::ChatMessage;
use svs_engine::{FinishReason, SamplingParams, VersionSpan};
use svs_verifier::Verdict;

use super::band::Band;
use super::{Ask, GroupFilter, Plan, Prompts, Rollouts, SvsConfig};
use crate::Problem;
use crate::trajectory::{GraderVerdict, Group, Kind, Segment, SegmentRole, Trajectory};

pub(crate) fn verdict(verdict: Verdict) -> GraderVerdict {
    GraderVerdict {
        grader: "math".into(),
        verdict,
        reward: verdict.reward(),
        explanation: None,
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
        trained_prompt: None,
        adapter: None,
        session: None,
        awaits_reward: false,
        mixed_kv: false,
        approximate: false,
        hidden: None,
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

/// Answers asks by key: one (text, is correct) per sample. What is not scripted is a wrong solution.
#[derive(Default)]
pub(crate) struct Script {
    pub(crate) replies: BTreeMap<String, Vec<(String, bool)>>,
    pub(crate) asked: Vec<Ask>,
    pub(crate) longest: usize,
}

impl Script {
    pub(crate) fn new() -> Self {
        Self {
            longest: usize::MAX,
            ..Self::default()
        }
    }

    /// The first `correct` of 8 solutions of `key` are right; each has its own text.
    pub(crate) fn solved(mut self, key: &str, correct: usize) -> Self {
        let replies = (0..8).map(|sample| (format!("solution {sample} of {key}"), sample < correct));
        self.replies.insert(key.into(), replies.collect());
        self
    }

    pub(crate) fn wrote(mut self, key: &str, outputs: &[&str]) -> Self {
        let mut replies: Vec<_> = outputs.iter().map(|output| ((*output).to_owned(), false)).collect();
        replies.resize(8, ("no marker".into(), false));
        self.replies.insert(key.into(), replies);
        self
    }
}

impl Rollouts for Script {
    type Error = Infallible;

    fn fits(&self, messages: &[ChatMessage]) -> Result<bool, Infallible> {
        Ok(messages[0].content.len() <= self.longest)
    }

    fn sample(&mut self, asks: &[Ask]) -> Result<Vec<Group>, Infallible> {
        self.asked.extend_from_slice(asks);
        Ok(asks.iter().map(|ask| reply(ask, self.replies.get(&ask.key))).collect())
    }

    fn record(&mut self, groups: Vec<Group>, findings: Vec<Vec<GraderVerdict>>) -> Result<Vec<Group>, Infallible> {
        let judged = groups.into_iter().zip(findings).map(|(mut group, findings)| {
            assert_eq!(group.members.len(), findings.len());
            for (member, finding) in group.members.iter_mut().zip(findings) {
                member.verdicts.push(finding);
            }
            group
        });
        Ok(judged.collect())
    }
}

fn reply(ask: &Ask, replies: Option<&Vec<(String, bool)>>) -> Group {
    let members = (0..ask.n as usize).map(|sample| {
        let scripted = replies.and_then(|replies| replies.get(sample)).cloned();
        let (text, correct) = scripted.unwrap_or_else(|| (format!("wrong {sample} of {}", ask.key), false));
        let mut member = trajectory(&format!("{}#{sample}", ask.key), &ask.key, ask.n, ask.kind, &text);
        member.problem_id = Some(ask.problem_id.clone());
        member.parent = ask.parent.clone();
        if ask.task.is_some() {
            member.verdicts = vec![verdict(if correct { Verdict::Correct } else { Verdict::Wrong })];
        }
        member
    });
    Group {
        id: ask.key.clone(),
        members: members.collect(),
    }
}

pub(crate) fn problems(ids: &[&str]) -> Vec<Problem> {
    let make = |id: &&str| Problem {
        id: (*id).into(),
        question: format!("What is the answer of {id}?"),
        answer: "5".into(),
        source: "test".into(),
        ..Problem::default()
    };
    ids.iter().map(make).collect()
}

const FILTER: GroupFilter = GroupFilter {
    band: Band { lower: 0.0, upper: 1.0 },
};

static PROMPTS: LazyLock<Prompts> = LazyLock::new(Prompts::default);

pub(crate) fn plan(svs: Option<&SvsConfig>) -> Plan<'_> {
    Plan {
        prompts: &PROMPTS,
        svs,
        batch: 100,
        max_batches: 1,
        filter: Some(FILTER),
        n: 8,
        n_hinted: None,
        max_rows: 8192,
        seed: 1,
    }
}
