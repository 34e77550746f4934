//! A log read without writing to it: page after page in log order, beside the process that writes.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::types::Value;

use super::config::{LogConfig, LogError};
use super::query::LoggedTrajectory;
use super::record::{self, COLUMNS};
use super::schema;
use crate::trajectory::Kind;

/// Which trajectories to read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only this kind.
    pub kind: Option<Kind>,
    /// Only what this run sampled or was trained on.
    pub run: Option<String>,
}

impl Filter {
    /// The condition on rows up to `until`, with its values.
    fn condition(&self, after: i64, until: i64) -> (String, Vec<Value>) {
        let mut sql = String::from("seq > ? AND seq <= ?");
        let mut values = vec![after.into(), until.into()];
        if let Some(kind) = self.kind {
            sql += " AND kind = ?";
            values.push(Value::Text(kind.name().into()));
        }
        if let Some(run) = &self.run {
            sql += " AND (trained_by = ? OR substr(group_id, 1, length(?)) = ?)";
            let prefix = format!("{run}/");
            values.extend([run.clone(), prefix.clone(), prefix].map(Value::Text));
        }
        (sql, values)
    }
}

/// Reads the log that is at a path.
#[derive(Debug)]
pub struct LogReader {
    connection: Connection,
    path: PathBuf,
    /// The last number when the log was opened; what came later is left out.
    until: i64,
}

impl LogReader {
    /// Opens a log that exists; nothing in it is changed.
    ///
    /// # Errors
    /// [`LogError::Unusable`] if there is none or it has another layout, [`LogError::Database`].
    pub fn open(path: &Path) -> Result<Self, LogError> {
        if !path.is_file() {
            return Err(LogError::Unusable(format!(
                "{}: there is no trajectory log",
                path.display()
            )));
        }
        let connection = schema::open_reader(path, &LogConfig::default())?;
        schema::check_layout(path, &connection)?;
        let until = connection
            .query_row("SELECT last_seq FROM counter", [], |row| row.get(0))
            .map_err(schema::database)?;
        Ok(Self {
            connection,
            path: path.to_owned(),
            until,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many trajectories the filter lets through.
    ///
    /// # Errors
    /// [`LogError::Database`].
    pub fn count(&self, filter: &Filter) -> Result<u64, LogError> {
        let (condition, values) = filter.condition(0, self.until);
        let sql = format!("SELECT count(*) FROM trajectories WHERE {condition}");
        let params = rusqlite::params_from_iter(values);
        let count: i64 = self
            .connection
            .query_row(&sql, params, |row| row.get(0))
            .map_err(schema::database)?;
        Ok(count.unsigned_abs())
    }

    /// The next trajectories after `after`, in log order: at least one if there is one, at most `rows`, and no more once
    /// they have `bytes` together.
    ///
    /// # Errors
    /// [`LogError::Database`].
    pub fn page(
        &self,
        filter: &Filter,
        after: i64,
        rows: usize,
        bytes: usize,
    ) -> Result<Vec<LoggedTrajectory>, LogError> {
        let (condition, values) = filter.condition(after, self.until);
        let sql = format!("SELECT {COLUMNS} FROM trajectories WHERE {condition} ORDER BY seq LIMIT {rows}");
        let mut statement = self.connection.prepare_cached(&sql).map_err(schema::database)?;
        let mut found = statement
            .query(rusqlite::params_from_iter(values))
            .map_err(schema::database)?;
        let (mut page, mut held) = (Vec::new(), 0);
        while held < bytes
            && let Some(row) = found.next().map_err(schema::database)?
        {
            let raw = record::read(row).map_err(schema::database)?;
            held += raw.bytes();
            page.push(raw.logged()?);
        }
        Ok(page)
    }
}
