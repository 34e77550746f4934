//! What the server loads while it runs: two weight sets that swaps alternate between, and an adapter. The tokens of one differ
//! from those of the others, so that an answer tells what it was computed with.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use svs_engine::load::lora::LoraShape;
use svs_engine::load::{LoadedModel, ModelSource, load, save};
use svs_engine::{InFlight, Params, WeightSet};

/// The adapter's folder.
pub(super) const ADAPTER: &str = "adapter";

/// The folders, and the same in memory.
pub(super) struct Weights {
    folder: tempfile::TempDir,
    pub(super) model: LoadedModel,
    odd: Params,
}

/// The folder of a version; the server starts with version 0.
pub(super) fn folder_of(version: u64) -> &'static str {
    if version.is_multiple_of(2) { "even" } else { "odd" }
}

/// How streams cross into a version: both ways into both sets.
pub(super) fn crossing_into(version: u64) -> InFlight {
    if (version / 2).is_multiple_of(2) {
        InFlight::Keep
    } else {
        InFlight::Recompute
    }
}

impl Weights {
    /// Writes the folders for `model`, or for the embedded policy.
    pub(super) fn write(model: Option<&str>) -> anyhow::Result<Self> {
        let policy = || ModelSource::Folder(crate::repo::root().join("assets").join("tiny-policy"));
        let model = load(&model.map_or_else(policy, ModelSource::parse))?;
        let mut odd = model.params.clone();
        for (at, value) in odd.values.iter_mut().enumerate() {
            *value *= if at % 2 == 0 { 1.02 } else { 0.98 };
        }
        let folder = tempfile::tempdir().context("no folder for weights")?;
        save(&folder.path().join(folder_of(0)), &model, &model.params)?;
        save(&folder.path().join(folder_of(1)), &model, &odd)?;
        write_adapter(&folder.path().join(ADAPTER), &model)?;
        Ok(Self { folder, model, odd })
    }

    pub(super) fn root(&self) -> &Path {
        self.folder.path()
    }

    /// What the server serves as `version`.
    pub(super) fn set(&self, version: u64) -> Arc<WeightSet> {
        let even = folder_of(version) == folder_of(0);
        let params = if even { &self.model.params } else { &self.odd };
        Arc::new(WeightSet::pack(&self.model.config, params, version, "soak"))
    }
}

fn write_adapter(folder: &Path, model: &LoadedModel) -> anyhow::Result<()> {
    let shape = LoraShape {
        r: 2,
        lora_alpha: 4.0,
        target_modules: None,
    };
    let (_, layout) = shape.targets(&model.params.layout)?;
    let mut factors = Params::zeros(Arc::new(layout));
    for (at, value) in factors.values.iter_mut().enumerate() {
        *value = (at % 7) as f32 * 0.01 - 0.03;
    }
    Ok(shape.save(folder, &model.name, &factors)?)
}
