//! Reads one checkpoint back, believing nothing that its checksum does not confirm.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::format::{Checksum, FIRST, FORMAT, MANIFEST, Manifest, PARAMS, SECOND, STATE, State, hex};
use crate::optim::AdamW;

/// Bytes read at a time; a multiple of 4.
const CHUNK: usize = 1 << 20;

/// A checkpoint in memory.
pub(super) struct Contents {
    pub(super) state: State,
    pub(super) params: Vec<f32>,
    pub(super) optimizer: Option<AdamW>,
}

/// Reads `state.json` of a checkpoint, checked.
pub(super) fn read_state(folder: &Path) -> Result<(Manifest, State), String> {
    let bytes = std::fs::read(folder.join(MANIFEST)).map_err(|error| format!("{MANIFEST}: {error}"))?;
    let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|error| format!("{MANIFEST}: {error}"))?;
    if manifest.format != FORMAT {
        return Err(format!(
            "{MANIFEST}: format {}, this program reads {FORMAT}",
            manifest.format
        ));
    }
    let mut json = Vec::new();
    read_file(folder, STATE, &manifest, |chunk| json.extend_from_slice(chunk))?;
    let state = serde_json::from_slice(&json).map_err(|error| format!("{STATE}: {error}"))?;
    Ok((manifest, state))
}

/// Reads the arenas of a checkpoint whose state is known.
pub(super) fn read_arenas(folder: &Path, manifest: &Manifest, state: State) -> Result<Contents, String> {
    let arena = |name: &str| {
        let mut values = Vec::with_capacity(usize::try_from(state.parameters).map_err(|error| error.to_string())?);
        read_file(folder, name, manifest, |chunk| {
            values.extend(chunk.as_chunks::<4>().0.iter().map(|word| f32::from_le_bytes(*word)));
        })?;
        if values.len() as u64 == state.parameters {
            Ok(values)
        } else {
            Err(format!(
                "{name}: {} values instead of {}",
                values.len(),
                state.parameters
            ))
        }
    };
    let params = arena(PARAMS)?;
    let optimizer = match state.optimizer {
        None => None,
        Some(counters) => Some(AdamW {
            first: arena(FIRST)?,
            second: arena(SECOND)?,
            steps: counters.steps,
            skipped: counters.skipped,
        }),
    };
    Ok(Contents {
        state,
        params,
        optimizer,
    })
}

fn read_file(folder: &Path, name: &str, manifest: &Manifest, mut take: impl FnMut(&[u8])) -> Result<(), String> {
    let wanted = manifest
        .files
        .get(name)
        .ok_or_else(|| format!("{name}: not in the manifest"))?;
    let failed = |error: std::io::Error| format!("{name}: {error}");
    let mut file = File::open(folder.join(name)).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    if length != wanted.bytes {
        return Err(format!("{name}: {length} bytes instead of {}", wanted.bytes));
    }
    let (mut hash, mut rest, mut buffer) = (Sha256::new(), length, vec![0; CHUNK]);
    while rest > 0 {
        let size = usize::try_from(rest).map_or(CHUNK, |rest| rest.min(CHUNK));
        let chunk = &mut buffer[..size];
        file.read_exact(chunk).map_err(failed)?;
        hash.update(&*chunk);
        take(chunk);
        rest -= size as u64;
    }
    let found = Checksum {
        bytes: length,
        sha256: hex(&hash.finalize()),
    };
    if found == *wanted {
        Ok(())
    } else {
        Err(format!("{name}: its checksum is not that of the manifest"))
    }
}
