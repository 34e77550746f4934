//! Reads what `tests/data/golden/decoder.py` has written, and makes the same parameters.

use std::sync::Arc;

use serde::Deserialize;
use svs_engine::train::{TokenGrad, TrainSequence};
use svs_engine::{ModelConfig, ParamLayout, Params};

#[derive(Debug, Deserialize)]
pub(crate) struct Golden {
    pub(crate) sequences: Vec<Sequence>,
    pub(crate) models: Vec<Model>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Sequence {
    tokens: Vec<u32>,
    scored: Vec<u32>,
    temperature: f32,
    dlogprob: Vec<f32>,
    dentropy: Vec<f32>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Model {
    pub(crate) config: ModelConfig,
    pub(crate) scores: Vec<Scores>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Scores {
    pub(crate) logprob: Vec<f32>,
    pub(crate) entropy: Vec<f32>,
}

/// decoder.safetensors. In the binary, since a GPU machine may have nothing else.
pub(crate) const TENSORS: &[u8] = include_bytes!("../../../tests/data/golden/decoder.safetensors");

impl Golden {
    pub(crate) fn read() -> Self {
        serde_json::from_str(include_str!("../../../tests/data/golden/decoder.json")).expect("fixture")
    }

    pub(crate) fn sequences(&self) -> Vec<TrainSequence> {
        let make = |s: &Sequence| TrainSequence {
            tokens: s.tokens.clone(),
            scored: s.scored.clone(),
            temperature: s.temperature,
        };
        self.sequences.iter().map(make).collect()
    }

    pub(crate) fn coefficients(&self) -> Vec<Vec<TokenGrad>> {
        let make = |(c, e): (&f32, &f32)| TokenGrad {
            dlogprob: *c,
            dentropy: *e,
        };
        self.sequences
            .iter()
            .map(|s| s.dlogprob.iter().zip(&s.dentropy).map(make).collect())
            .collect()
    }
}

/// A tensor of the fixture as f32.
pub(crate) fn tensor(file: &safetensors::SafeTensors<'_>, name: &str) -> Vec<f32> {
    let view = file.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}"));
    view.data()
        .as_chunks::<4>()
        .0
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect()
}

/// Element `i` of the stream called `name`, in [-0.5, 0.5): the maker's hash.
pub(crate) fn hashed(name: &str, i: usize) -> f32 {
    let seed = name.bytes().fold(2_166_136_261_u32, |h, byte| {
        (h ^ u32::from(byte)).wrapping_mul(16_777_619)
    });
    let mut x = (i as u32).wrapping_mul(0x9E37_79B9).wrapping_add(seed);
    x = (x ^ (x >> 16)).wrapping_mul(0x85EB_CA6B);
    x = (x ^ (x >> 13)).wrapping_mul(0xC2B2_AE35);
    x ^= x >> 16;
    (x >> 8) as f32 / 16_777_216.0 - 0.5
}

/// The maker's parameters.
pub(crate) fn params(config: &ModelConfig) -> Params {
    let mut params = Params::zeros(Arc::new(ParamLayout::of(config)));
    for entry in &params.layout.entries {
        let start = if entry.name.ends_with("norm.weight") { 1.0 } else { 0.0 };
        for (i, value) in params.values[entry.offset..entry.offset + entry.len()]
            .iter_mut()
            .enumerate()
        {
            *value = start + hashed(&entry.name, i) * 0.5;
        }
    }
    params
}
