//! Writes one checkpoint into a temporary folder.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::CheckpointError;
use super::disk::Disk;
use super::format::{
    Checksum, FIRST, FORMAT, MANIFEST, Manifest, OptimizerState, PARAMS, SECOND, STATE, State, fingerprint, hex,
};
use crate::crash;
use crate::policy::Policy;

/// Floats turned into bytes at a time.
const CHUNK: usize = 1 << 18;

/// Writes all files of a checkpoint, synced, the manifest last.
pub(super) fn write_all(
    disk: &dyn Disk,
    folder: &Path,
    policy: &Policy,
    step: u64,
    run_state: &serde_json::Value,
) -> Result<(), CheckpointError> {
    disk.create_folder(folder).map_err(|error| failed(folder, &error))?;
    let optimizer = policy.optimizer();
    let state = State {
        step,
        version: policy.version(),
        layout_sha256: fingerprint(&policy.masters().layout),
        base_sha256: policy.base_sha256().map(str::to_owned),
        parameters: policy.masters().values.len() as u64,
        optimizer: optimizer.map(|o| OptimizerState {
            steps: o.steps,
            skipped: o.skipped,
        }),
        run_state: run_state.clone(),
    };
    let mut files = BTreeMap::new();
    let mut arenas: Vec<(&str, &[f32])> = vec![(PARAMS, &policy.masters().values)];
    if let Some(optimizer) = optimizer {
        arenas.extend([
            (FIRST, optimizer.first.as_slice()),
            (SECOND, optimizer.second.as_slice()),
        ]);
    }
    for (name, values) in arenas {
        let chunks = values
            .chunks(CHUNK)
            .map(|chunk| chunk.iter().flat_map(|value| value.to_le_bytes()).collect());
        files.insert(name.to_owned(), write_file(disk, &folder.join(name), chunks)?);
    }
    files.insert(
        STATE.to_owned(),
        write_file(disk, &folder.join(STATE), json(folder, &state)?)?,
    );
    // Without its manifest a checkpoint does not exist, so the manifest appears last and at once.
    let part = folder.join("manifest.part");
    write_file(disk, &part, json(folder, &Manifest { format: FORMAT, files })?)?;
    disk.sync_folder(folder).map_err(|error| failed(folder, &error))?;
    crash::point(crash::Point::Manifest);
    disk.rename(&part, &folder.join(MANIFEST))
        .map_err(|error| failed(&part, &error))?;
    disk.sync_folder(folder).map_err(|error| failed(folder, &error))
}

fn json(folder: &Path, value: &impl serde::Serialize) -> Result<std::iter::Once<Vec<u8>>, CheckpointError> {
    serde_json::to_vec(value)
        .map(std::iter::once)
        .map_err(|error| CheckpointError::File {
            path: folder.display().to_string(),
            reason: error.to_string(),
        })
}

fn write_file(
    disk: &dyn Disk,
    path: &Path,
    chunks: impl Iterator<Item = Vec<u8>>,
) -> Result<Checksum, CheckpointError> {
    let mut hash = Sha256::new();
    let mut bytes = 0;
    let write = || -> io::Result<()> {
        let mut file = disk.create_file(path)?;
        for chunk in chunks {
            file.write_all(&chunk)?;
            crash::point(crash::Point::CheckpointWrite);
            hash.update(&chunk);
            bytes += chunk.len() as u64;
        }
        file.sync()
    };
    write().map_err(|error| failed(path, &error))?;
    Ok(Checksum {
        bytes,
        sha256: hex(&hash.finalize()),
    })
}

/// The error for a failed operation on `path`.
pub(super) fn failed(path: &Path, error: &io::Error) -> CheckpointError {
    let path = path.display().to_string();
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => CheckpointError::DiskFull { path },
        _ => CheckpointError::File {
            path,
            reason: error.to_string(),
        },
    }
}
