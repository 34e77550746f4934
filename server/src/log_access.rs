//! Reading the trajectory log for clients: on threads that may block, bounded, on connections of their own.

use std::sync::Arc;

use axum::http::StatusCode;
use svs_trainer::TrajectoryLog;
use svs_trainer::log::{LogError, LogReader};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::HttpConfig;
use crate::error::ApiError;

/// Who may read the log, and how many at once.
#[derive(Debug)]
pub struct LogAccess {
    log: TrajectoryLog,
    queries: Arc<Semaphore>,
    exports: Arc<Semaphore>,
}

impl LogAccess {
    /// Access to `log` within the bounds of `config`.
    #[must_use]
    pub fn new(log: TrajectoryLog, config: &HttpConfig) -> Self {
        let bound = |most: usize| Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
        Self {
            log,
            queries: bound(config.max_log_queries),
            exports: bound(config.max_exports),
        }
    }

    /// Runs `query`; waits while `server.max_log_queries` others run.
    ///
    /// # Errors
    /// Those of `query`; 500 `trajectory_log_failed`.
    pub async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&LogReader) -> Result<T, LogError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let permit = Arc::clone(&self.queries).acquire_owned().await;
        let permit = permit.expect("the semaphore is never closed");
        let log = self.log.clone();
        let task = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            query(&log.reader()?)
        });
        task.await.map_err(|error| failed(&error))?.map_err(unread)
    }

    /// A reader for an export, and the right to run it.
    ///
    /// # Errors
    /// 429 `overloaded` while `server.max_exports` others run, 500 `trajectory_log_failed`.
    pub async fn export(&self) -> Result<(LogReader, OwnedSemaphorePermit), ApiError> {
        let permit = Arc::clone(&self.exports).try_acquire_owned().map_err(|_| {
            let message = "as many exports as server.max_exports allows are under way; try again later";
            ApiError::overloaded("overloaded", message)
        })?;
        let log = self.log.clone();
        let task = tokio::task::spawn_blocking(move || log.reader());
        let reader = task.await.map_err(|error| failed(&error))?.map_err(unread)?;
        Ok((reader, permit))
    }
}

fn failed(error: &dyn std::fmt::Display) -> ApiError {
    let message = format!("the trajectory log could not be read: {error}");
    ApiError::server(StatusCode::INTERNAL_SERVER_ERROR, "trajectory_log_failed", message)
}

/// A failure to read; nothing was to be logged.
fn unread(error: LogError) -> ApiError {
    match error {
        LogError::Unknown(_) | LogError::Unreadable { .. } => error.into(),
        other => failed(&other),
    }
}
