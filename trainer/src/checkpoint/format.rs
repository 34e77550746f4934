//! What lies in a checkpoint's folder.
//!
//! `manifest.json` names every other file with its length and SHA-256; `state.json` holds step, version and the loop's own
//! state; the arenas are little-endian f32 in the order of the layout of what is trained, which `state.json` fingerprints.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use svs_engine::ParamLayout;

/// Grows with each change of the files.
pub(super) const FORMAT: u32 = 1;
pub(super) const MANIFEST: &str = "manifest.json";
pub(super) const STATE: &str = "state.json";
pub(super) const PARAMS: &str = "params.f32";
pub(super) const FIRST: &str = "first_moments.f32";
pub(super) const SECOND: &str = "second_moments.f32";

/// Length and checksum of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Checksum {
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

/// `manifest.json`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) format: u32,
    pub(super) files: BTreeMap<String, Checksum>,
}

/// `state.json`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) step: u64,
    pub(super) version: u64,
    pub(super) layout_sha256: String,
    /// What a trained adapter is added to.
    #[serde(default)]
    pub(super) base_sha256: Option<String>,
    pub(super) parameters: u64,
    pub(super) optimizer: Option<OptimizerState>,
    pub(super) run_state: serde_json::Value,
}

/// Counters of the optimizer; its moments are files of their own.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct OptimizerState {
    pub(super) steps: u64,
    pub(super) skipped: u64,
}

/// Lower-case hexadecimal of a digest.
pub(super) fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Identifies names, shapes and order of a model's parameters.
pub(crate) fn fingerprint(layout: &ParamLayout) -> String {
    let mut hash = Sha256::new();
    for entry in &layout.entries {
        hash.update(format!("{}{:?};", entry.name, entry.shape));
    }
    hex(&hash.finalize())
}

/// Folder name of the `copy`-th checkpoint of `step`, from 0. Saving a step again never replaces a folder.
pub(super) fn folder_name(step: u64, copy: u32) -> String {
    if copy == 0 {
        format!("step-{step:08}")
    } else {
        format!("step-{step:08}.{copy}")
    }
}

/// The inverse of [`folder_name`].
pub(super) fn parse_folder_name(name: &str) -> Option<(u64, u32)> {
    let rest = name.strip_prefix("step-")?;
    let (step, copy) = match rest.split_once('.') {
        None => (rest.parse().ok()?, 0),
        Some((step, copy)) => (step.parse().ok()?, copy.parse().ok()?),
    };
    (folder_name(step, copy) == name).then_some((step, copy))
}
