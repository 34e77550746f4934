//! The recipe of the tiny policy: everything that decides its bits.

use std::path::Path;

use anyhow::Context;
use serde::Deserialize;
use svs_trainer::problems::procedural::Difficulty;
use svs_trainer::sft::SftConfig;
use svs_trainer::svs::Prompts;

const BUILT_IN: &str = include_str!("recipe.json");

/// Seed, shape, corpus and training.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Recipe {
    /// Seed of the corpus and of the initial parameters.
    pub(super) seed: u64,
    /// Shape of the decoder, a Qwen3 with tied embeddings.
    pub(super) shape: Shape,
    /// Entries of the vocabulary, at most.
    pub(super) vocab_size: usize,
    /// Templates of the two prompts; stored with the model.
    pub(super) prompts: Prompts,
    /// Problems from which the tokenizer learns its merges.
    pub(super) tokenizer_examples: usize,
    /// Supervised stages, one after the other.
    pub(super) stages: Vec<Stage>,
}

/// One supervised stage.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stage {
    /// What to train on.
    pub(super) corpus: Corpus,
    /// How.
    pub(super) sft: SftConfig,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shape {
    pub(super) hidden_size: usize,
    pub(super) intermediate_size: usize,
    pub(super) layers: usize,
    pub(super) heads: usize,
    pub(super) kv_heads: usize,
    pub(super) head_dim: usize,
    pub(super) max_position_embeddings: usize,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Corpus {
    /// Examples of both kinds.
    pub(super) examples: usize,
    /// Stream of problems; stages with different ones share (almost) no problem.
    pub(super) seed: u64,
    /// Share of examples that write a problem; the others solve one.
    pub(super) synthesis: f64,
    /// Share of solutions that work the whole expression out in one line.
    pub(super) one_line: f64,
    /// Share of solutions that are the answer alone. The others have a step a line.
    pub(super) direct: f64,
    /// Weights of one, two and three operations.
    pub(super) steps: [f64; 3],
    /// Largest intermediate result.
    pub(super) largest: i64,
    /// Share of problems with a remark that changes nothing.
    pub(super) remarks: f64,
}

impl Corpus {
    pub(super) fn difficulty(&self) -> Difficulty {
        Difficulty {
            steps: self.steps,
            largest: self.largest,
            remarks: self.remarks,
        }
    }
}

impl Recipe {
    /// The recipe in `file`, or the one that made the embedded policy.
    pub(super) fn read(file: Option<&Path>) -> anyhow::Result<Self> {
        let recipe: Self = match file {
            None => serde_json::from_str(BUILT_IN).context("recipe.json")?,
            Some(path) => {
                let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
                serde_json::from_str(&text).with_context(|| path.display().to_string())?
            }
        };
        recipe.prompts.validate()?;
        Ok(recipe)
    }
}
