//! Queries over the reader's connection.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, ToSql, params_from_iter};

use super::config::LogError;
use super::query::{ClosedGroup, GroupQuery, ListQuery, LoggedTrajectory, OpenGroups};
use super::record::{self, COLUMNS, RawRow};
use super::schema::database;
use crate::trajectory::{Group, Kind, Trajectory};

/// Most rows of one page of a listing.
const MAX_PAGE: usize = 1000;

/// The latest group of that id.
pub(super) fn group(connection: &Connection, group_id: &str) -> Result<Option<Group>, LogError> {
    let key: Option<i64> = connection
        .prepare_cached("SELECT key FROM groups WHERE group_id = ?1 ORDER BY key DESC LIMIT 1")
        .and_then(|mut statement| statement.query_row([group_id], |row| row.get(0)).optional())
        .map_err(database)?;
    key.map(|key| {
        Ok(Group {
            id: group_id.into(),
            members: members(connection, key)?,
        })
    })
    .transpose()
}

/// Closed groups in the order of closing.
pub(super) fn closed_groups(connection: &Connection, query: &GroupQuery) -> Result<Vec<ClosedGroup>, LogError> {
    let mut values: Vec<Value> = vec![query.after_seq.into(), query.until_seq.unwrap_or(i64::MAX).into()];
    let mut sql =
        String::from("SELECT key, group_id, closed_seq, expired FROM groups WHERE closed_seq > ? AND closed_seq <= ?");
    if !query.kinds.is_empty() {
        sql += &format!(" AND kind IN ({})", vec!["?"; query.kinds.len()].join(", "));
        values.extend(query.kinds.iter().map(|kind| Value::Text(kind.name().into())));
    }
    if query.untrained_only {
        sql += " AND NOT EXISTS (SELECT 1 FROM trajectories WHERE group_key = key AND trained_at IS NOT NULL)";
    }
    sql += " ORDER BY closed_seq LIMIT ?";
    values.push(i64::try_from(query.limit).unwrap_or(i64::MAX).into());
    let found: Vec<(i64, String, i64, bool)> = connection
        .prepare_cached(&sql)
        .and_then(|mut statement| {
            statement
                .query_map(params_from_iter(values), |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
                })?
                .collect()
        })
        .map_err(database)?;
    found
        .into_iter()
        .map(|(key, id, closed_seq, expired)| {
            let (members, unreadable) = readable_members(connection, key)?;
            Ok(ClosedGroup {
                group: Group { id, members },
                closed_seq,
                expired,
                unreadable,
            })
        })
        .collect()
}

/// One trajectory.
pub(super) fn get(connection: &Connection, id: &str) -> Result<Option<LoggedTrajectory>, LogError> {
    let sql = format!("SELECT {COLUMNS} FROM trajectories WHERE id = ?1");
    Ok(rows(connection, &sql, &[&id])?.pop())
}

/// A page of trajectories, newest first.
pub(super) fn list(connection: &Connection, query: &ListQuery) -> Result<Vec<LoggedTrajectory>, LogError> {
    let mut sql = format!("SELECT {COLUMNS} FROM trajectories WHERE seq < ?");
    let before = query.before_seq.unwrap_or(i64::MAX);
    let limit = i64::try_from(query.limit.min(MAX_PAGE)).unwrap_or(i64::MAX);
    let kind = query.kind.map(Kind::name);
    let mut values: Vec<&dyn ToSql> = vec![&before];
    if let Some(kind) = &kind {
        sql += " AND kind = ?";
        values.push(kind);
    }
    if let Some(problem) = &query.problem_id {
        sql += " AND problem_id = ?";
        values.push(problem);
    }
    sql += " ORDER BY seq DESC LIMIT ?";
    values.push(&limit);
    rows(connection, &sql, &values)
}

/// How many groups of a kind are open, and how far the first of them is.
pub(super) fn open_groups(connection: &Connection, kind: Kind) -> Result<OpenGroups, LogError> {
    let open = "FROM groups WHERE closed_seq IS NULL AND kind = ?1";
    let kind = kind.name();
    let count = format!("SELECT count(*) {open}");
    let oldest = format!("SELECT members, size {open} ORDER BY opened_at, key LIMIT 1");
    let count = connection.query_row(&count, [kind], |row| row.get::<_, i64>(0));
    let oldest = connection.query_row(&oldest, [kind], |row| Ok((row.get(0)?, row.get(1)?)));
    Ok(OpenGroups {
        count: count.map_err(database)?.unsigned_abs(),
        oldest: oldest.optional().map_err(database)?,
    })
}

/// How many groups of a kind closed after this number.
pub(super) fn closed_after(connection: &Connection, kind: Kind, seq: i64) -> Result<u64, LogError> {
    let sql = "SELECT count(*) FROM groups WHERE closed_seq > ?1 AND kind = ?2";
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.query_row((seq, kind.name()), |row| row.get::<_, i64>(0)))
        .map(i64::unsigned_abs)
        .map_err(database)
}

/// Open groups and the last sequence number.
pub(super) fn counts(connection: &Connection) -> Result<(u64, i64), LogError> {
    connection
        .query_row(
            "SELECT (SELECT count(*) FROM groups WHERE closed_seq IS NULL), (SELECT last_seq FROM counter)",
            [],
            |row| Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get(1)?)),
        )
        .map_err(database)
}

fn members(connection: &Connection, key: i64) -> Result<Vec<Trajectory>, LogError> {
    let sql = format!("SELECT {COLUMNS} FROM trajectories WHERE group_key = ?1 ORDER BY seq");
    Ok(rows(connection, &sql, &[&key])?
        .into_iter()
        .map(|row| row.trajectory)
        .collect())
}

/// The members that can be read, and how many cannot.
fn readable_members(connection: &Connection, key: i64) -> Result<(Vec<Trajectory>, usize), LogError> {
    let sql = format!("SELECT {COLUMNS} FROM trajectories WHERE group_key = ?1 ORDER BY seq");
    let mut statement = connection.prepare_cached(&sql).map_err(database)?;
    let mut rows = statement.query([key]).map_err(database)?;
    let (mut members, mut unreadable) = (Vec::new(), 0);
    while let Some(row) = rows.next().map_err(database)? {
        match record::readable(row)?.0 {
            Ok(row) => members.push(row.trajectory),
            Err(error) => {
                tracing::warn!(%error, "left out of its group");
                unreadable += 1;
            }
        }
    }
    Ok((members, unreadable))
}

fn rows(connection: &Connection, sql: &str, values: &[&dyn ToSql]) -> Result<Vec<LoggedTrajectory>, LogError> {
    let raw: Vec<RawRow> = connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.query_map(values, record::read)?.collect())
        .map_err(database)?;
    raw.into_iter().map(RawRow::logged).collect()
}
