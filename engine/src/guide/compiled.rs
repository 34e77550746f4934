//! A compiled guide, and the memory that requests under way hold through it.

use std::fmt::{self, Debug, Formatter};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use llguidance::Matcher;

use super::GuideState;
use crate::error::EngineError;

/// A guide ready to run; the samples of a request share its lexer.
#[derive(Clone)]
pub struct CompiledGuide {
    fresh: Arc<Mutex<Matcher>>,
    bytes: usize,
    held: Option<Arc<Held>>,
}

/// Bytes that requests under way hold in lexers and grammars.
#[derive(Clone)]
pub(super) struct Live {
    bytes: Arc<AtomicUsize>,
    limit: usize,
}

/// A share of [`Live`], given back when the last state of a request is gone.
pub(super) struct Held {
    live: Live,
    bytes: usize,
}

impl CompiledGuide {
    /// A guide that takes `bytes` of memory, 0 if that is not known.
    pub(super) fn new(matcher: Matcher, bytes: usize) -> Self {
        Self {
            fresh: Arc::new(Mutex::new(matcher)),
            bytes,
            held: None,
        }
    }

    /// Memory that compiling it took.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The same guide, whose states take their memory from `live`.
    ///
    /// # Errors
    /// [`EngineError::Busy`] if that is used up.
    pub(super) fn held(&self, live: &Live) -> Result<Self, EngineError> {
        let held = live.hold(self.bytes)?;
        Ok(Self {
            held: Some(Arc::new(held)),
            ..self.clone()
        })
    }

    /// A state at the beginning, with a lexer of its own; clones of it share that lexer. Requests do not share one, so
    /// that its size is bounded by what one request does. Begins after the tokens `resumed`; if they do not follow the
    /// guide, the state fails when it is used.
    #[must_use]
    pub fn start(&self, resumed: &[u32]) -> GuideState {
        let fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = GuideState::new(fresh.deep_clone(), self.held.clone());
        for token in resumed {
            // A failure stays in the state.
            let _ = state.push(*token);
        }
        state
    }
}

#[cfg(test)]
impl CompiledGuide {
    pub(super) fn same_as(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.fresh, &other.fresh)
    }
}

impl Live {
    /// At most `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            bytes: Arc::default(),
            limit,
        }
    }

    fn hold(&self, bytes: usize) -> Result<Held, EngineError> {
        // A guide beyond the bound may run alone.
        let grown = |used: usize| (used == 0 || used.saturating_add(bytes) <= self.limit).then(|| used + bytes);
        self.bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown)
            .map_err(|_| EngineError::Busy {
                what: "bytes of guides in use (engine.guides.live_bytes)",
                limit: self.limit,
            })?;
        Ok(Held {
            live: self.clone(),
            bytes,
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.live.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Debug for CompiledGuide {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "CompiledGuide({} bytes)", self.bytes)
    }
}
