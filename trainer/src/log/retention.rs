//! Keeps the log within its bounds by removing the oldest closed groups, whole.

use rusqlite::{Connection, OptionalExtension, params};

use super::config::{LogConfig, LogError};
use super::schema::database;

/// Groups removed in one transaction; more wait for the next commit, so that appends are not held up.
const GROUPS_PER_PASS: usize = 64;

/// What the log holds and what retention has removed since it was opened.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Held {
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) evicted: u64,
    pub(super) evicted_untrained: u64,
}

impl Held {
    /// Counts what the file holds.
    pub(super) fn count(connection: &Connection) -> Result<Self, LogError> {
        connection
            .query_row("SELECT count(*), ifnull(sum(bytes), 0) FROM trajectories", [], |row| {
                let (rows, bytes): (i64, i64) = (row.get(0)?, row.get(1)?);
                Ok(Self {
                    rows: rows.unsigned_abs(),
                    bytes: bytes.unsigned_abs(),
                    ..Self::default()
                })
            })
            .map_err(database)
    }

    fn exceeds(&self, config: &LogConfig) -> bool {
        config.retention_rows.is_some_and(|limit| self.rows > limit)
            || config.retention_bytes.is_some_and(|limit| self.bytes > limit)
    }
}

/// Removes closed groups until `held` is within `config`, or a pass is done. Runs in the caller's transaction and returns
/// the new counts, to be kept once it commits.
pub(super) fn evict(connection: &Connection, config: &LogConfig, held: Held, now: f64) -> Result<Held, LogError> {
    let mut held = held;
    let oldest_allowed = config.retention_age_s.map_or(f64::NEG_INFINITY, |age| now - age);
    for _ in 0..GROUPS_PER_PASS {
        let Some((key, opened_at)) = oldest(connection)? else {
            break;
        };
        if !held.exceeds(config) && opened_at >= oldest_allowed {
            break;
        }
        let (rows, bytes, trained): (i64, i64, i64) = connection
            .query_row(
                "SELECT count(*), ifnull(sum(bytes), 0), count(trained_at) FROM trajectories WHERE group_key = ?1",
                [key],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .map_err(database)?;
        connection
            .execute("DELETE FROM trajectories WHERE group_key = ?1", params![key])
            .map_err(database)?;
        connection
            .execute("DELETE FROM groups WHERE key = ?1", params![key])
            .map_err(database)?;
        held.rows = held.rows.saturating_sub(rows.unsigned_abs());
        held.bytes = held.bytes.saturating_sub(bytes.unsigned_abs());
        held.evicted += rows.unsigned_abs();
        held.evicted_untrained += (rows - trained).unsigned_abs();
    }
    Ok(held)
}

fn oldest(connection: &Connection) -> Result<Option<(i64, f64)>, LogError> {
    connection
        .prepare_cached("SELECT key, opened_at FROM groups WHERE closed_seq IS NOT NULL ORDER BY closed_seq LIMIT 1")
        .and_then(|mut statement| statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?))).optional())
        .map_err(database)
}
