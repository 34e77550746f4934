//! Problems from JSONL, JSON and Parquet files, recognised by their content and not by their names.
//!
//! Rows become JSON values whatever the format, so that columns, presets and answer forms exist once.

mod columns;
mod conversation;
mod error;
mod lines;
mod table;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Problem;
use columns::Columns;
pub use error::ProblemError;

/// What some editors put before UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// What an answer column holds besides the answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerForm {
    /// What follows the last `####`, if the text has one; else the text.
    #[default]
    Auto,
    /// The text as it is.
    Plain,
    /// What follows the last `####`; a text without it is a bad row.
    AfterHashes,
    /// The content of the last `\boxed{}`; a text without it is a bad row.
    LastBoxed,
}

/// How to read a file of problems. Columns are names or dotted paths such as `reward_model.ground_truth`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FileOptions {
    /// Columns of the question, joined in order; a list of chat messages gives its user turn. Empty: by known schemas.
    pub question: Vec<String>,
    /// Column of a conversation, whose last message is the user's: it is posed as it is, and its row is kept. The answer is
    /// then that of the column `answer`, if it is a text or a number.
    pub messages: Option<String>,
    /// Column of the answer. `None`: by known schemas.
    pub answer: Option<String>,
    /// What the answer column holds besides the answer.
    pub answer_form: AnswerForm,
    /// Column of the id. `None`: by known schemas, else the file's stem and the row number.
    pub id: Option<String>,
    /// Column of a problem's own grader, an object or its JSON text. `None`: `grader`, where a row has it.
    pub grader: Option<String>,
    /// Column of a hint; a row may have none. `None`: no hints.
    pub hint: Option<String>,
    /// Name of the source. `None`: by known schemas, else the file's stem.
    pub source: Option<String>,
    /// Count rows that cannot be used instead of refusing the file.
    pub skip_bad: bool,
    /// Largest file, and largest unpacked Parquet content, bytes.
    pub max_file_bytes: u64,
    /// Most rows of a file.
    pub max_rows: usize,
    /// Longest question or answer, bytes.
    pub max_text_bytes: usize,
    /// Keep every row for a grader to look into, not only those with a grader of their own.
    #[serde(skip)]
    pub keep_rows: bool,
}

impl Default for FileOptions {
    fn default() -> Self {
        Self {
            question: Vec::new(),
            messages: None,
            answer: None,
            answer_form: AnswerForm::default(),
            id: None,
            grader: None,
            hint: None,
            source: None,
            skip_bad: false,
            max_file_bytes: 1 << 30,
            max_rows: 1_000_000,
            max_text_bytes: 1 << 16,
            keep_rows: false,
        }
    }
}

/// The problems of a file and how many of its rows were left out.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// Problems in the order of the file.
    pub problems: Vec<Problem>,
    /// Rows that could not be used, with [`FileOptions::skip_bad`].
    pub skipped: usize,
}

/// The problems of a file, in order. Rows left out by [`FileOptions::skip_bad`] are logged as one warning.
///
/// # Errors
/// As [`load_counted`].
pub fn load(path: &Path, options: &FileOptions) -> Result<Vec<Problem>, ProblemError> {
    let loaded = load_counted(path, options)?;
    if loaded.skipped > 0 {
        tracing::warn!(path = %path.display(), skipped = loaded.skipped, "rows that could not be used");
    }
    Ok(loaded.problems)
}

/// The problems of a file and how many rows were left out.
///
/// # Errors
/// As [`visit`], but for [`ProblemError::Refused`].
pub fn load_counted(path: &Path, options: &FileOptions) -> Result<Loaded, ProblemError> {
    let mut problems = Vec::new();
    let skipped = visit(path, options, &mut |_, problem| {
        problems.push(problem);
        Ok(())
    })?;
    Ok(Loaded { problems, skipped })
}

/// Hands the problems of a file to `take`, each with its row (from 1; the line in JSON lines), one in memory at a time.
/// Returns how many rows were left out.
///
/// # Errors
/// [`ProblemError::Read`] if the file cannot be read, [`ProblemError::Format`] if it is none of the three formats or is
/// damaged, [`ProblemError::Bound`] if it is too large, [`ProblemError::Columns`] if the columns are unknown or missing,
/// [`ProblemError::Line`] and [`ProblemError::Row`] for a row that cannot be used, [`ProblemError::Refused`] with what `take`
/// says of one; nothing is read behind it.
pub fn visit(path: &Path, options: &FileOptions, take: Take<'_>) -> Result<usize, ProblemError> {
    let mut reader = Reader {
        path,
        options,
        columns: None,
        seen: HashSet::new(),
        take,
        taken: 0,
        skipped: 0,
    };
    let mut file = File::open(path).map_err(|error| ProblemError::read(path, error))?;
    let bytes = file.metadata().map_err(|error| ProblemError::read(path, error))?.len();
    reader.bound("bytes", "max_file_bytes", bytes, options.max_file_bytes)?;
    if bytes == 0 {
        return Err(ProblemError::format(path, "the file is empty"));
    }
    let mut buffered = BufReader::new(&file);
    let start = buffered.fill_buf().map_err(|error| ProblemError::read(path, error))?;
    let mark = if start.starts_with(BYTE_ORDER_MARK) {
        BYTE_ORDER_MARK.len()
    } else {
        0
    };
    let (table, first) = (
        start.starts_with(b"PAR1"),
        start[mark..].iter().copied().find(|b| !b.is_ascii_whitespace()),
    );
    file.seek(SeekFrom::Start(mark as u64))
        .map_err(|error| ProblemError::read(path, error))?;
    match first {
        _ if table => table::read(file, &mut reader)?,
        Some(b'[') => lines::read_array(file, &mut reader)?,
        Some(b'{') => lines::read_lines(file, &mut reader)?,
        _ => {
            return Err(ProblemError::format(
                path,
                "neither JSON lines, a JSON array nor Parquet",
            ));
        }
    }
    if reader.taken == 0 {
        return Err(ProblemError::format(path, "no row can be used"));
    }
    Ok(reader.skipped)
}

/// Who takes problems with their rows; a text refuses one.
type Take<'a> = &'a mut dyn FnMut(usize, Problem) -> Result<(), String>;

/// Turns rows into problems, whatever format they came from.
struct Reader<'a> {
    path: &'a Path,
    options: &'a FileOptions,
    columns: Option<Columns>,
    seen: HashSet<String>,
    take: Take<'a>,
    taken: usize,
    skipped: usize,
}

impl Reader<'_> {
    /// Refuses a size beyond its bound.
    fn bound(&self, what: &'static str, option: &'static str, found: u64, max: u64) -> Result<(), ProblemError> {
        if found <= max {
            return Ok(());
        }
        Err(ProblemError::Bound {
            path: self.path.to_owned(),
            what,
            option,
            found,
            max,
        })
    }

    /// Takes a row, or an error in its place; `row` counts from 1.
    fn take(&mut self, row: usize, value: Result<Value, ProblemError>) -> Result<(), ProblemError> {
        self.bound("rows", "max_rows", row as u64, self.options.max_rows as u64)?;
        match value.and_then(|value| self.problem(row, &value)) {
            Ok(problem) => {
                self.taken += 1;
                (self.take)(row, problem).map_err(|reason| ProblemError::Refused {
                    path: self.path.to_owned(),
                    row,
                    reason,
                })
            }
            Err(ProblemError::Line { .. } | ProblemError::Row { .. }) if self.options.skip_bad => {
                self.skipped += 1;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn problem(&mut self, row: usize, value: &Value) -> Result<Problem, ProblemError> {
        let columns = match &self.columns {
            Some(columns) => columns,
            None => {
                let names = value
                    .as_object()
                    .map(|o| o.keys().cloned().collect())
                    .unwrap_or_default();
                let found = Columns::choose(self.path, self.options, names, |path| {
                    columns::lookup(value, path).is_some()
                })?;
                self.columns.insert(found)
            }
        };
        let mut problem = columns.problem(self.path, row, value, self.options)?;
        if !self.seen.insert(problem.id.clone()) {
            problem.id = format!("{}#{row}", problem.id);
            self.seen.insert(problem.id.clone());
        }
        Ok(problem)
    }
}
