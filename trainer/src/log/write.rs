//! The statements that change the log. Each runs inside the writer's transaction; an error undoes the whole request.

use rusqlite::{Connection, OptionalExtension, params};

use super::config::LogError;
use super::record::{self, Encoded};
use super::schema::database;
use crate::trajectory::Trajectory;

/// Appends a batch; returns one sequence number per trajectory and the rows and bytes added.
pub(super) fn append(connection: &Connection, batch: &[Trajectory]) -> Result<(Vec<i64>, u64, u64), LogError> {
    let mut counter = Counter::read(connection)?;
    let (mut seqs, mut rows, mut bytes) = (Vec::with_capacity(batch.len()), 0, 0);
    for trajectory in batch {
        let encoded = record::encode(trajectory)?;
        if let Some(seq) = known(connection, trajectory, &encoded)? {
            seqs.push(seq);
            continue;
        }
        let group = join_group(connection, trajectory)?;
        let seq = counter.next();
        insert(connection, seq, group.key, trajectory, &encoded)?;
        if group.complete {
            close(connection, group.key, counter.next(), false)?;
        }
        seqs.push(seq);
        rows += 1;
        bytes += u64::try_from(encoded.bytes()).unwrap_or(0);
    }
    counter.write(connection)?;
    Ok((seqs, rows, bytes))
}

/// Closes open groups whose first member is older than `timeout_s`; returns how many.
pub(super) fn close_expired(connection: &Connection, timeout_s: f64, now: f64) -> Result<u64, LogError> {
    let mut statement = connection
        .prepare_cached("SELECT key FROM groups WHERE closed_seq IS NULL AND opened_at <= ?1 ORDER BY key")
        .map_err(database)?;
    let keys: Vec<i64> = statement
        .query_map([now - timeout_s], |row| row.get(0))
        .and_then(Iterator::collect)
        .map_err(database)?;
    let mut counter = Counter::read(connection)?;
    for key in &keys {
        close(connection, *key, counter.next(), true)?;
    }
    counter.write(connection)?;
    Ok(keys.len() as u64)
}

/// Marks `ids` as trained by `run`; returns how many changed.
pub(super) fn mark_trained(connection: &Connection, run: &str, ids: &[String], now: f64) -> Result<u64, LogError> {
    let sql = "UPDATE trajectories SET trained_at = ?3, trained_by = ?2 WHERE id = ?1 AND trained_at IS NULL";
    let mut statement = connection.prepare_cached(sql).map_err(database)?;
    let mut changed = 0;
    for id in ids {
        changed += statement.execute(params![id, run, now]).map_err(database)?;
    }
    Ok(changed as u64)
}

/// Makes the marks of `run` equal to `consumed`; returns how many changed.
pub(super) fn repair_trained(
    connection: &Connection,
    run: &str,
    consumed: &[String],
    now: f64,
) -> Result<u64, LogError> {
    let consumed_set: std::collections::HashSet<&str> = consumed.iter().map(String::as_str).collect();
    let marked: Vec<(i64, String)> = connection
        .prepare_cached("SELECT seq, id FROM trajectories WHERE trained_at IS NOT NULL AND trained_by = ?1")
        .and_then(|mut statement| {
            statement
                .query_map([run], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
        .map_err(database)?;
    let mut clear = connection
        .prepare_cached("UPDATE trajectories SET trained_at = NULL, trained_by = NULL WHERE seq = ?1")
        .map_err(database)?;
    let mut changed = 0;
    for (seq, id) in marked {
        if !consumed_set.contains(id.as_str()) {
            changed += clear.execute([seq]).map_err(database)? as u64;
        }
    }
    Ok(changed + mark_trained(connection, run, consumed, now)?)
}

/// The last sequence number given out, kept in the file so that a number is never used twice.
struct Counter(i64);

impl Counter {
    fn read(connection: &Connection) -> Result<Self, LogError> {
        connection
            .prepare_cached("SELECT last_seq FROM counter")
            .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
            .map(Self)
            .map_err(database)
    }

    fn next(&mut self) -> i64 {
        self.0 += 1;
        self.0
    }

    fn write(self, connection: &Connection) -> Result<(), LogError> {
        connection
            .prepare_cached("UPDATE counter SET last_seq = ?1")
            .and_then(|mut statement| statement.execute([self.0]))
            .map(|_| ())
            .map_err(database)
    }
}

/// The number of a trajectory that is already here with the same tokens and logprobs.
fn known(connection: &Connection, trajectory: &Trajectory, encoded: &Encoded) -> Result<Option<i64>, LogError> {
    let found: Option<(i64, String, Vec<u8>, Vec<u8>)> = connection
        .prepare_cached("SELECT seq, group_id, tokens, logprobs FROM trajectories WHERE id = ?1")
        .and_then(|mut statement| {
            statement
                .query_row([&trajectory.id], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
                })
                .optional()
        })
        .map_err(database)?;
    match found {
        None => Ok(None),
        Some((seq, group, tokens, logprobs))
            if group == trajectory.group_id && tokens == encoded.tokens && logprobs == encoded.logprobs =>
        {
            Ok(Some(seq))
        }
        Some(_) => Err(LogError::Conflict(trajectory.id.clone())),
    }
}

struct Joined {
    key: i64,
    complete: bool,
}

/// Counts the trajectory into the open group of its id, or opens one.
fn join_group(connection: &Connection, trajectory: &Trajectory) -> Result<Joined, LogError> {
    let updated: Option<(i64, bool)> = connection
        .prepare_cached(
            "UPDATE groups SET members = members + 1, size = max(size, ?2) WHERE group_id = ?1 AND closed_seq IS NULL \
             RETURNING key, members >= size",
        )
        .and_then(|mut statement| {
            statement
                .query_row(params![trajectory.group_id, trajectory.group_size], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })
                .optional()
        })
        .map_err(database)?;
    if let Some((key, complete)) = updated {
        return Ok(Joined { key, complete });
    }
    connection
        .prepare_cached("INSERT INTO groups (group_id, kind, size, members, opened_at) VALUES (?1, ?2, ?3, 1, ?4)")
        .and_then(|mut statement| {
            statement.insert(params![
                trajectory.group_id,
                trajectory.kind.name(),
                trajectory.group_size,
                trajectory.created_at
            ])
        })
        .map(|key| Joined {
            key,
            complete: trajectory.group_size == 1,
        })
        .map_err(database)
}

fn insert(
    connection: &Connection,
    seq: i64,
    group_key: i64,
    trajectory: &Trajectory,
    encoded: &Encoded,
) -> Result<(), LogError> {
    connection
        .prepare_cached(
            "INSERT INTO trajectories (seq, id, group_key, group_id, kind, problem_id, tokens, logprobs, raw_logprobs, \
             thresholds, record, bytes, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                seq,
                trajectory.id,
                group_key,
                trajectory.group_id,
                trajectory.kind.name(),
                trajectory.problem_id,
                encoded.tokens,
                encoded.logprobs,
                encoded.raw_logprobs,
                encoded.thresholds,
                encoded.record,
                encoded.bytes(),
                trajectory.created_at,
            ])
        })
        .map(|_| ())
        .map_err(database)
}

fn close(connection: &Connection, key: i64, closed_seq: i64, expired: bool) -> Result<(), LogError> {
    connection
        .prepare_cached("UPDATE groups SET closed_seq = ?2, expired = ?3 WHERE key = ?1")
        .and_then(|mut statement| statement.execute(params![key, closed_seq, expired]))
        .map(|_| ())
        .map_err(database)
}
