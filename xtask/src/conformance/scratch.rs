//! A folder for a server: it has the folders of weights and adapters that the examples of docs/api.md name.

use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};

use crate::repo;

/// Copies of the embedded policy: a model, and what a trainer elsewhere would have written.
const MODELS: [&str; 3] = ["base", "checkpoints/step-42", "checkpoints/step-43"];
const ADAPTERS: [&str; 2] = ["math-lora", "adapters/code-lora"];
const RANK: usize = 2;

/// A folder with them.
pub(super) fn folder() -> anyhow::Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    for model in MODELS {
        let to = folder.path().join(model);
        std::fs::create_dir_all(&to)?;
        for entry in std::fs::read_dir(repo::root().join("assets/tiny-policy"))? {
            let entry = entry?;
            std::fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    for adapter in ADAPTERS {
        write_adapter(&folder.path().join("base"), &folder.path().join(adapter))?;
    }
    Ok(folder)
}

/// A PEFT folder over the query projections of the model in `base`.
fn write_adapter(base: &Path, folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    let model: Value = serde_json::from_str(&std::fs::read_to_string(base.join("config.json"))?)?;
    let size = |name: &str| model[name].as_u64().unwrap_or_default() as usize;
    let (rows, columns) = (size("num_attention_heads") * size("head_dim"), size("hidden_size"));
    let config = json!({"peft_type": "LORA", "r": RANK, "lora_alpha": 1, "bias": "none", "target_modules": ["q_proj"]});
    std::fs::write(folder.join("adapter_config.json"), config.to_string())?;
    let bytes = |count: usize| 0.01_f32.to_le_bytes().repeat(count);
    let layers = 0..size("num_hidden_layers");
    let factors: Vec<_> = layers
        .flat_map(|layer| [("A", [RANK, columns]), ("B", [rows, RANK])].map(|factor| (layer, factor)))
        .map(|(layer, (letter, shape))| {
            let name = format!("base_model.model.model.layers.{layer}.self_attn.q_proj.lora_{letter}.weight");
            (name, shape, bytes(shape[0] * shape[1]))
        })
        .collect();
    let views = factors
        .iter()
        .map(|(name, shape, data)| Ok((name, TensorView::new(Dtype::F32, shape.to_vec(), data)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()?;
    std::fs::write(
        folder.join("adapter_model.safetensors"),
        safetensors::serialize(views, None)?,
    )?;
    Ok(())
}
