//! The statements that change the log. Each runs inside the writer's transaction; an error undoes the whole request.

use rusqlite::{Connection, OptionalExtension, ToSql, params};

use super::config::LogError;
use super::record::{self, Encoded};
use super::schema::database;
use crate::trajectory::{GraderVerdict, Kind, Trajectory};

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
        let key = join_group(connection, trajectory)?;
        let seq = counter.next();
        insert(connection, seq, key, trajectory, &encoded)?;
        close_if_complete(connection, key, &mut counter)?;
        seqs.push(seq);
        rows += 1;
        bytes += u64::try_from(encoded.bytes()).unwrap_or(0);
    }
    counter.write(connection)?;
    Ok((seqs, rows, bytes))
}

/// Closes open groups whose first member is older than `timeout_s`; returns how many.
pub(super) fn close_expired(connection: &Connection, timeout_s: f64, now: f64) -> Result<u64, LogError> {
    let expired = "SELECT key FROM groups WHERE closed_seq IS NULL AND NOT held AND opened_at <= ?1 ORDER BY key";
    expire(connection, expired, params![now - timeout_s])
}

/// Closes the groups whose keys `sql` selects, as expired; returns how many.
fn expire(connection: &Connection, sql: &str, values: &[&dyn ToSql]) -> Result<u64, LogError> {
    let mut statement = connection.prepare_cached(sql).map_err(database)?;
    let keys: Vec<i64> = statement
        .query_map(values, |row| row.get(0))
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
    let sql = "UPDATE trajectories SET trained_at = ?3, trained_by = ?2, run = ifnull(run, ?2) \
               WHERE id = ?1 AND trained_at IS NULL";
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
        .prepare_cached(
            "UPDATE trajectories SET trained_at = NULL, trained_by = NULL, run = iif(kind = 'client', NULL, run) WHERE seq = ?1",
        )
        .map_err(database)?;
    let mut changed = 0;
    for (seq, id) in marked {
        if !consumed_set.contains(id.as_str()) {
            changed += clear.execute([seq]).map_err(database)? as u64;
        }
    }
    Ok(changed + mark_trained(connection, run, consumed, now)?)
}

/// Notes a reward that came later; the group closes if it waited for nothing else. Returns by how many bytes it grew.
pub(super) fn set_reward(connection: &Connection, id: &str, finding: &GraderVerdict) -> Result<i64, LogError> {
    let found = "SELECT group_key, record, trained_at IS NOT NULL, kind FROM trajectories WHERE id = ?1";
    let found: Option<(i64, String, bool, String)> = connection
        .prepare_cached(found)
        .and_then(|mut statement| {
            let row = statement.query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)));
            row.optional()
        })
        .map_err(database)?;
    let Some((key, before, trained, kind)) = found else {
        return Err(LogError::Unknown(id.into()));
    };
    if kind != Kind::Client.name() {
        return Err(LogError::Own(id.into()));
    }
    if trained {
        return Err(LogError::Trained(id.into()));
    }
    let record = record::with_finding(id, &before, finding)?;
    let grown = record.len() as i64 - before.len() as i64;
    connection
        .prepare_cached(
            "UPDATE trajectories SET record = ?2, reward = ?3, awaits_reward = 0, bytes = bytes + ?4 WHERE id = ?1",
        )
        .and_then(|mut statement| statement.execute(params![id, record, finding.reward, grown]))
        .map_err(database)?;
    let mut counter = Counter::read(connection)?;
    close_if_complete(connection, key, &mut counter)?;
    counter.write(connection)?;
    Ok(grown)
}

/// Whether the trajectory is there and has no reward.
pub(super) fn waits_for_reward(connection: &Connection, id: &str) -> Result<bool, LogError> {
    let waits = connection
        .prepare_cached("SELECT reward IS NULL FROM trajectories WHERE id = ?1")
        .and_then(|mut statement| statement.query_row([id], |row| row.get(0)).optional());
    Ok(waits.map_err(database)?.unwrap_or(false))
}

/// Closes the open group of that id that is held, with what it has; returns how many that are.
pub(super) fn close_group(connection: &Connection, group_id: &str) -> Result<u64, LogError> {
    let key: Option<i64> = connection
        .prepare_cached("SELECT key FROM groups WHERE group_id = ?1 AND closed_seq IS NULL AND held")
        .and_then(|mut statement| statement.query_row([group_id], |row| row.get(0)).optional())
        .map_err(database)?;
    let Some(key) = key else { return Ok(0) };
    let mut counter = Counter::read(connection)?;
    close(connection, key, counter.next(), false)?;
    counter.write(connection)?;
    Ok(1)
}

/// Lets groups that are held expire as others do: whoever held them is gone. Those beside an open one of the same id that
/// is not held close at once. Returns how many.
pub(super) fn release_held(connection: &Connection) -> Result<u64, LogError> {
    let beside = "SELECT key FROM groups AS ours WHERE closed_seq IS NULL AND held AND EXISTS (SELECT 1 FROM groups \
                  WHERE group_id = ours.group_id AND closed_seq IS NULL AND NOT held) ORDER BY key";
    let closed = expire(connection, beside, &[])?;
    let sql = "UPDATE groups SET held = 0 WHERE closed_seq IS NULL AND held";
    let released = connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.execute([]));
    released.map(|count| closed + count as u64).map_err(database)
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

/// Counts the trajectory into the open group of its id, or opens one; returns its key. What sessions sample is in groups of
/// its own, which are held: a client that names one of them is in another.
fn join_group(connection: &Connection, trajectory: &Trajectory) -> Result<i64, LogError> {
    let updated: Option<i64> = connection
        .prepare_cached(
            "UPDATE groups SET members = members + 1, size = max(size, ?2) \
             WHERE group_id = ?1 AND closed_seq IS NULL AND held = ?3 RETURNING key",
        )
        .and_then(|mut statement| {
            let held = trajectory.session.is_some();
            let values = params![trajectory.group_id, trajectory.group_size, held];
            statement.query_row(values, |row| row.get(0)).optional()
        })
        .map_err(database)?;
    if let Some(key) = updated {
        return Ok(key);
    }
    connection
        .prepare_cached(
            "INSERT INTO groups (group_id, kind, size, members, opened_at, held) VALUES (?1, ?2, ?3, 1, ?4, ?5)",
        )
        .and_then(|mut statement| {
            statement.insert(params![
                trajectory.group_id,
                trajectory.kind.name(),
                trajectory.group_size,
                trajectory.created_at,
                trajectory.session.is_some(),
            ])
        })
        .map_err(database)
}

/// Closes a group that is open, has its members, is not held and waits for no reward.
fn close_if_complete(connection: &Connection, key: i64, counter: &mut Counter) -> Result<(), LogError> {
    let complete = "SELECT closed_seq IS NULL AND NOT held AND members >= size AND NOT EXISTS \
                    (SELECT 1 FROM trajectories WHERE group_key = key AND awaits_reward) FROM groups WHERE key = ?1";
    let complete = connection
        .prepare_cached(complete)
        .and_then(|mut statement| statement.query_row([key], |row| row.get::<_, bool>(0)));
    if complete.map_err(database)? {
        close(connection, key, counter.next(), false)?;
    }
    Ok(())
}

fn insert(
    connection: &Connection,
    seq: i64,
    group_key: i64,
    trajectory: &Trajectory,
    encoded: &Encoded,
) -> Result<(), LogError> {
    let versions = trajectory.versions();
    connection
        .prepare_cached(
            "INSERT INTO trajectories (seq, id, group_key, group_id, kind, problem_id, tokens, logprobs, raw_logprobs, \
             thresholds, record, bytes, created_at, run, session, version_min, version_max, reward, awaits_reward) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)",
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
                trajectory.run_and_step().map(|(run, _)| run),
                trajectory.session,
                versions.map(|(first, _)| first.cast_signed()),
                versions.map(|(_, last)| last.cast_signed()),
                trajectory.verdicts.last().and_then(|finding| finding.reward),
                trajectory.awaits_reward,
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
