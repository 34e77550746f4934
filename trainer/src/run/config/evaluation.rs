//! `[eval]`: evaluation during a run.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::eval::{EvalConfig, EvalError};

/// `[eval]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EvalSection {
    /// Evaluate every so many steps; 0 never does.
    pub test_freq: u64,
    /// Held-out problems; empty takes procedural ones from the held-out split.
    pub files: Vec<PathBuf>,
    /// Problems evaluated, from the front.
    pub limit: usize,
    /// Samples per problem.
    pub samples: u32,
    /// The k of pass@k and maj@k, each at most `samples`; empty takes the powers of two and `samples`.
    pub k: Vec<u32>,
}

impl Default for EvalSection {
    fn default() -> Self {
        Self {
            test_freq: 0,
            files: Vec::new(),
            limit: 200,
            samples: 8,
            k: Vec::new(),
        }
    }
}

impl EvalSection {
    /// What is wrong with `k`, with its dotted name.
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        let settings = EvalConfig {
            samples: self.samples,
            k: self.k.clone(),
            ..EvalConfig::default()
        };
        match settings.validate() {
            // The samples have their own bounds.
            Err(EvalError::Setting { field: "k", reason }) => Err(("eval.k".into(), reason)),
            _ => Ok(()),
        }
    }
}
