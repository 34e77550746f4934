//! Room for long bodies: how many bytes of them are held, and how many are parsed, at once.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::Request;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::body::{declared_length, read_bytes};
use crate::config::HttpConfig;
use crate::error::ApiError;

/// A body of at most so many bytes needs no room.
const SHORT_BYTES: usize = 64 << 10;
/// Unit in which room is counted.
const UNIT_BYTES: usize = 1 << 10;
/// Long bodies parsed at once.
const PARSED_AT_ONCE: usize = 2;

/// The room of a server.
#[derive(Debug)]
pub struct Bodies {
    held: Arc<Semaphore>,
    parsed: Arc<Semaphore>,
}

/// A body, and its room for as long as it is worked on.
#[derive(Debug)]
pub struct Body {
    /// What was sent.
    pub bytes: Bytes,
    _room: Option<[OwnedSemaphorePermit; 2]>,
}

impl Bodies {
    /// Room as configured.
    #[must_use]
    pub fn new(config: &HttpConfig) -> Self {
        Self {
            held: Arc::new(Semaphore::new(units(config.max_bodies_bytes) as usize)),
            parsed: Arc::new(Semaphore::new(PARSED_AT_ONCE)),
        }
    }

    /// Reads a body; a long one, or one of unknown length, waits until there is room for it.
    ///
    /// # Errors
    /// 429 `overloaded` where there is none within `server.body_timeout_seconds`; those of [`read_bytes`].
    pub async fn read(&self, config: &HttpConfig, request: Request) -> Result<Body, ApiError> {
        let length = declared_length(request.headers()).map_or(config.max_body_bytes as u64, |length| length);
        if length <= SHORT_BYTES as u64 || length > config.max_body_bytes as u64 {
            let bytes = read_bytes(config, request, usize::MAX).await?;
            return Ok(Body { bytes, _room: None });
        }
        let wait = Duration::from_secs(config.body_timeout_seconds);
        let held = room(&self.held, units(length as usize), wait).await?;
        let bytes = read_bytes(config, request, usize::MAX).await?;
        let parsed = room(&self.parsed, 1, wait).await?;
        Ok(Body {
            bytes,
            _room: Some([held, parsed]),
        })
    }
}

async fn room(semaphore: &Arc<Semaphore>, units: u32, wait: Duration) -> Result<OwnedSemaphorePermit, ApiError> {
    let room = Arc::clone(semaphore).acquire_many_owned(units);
    match tokio::time::timeout(wait, room).await {
        Ok(Ok(room)) => Ok(room),
        _ => Err(ApiError::overloaded(
            "overloaded",
            "too many long bodies at once (server.max_bodies_bytes)",
        )),
    }
}

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX)
}
