//! Trajectories as a Parquet file, for other tools: streamed from the log in bounded memory.

mod columns;

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use svs_engine::text::{TextError, Tokenizer};

use crate::log::{Filter, LogError, LogReader, LoggedTrajectory};
use columns::Exported;

/// Most rows of a row group.
const GROUP_ROWS: usize = 1024;
/// Bytes in the log from which on a row group takes no further row.
const GROUP_BYTES: usize = 32 << 20;

/// Errors of an export.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The output is there already.
    #[error("{0} exists; --force overwrites it")]
    Exists(PathBuf),
    /// The output is a file of the log.
    #[error("{0} is the log itself; choose another file")]
    IsLog(PathBuf),
    /// No trajectory passes the filter.
    #[error("{0} holds no such trajectory")]
    Empty(PathBuf),
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The file cannot be written.
    #[error("cannot write {path}: {reason}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The tokenizer does not know a prompt's tokens.
    #[error("trajectory `{id}`: its prompt is no text of this model: {error}")]
    Text {
        /// Its id.
        id: String,
        /// What the tokenizer said.
        error: TextError,
    },
}

/// What to export, and how.
#[derive(Debug, Default)]
pub struct Export {
    /// Which trajectories.
    pub filter: Filter,
    /// Decodes prompts, of which the log has only the tokens; without one the column is null.
    pub tokenizer: Option<Tokenizer>,
    /// Overwrite the output.
    pub force: bool,
}

impl Export {
    /// Writes the trajectories of `log` to `output`; `progress` hears how many of how many are written. Returns how many.
    ///
    /// The file gets its name when it is complete; until then it has one of its own in the same folder.
    ///
    /// # Errors
    /// Any [`ExportError`]; there is no output then, or the one from before.
    pub fn write(
        &self,
        log: &LogReader,
        output: &Path,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<u64, ExportError> {
        self.check(log.path(), output)?;
        let all = log.count(&self.filter)?;
        if all == 0 {
            return Err(ExportError::Empty(log.path().to_owned()));
        }
        let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty());
        let mut builder = tempfile::Builder::new();
        let part = builder.prefix(".svs-export-").suffix(".part");
        let part = part
            .tempfile_in(folder.unwrap_or(Path::new(".")))
            .map_err(|error| unwritten(output, &error))?;
        let file = part.as_file().try_clone().map_err(|error| unwritten(output, &error))?;
        let (rows, file) = self.fill(log, file, (output, false), |done| progress(done, all))?;
        file.sync_all().map_err(|error| unwritten(output, &error))?;
        let named = if self.force {
            part.persist(output)
        } else {
            part.persist_noclobber(output)
        };
        match named {
            Ok(_) => Ok(rows),
            Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Err(ExportError::Exists(output.to_owned())),
            Err(error) => Err(unwritten(output, &error.error)),
        }
    }

    /// Writes the trajectories of `log` to `sink` as they are read; the file is complete when this returns. There may be
    /// none, and a prompt that is no text of the tokenizer's model is null. Returns how many.
    ///
    /// # Errors
    /// [`ExportError::Log`]; [`ExportError::Write`] if `sink` takes no more.
    pub fn stream<W: Write + Send>(&self, log: &LogReader, sink: W) -> Result<u64, ExportError> {
        let lenient = true;
        let output = Path::new("the stream");
        Ok(self.fill(log, sink, (output, lenient), |_| {})?.0)
    }

    /// Refuses the files of the log, whatever is forced, and any other that is there, unless that is forced.
    fn check(&self, log: &Path, output: &Path) -> Result<(), ExportError> {
        let Ok(real) = output.canonicalize() else {
            return Ok(());
        };
        for suffix in ["", "-wal", "-shm"] {
            let mut path = log.as_os_str().to_owned();
            path.push(suffix);
            if PathBuf::from(path).canonicalize().is_ok_and(|path| path == real) {
                return Err(ExportError::IsLog(output.to_owned()));
            }
        }
        if self.force {
            Ok(())
        } else {
            Err(ExportError::Exists(output.to_owned()))
        }
    }

    fn fill<W: Write + Send>(
        &self,
        log: &LogReader,
        sink: W,
        (output, lenient): (&Path, bool),
        mut progress: impl FnMut(u64),
    ) -> Result<(u64, W), ExportError> {
        let fail = |error: ParquetError| unwritten(output, &error);
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_created_by(concat!("svs ", env!("CARGO_PKG_VERSION")).into())
            .build();
        let schema = columns::schema().map_err(fail)?;
        let mut writer = SerializedFileWriter::new(sink, schema, Arc::new(properties)).map_err(fail)?;
        let (mut after, mut rows) = (0, 0);
        loop {
            let (page, last) = log.page(&self.filter, after, GROUP_ROWS, GROUP_BYTES)?;
            let Some(last) = last else { break };
            (after, rows) = (last, rows + page.rows.len() as u64);
            let page = page
                .rows
                .into_iter()
                .map(|row| self.row(row, lenient))
                .collect::<Result<Vec<_>, _>>()?;
            columns::write(&mut writer, &page).map_err(fail)?;
            progress(rows);
        }
        Ok((rows, writer.into_inner().map_err(fail)?))
    }

    fn row(&self, row: LoggedTrajectory, lenient: bool) -> Result<Exported, ExportError> {
        let decode = |tokenizer: &Tokenizer| tokenizer.decode(&columns::prompt(&row.trajectory), false);
        let prompt = match self.tokenizer.as_ref().map(decode).transpose() {
            Ok(prompt) => prompt,
            Err(_) if lenient => None,
            Err(error) => {
                let id = row.trajectory.id.clone();
                return Err(ExportError::Text { id, error });
            }
        };
        Ok(Exported { row, prompt })
    }
}

fn unwritten(path: &Path, error: &dyn std::error::Error) -> ExportError {
    ExportError::Write {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests;
