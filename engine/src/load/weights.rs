//! New weights for a model that is served already: a folder with a config and tensors, nothing else.

use serde_json::Value;

use super::allowed::AllowedFolder;
use super::files::Files;
use super::{LoadError, config_json, safetensors_file};
use crate::config::ModelConfig;
use crate::params::Params;

/// Reads `config.json` and the safetensors files of `folder` for the model `served`, which must have the same shape.
///
/// # Errors
/// [`LoadError::Unsupported`] naming the first difference of the shapes; [`LoadError::File`], [`LoadError::Corrupt`],
/// [`LoadError::Tensor`] for a missing, extra, misshapen or non-finite tensor.
pub fn load_weights(folder: AllowedFolder, served: &ModelConfig) -> Result<Params, LoadError> {
    let files = Files::Allowed(folder);
    let path = files.path_of("config.json");
    let value = config_json::parse_json(&path, &files.require("config.json")?)?;
    if let Some(difference) = difference(&config_json::parse(&path, &value)?, served) {
        return Err(LoadError::Unsupported(format!("{path}: {difference}")));
    }
    safetensors_file::load(&files, served)
}

/// The first way in which `found` is not `served`.
fn difference(found: &ModelConfig, served: &ModelConfig) -> Option<String> {
    let plain = |config| serde_json::to_value(config).ok();
    let (Some(Value::Object(found)), Some(Value::Object(served))) = (plain(found), plain(served)) else {
        return Some("its shape cannot be told".into());
    };
    let (key, value) = served.iter().find(|(key, value)| found.get(*key) != Some(value))?;
    let other = found.get(key).unwrap_or(&Value::Null);
    Some(format!("`{key}` is {other}, and the served model has {value}"))
}
