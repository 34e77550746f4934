//! Writes a Hugging Face folder: all of it or nothing.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use safetensors::tensor::{Dtype, View};

use super::{LoadError, LoadedModel, config_json};
use crate::params::{ParamEntry, Params};

const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.safetensors";
const TOKENIZER: &str = "tokenizer.json";
const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
const TEMPLATE: &str = "chat_template.jinja";

/// Writes `model` as a Hugging Face folder that `load` and `transformers` read, atomically: everything goes to a
/// temporary folder beside it, is synced, and is renamed. Weights are f32 and come from `params`, not from
/// `model.params`. An existing folder is replaced if it holds nothing but such files.
///
/// # Errors
/// [`LoadError::File`]: the disk is full, the place is not writable, or the folder holds files of others. Nothing is left
/// behind and an existing folder is as it was.
pub fn save(folder: &Path, model: &LoadedModel, params: &Params) -> Result<(), LoadError> {
    if *params.layout != *model.params.layout {
        return Err(LoadError::file(
            folder,
            "the parameters do not have the layout of the model",
        ));
    }
    let ours = [CONFIG, WEIGHTS, TOKENIZER, TOKENIZER_CONFIG, TEMPLATE];
    let ours: Vec<&str> = ours.into_iter().chain(super::folder::EXTRAS).collect();
    replace_folder(folder, &ours, |folder| write_all(folder, model, params))
}

/// Writes a folder by `write_all` under another name and renames it when it is complete. An existing folder is replaced
/// if it holds nothing but files called as one of `ours`.
pub(super) fn replace_folder(
    folder: &Path,
    ours: &[&str],
    write_all: impl FnOnce(&Path) -> Result<(), LoadError>,
) -> Result<(), LoadError> {
    check_replaceable(folder, ours)?;
    let temporary = beside(folder, "part")?;
    let parent = temporary.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(|error| LoadError::file(parent, error))?;
    let written = fs::create_dir(&temporary)
        .map_err(|error| LoadError::file(&temporary, error))
        .and_then(|()| write_all(&temporary))
        .and_then(|()| sync_folder(&temporary))
        .and_then(|()| swap_in(&temporary, folder));
    if written.is_err() {
        // The first error is the one to report; a leftover is harmless and carries our name.
        let _ = fs::remove_dir_all(&temporary);
    }
    written?;
    sync_folder(parent)
}

fn write_all(folder: &Path, model: &LoadedModel, params: &Params) -> Result<(), LoadError> {
    let tokenizer = &model.tokenizer;
    let files = tokenizer.files();
    let config = config_json::write(&model.config, tokenizer.eos_ids(), tokenizer.bos_id());
    write(folder, CONFIG, format!("{config:#}\n").as_bytes())?;
    write(folder, TOKENIZER, &files.tokenizer_json)?;
    if let Some(bytes) = &files.tokenizer_config {
        write(folder, TOKENIZER_CONFIG, bytes)?;
    }
    if let Some(template) = &files.chat_template {
        write(folder, TEMPLATE, template.as_bytes())?;
    }
    for (name, bytes) in &model.extras {
        write(folder, name, bytes)?;
    }
    write_tensors(&folder.join(WEIGHTS), params)
}

/// Writes a file that is not there yet.
pub(super) fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), LoadError> {
    let path = folder.join(name);
    let written = File::create_new(&path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(|error| LoadError::file(&path, error))
}

/// Writes all parameters as safetensors.
pub(super) fn write_tensors(path: &Path, params: &Params) -> Result<(), LoadError> {
    let layout = &params.layout;
    let tensors = layout.entries.iter().map(|entry| {
        let values = &params.values[entry.offset..entry.offset + entry.len()];
        (entry.name.as_str(), Tensor { entry, values })
    });
    // `transformers` refuses files that do not name their framework.
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize_to_file(tensors, Some(metadata), path).map_err(|error| LoadError::file(path, error))?;
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(|error| LoadError::file(path, error))
}

struct Tensor<'a> {
    entry: &'a ParamEntry,
    values: &'a [f32],
}

impl View for Tensor<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.entry.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    fn data_len(&self) -> usize {
        size_of_val(self.values)
    }
}

/// Refuses to replace anything but a model folder: no stranger's file is ever deleted.
fn check_replaceable(folder: &Path, ours: &[&str]) -> Result<(), LoadError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(LoadError::file(folder, error)),
    };
    for entry in entries {
        let entry = entry.map_err(|error| LoadError::file(folder, error))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !ours.contains(&name.as_str()) {
            let reason =
                format!("exists and holds `{name}`, which is not part of a saved model; choose another folder");
            return Err(LoadError::file(folder, reason));
        }
    }
    Ok(())
}

/// Renames `temporary` to `folder`; an existing folder is moved aside first and comes back if the rename fails.
fn swap_in(temporary: &Path, folder: &Path) -> Result<(), LoadError> {
    let failed = |error| LoadError::file(folder, error);
    if !folder.exists() {
        return fs::rename(temporary, folder).map_err(failed);
    }
    let old = beside(folder, "old")?;
    fs::rename(folder, &old).map_err(failed)?;
    if let Err(error) = fs::rename(temporary, folder) {
        fs::rename(&old, folder).map_err(failed)?;
        return Err(failed(error));
    }
    fs::remove_dir_all(&old).map_err(|error| LoadError::file(&old, error))
}

/// A name beside `folder` that no other save uses.
fn beside(folder: &Path, kind: &str) -> Result<PathBuf, LoadError> {
    static SAVES: AtomicU32 = AtomicU32::new(0);
    let name = folder
        .file_name()
        .ok_or_else(|| LoadError::file(folder, "is not the path of a folder to write"))?;
    let count = SAVES.fetch_add(1, Ordering::Relaxed);
    let temporary = format!(".{}.{kind}-{}-{count}", name.to_string_lossy(), std::process::id());
    Ok(folder.with_file_name(temporary))
}

fn sync_folder(folder: &Path) -> Result<(), LoadError> {
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    File::open(folder)
        .and_then(|file| file.sync_all())
        .map_err(|error| LoadError::file(folder, error))
}
