//! What can be wrong with a file of problems, said with the place where it is.

use std::path::{Path, PathBuf};

/// Why problems could not be loaded or split.
#[derive(Debug, thiserror::Error)]
pub enum ProblemError {
    /// The file cannot be opened or read.
    #[error("{}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        error: std::io::Error,
    },
    /// The file is in no known format, damaged or empty.
    #[error("{}: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The file is larger than the options allow.
    #[error("{}: {found} {what}, more than `{option}` = {max}", path.display())]
    Bound {
        /// The file.
        path: PathBuf,
        /// What was counted.
        what: &'static str,
        /// The option with the bound.
        option: &'static str,
        /// The count, or the first one beyond the bound.
        found: u64,
        /// The bound.
        max: u64,
    },
    /// The columns of question or answer are not there.
    #[error("{}: {reason}; the columns are {}", path.display(), found.join(", "))]
    Columns {
        /// The file.
        path: PathBuf,
        /// What is missing.
        reason: String,
        /// The columns that are there.
        found: Vec<String>,
    },
    /// A line is not JSON.
    #[error("{}:{line}: {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// A row lacks a column or has an unusable value.
    #[error("{}: row {row}: column `{column}` {reason}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// Row, from 1; the line in JSON lines.
        row: usize,
        /// The column.
        column: String,
        /// What is wrong.
        reason: String,
    },
    /// A problem is not taken by whoever asked for it.
    #[error("{}: row {row}: {reason}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// Row, from 1; the line in JSON lines.
        row: usize,
        /// Why not.
        reason: String,
    },
    /// The held-out fraction is no fraction.
    #[error("the held-out fraction must be between 0 and 1, not {fraction}")]
    Fraction {
        /// The value given.
        fraction: f64,
    },
}

impl ProblemError {
    pub(super) fn read(path: &Path, error: std::io::Error) -> Self {
        Self::Read {
            path: path.to_owned(),
            error,
        }
    }

    pub(super) fn format(path: &Path, reason: impl ToString) -> Self {
        Self::Format {
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }
}
