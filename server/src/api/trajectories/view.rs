//! Rows of the trajectory log in the words of the API.

use svs_engine::text::Tokenizer;
use svs_openapi::WeightVersionSpan;
use svs_openapi::trajectories::{Finding, Origin, Trajectory as Wire, TrajectorySegment, TrajectorySummary};
use svs_trainer::eval::verdict_name;
use svs_trainer::log::{LogError, LogReader, LoggedTrajectory};
use svs_trainer::trajectory::{Kind, SegmentRole, Trajectory};

use crate::metrics::finish_name;

/// Longest excerpt.
const EXCERPT_CHARS: usize = 200;
/// Tokens of a prompt that its excerpt is looked for in.
const EXCERPT_TOKENS: usize = 256;
/// Names of kinds, and what they are called in the log.
pub(super) const KINDS: [(&str, &[Kind]); 4] = [
    ("rollout", &[Kind::Solve, Kind::SolveHinted]),
    ("synthesis", &[Kind::Synthesize]),
    ("synthetic", &[Kind::SolveSynthetic]),
    ("client", &[Kind::Client]),
];

/// What a listing says.
pub(super) fn summary(tokenizer: &Tokenizer, row: &LoggedTrajectory) -> TrajectorySummary {
    let trajectory = &row.trajectory;
    let (run, step) = trajectory.run_and_step().unzip();
    let (first, last) = trajectory.versions().unzip();
    let finding = trajectory.verdicts.last();
    let prompt = trajectory.prompt_len();
    TrajectorySummary {
        id: trajectory.id.clone(),
        object: "trajectory".into(),
        created_at: trajectory.created_at,
        run: run.map(str::to_owned).or_else(|| row.trained_by.clone()),
        step: step.flatten(),
        session: trajectory.session.clone(),
        group: trajectory.group_id.clone(),
        kind: kind(trajectory.kind).into(),
        weight_version_min: first,
        weight_version_max: last,
        prompt_tokens: prompt,
        response_tokens: trajectory.segments.iter().map(|s| s.tokens.len()).sum::<usize>() - prompt,
        reward: finding.and_then(|finding| finding.reward),
        verdict: finding.map(|finding| verdict_name(finding.verdict).into()),
        problem_excerpt: problem(tokenizer, trajectory),
        response_excerpt: trajectory.text.chars().take(EXCERPT_CHARS).collect(),
    }
}

/// All of it but the origin.
pub(super) fn whole(tokenizer: &Tokenizer, row: &LoggedTrajectory) -> Wire {
    let trajectory = &row.trajectory;
    let prompt_len = trajectory.prompt_len();
    let mut prompt = trajectory.tokens();
    let response = prompt.split_off(prompt_len);
    let span = |span: &svs_engine::VersionSpan| WeightVersionSpan {
        version: span.version,
        start: span.start,
        end: span.end,
    };
    Wire {
        summary: summary(tokenizer, row),
        prompt: tokenizer.decode(&prompt, false).ok(),
        prompt_token_ids: prompt,
        response: trajectory.text.clone(),
        response_token_texts: texts(tokenizer, &response),
        response_token_ids: response,
        segments: trajectory.segments.iter().map(segment).collect(),
        logprobs: trajectory.logprobs.clone(),
        raw_logprobs: trajectory.raw_logprobs.clone(),
        thresholds: trajectory.thresholds.clone(),
        weight_versions: trajectory.spans.iter().map(span).collect(),
        findings: findings(trajectory),
        awaits_reward: trajectory.awaits_reward,
        problem_id: trajectory.problem_id.clone(),
        parent: trajectory.parent.clone(),
        origin: None,
        reference: trajectory.reference.clone(),
        adapter: trajectory.adapter.clone(),
        finish_reason: finish_name(trajectory.finish_reason).into(),
        sampling: serde_json::to_value(&trajectory.sampling).unwrap_or_default(),
        metadata: trajectory.metadata.clone(),
        trained_at: row.trained_at,
        trained_by: row.trained_by.clone(),
    }
}

/// Where the problem of a synthesis, or of a solution of one, came from: as far as the log still has it.
pub(super) fn origin(
    log: &LogReader,
    tokenizer: &Tokenizer,
    trajectory: &Trajectory,
) -> Result<Option<Origin>, LogError> {
    let parent = |of: &Trajectory| match &of.parent {
        Some(id) => log.get(id).map(|row| row.map(|row| row.trajectory)),
        None => Ok(None),
    };
    let (synthesis, solution) = match trajectory.kind {
        Kind::Synthesize => (None, parent(trajectory)?),
        Kind::SolveSynthetic => {
            let synthesis = parent(trajectory)?;
            let solution = synthesis.as_ref().map(parent).transpose()?.flatten();
            (synthesis, solution)
        }
        _ => return Ok(None),
    };
    let prompt = |of: &Trajectory| tokenizer.decode(&of.tokens()[..of.prompt_len()], true).ok();
    Ok(Some(Origin {
        synthesis: synthesis.as_ref().map(|of| of.id.clone()),
        synthesis_response: synthesis.map(|of| of.text),
        problem: solution.as_ref().and_then(prompt),
        solution: solution.as_ref().map(|of| of.id.clone()),
        solution_response: solution.map(|of| of.text),
    }))
}

fn kind(kind: Kind) -> &'static str {
    let named = KINDS.into_iter().find(|(_, kinds)| kinds.contains(&kind));
    named.map_or("client", |(name, _)| name)
}

/// The end of the prompt: what comes before it is mostly the same for all.
fn problem(tokenizer: &Tokenizer, trajectory: &Trajectory) -> String {
    let tokens = trajectory.tokens();
    let prompt = &tokens[..trajectory.prompt_len()];
    let end = &prompt[prompt.len().saturating_sub(EXCERPT_TOKENS)..];
    let text = tokenizer.decode(end, true).unwrap_or_default();
    let text = text.trim_start_matches('\u{fffd}').trim();
    let skipped = text.chars().count().saturating_sub(EXCERPT_CHARS);
    text.chars().skip(skipped).collect()
}

/// What each token adds to the text; nothing if one is not the tokenizer's.
fn texts(tokenizer: &Tokenizer, tokens: &[u32]) -> Option<Vec<String>> {
    if tokens.iter().any(|token| *token as usize >= tokenizer.vocab_size()) {
        return None;
    }
    let mut stream = tokenizer.stream();
    let mut texts: Vec<String> = tokens.iter().map(|token| stream.push(*token)).collect();
    let rest = stream.finish();
    if let Some(last) = texts.last_mut() {
        last.push_str(&rest);
    }
    Some(texts)
}

fn segment(segment: &svs_trainer::trajectory::Segment) -> TrajectorySegment {
    let role = match segment.role {
        SegmentRole::Prompt => "prompt",
        SegmentRole::Sampled => "sampled",
        SegmentRole::Forced => "forced",
        SegmentRole::Env => "env",
    };
    TrajectorySegment {
        role: role.into(),
        tokens: segment.tokens.len(),
        trainable: segment.trainable,
    }
}

fn findings(trajectory: &Trajectory) -> Vec<Finding> {
    let findings = trajectory.verdicts.iter().map(|finding| Finding {
        grader: finding.grader.clone(),
        verdict: verdict_name(finding.verdict).into(),
        reward: finding.reward,
        explanation: finding.explanation.clone(),
    });
    findings.collect()
}
