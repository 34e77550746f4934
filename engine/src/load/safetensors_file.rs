//! Tensors from safetensors files, single or sharded, converted to the f32 arena.

use std::collections::BTreeMap;
use std::sync::Arc;

use half::{bf16, f16};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::Value;

use super::files::{Bytes, Files};
use super::{LoadError, config_json};
use crate::config::ModelConfig;
use crate::params::{ParamLayout, Params};

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
/// Most shards accepted; the largest models in use have a few hundred.
const MAX_SHARDS: usize = 4096;

/// Reads every parameter of `config`.
pub(super) fn load(files: &Files, config: &ModelConfig) -> Result<Params, LoadError> {
    let names = file_names(files)?;
    let opened: Vec<(String, Bytes)> = names
        .into_iter()
        .map(|name| files.open(&name).map(|bytes| (files.path_of(&name), bytes)))
        .collect::<Result<_, _>>()?;
    let mut parsed = Vec::with_capacity(opened.len());
    for (path, bytes) in &opened {
        let tensors = SafeTensors::deserialize(bytes.as_ref()).map_err(|error| LoadError::corrupt(path, error))?;
        parsed.push((path.as_str(), tensors));
    }
    let layout = ParamLayout::of(config);
    let views = match_up(&layout, &parsed, config)?;
    // Memory is taken only now that every tensor is known to be there in its size.
    let mut params = Params::zeros(Arc::new(layout));
    let layout = Arc::clone(&params.layout);
    for (entry, view) in layout.entries.iter().zip(views) {
        let target = &mut params.values[entry.offset..entry.offset + entry.len()];
        convert(&entry.name, &view, target)?;
    }
    Ok(params)
}

fn file_names(files: &Files) -> Result<Vec<String>, LoadError> {
    if files.has(SINGLE) {
        return Ok(vec![SINGLE.to_owned()]);
    }
    let Some(bytes) = files.read(INDEX)? else {
        if files.has("pytorch_model.bin") || files.has("pytorch_model.bin.index.json") {
            return Err(LoadError::Unsupported(
                "pickled weights (pytorch_model.bin); convert them to safetensors".into(),
            ));
        }
        let reason = format!("no such file (nor {INDEX})");
        return Err(LoadError::File {
            path: files.path_of(SINGLE),
            reason,
        });
    };
    let path = files.path_of(INDEX);
    let index = config_json::parse_json(&path, &bytes)?;
    let map = index.get("weight_map").and_then(Value::as_object);
    let map = map.ok_or_else(|| LoadError::corrupt(&path, "no `weight_map`"))?;
    let mut names = Vec::new();
    for (tensor, file) in map {
        let name = file.as_str().filter(|name| is_plain(name));
        let name = name.ok_or_else(|| {
            LoadError::corrupt(
                &path,
                format!("`{tensor}` lies in {file}, which is not the name of a file beside it"),
            )
        })?;
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
        if names.len() > MAX_SHARDS {
            return Err(LoadError::corrupt(&path, format!("more than {MAX_SHARDS} files")));
        }
    }
    Ok(names)
}

/// A file name without any way out of its folder.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\\', '\0', ':'])
}

/// Finds each parameter's tensor and checks its shape; refuses tensors that belong to no parameter.
fn match_up<'data>(
    layout: &ParamLayout,
    files: &[(&str, SafeTensors<'data>)],
    config: &ModelConfig,
) -> Result<Vec<TensorView<'data>>, LoadError> {
    let mut found: BTreeMap<String, TensorView<'data>> = BTreeMap::new();
    for (path, tensors) in files {
        for (name, view) in tensors.iter() {
            if found.insert(name.to_owned(), view).is_some() {
                return Err(LoadError::corrupt(path, format!("tensor `{name}` is there twice")));
            }
        }
    }
    let mut views = Vec::with_capacity(layout.entries.len());
    for entry in &layout.entries {
        let view = found.remove(&entry.name).ok_or_else(|| {
            let shown: Vec<&str> = files.iter().map(|(path, _)| *path).collect();
            LoadError::tensor(&entry.name, format!("missing from {}", shown.join(", ")))
        })?;
        if view.shape() != entry.shape {
            let reason = format!("shape {:?}, but the config asks for {:?}", view.shape(), entry.shape);
            return Err(LoadError::tensor(&entry.name, reason));
        }
        views.push(view);
    }
    // Left over may be what is recomputed or tied; anything else means that the model is not what its config says.
    let redundant =
        |name: &str| name.ends_with("rotary_emb.inv_freq") || (name == "lm_head.weight" && config.tie_word_embeddings);
    match found.keys().find(|name| !redundant(name)) {
        Some(name) => Err(LoadError::tensor(
            name,
            format!("is not part of a {:?} model of this config", config.family),
        )),
        None => Ok(views),
    }
}

/// Reads the elements of `view` as f32 into `target`, which is as long; each must be finite.
pub(super) fn convert(name: &str, view: &TensorView<'_>, target: &mut [f32]) -> Result<(), LoadError> {
    let data = view.data();
    match view.dtype() {
        Dtype::F32 => fill(target, data, f32::from_le_bytes),
        Dtype::BF16 => fill(target, data, |bytes| bf16::from_le_bytes(bytes).to_f32()),
        Dtype::F16 => fill(target, data, |bytes| f16::from_le_bytes(bytes).to_f32()),
        other => {
            let reason = format!("element type {other:?} is not supported (F32, BF16 and F16 are)");
            return Err(LoadError::tensor(name, reason));
        }
    }
    match target.iter().position(|value| !value.is_finite()) {
        Some(at) => Err(LoadError::tensor(name, format!("element {at} is {}", target[at]))),
        None => Ok(()),
    }
}

fn fill<const N: usize>(target: &mut [f32], data: &[u8], read: impl Fn([u8; N]) -> f32) {
    let (chunks, _) = data.as_chunks::<N>();
    for (value, bytes) in target.iter_mut().zip(chunks) {
        *value = read(*bytes);
    }
}
