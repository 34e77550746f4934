//! The database file: tables, pragmas, versions, and what SQLite's failures mean to a caller.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

use super::config::{LogConfig, LogError};

/// Layout of the tables; grows with each change of them.
const SCHEMA_VERSION: i64 = 4;

/// Bytes of a database page, fixed so that `max_file_bytes` can be counted in pages.
const PAGE_BYTES: u64 = 4096;

/// `seq` is given by the writer and shared by trajectories and closings of groups, so that one cursor orders both. A group
/// id may be used again after its group has closed, hence the key. A `held` group, of sessions, closes only when it is told
/// to; beside it others may fill one of the same id that is not.
/// `trajectories_listed` has all that listings filter by: a search reads it alone, not the rows with their long columns.
const TABLES: &str = "
CREATE TABLE counter (only INTEGER PRIMARY KEY CHECK (only = 0), last_seq INTEGER NOT NULL);
INSERT INTO counter VALUES (0, 0);
CREATE TABLE groups (
    key INTEGER PRIMARY KEY,
    group_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    size INTEGER NOT NULL,
    members INTEGER NOT NULL,
    opened_at REAL NOT NULL,
    closed_seq INTEGER UNIQUE,
    expired INTEGER NOT NULL DEFAULT 0,
    held INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX groups_open ON groups (group_id, held) WHERE closed_seq IS NULL;
CREATE INDEX groups_by_id ON groups (group_id, key);
CREATE TABLE trajectories (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    group_key INTEGER NOT NULL REFERENCES groups (key),
    group_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    problem_id TEXT,
    tokens BLOB NOT NULL,
    logprobs BLOB NOT NULL,
    raw_logprobs BLOB NOT NULL,
    thresholds BLOB NOT NULL,
    record TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    created_at REAL NOT NULL,
    trained_at REAL,
    trained_by TEXT,
    run TEXT,
    session TEXT,
    version_min INTEGER,
    version_max INTEGER,
    reward REAL,
    awaits_reward INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX trajectories_by_group ON trajectories (group_key, seq);
CREATE INDEX trajectories_by_problem ON trajectories (problem_id, seq);
CREATE INDEX trajectories_trained ON trajectories (trained_at) WHERE trained_at IS NOT NULL;
CREATE INDEX trajectories_by_session ON trajectories (session, seq) WHERE session IS NOT NULL;
CREATE INDEX trajectories_listed
    ON trajectories (seq, kind, run, version_min, version_max, reward, created_at);
";

/// From layout 1, which did not say which run trained on a trajectory: those marks belong to no run and stay.
const FROM_1: &str = "ALTER TABLE trajectories ADD COLUMN trained_by TEXT";

/// From layout 2, whose rows had what listings filter by inside their records only. A record that cannot be read says
/// nothing. The id of an own group begins with its run.
const FROM_2: &str = "
ALTER TABLE groups ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
ALTER TABLE trajectories ADD COLUMN run TEXT;
ALTER TABLE trajectories ADD COLUMN session TEXT;
ALTER TABLE trajectories ADD COLUMN version_min INTEGER;
ALTER TABLE trajectories ADD COLUMN version_max INTEGER;
ALTER TABLE trajectories ADD COLUMN reward REAL;
ALTER TABLE trajectories ADD COLUMN awaits_reward INTEGER NOT NULL DEFAULT 0;
UPDATE trajectories SET run = CASE WHEN kind = 'client' THEN trained_by ELSE substr(group_id, 1, instr(group_id, '/') - 1) END;
UPDATE trajectories SET
    version_min = (SELECT min(value ->> 'version') FROM json_each(record, '$.spans')),
    version_max = (SELECT max(value ->> 'version') FROM json_each(record, '$.spans')),
    reward = record ->> '$.verdicts[#-1].reward'
    WHERE json_valid(record);
CREATE INDEX trajectories_by_session ON trajectories (session, seq) WHERE session IS NOT NULL;
CREATE INDEX trajectories_listed
    ON trajectories (seq, kind, run, version_min, version_max, reward, created_at);
";

/// From layout 3, in which clients could fill the groups of sessions.
const FROM_3: &str = "
DROP INDEX groups_open;
CREATE UNIQUE INDEX groups_open ON groups (group_id, held) WHERE closed_seq IS NULL;
";

/// Opens the writer's connection, creating or checking the file.
pub(super) fn open_writer(path: &Path, config: &LogConfig) -> Result<Connection, LogError> {
    let mut connection = connect(path, config)?;
    let unusable = |error: rusqlite::Error| unusable(path, &error);
    let check: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(unusable)?;
    if check != "ok" {
        return Err(corrupt(path, &check));
    }
    connection
        .pragma_update(None, "page_size", PAGE_BYTES as i64)
        .map_err(unusable)?;
    // Before anything is changed: a file that is refused is left as it was.
    migrate(path, &mut connection)?;
    connection
        .pragma_update(None, "journal_mode", "WAL")
        .map_err(unusable)?;
    // FULL: a commit in WAL mode is fsynced, so a trajectory that was acknowledged survives a power cut and not only a
    // killed process. One fsync per group commit, not per trajectory, pays for it.
    connection
        .pragma_update(None, "synchronous", "FULL")
        .map_err(unusable)?;
    if let Some(bytes) = config.max_file_bytes {
        let pages = i64::try_from(bytes / PAGE_BYTES).unwrap_or(i64::MAX);
        connection
            .pragma_update(None, "max_page_count", pages)
            .map_err(unusable)?;
    }
    Ok(connection)
}

/// Opens a connection that cannot write.
pub(super) fn open_reader(path: &Path, config: &LogConfig) -> Result<Connection, LogError> {
    let connection = connect(path, config)?;
    connection.pragma_update(None, "query_only", true).map_err(database)?;
    Ok(connection)
}

/// Refuses a log of another layout than this program's.
pub(super) fn check_layout(path: &Path, connection: &Connection) -> Result<(), LogError> {
    let version: i64 = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(|error| unusable(path, &error))?;
    match version {
        SCHEMA_VERSION => Ok(()),
        1..SCHEMA_VERSION => Err(LogError::Unusable(format!(
            "{}: the trajectory log has layout version {version}; serving or training with it once brings it to \
             {SCHEMA_VERSION}",
            path.display()
        ))),
        other => Err(other_layout(path, other)),
    }
}

fn other_layout(path: &Path, version: i64) -> LogError {
    LogError::Unusable(format!(
        "{}: the trajectory log has layout version {version}, this program reads version {SCHEMA_VERSION}; use the program \
         that wrote it, or move the file away (with its -wal and -shm) to begin a new log",
        path.display()
    ))
}

fn connect(path: &Path, config: &LogConfig) -> Result<Connection, LogError> {
    let connection = Connection::open(path).map_err(|error| unusable(path, &error))?;
    connection
        .busy_timeout(Duration::from_millis(config.busy_ms))
        .map_err(|error| unusable(path, &error))?;
    Ok(connection)
}

fn migrate(path: &Path, connection: &mut Connection) -> Result<(), LogError> {
    let unusable = |error: rusqlite::Error| unusable(path, &error);
    let transaction = connection
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .map_err(unusable)?;
    let version: i64 = transaction
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(unusable)?;
    let tables: i64 = transaction
        .query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))
        .map_err(unusable)?;
    match (version, tables) {
        (SCHEMA_VERSION, _) => return Ok(()),
        (0, 0) => transaction.execute_batch(TABLES).map_err(unusable)?,
        (from @ 1..SCHEMA_VERSION, _) => {
            let steps = &[FROM_1, FROM_2, FROM_3][usize::try_from(from - 1).unwrap_or_default()..];
            steps
                .iter()
                .try_for_each(|step| transaction.execute_batch(step))
                .map_err(unusable)?;
        }
        (0, _) => {
            let reason = "it is an SQLite database of something else; give the log a path of its own";
            return Err(LogError::Unusable(format!("{}: {reason}", path.display())));
        }
        (other, _) => return Err(other_layout(path, other)),
    }
    transaction
        .pragma_update(None, "user_version", SCHEMA_VERSION)
        .map_err(unusable)?;
    transaction.commit().map_err(unusable)
}

fn corrupt(path: &Path, reason: &str) -> LogError {
    LogError::Unusable(format!(
        "{}: the trajectory log is damaged ({reason}); move it away together with its -wal and -shm files to begin a new \
         log, or put back a copy. Checkpoints do not depend on it",
        path.display()
    ))
}

fn unusable(path: &Path, error: &rusqlite::Error) -> LogError {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => corrupt(path, &error.to_string()),
        Some(ErrorCode::DiskFull) => LogError::DiskFull(error.to_string()),
        _ => LogError::Unusable(format!("{}: cannot open the trajectory log: {error}", path.display())),
    }
}

/// What a failure of a statement means.
pub(super) fn database(error: rusqlite::Error) -> LogError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => LogError::DiskFull(error.to_string()),
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            LogError::Database(format!("{error}; the file is damaged: stop, move it away and restart"))
        }
        _ => LogError::Database(error.to_string()),
    }
}
