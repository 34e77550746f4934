//! `config.json` as Hugging Face writes it: to and from [`ModelConfig`].

use serde_json::{Map, Value, json};

use super::{LoadError, rope, shape};
use crate::config::{Family, ModelConfig};

/// The fields of one JSON object, with errors that name file and field.
pub(super) struct Fields<'a> {
    path: &'a str,
    map: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(path: &'a str, value: &'a Value) -> Result<Self, LoadError> {
        let map = value
            .as_object()
            .ok_or_else(|| LoadError::corrupt(path, "not a JSON object"))?;
        Ok(Self { path, map })
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &'a Value> {
        self.map.values()
    }

    pub(super) fn wrong(&self, name: &str, expected: &str) -> LoadError {
        let found = self
            .map
            .get(name)
            .map_or_else(|| "is missing".to_owned(), |value| format!("is {value}"));
        LoadError::corrupt(self.path, format!("`{name}` {found}, expected {expected}"))
    }

    pub(super) fn size(&self, name: &str) -> Result<Option<usize>, LoadError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let size = value.as_u64().and_then(|size| usize::try_from(size).ok());
        size.map(Some).ok_or_else(|| self.wrong(name, "a whole number"))
    }

    pub(super) fn required_size(&self, name: &str) -> Result<usize, LoadError> {
        self.size(name)?.ok_or_else(|| self.wrong(name, "a whole number"))
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<f32>, LoadError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value
            .as_f64()
            .map(|number| Some(number as f32))
            .ok_or_else(|| self.wrong(name, "a number"))
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, LoadError> {
        self.get(name).map_or(Ok(false), |value| {
            value.as_bool().ok_or_else(|| self.wrong(name, "true or false"))
        })
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<String>, LoadError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value
            .as_str()
            .map(|text| Some(text.to_owned()))
            .ok_or_else(|| self.wrong(name, "a string"))
    }

    pub(super) fn object(&self, name: &str) -> Result<Option<Fields<'a>>, LoadError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let map = value.as_object().ok_or_else(|| self.wrong(name, "an object"))?;
        Ok(Some(Fields { path: self.path, map }))
    }

    /// `eos_token_id`: one id or a list.
    pub(super) fn ids(&self, name: &str) -> Result<Vec<u32>, LoadError> {
        let Some(value) = self.get(name) else {
            return Ok(Vec::new());
        };
        let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
        let ids = match value {
            Value::Array(list) => list.iter().map(id).collect(),
            single => id(single).map(|id| vec![id]),
        };
        ids.ok_or_else(|| self.wrong(name, "a token id or a list of token ids"))
    }
}

/// Parses JSON, naming the file in errors.
pub(super) fn parse_json(path: &str, bytes: &[u8]) -> Result<Value, LoadError> {
    serde_json::from_slice(bytes).map_err(|error| LoadError::corrupt(path, error))
}

/// Reads a `config.json`.
///
/// # Errors
/// [`LoadError::Unsupported`] for other architectures and features, [`LoadError::Corrupt`] for bad fields.
pub(super) fn parse(path: &str, value: &Value) -> Result<ModelConfig, LoadError> {
    let fields = Fields::new(path, value)?;
    let family = family(&fields)?;
    refuse_unsupported(&fields, family)?;
    let heads = fields.required_size("num_attention_heads")?;
    let hidden_size = fields.required_size("hidden_size")?;
    let default_head = match family {
        Family::Qwen3 => 128,
        _ => hidden_size.checked_div(heads).unwrap_or(0),
    };
    let layers = fields.required_size("num_hidden_layers")?;
    let max_position_embeddings = fields.size("max_position_embeddings")?.unwrap_or(match family {
        Family::Llama => 2048,
        Family::Mistral => 4096 * 32,
        Family::Qwen2 | Family::Qwen3 => 32768,
    });
    let config = ModelConfig {
        family,
        vocab_size: fields.required_size("vocab_size")?,
        hidden_size,
        intermediate_size: fields.required_size("intermediate_size")?,
        layers,
        heads,
        kv_heads: fields.size("num_key_value_heads")?.unwrap_or(heads),
        head_dim: fields.size("head_dim")?.unwrap_or(default_head),
        max_position_embeddings,
        rms_norm_eps: fields.number("rms_norm_eps")?.unwrap_or(1e-6),
        rope: rope::parse(&fields)?,
        tie_word_embeddings: fields.flag("tie_word_embeddings")?,
        qkv_bias: family == Family::Qwen2,
        qk_norm: family == Family::Qwen3,
        sliding_window: sliding_window(&fields, family, layers)?.filter(|&window| window < max_position_embeddings),
    };
    shape::check(&config).map_err(|reason| LoadError::corrupt(path, reason))?;
    Ok(config)
}

fn family(fields: &Fields<'_>) -> Result<Family, LoadError> {
    let listed = fields
        .get("architectures")
        .and_then(Value::as_array)
        .and_then(|list| list.first()?.as_str());
    let kind = fields.text("model_type")?;
    match (listed, kind.as_deref()) {
        (Some("LlamaForCausalLM"), _) | (None, Some("llama")) => Ok(Family::Llama),
        (Some("MistralForCausalLM"), _) | (None, Some("mistral")) => Ok(Family::Mistral),
        (Some("Qwen2ForCausalLM"), _) | (None, Some("qwen2")) => Ok(Family::Qwen2),
        (Some("Qwen3ForCausalLM"), _) | (None, Some("qwen3")) => Ok(Family::Qwen3),
        (Some(other), _) | (None, Some(other)) => Err(LoadError::Unsupported(format!(
            "architecture `{other}` (supported: LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM)"
        ))),
        (None, None) => Err(fields.wrong("architectures", "a list with the model's class")),
    }
}

fn refuse_unsupported(fields: &Fields<'_>, family: Family) -> Result<(), LoadError> {
    let refuse = |reason: String| Err(LoadError::Unsupported(reason));
    if fields.get("quantization_config").is_some() {
        return refuse("quantised safetensors (`quantization_config`); use the original weights or a GGUF file".into());
    }
    for name in ["num_experts", "num_local_experts", "n_routed_experts"] {
        if fields.size(name)?.is_some_and(|experts| experts > 1) {
            return refuse(format!("mixture of experts (`{name}`)"));
        }
    }
    // Qwen2 always has biases on q, k and v and never on o; its files may or may not say so.
    if family != Family::Qwen2 && fields.flag("attention_bias")? {
        return refuse("`attention_bias` on a family that has none".into());
    }
    if fields.flag("mlp_bias")? {
        return refuse("`mlp_bias`".into());
    }
    match fields.text("hidden_act")?.as_deref() {
        None | Some("silu" | "swish") => Ok(()),
        Some(other) => refuse(format!("activation `{other}` (supported: silu)")),
    }
}

fn sliding_window(fields: &Fields<'_>, family: Family, layers: usize) -> Result<Option<usize>, LoadError> {
    let mixed = || LoadError::Unsupported("sliding windows on some layers only".into());
    if let Some(Value::Array(kinds)) = fields.get("layer_types") {
        let sliding = kinds
            .iter()
            .filter(|kind| kind.as_str() == Some("sliding_attention"))
            .count();
        let full = kinds
            .iter()
            .filter(|kind| kind.as_str() == Some("full_attention"))
            .count();
        return match (sliding, full) {
            (0, full) if full == kinds.len() => Ok(None),
            (sliding, 0) if sliding == kinds.len() => fields.required_size("sliding_window").map(Some),
            _ => Err(mixed()),
        };
    }
    match family {
        Family::Llama => Ok(None),
        // An absent entry means 4096 there (v0.1), an explicit null means none (v0.2 and later).
        Family::Mistral if !fields.map.contains_key("sliding_window") => Ok(Some(4096)),
        Family::Mistral => fields.size("sliding_window"),
        Family::Qwen2 | Family::Qwen3 if !fields.flag("use_sliding_window")? => Ok(None),
        Family::Qwen2 | Family::Qwen3 => match fields.size("max_window_layers")?.unwrap_or(28) {
            0 => Ok(Some(fields.size("sliding_window")?.unwrap_or(4096))),
            first if first >= layers => Ok(None),
            _ => Err(mixed()),
        },
    }
}

/// Writes a `config.json` that `transformers` and [`parse`] read.
pub(super) fn write(config: &ModelConfig, eos_ids: &[u32], bos_id: Option<u32>) -> Value {
    let (class, kind) = match config.family {
        Family::Llama => ("LlamaForCausalLM", "llama"),
        Family::Mistral => ("MistralForCausalLM", "mistral"),
        Family::Qwen2 => ("Qwen2ForCausalLM", "qwen2"),
        Family::Qwen3 => ("Qwen3ForCausalLM", "qwen3"),
    };
    let mut out = Map::new();
    let mut put = |name: &str, value: Value| {
        out.insert(name.to_owned(), value);
    };
    put("architectures", json!([class]));
    put("model_type", json!(kind));
    put("vocab_size", json!(config.vocab_size));
    put("hidden_size", json!(config.hidden_size));
    put("intermediate_size", json!(config.intermediate_size));
    put("num_hidden_layers", json!(config.layers));
    put("num_attention_heads", json!(config.heads));
    put("num_key_value_heads", json!(config.kv_heads));
    put("head_dim", json!(config.head_dim));
    put("max_position_embeddings", json!(config.max_position_embeddings));
    put("rms_norm_eps", rope::shortest(config.rms_norm_eps));
    put("hidden_act", json!("silu"));
    put("tie_word_embeddings", json!(config.tie_word_embeddings));
    put("attention_bias", json!(false));
    put("torch_dtype", json!("float32"));
    put("dtype", json!("float32"));
    put("bos_token_id", json!(bos_id));
    put(
        "eos_token_id",
        if let [only] = eos_ids {
            json!(only)
        } else {
            json!(eos_ids)
        },
    );
    match config.family {
        Family::Llama => {}
        Family::Mistral => put("sliding_window", json!(config.sliding_window)),
        Family::Qwen2 | Family::Qwen3 => {
            put("use_sliding_window", json!(config.sliding_window.is_some()));
            put("sliding_window", json!(config.sliding_window));
            put(
                "max_window_layers",
                json!(if config.sliding_window.is_some() {
                    0
                } else {
                    config.layers
                }),
            );
        }
    }
    rope::write(&config.rope, &mut out);
    Value::Object(out)
}
