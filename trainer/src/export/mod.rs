//! Trajectories as a Parquet file, for other tools: streamed from the log in bounded memory.

mod columns;

use std::fs::{self, File};
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
    /// The file gets its name when it is complete; until then it is `<output>.part`.
    ///
    /// # Errors
    /// Any [`ExportError`]; there is no output then, or the one from before.
    pub fn write(
        &self,
        log: &LogReader,
        output: &Path,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<u64, ExportError> {
        self.check(output)?;
        let all = log.count(&self.filter)?;
        if all == 0 {
            return Err(ExportError::Empty(log.path().to_owned()));
        }
        let mut name = output.as_os_str().to_owned();
        name.push(".part");
        let part = PathBuf::from(name);
        let written = self.fill(log, &part, |done| progress(done, all)).and_then(|rows| {
            self.check(output)?;
            fs::rename(&part, output).map_err(|error| unwritten(output, &error))?;
            Ok(rows)
        });
        if written.is_err() {
            // What is half written is of no use; that it cannot be removed adds nothing to the error.
            let _ = fs::remove_file(&part);
        }
        written
    }

    fn check(&self, output: &Path) -> Result<(), ExportError> {
        match output.exists() && !self.force {
            true => Err(ExportError::Exists(output.to_owned())),
            false => Ok(()),
        }
    }

    fn fill(&self, log: &LogReader, part: &Path, mut progress: impl FnMut(u64)) -> Result<u64, ExportError> {
        let fail = |error: ParquetError| unwritten(part, &error);
        let file = File::create(part).map_err(|error| unwritten(part, &error))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_created_by(concat!("svs ", env!("CARGO_PKG_VERSION")).into())
            .build();
        let schema = columns::schema().map_err(fail)?;
        let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).map_err(fail)?;
        let (mut after, mut rows) = (0, 0);
        loop {
            let page = log.page(&self.filter, after, GROUP_ROWS, GROUP_BYTES)?;
            let Some(last) = page.last() else { break };
            (after, rows) = (last.seq, rows + page.len() as u64);
            let page = page
                .into_iter()
                .map(|row| self.row(row))
                .collect::<Result<Vec<_>, _>>()?;
            columns::write(&mut writer, &page).map_err(fail)?;
            progress(rows);
        }
        let file = writer.into_inner().map_err(fail)?;
        file.sync_all().map_err(|error| unwritten(part, &error))?;
        Ok(rows)
    }

    fn row(&self, row: LoggedTrajectory) -> Result<Exported, ExportError> {
        let decode = |tokenizer: &Tokenizer| tokenizer.decode(&columns::prompt(&row.trajectory), false);
        let prompt = self.tokenizer.as_ref().map(decode).transpose();
        let prompt = prompt.map_err(|error| ExportError::Text {
            id: row.trajectory.id.clone(),
            error,
        })?;
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
