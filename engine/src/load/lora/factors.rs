//! `adapter_model.safetensors`: A and B of every module that the configuration targets, and nothing else.

use std::collections::BTreeMap;

use safetensors::tensor::{SafeTensors, TensorView};

use super::Factors;
use super::config::{LoraConfig, names};
use crate::load::AllowedFolder;
use crate::load::LoadError;
use crate::load::safetensors_file::convert;
use crate::params::{ParamEntry, ParamLayout};

pub(super) const FILE: &str = "adapter_model.safetensors";
/// What PEFT puts before the names of the base's modules.
pub(super) const PREFIX: &str = "base_model.model.";
/// Room for the header of the file.
const HEADER_BYTES: u64 = 16 << 20;

/// Reads the factors of every targeted matrix.
pub(super) fn read(
    folder: &AllowedFolder,
    config: &LoraConfig,
    layout: &ParamLayout,
) -> Result<Vec<Factors>, LoadError> {
    let targeted = targeted(config, layout)?;
    if !folder.has(FILE) && folder.has("adapter_model.bin") {
        return Err(LoadError::File {
            path: folder.path_of("adapter_model.bin"),
            reason: "pickled weights are not supported; convert them to adapter_model.safetensors".into(),
        });
    }
    // An adapter is smaller than its base, or it would be better off as one.
    let limit = size_of::<f32>() as u64 * layout.len as u64 + HEADER_BYTES;
    let bytes = folder.read(FILE, limit)?;
    let path = folder.path_of(FILE);
    let tensors = SafeTensors::deserialize(&bytes).map_err(|error| LoadError::corrupt(&path, error))?;
    let mut left: BTreeMap<String, TensorView<'_>> =
        tensors.iter().map(|(name, view)| (name.to_owned(), view)).collect();
    let mut factors = Vec::with_capacity(targeted.len());
    for (module, entry) in targeted {
        let (rank, scale) = config.scale_of(module)?;
        let (out, width) = (entry.shape[0], entry.shape[1]);
        let mut take = |factor: &str, shape: [usize; 2]| {
            let name = format!("{PREFIX}{module}.{factor}.weight");
            let view = left.remove(&name);
            let view = view.ok_or_else(|| LoadError::tensor(&name, format!("missing from {path}")))?;
            matrix(&name, &view, shape)
        };
        factors.push(Factors {
            rank,
            scale,
            a: take("lora_A", [rank, width])?,
            b: take("lora_B", [out, rank])?,
            name: entry.name.clone(),
        });
    }
    match left.keys().next() {
        Some(name) => Err(LoadError::tensor(
            name,
            "is not lora_A or lora_B of a module in `target_modules`",
        )),
        None => Ok(factors),
    }
}

fn matrix(name: &str, view: &TensorView<'_>, shape: [usize; 2]) -> Result<Vec<f32>, LoadError> {
    if view.shape() != shape {
        let reason = format!("shape {:?}, but base and rank ask for {shape:?}", view.shape());
        return Err(LoadError::tensor(name, reason));
    }
    let mut values = vec![0.0; shape[0] * shape[1]];
    convert(name, view, &mut values)?;
    Ok(values)
}

/// The matrices that the configuration targets, each with the name of its module.
pub(super) fn targeted<'l>(
    config: &LoraConfig,
    layout: &'l ParamLayout,
) -> Result<Vec<(&'l str, &'l ParamEntry)>, LoadError> {
    let linear = layout.entries.iter().filter_map(|entry| {
        let module = entry.name.strip_suffix(".weight")?;
        (entry.shape.len() == 2 && module != "model.embed_tokens").then_some((module, entry))
    });
    let linear: Vec<_> = linear.collect();
    let layers = linear.iter().filter_map(|(module, _)| layer_of(module)).max();
    let absent = |layer: &&u64| layers.is_none_or(|last| **layer > last);
    if let Some(layer) = config.layers.iter().flatten().find(absent) {
        return Err(config.wrong(format!("`layers_to_transform`: the base has no layer {layer}")));
    }
    let wanted = |module: &str| {
        let within = config
            .layers
            .as_ref()
            .is_none_or(|layers| layer_of(module).is_some_and(|layer| layers.contains(&layer)));
        within
            && match &config.targets {
                None => module != "lm_head",
                Some(targets) => targets.iter().any(|target| names(target, module)),
            }
    };
    let unknown = |target: &&String| !linear.iter().any(|(module, _)| names(target, module));
    if let Some(target) = config.targets.iter().flatten().find(unknown) {
        return Err(config.wrong(format!("`target_modules`: `{target}` is no linear layer of the base")));
    }
    let targeted: Vec<_> = linear.into_iter().filter(|(module, _)| wanted(module)).collect();
    if targeted.is_empty() {
        return Err(config.wrong("`target_modules` and `layers_to_transform` leave nothing to change".into()));
    }
    Ok(targeted)
}

/// The number of the layer that a module belongs to.
fn layer_of(module: &str) -> Option<u64> {
    module.strip_prefix("model.layers.")?.split('.').next()?.parse().ok()
}
