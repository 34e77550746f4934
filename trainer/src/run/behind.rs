//! Where an update computes: on threads of its own behind those that serve. Only these: a grader's programs would inherit
//! a low priority, and their limits of time are of the clock.

use std::panic::resume_unwind;
use std::sync::Arc;

use svs_engine::ops::{Team, behind_serving};

use super::TrainError;

/// A team of as many threads as the machine has cores, at this thread's priority.
///
/// # Errors
/// [`TrainError::Run`] if the system refuses a thread.
pub(super) fn team() -> Result<Arc<Team>, TrainError> {
    Team::new(None).map_err(|error| TrainError::Run(format!("cannot start the trainer's threads: {error}")))
}

/// Runs `work` on a thread and a team of its own, which keep about `share` of each core while requests are served. A panic
/// of `work` is one of this thread.
///
/// # Errors
/// Those of `work`; [`TrainError::Run`] if the system refuses a thread or the priority.
pub(super) fn behind<T: Send>(
    share: f64,
    work: impl FnOnce() -> Result<T, TrainError> + Send,
) -> Result<T, TrainError> {
    std::thread::scope(|scope| {
        let body = || {
            behind_serving(share)?;
            team()?.install(work)
        };
        let thread = std::thread::Builder::new()
            .name("trainer-update".into())
            .spawn_scoped(scope, body);
        let thread = thread.map_err(|error| TrainError::Run(format!("cannot start the update's thread: {error}")))?;
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}
