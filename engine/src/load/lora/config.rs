//! `adapter_config.json`: what the factors change, and by how much. Whatever would change the sum is refused by name.

use serde_json::{Map, Value};

use crate::load::AllowedFolder;
use crate::load::LoadError;
use crate::load::config_json::{Fields, parse_json};

pub(super) const FILE: &str = "adapter_config.json";
const MAX_BYTES: u64 = 1 << 20;
/// Largest rank accepted; adapters in use have 4 to 256.
const MAX_RANK: u64 = 1024;
/// Fields that are read below, or say nothing about merged weights: training, bookkeeping, defaults of unused features.
const READ_OR_HARMLESS: [&str; 23] = [
    "r",
    "lora_alpha",
    "use_rslora",
    "target_modules",
    "rank_pattern",
    "alpha_pattern",
    "layers_to_transform",
    "layers_pattern",
    "peft_type",
    "task_type",
    "bias",
    "init_lora_weights",
    "lora_dropout",
    "inference_mode",
    "base_model_name_or_path",
    "revision",
    "auto_mapping",
    "peft_version",
    "megatron_core",
    "qalora_group_size",
    "runtime_config",
    "eva_config",
    "ensure_weight_tying",
];
/// Fields that are read below and have one value that is supported.
const FIXED: [(&str, &str); 4] = [
    ("peft_type", "LORA"),
    ("task_type", "CAUSAL_LM"),
    ("bias", "none"),
    ("layers_pattern", "layers"),
];
/// Starting points that leave the base as it is. The others (PiSSA, OLoRA, …) subtract from it.
const STARTS: [&str; 3] = ["gaussian", "eva", "orthogonal"];

/// What the adapter changes, and by how much.
#[derive(Debug)]
pub(super) struct LoraConfig {
    rank: u64,
    alpha: f64,
    rs: bool,
    ranks: Pattern,
    alphas: Pattern,
    /// Modules by name or the end of it; `None` means every linear layer but the output projection.
    pub(super) targets: Option<Vec<String>>,
    /// Only these layers.
    pub(super) layers: Option<Vec<u64>>,
    path: String,
}

/// Numbers of single modules, by name or the end of it.
type Pattern = Vec<(String, f64)>;

/// Reads the configuration of the adapter in `folder`.
pub(super) fn read(folder: &AllowedFolder) -> Result<LoraConfig, LoadError> {
    let path = folder.path_of(FILE);
    let value = parse_json(&path, &folder.read(FILE, MAX_BYTES)?)?;
    parse(path, &value)
}

/// Reads the configuration that `value`, found at `path`, is.
pub(super) fn parse(path: String, value: &Value) -> Result<LoraConfig, LoadError> {
    let fields = Fields::new(&path, value)?;
    let empty = Map::new();
    refuse_unsupported(&path, value.as_object().unwrap_or(&empty))?;
    let wrong = |name: &str, expected: &str| fields.wrong(name, expected);
    let rank = rank_of(value.get("r")).ok_or_else(|| wrong("r", &ranks()))?;
    let alpha = number_of(value.get("lora_alpha")).ok_or_else(|| wrong("lora_alpha", "a number"))?;
    let pattern = |name: &str, expected: &str, read: fn(Option<&Value>) -> Option<f64>| {
        let value = value.get(name).filter(|value| !value.is_null());
        value
            .map_or(Some(Vec::new()), |value| read_pattern(value, read))
            .ok_or_else(|| {
                wrong(
                    name,
                    &format!("an object from plain names of modules (no regular expressions) to {expected}"),
                )
            })
    };
    Ok(LoraConfig {
        rank,
        alpha,
        rs: fields.flag("use_rslora")?,
        ranks: pattern("rank_pattern", &ranks(), |value| rank_of(value).map(|rank| rank as f64))?,
        alphas: pattern("alpha_pattern", "a number", number_of)?,
        targets: targets(value.get("target_modules")).ok_or_else(|| {
            wrong(
                "target_modules",
                "a list of names of modules, or \"all-linear\" (regular expressions are not supported)",
            )
        })?,
        layers: layers(value.get("layers_to_transform"))
            .ok_or_else(|| wrong("layers_to_transform", "the number of a layer or a list of them"))?,
        path,
    })
}

fn ranks() -> String {
    format!("a whole number from 1 to {MAX_RANK}")
}

fn refuse_unsupported(path: &str, map: &Map<String, Value>) -> Result<(), LoadError> {
    let refuse = |name: &str, value: &Value| {
        Err(LoadError::File {
            path: path.to_owned(),
            reason: format!("`{name}` is {value}, which is not supported"),
        })
    };
    for (name, value) in map {
        let fixed = FIXED.iter().find(|(fixed, _)| fixed == name);
        let fits = match (fixed, name.as_str()) {
            (Some((_, only)), _) => says_nothing(value) || value == only,
            (None, "init_lora_weights") => {
                value.is_null() || value.is_boolean() || value.as_str().is_some_and(|start| STARTS.contains(&start))
            }
            _ => READ_OR_HARMLESS.contains(&name.as_str()) || says_nothing(value),
        };
        if !fits {
            return refuse(name, value);
        }
    }
    Ok(())
}

/// A feature that is not used.
fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

fn rank_of(value: Option<&Value>) -> Option<u64> {
    value?.as_u64().filter(|rank| (1..=MAX_RANK).contains(rank))
}

fn number_of(value: Option<&Value>) -> Option<f64> {
    value?.as_f64().filter(|number| number.is_finite())
}

fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.".contains(&byte))
}

fn read_pattern(value: &Value, read: fn(Option<&Value>) -> Option<f64>) -> Option<Pattern> {
    let numbers = value.as_object()?.iter();
    numbers
        .map(|(name, value)| Some((name.clone(), read(Some(value))?)).filter(|(name, _)| is_plain(name)))
        .collect()
}

fn targets(value: Option<&Value>) -> Option<Option<Vec<String>>> {
    match value? {
        Value::String(text) if text == "all-linear" => Some(None),
        Value::Array(list) if !list.is_empty() => {
            let name = |value: &Value| value.as_str().filter(|name| is_plain(name)).map(str::to_owned);
            list.iter().map(name).collect::<Option<Vec<_>>>().map(Some)
        }
        _ => None,
    }
}

fn layers(value: Option<&Value>) -> Option<Option<Vec<u64>>> {
    match value {
        None | Some(Value::Null) => Some(None),
        Some(Value::Array(list)) if list.is_empty() => Some(None),
        Some(Value::Array(list)) => list.iter().map(Value::as_u64).collect::<Option<Vec<_>>>().map(Some),
        Some(value) => value.as_u64().map(|layer| Some(vec![layer])),
    }
}

/// Whether `target` names `module`: the whole name or the end of it after a dot.
pub(super) fn names(target: &str, module: &str) -> bool {
    module
        .strip_suffix(target)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

impl LoraConfig {
    /// Rank and scale of `module`.
    pub(super) fn scale_of(&self, module: &str) -> Result<(usize, f32), LoadError> {
        let rank = self
            .look_up("rank_pattern", &self.ranks, module)?
            .unwrap_or(self.rank as f64);
        let alpha = self
            .look_up("alpha_pattern", &self.alphas, module)?
            .unwrap_or(self.alpha);
        let scale = alpha / if self.rs { rank.sqrt() } else { rank };
        // At most MAX_RANK, so the conversion is exact.
        Ok((rank as usize, scale as f32))
    }

    fn look_up(&self, field: &str, pattern: &Pattern, module: &str) -> Result<Option<f64>, LoadError> {
        let mut found = pattern.iter().filter(|(name, _)| names(name, module));
        let Some((first, number)) = found.next() else {
            return Ok(None);
        };
        match found.find(|(_, other)| other != number) {
            None => Ok(Some(*number)),
            Some((second, _)) => Err(self.wrong(format!("`{field}`: both `{first}` and `{second}` name `{module}`"))),
        }
    }

    /// An error about this file.
    pub(super) fn wrong(&self, reason: String) -> LoadError {
        LoadError::corrupt(&self.path, reason)
    }
}
