//! Adapters to train: which matrices they change, and how they are written.

use std::path::Path;

use serde_json::{Value, json};

use super::{config, factors};
use crate::load::LoadError;
use crate::load::save::{replace_folder, write, write_tensors};
use crate::params::{ParamEntry, ParamLayout, Params};

/// Rank, scale and targets of an adapter, named as PEFT names them.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraShape {
    /// Rows of A and columns of B.
    pub r: usize,
    /// The scale is `lora_alpha / r`.
    pub lora_alpha: f64,
    /// Modules by name or the end of it; `None` means every linear layer but the output projection.
    pub target_modules: Option<Vec<String>>,
}

/// A matrix that an adapter changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// The matrix in the model's layout, `[out, in]`.
    pub entry: ParamEntry,
    /// A, `[rank, in]`, in the adapter's layout.
    pub a: ParamEntry,
    /// B, `[out, rank]`, in the adapter's layout.
    pub b: ParamEntry,
    /// `lora_alpha / r`.
    pub scale: f32,
}

impl LoraShape {
    /// The matrices of `model` that an adapter of this shape changes, and the layout of its factors, called as PEFT calls
    /// them.
    ///
    /// # Errors
    /// [`LoadError`] naming the field that is wrong or fits nothing.
    pub fn targets(&self, model: &ParamLayout) -> Result<(Vec<Target>, ParamLayout), LoadError> {
        // What is written is checked as what is read.
        let config = config::parse("the adapter's configuration".into(), &self.config(""))?;
        let (mut targets, mut entries, mut len) = (Vec::new(), Vec::new(), 0);
        for (module, entry) in factors::targeted(&config, model)? {
            let (rank, scale) = config.scale_of(module)?;
            let mut factor = |letter: char, shape: [usize; 2]| {
                let entry = ParamEntry {
                    name: format!("{}{module}.lora_{letter}.weight", factors::PREFIX),
                    shape: shape.to_vec(),
                    offset: len,
                };
                len += entry.len();
                entries.push(entry.clone());
                entry
            };
            targets.push(Target {
                a: factor('A', [rank, entry.shape[1]]),
                b: factor('B', [entry.shape[0], rank]),
                entry: entry.clone(),
                scale,
            });
        }
        Ok((targets, ParamLayout { entries, len }))
    }

    /// Writes an adapter of this shape as a folder that PEFT and [`super::Lora::load`] read: all of it or nothing. `factors`
    /// has the layout of [`Self::targets`], `base` is the name of the model.
    ///
    /// # Errors
    /// [`LoadError::File`]; an existing folder is then as it was.
    pub fn save(&self, folder: &Path, base: &str, factors: &Params) -> Result<(), LoadError> {
        let ours = [config::FILE, factors::FILE];
        replace_folder(folder, &ours, |folder| {
            write(folder, config::FILE, format!("{:#}\n", self.config(base)).as_bytes())?;
            write_tensors(&folder.join(factors::FILE), factors)
        })
    }

    fn config(&self, base: &str) -> Value {
        json!({
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": base,
            "r": self.r,
            "lora_alpha": self.lora_alpha,
            "target_modules": self.target_modules.as_ref().map_or(json!("all-linear"), |names| json!(names)),
            "lora_dropout": 0.0,
            "bias": "none",
            "inference_mode": true,
        })
    }
}
