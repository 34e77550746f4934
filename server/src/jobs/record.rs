//! What is known of a job, kept as `job.json` in the folder of its run.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};
use svs_openapi::fine_tuning::JobFailure;
use svs_trainer::TrainConfig;

use crate::own_folder::sync_folder;

const FILE: &str = "job.json";
/// The job's own copies of its files, beside it.
pub const TRAINING: &str = "training.jsonl";
/// As [`TRAINING`].
pub const VALIDATION: &str = "validation.jsonl";

/// Where a job stands, in OpenAI's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The lines are tried, with the grader if there is one.
    ValidatingFiles,
    /// It waits for its turn.
    Queued,
    /// It is trained.
    Running,
    /// It waits for a resume.
    Paused,
    /// All steps are done.
    Succeeded,
    /// It ended by an error.
    Failed,
    /// It was ended on request.
    Cancelled,
}

impl Status {
    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ValidatingFiles => "validating_files",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing follows.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }

    /// Whether it waits for the one that runs.
    #[must_use]
    pub fn waits(self) -> bool {
        matches!(self, Self::ValidatingFiles | Self::Queued)
    }
}

/// A job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its id, and that of its run.
    pub id: String,
    /// When it was made, microseconds since the epoch.
    pub created_us: u64,
    /// When it ended, seconds since the epoch.
    pub finished_at: Option<u64>,
    /// Where it stands.
    pub status: Status,
    /// Why it failed.
    pub error: Option<JobFailure>,
    /// The name of the model that it begins with.
    pub model: String,
    /// The name of what comes out of it.
    pub tuned: String,
    /// The method as it is shown.
    pub method: serde_json::Value,
    /// Id of the file that it was made with.
    pub training_file: String,
    /// Id of the file that it evaluates on.
    pub validation_file: Option<String>,
    /// As given.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Tokens trained on, once it has ended.
    pub trained_tokens: Option<u64>,
    /// The last step that an event tells of.
    pub told: u64,
    /// The step of the last checkpoint that an event tells of.
    #[serde(default)]
    pub saved: u64,
    /// Configuration of the run.
    pub config: TrainConfig,
}

impl Record {
    /// Writes it into `folder`, in place of what was there.
    ///
    /// # Errors
    /// The disk's.
    pub fn save(&self, folder: &Path) -> std::io::Result<()> {
        let part = folder.join("job.json.part");
        let mut file = File::create(&part)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        fs::rename(&part, folder.join(FILE))?;
        sync_folder(folder)
    }

    /// Reads the job in `folder`; `None` where there is none.
    ///
    /// # Errors
    /// The disk's, or what is wrong with the file.
    pub fn load(folder: &Path) -> std::io::Result<Option<Self>> {
        match fs::read(folder.join(FILE)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if [std::io::ErrorKind::NotFound, std::io::ErrorKind::NotADirectory].contains(&error.kind()) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}
