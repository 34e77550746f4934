//! Names of weight versions as outside trainers gave them.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use svs_engine::WeightStore;

use crate::error::ApiError;

/// Versions whose names are remembered; the oldest are forgotten first.
const MAX_REMEMBERED: usize = 1024;
/// Longest name, bytes.
const MAX_BYTES: usize = 256;

/// Names by version.
#[derive(Debug, Default)]
pub struct Labels {
    given: Mutex<BTreeMap<u64, String>>,
}

impl Labels {
    fn given(&self) -> MutexGuard<'_, BTreeMap<u64, String>> {
        // Nothing panics while the lock is held, so a poisoned one is still consistent.
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Names `version` from now on.
    pub fn give(&self, version: u64, label: String) {
        let mut given = self.given();
        given.insert(version, label);
        while given.len() > MAX_REMEMBERED {
            given.pop_first();
        }
    }

    /// The name of `version`: the one given, else that of the weights, else the number.
    #[must_use]
    pub fn of(&self, store: &WeightStore, version: u64) -> String {
        let number = version.to_string();
        if let Some(label) = self.given().get(&version) {
            return label.clone();
        }
        match store.resolve(Some(&number)) {
            Ok(set) if set.version == version => {
                self.give(version, set.label.clone());
                set.label.clone()
            }
            _ => number,
        }
    }
}

/// Refuses names that a person could not read back.
///
/// # Errors
/// 400 `invalid_value` naming `field`.
pub fn check_label(field: &str, label: &str) -> Result<(), ApiError> {
    if (1..=MAX_BYTES).contains(&label.len()) && !label.chars().any(char::is_control) {
        return Ok(());
    }
    let message = format!("must have 1 to {MAX_BYTES} bytes and no control characters");
    Err(ApiError::value(field, message))
}
