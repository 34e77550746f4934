//! What a run may be asked to do between two of its steps.

use serde_json::{Map, Value};
use tokio::sync::oneshot;

use super::{TrainError, TrainStatus};

/// A task for a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Task {
    /// One step of a paused run.
    Step,
    /// A checkpoint now.
    Checkpoint,
    /// Another configuration for the steps to come: keys laid over the one it has.
    Configure(Map<String, Value>),
    /// Back to a checkpoint of this run.
    RollBack(Target),
}

/// A checkpoint of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The one taken after this step.
    Step(u64),
    /// The one with this weight version.
    Version(u64),
}

/// Where the outcome of a task arrives; nothing if the run ends before it gets to it.
pub type Outcome = oneshot::Receiver<Result<TrainStatus, TrainError>>;

/// A task that waits, and who waits for it.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) task: Task,
    pub(super) answer: oneshot::Sender<Result<TrainStatus, TrainError>>,
}
