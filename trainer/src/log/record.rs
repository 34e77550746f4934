//! A trajectory as columns: little-endian blobs for the per-token arrays, JSON for the rest.

use rusqlite::Row;
use serde::{Deserialize, Serialize};
use svs_engine::{FinishReason, SamplingParams, VersionSpan};

use super::config::LogError;
use super::query::LoggedTrajectory;
use super::schema::database;
use crate::hidden::Dynamics;
use crate::trajectory::{GraderVerdict, Kind, Segment, SegmentRole, Trajectory};

/// Columns that [`read`] needs, in its order.
pub(super) const COLUMNS: &str = "seq, id, group_id, kind, problem_id, tokens, logprobs, raw_logprobs, thresholds, record, created_at, trained_at, \
     trained_by, session, awaits_reward";

/// Per-token arrays and the JSON record of one trajectory.
pub(super) struct Encoded {
    pub(super) tokens: Vec<u8>,
    pub(super) logprobs: Vec<u8>,
    pub(super) raw_logprobs: Vec<u8>,
    pub(super) thresholds: Vec<u8>,
    pub(super) record: String,
}

impl Encoded {
    pub(super) fn bytes(&self) -> i64 {
        let bytes = self.tokens.len()
            + self.logprobs.len()
            + self.raw_logprobs.len()
            + self.thresholds.len()
            + self.record.len();
        i64::try_from(bytes).unwrap_or(i64::MAX)
    }
}

#[derive(Serialize, Deserialize)]
struct SegmentShape {
    role: SegmentRole,
    len: usize,
    trainable: bool,
}

/// What is stored as JSON.
#[derive(Serialize, Deserialize)]
struct Record {
    segments: Vec<SegmentShape>,
    group_size: u32,
    parent: Option<String>,
    spans: Vec<VersionSpan>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trained_prompt: Option<Vec<u32>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    adapter: Option<String>,
    mixed_kv: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    approximate: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hidden: Option<Dynamics>,
    sampling: SamplingParams,
    choice: u32,
    finish_reason: FinishReason,
    weight: f64,
    reference: Option<String>,
    verdicts: Vec<GraderVerdict>,
    text: String,
    metadata: serde_json::Value,
}

/// Refuses a trajectory that contradicts itself, so that a reader never meets one.
pub(super) fn validate(trajectory: &Trajectory) -> Result<(), LogError> {
    let invalid = |reason: String| {
        Err(LogError::Invalid {
            id: trajectory.id.clone(),
            reason,
        })
    };
    let sampled: usize = trajectory
        .segments
        .iter()
        .filter(|segment| segment.role == SegmentRole::Sampled)
        .map(|s| s.tokens.len())
        .sum();
    if trajectory.id.is_empty() || trajectory.group_id.is_empty() {
        return invalid("id and group_id must not be empty".into());
    }
    if trajectory.group_size == 0 {
        return invalid("group_size must be at least 1".into());
    }
    if trajectory.trained_prompt.as_ref().is_some_and(Vec::is_empty) {
        return invalid("trained_prompt must not be empty".into());
    }
    for (name, len) in [
        ("logprobs", trajectory.logprobs.len()),
        ("raw_logprobs", trajectory.raw_logprobs.len()),
        ("thresholds", trajectory.thresholds.len()),
    ] {
        if len != sampled {
            return invalid(format!("{name} has {len} entries for {sampled} sampled tokens"));
        }
    }
    if trajectory
        .logprobs
        .iter()
        .chain(&trajectory.raw_logprobs)
        .any(|logprob| !logprob.is_finite())
    {
        return invalid("a logprob is not finite".into());
    }
    if !trajectory.weight.is_finite() || !trajectory.created_at.is_finite() {
        return invalid("weight and created_at must be finite".into());
    }
    if trajectory
        .verdicts
        .iter()
        .any(|verdict| verdict.reward.is_some_and(|reward| !reward.is_finite()))
    {
        return invalid("a reward is not finite".into());
    }
    let mut covered = 0u32;
    for span in &trajectory.spans {
        if span.start != covered || span.end < span.start {
            return invalid(format!(
                "version spans do not follow each other at sampled token {covered}"
            ));
        }
        covered = span.end;
    }
    if covered as usize != sampled {
        return invalid(format!("version spans cover {covered} of {sampled} sampled tokens"));
    }
    Ok(())
}

/// Encodes the arrays and the record.
pub(super) fn encode(trajectory: &Trajectory) -> Result<Encoded, LogError> {
    let record = Record {
        segments: trajectory
            .segments
            .iter()
            .map(|s| SegmentShape {
                role: s.role,
                len: s.tokens.len(),
                trainable: s.trainable,
            })
            .collect(),
        group_size: trajectory.group_size,
        parent: trajectory.parent.clone(),
        spans: trajectory.spans.clone(),
        trained_prompt: trajectory.trained_prompt.clone(),
        adapter: trajectory.adapter.clone(),
        mixed_kv: trajectory.mixed_kv,
        approximate: trajectory.approximate,
        hidden: trajectory.hidden,
        sampling: trajectory.sampling.clone(),
        choice: trajectory.choice,
        finish_reason: trajectory.finish_reason,
        weight: trajectory.weight,
        reference: trajectory.reference.clone(),
        verdicts: trajectory.verdicts.clone(),
        text: trajectory.text.clone(),
        metadata: trajectory.metadata.clone(),
    };
    let record = serde_json::to_string(&record).map_err(|error| LogError::Invalid {
        id: trajectory.id.clone(),
        reason: error.to_string(),
    })?;
    Ok(Encoded {
        tokens: trajectory
            .segments
            .iter()
            .flat_map(|s| &s.tokens)
            .flat_map(|token| token.to_le_bytes())
            .collect(),
        logprobs: floats(&trajectory.logprobs),
        raw_logprobs: floats(&trajectory.raw_logprobs),
        // An absent threshold is NaN in the blob; a kept logit is never NaN.
        thresholds: trajectory
            .thresholds
            .iter()
            .flat_map(|t| t.unwrap_or(f32::NAN).to_le_bytes())
            .collect(),
        record,
    })
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn words(blob: &[u8]) -> Option<Vec<[u8; 4]>> {
    let (words, rest) = blob.as_chunks::<4>();
    rest.is_empty().then(|| words.to_vec())
}

/// A trajectory, or why its row cannot be read, and its bytes.
pub(super) type Readable = (Result<LoggedTrajectory, LogError>, usize);

/// A row of [`COLUMNS`] with its blobs, not yet decoded.
pub(super) struct RawRow {
    seq: i64,
    id: String,
    group_id: String,
    kind: String,
    problem_id: Option<String>,
    blobs: [Vec<u8>; 4],
    record: String,
    created_at: f64,
    trained_at: Option<f64>,
    trained_by: Option<String>,
    session: Option<String>,
    awaits_reward: bool,
}

/// Reads a row of [`COLUMNS`].
pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<RawRow> {
    Ok(RawRow {
        seq: row.get(0)?,
        id: row.get(1)?,
        group_id: row.get(2)?,
        kind: row.get(3)?,
        problem_id: row.get(4)?,
        blobs: [row.get(5)?, row.get(6)?, row.get(7)?, row.get(8)?],
        record: row.get(9)?,
        created_at: row.get(10)?,
        trained_at: row.get(11)?,
        trained_by: row.get(12)?,
        session: row.get(13)?,
        awaits_reward: row.get(14)?,
    })
}

/// A trajectory, or why its row cannot be read, and the bytes held for it. Only a failure of the database is an error: one bad row must not take the
/// others with it.
///
/// # Errors
/// [`LogError::Database`].
pub(super) fn readable(row: &Row<'_>) -> Result<Readable, LogError> {
    use rusqlite::Error::{FromSqlConversionFailure, InvalidColumnType, Utf8Error};
    match read(row) {
        Ok(raw) => {
            let bytes = raw.bytes();
            Ok((raw.logged(), bytes))
        }
        Err(error @ (FromSqlConversionFailure(..) | InvalidColumnType(..) | Utf8Error(..))) => {
            let id: String = row.get(1).unwrap_or_default();
            Ok((Err(unreadable(&id, &error.to_string())), 0))
        }
        Err(error) => Err(database(error)),
    }
}

/// `record` with one more finding, in place of an earlier one of the same grader: who rewards again and again makes no row
/// longer.
///
/// # Errors
/// [`LogError::Unreadable`].
pub(super) fn with_finding(id: &str, record: &str, finding: &GraderVerdict) -> Result<String, LogError> {
    let mut record: Record = serde_json::from_str(record).map_err(|error| unreadable(id, &error.to_string()))?;
    record.verdicts.retain(|earlier| earlier.grader != finding.grader);
    record.verdicts.push(finding.clone());
    serde_json::to_string(&record).map_err(|error| unreadable(id, &error.to_string()))
}

fn unreadable(id: &str, reason: &str) -> LogError {
    LogError::Unreadable {
        id: id.into(),
        reason: reason.into(),
    }
}

impl RawRow {
    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.record.len() + self.blobs.iter().map(Vec::len).sum::<usize>()
    }

    /// Decodes the row, with its place in the log.
    pub(super) fn logged(self) -> Result<LoggedTrajectory, LogError> {
        let (seq, trained_at, trained_by) = (self.seq, self.trained_at, self.trained_by.clone());
        Ok(LoggedTrajectory {
            seq,
            trained_at,
            trained_by,
            trajectory: self.decode()?,
        })
    }

    /// Decodes the row.
    fn decode(self) -> Result<Trajectory, LogError> {
        let id = self.id.clone();
        let damaged = |reason: &str| unreadable(&id, reason);
        let words = |blob: &[u8]| words(blob).ok_or_else(|| damaged("a token array is cut short"));
        let record: Record = serde_json::from_str(&self.record).map_err(|error| damaged(&error.to_string()))?;
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == self.kind);
        let kind = kind.ok_or_else(|| damaged(&format!("unknown kind `{}`", self.kind)))?;
        let [tokens, logprobs, raw_logprobs, thresholds] = self.blobs;
        let tokens: Vec<u32> = words(&tokens)?.into_iter().map(u32::from_le_bytes).collect();
        let mut segments = Vec::with_capacity(record.segments.len());
        let mut rest = tokens.as_slice();
        for shape in record.segments {
            let (own, after) = rest
                .split_at_checked(shape.len)
                .ok_or_else(|| damaged("a token array is too short"))?;
            segments.push(Segment {
                role: shape.role,
                tokens: own.to_vec(),
                trainable: shape.trainable,
            });
            rest = after;
        }
        let floats = |blob: &[u8]| -> Result<Vec<f32>, LogError> {
            Ok(words(blob)?.into_iter().map(f32::from_le_bytes).collect())
        };
        Ok(Trajectory {
            id: self.id,
            group_id: self.group_id,
            group_size: record.group_size,
            session: self.session,
            awaits_reward: self.awaits_reward,
            problem_id: self.problem_id,
            parent: record.parent,
            kind,
            segments,
            logprobs: floats(&logprobs)?,
            raw_logprobs: floats(&raw_logprobs)?,
            thresholds: floats(&thresholds)?
                .into_iter()
                .map(|t| (!t.is_nan()).then_some(t))
                .collect(),
            spans: record.spans,
            trained_prompt: record.trained_prompt,
            adapter: record.adapter,
            mixed_kv: record.mixed_kv,
            approximate: record.approximate,
            hidden: record.hidden,
            sampling: record.sampling,
            choice: record.choice,
            finish_reason: record.finish_reason,
            weight: record.weight,
            reference: record.reference,
            verdicts: record.verdicts,
            text: record.text,
            metadata: record.metadata,
            created_at: self.created_at,
        })
    }
}
