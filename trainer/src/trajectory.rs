//! The one record that rollouts, graders and the trainer exchange.

use serde::{Deserialize, Serialize};
use svs_engine::{SamplingParams, VersionSpan};
use svs_verifier::Verdict;

use crate::hidden::Dynamics;

/// What a trajectory was sampled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Solving an original problem (OQA).
    Solve,
    /// The same with the problem's hint.
    SolveHinted,
    /// Writing a variational problem from a correct solution (VPS).
    Synthesize,
    /// Solving a synthetic problem (SPA).
    SolveSynthetic,
    /// Sampled by a client over the API.
    Client,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::Solve,
        Self::SolveHinted,
        Self::Synthesize,
        Self::SolveSynthetic,
        Self::Client,
    ];

    /// Name in the log, in seeds and in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Solve => "solve",
            Self::SolveHinted => "solve_hinted",
            Self::Synthesize => "synthesize",
            Self::SolveSynthetic => "solve_synthetic",
            Self::Client => "client",
        }
    }
}

/// Where tokens of a segment came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SegmentRole {
    /// Given to the model.
    Prompt,
    /// Drawn from the policy.
    Sampled,
    /// Put in by a controller.
    Forced,
    /// Said by an environment or tool.
    Env,
}

/// A run of tokens of one origin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Origin.
    pub role: SegmentRole,
    /// Token ids.
    pub tokens: Vec<u32>,
    /// Whether the loss may reach these tokens.
    pub trainable: bool,
}

/// One grader's finding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GraderVerdict {
    /// Name of the grader.
    pub grader: String,
    /// What it found.
    pub verdict: Verdict,
    /// Reward; `None` masks the trajectory out of its group.
    pub reward: Option<f64>,
    /// Why, in words, where the grader says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<String>,
}

/// One rollout with everything that training on it needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trajectory {
    /// Unique id.
    pub id: String,
    /// Trajectories compared with each other.
    pub group_id: String,
    /// Declared size of the group; it closes when so many have arrived.
    pub group_size: u32,
    /// The session of an outside agent that it belongs to. Its group stays open until it is told to close.
    #[serde(default)]
    pub session: Option<String>,
    /// Its reward comes later: its group stays open until then, or expires.
    #[serde(default)]
    pub awaits_reward: bool,
    /// Problem solved, if known.
    pub problem_id: Option<String>,
    /// Id of the trajectory (synthesis ← solution) or problem this one descends from.
    pub parent: Option<String>,
    /// What it was sampled for.
    pub kind: Kind,
    /// Tokens in order.
    pub segments: Vec<Segment>,
    /// Prompt that the loss puts before the response instead of the one it was sampled with (a hint left out).
    #[serde(default)]
    pub trained_prompt: Option<Vec<u32>>,
    /// Behaviour logprob of each sampled token, nats, over all sampled segments in order.
    pub logprobs: Vec<f32>,
    /// Raw logprob of each sampled token, nats.
    pub raw_logprobs: Vec<f32>,
    /// Processed logits below this were cut when the token was drawn; `None` where none were. One per sampled token.
    pub thresholds: Vec<Option<f32>>,
    /// Weight versions, covering the sampled tokens.
    pub spans: Vec<VersionSpan>,
    /// The adapter that it was sampled from; `None` is the policy itself.
    #[serde(default)]
    pub adapter: Option<String>,
    /// Some token saw KV of another version.
    pub mixed_kv: bool,
    /// Its logprobs are near what the trainer computes and not its bits: it was sampled in the CUDA mode `fast`.
    #[serde(default)]
    pub approximate: bool,
    /// What its hidden states did, if the run measures that.
    #[serde(default)]
    pub hidden: Option<Dynamics>,
    /// How it was sampled (seed included).
    pub sampling: SamplingParams,
    /// Index of the choice: key H(seed, choice).
    pub choice: u32,
    /// `stop`, `length` or `abort`.
    pub finish_reason: svs_engine::FinishReason,
    /// Weight of the trajectory in the loss; 1 unless a selection was biased.
    pub weight: f64,
    /// Reference answer, if the client or the dataset gave one.
    pub reference: Option<String>,
    /// Findings so far.
    pub verdicts: Vec<GraderVerdict>,
    /// Decoded response, for people and graders.
    pub text: String,
    /// Client metadata as given, or null.
    pub metadata: serde_json::Value,
    /// Seconds since the epoch.
    pub created_at: f64,
}

impl Trajectory {
    /// All tokens, prompt first.
    #[must_use]
    pub fn tokens(&self) -> Vec<u32> {
        self.segments
            .iter()
            .flat_map(|segment| segment.tokens.iter().copied())
            .collect()
    }

    /// The run that sampled it and the step that it was sampled for; a client's has neither.
    #[must_use]
    pub fn run_and_step(&self) -> Option<(&str, Option<u64>)> {
        let (run, rest) = self.group_id.split_once('/').filter(|_| self.kind != Kind::Client)?;
        // An attempt under other ids has a suffix: `12v1`.
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        Some((run, rest[..digits].parse().ok()))
    }

    /// Oldest and newest weight version that a token was sampled from, if any was.
    #[must_use]
    pub fn versions(&self) -> Option<(u64, u64)> {
        let versions = || self.spans.iter().map(|span| span.version);
        versions().min().zip(versions().max())
    }

    /// Tokens of the segments given before anything was sampled.
    #[must_use]
    pub fn prompt_len(&self) -> usize {
        let given = self
            .segments
            .iter()
            .take_while(|segment| segment.role == SegmentRole::Prompt);
        given.map(|segment| segment.tokens.len()).sum()
    }

    /// [`Self::tokens`] and [`Self::scored`] as the loss has them: behind `trained_prompt`, if there is one.
    #[must_use]
    pub fn trained(&self) -> (Vec<u32>, Vec<u32>) {
        let (tokens, scored) = (self.tokens(), self.scored());
        let Some(prompt) = &self.trained_prompt else {
            return (tokens, scored);
        };
        let sampled_with = self.prompt_len();
        let (before, now) = (sampled_with as u32, prompt.len() as u32);
        let scored = scored.into_iter().map(|at| at - before + now);
        (
            prompt.iter().chain(&tokens[sampled_with..]).copied().collect(),
            scored.collect(),
        )
    }

    /// Positions of sampled tokens that the loss may reach.
    #[must_use]
    pub fn scored(&self) -> Vec<u32> {
        let mut position = 0u32;
        let mut scored = Vec::with_capacity(self.logprobs.len());
        for segment in &self.segments {
            let end = position + u32::try_from(segment.tokens.len()).expect("a sequence fits u32");
            if segment.trainable && segment.role == SegmentRole::Sampled {
                scored.extend(position..end);
            }
            position = end;
        }
        scored
    }

    /// Behaviour logprobs of the tokens at [`Self::scored`], nats.
    ///
    /// # Errors
    /// What is wrong, if there is not one logprob per sampled token.
    pub fn scored_logprobs(&self) -> Result<Vec<f32>, String> {
        let mut rest = self.logprobs.as_slice();
        let mut scored = Vec::with_capacity(rest.len());
        for segment in self
            .segments
            .iter()
            .filter(|segment| segment.role == SegmentRole::Sampled)
        {
            let split = rest.split_at_checked(segment.tokens.len());
            let (own, after) = split.ok_or_else(|| format!("only {} logprobs are recorded", self.logprobs.len()))?;
            if segment.trainable {
                scored.extend_from_slice(own);
            }
            rest = after;
        }
        if rest.is_empty() {
            Ok(scored)
        } else {
            Err(format!("{} logprobs are left over", rest.len()))
        }
    }
}

/// Trajectories that are compared with each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Group id.
    pub id: String,
    /// Members by log sequence number.
    pub members: Vec<Trajectory>,
}
