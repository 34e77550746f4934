//! The policy that is part of the binary, so that `svs` serves and trains without any download.

use svs_engine::load::ModelSource;

/// Embeds the named files of `assets/tiny-policy/`.
macro_rules! tiny_policy {
    ($($file:literal),* $(,)?) => {
        &[$(($file, include_bytes!(concat!("../../assets/tiny-policy/", $file)).as_slice())),*]
    };
}

/// Files of the embedded policy: a Hugging Face folder and the record of how it was made.
const TINY_POLICY: &[(&str, &[u8])] = tiny_policy![
    "config.json",
    "model.safetensors",
    "svs.json",
    "tokenizer.json",
    "tokenizer_config.json",
];

/// This binary was built without an embedded policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this build of svs embeds no policy; name a model with --model (a folder, a .gguf file or a hub id)")]
pub struct NoEmbeddedPolicy;

/// What `--model` names, or the embedded policy without one.
///
/// # Errors
/// [`NoEmbeddedPolicy`] if nothing is named and the binary was built without one.
pub fn model_source(argument: Option<&str>) -> Result<ModelSource, NoEmbeddedPolicy> {
    argument.map_or_else(embedded_policy, |argument| Ok(ModelSource::parse(argument)))
}

/// The embedded policy as a model source.
///
/// # Errors
/// [`NoEmbeddedPolicy`] if the binary was built without one.
pub fn embedded_policy() -> Result<ModelSource, NoEmbeddedPolicy> {
    if TINY_POLICY.is_empty() {
        Err(NoEmbeddedPolicy)
    } else {
        Ok(ModelSource::Embedded(TINY_POLICY.to_vec()))
    }
}

/// One embedded file by name, e.g. `svs.json`.
#[must_use]
pub fn embedded_file(name: &str) -> Option<&'static [u8]> {
    TINY_POLICY
        .iter()
        .find(|(file, _)| *file == name)
        .map(|(_, bytes)| *bytes)
}
