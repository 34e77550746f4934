//! A log read without writing to it: page after page, beside the process that writes.

use std::path::{Path, PathBuf};

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};

use super::config::{LogConfig, LogError};
use super::filter::{Condition, Filter};
use super::query::LoggedTrajectory;
use super::record::{self, COLUMNS, Readable};
use super::schema::{self, database};

/// Which way a listing goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// Newest first.
    #[default]
    Newest,
    /// Oldest first.
    Oldest,
}

/// Part of a listing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// Trajectories in the order asked for.
    pub rows: Vec<LoggedTrajectory>,
    /// Rows that belong here and cannot be read.
    pub unreadable: usize,
    /// There are more behind these.
    pub has_more: bool,
}

/// Reads the log that is at a path.
#[derive(Debug)]
pub struct LogReader {
    connection: Connection,
    path: PathBuf,
    /// The last number when the log was opened; exports leave out what came later.
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
            .map_err(database)?;
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
        let Condition { table, sql, values } = filter.condition(0, self.until);
        let sql = format!("SELECT count(*) FROM {table} WHERE {sql}");
        let count: i64 = self
            .connection
            .query_row(&sql, params_from_iter(values), |row| row.get(0))
            .map_err(database)?;
        Ok(count.unsigned_abs())
    }

    /// The next trajectories after `after`, in log order, for an export: at least one if there is one, at most `rows`, and
    /// no more once they have `bytes` together. With them the last number looked at; `None` at the end.
    ///
    /// # Errors
    /// [`LogError::Database`].
    pub fn page(
        &self,
        filter: &Filter,
        after: i64,
        rows: usize,
        bytes: usize,
    ) -> Result<(Page, Option<i64>), LogError> {
        let seqs = self.seqs(filter.condition(after, self.until), Order::Oldest, rows)?;
        let (mut page, mut held, mut last) = (Page::default(), 0, None);
        for seq in seqs {
            if held >= bytes {
                break;
            }
            last = Some(seq);
            held += self.take(seq, &mut page)?;
        }
        page.has_more = last.is_some();
        Ok((page, last))
    }

    /// At most `limit` trajectories behind `after`, the number of another, in `order`.
    ///
    /// # Errors
    /// [`LogError::Database`].
    pub fn list(&self, filter: &Filter, after: Option<i64>, order: Order, limit: usize) -> Result<Page, LogError> {
        let condition = match order {
            Order::Newest => filter.condition(0, after.map_or(i64::MAX, |seq| seq - 1)),
            Order::Oldest => filter.condition(after.unwrap_or(0), i64::MAX),
        };
        let mut seqs = self.seqs(condition, order, limit.saturating_add(1))?;
        let mut page = Page {
            has_more: seqs.len() > limit,
            ..Page::default()
        };
        seqs.truncate(limit);
        for seq in seqs {
            self.take(seq, &mut page)?;
        }
        Ok(page)
    }

    /// The number of a trajectory, if the log has it.
    ///
    /// # Errors
    /// [`LogError::Database`].
    pub fn find(&self, id: &str) -> Result<Option<i64>, LogError> {
        let sql = "SELECT seq FROM trajectories WHERE id = ?1";
        let found = self.connection.prepare_cached(sql);
        found
            .and_then(|mut statement| statement.query_row([id], |row| row.get(0)).optional())
            .map_err(database)
    }

    /// One trajectory by id.
    ///
    /// # Errors
    /// [`LogError::Unreadable`], [`LogError::Database`].
    pub fn get(&self, id: &str) -> Result<Option<LoggedTrajectory>, LogError> {
        let Some(seq) = self.find(id)? else { return Ok(None) };
        self.row(seq)?.map(|(row, _)| row).transpose()
    }

    fn seqs(&self, condition: Condition, order: Order, limit: usize) -> Result<Vec<i64>, LogError> {
        let Condition { table, sql, mut values } = condition;
        let order = match order {
            Order::Newest => "DESC",
            Order::Oldest => "ASC",
        };
        values.push(Value::Integer(i64::try_from(limit).unwrap_or(i64::MAX)));
        let sql = format!("SELECT seq FROM {table} WHERE {sql} ORDER BY seq {order} LIMIT ?");
        let found = self.connection.prepare_cached(&sql);
        found
            .and_then(|mut statement| {
                statement
                    .query_map(params_from_iter(values), |row| row.get(0))?
                    .collect()
            })
            .map_err(database)
    }

    /// Puts the row of that number on the page, unless it is gone by now; returns its bytes.
    fn take(&self, seq: i64, page: &mut Page) -> Result<usize, LogError> {
        match self.row(seq)? {
            Some((Ok(row), bytes)) => {
                page.rows.push(row);
                return Ok(bytes);
            }
            Some((Err(error), _)) => {
                tracing::warn!(%error, "left out of a listing");
                page.unreadable += 1;
            }
            None => {}
        }
        Ok(0)
    }

    fn row(&self, seq: i64) -> Result<Option<Readable>, LogError> {
        let sql = format!("SELECT {COLUMNS} FROM trajectories WHERE seq = ?1");
        let mut statement = self.connection.prepare_cached(&sql).map_err(database)?;
        let mut found = statement.query([seq]).map_err(database)?;
        let row = found.next().map_err(database)?;
        row.map(record::readable).transpose()
    }
}
