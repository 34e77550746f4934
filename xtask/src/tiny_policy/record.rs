//! The files of the policy, their checksums and the figures measured on them.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use sha2::{Digest, Sha256};
use svs_engine::load::{LoadedModel, save};
use svs_trainer::eval::EvalReport;

use super::measure::Synthesis;

/// Checksums of the model's files, in the format of `sha256sum`.
pub(super) const CHECKSUMS: &str = "SHA256SUMS";
/// The figures.
pub(super) const FIGURES: &str = "FIGURES.md";

/// Where the files lie before they are installed.
fn staging() -> PathBuf {
    crate::repo::target().join("tiny-policy")
}

/// Writes the model's files to a staging folder; returns their checksums.
pub(super) fn stage(model: &LoadedModel) -> anyhow::Result<String> {
    let staging = staging();
    save(&staging, model, &model.params)?;
    let mut sums = String::new();
    for name in names(&staging)? {
        let digest = Sha256::digest(fs::read(staging.join(&name))?);
        let hex = digest
            .iter()
            .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        writeln!(sums, "{hex}  {name}")?;
    }
    Ok(sums)
}

/// Copies the staged files into `folder`, with their checksums beside them.
pub(super) fn install(folder: &Path, sums: &str) -> anyhow::Result<()> {
    let staging = staging();
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    for name in names(&staging)? {
        fs::copy(staging.join(&name), folder.join(&name)).with_context(|| folder.display().to_string())?;
    }
    fs::write(folder.join(CHECKSUMS), sums)?;
    Ok(())
}

/// The checksums recorded in `folder`.
pub(super) fn read_checksums(folder: &Path) -> anyhow::Result<String> {
    let path = folder.join(CHECKSUMS);
    fs::read_to_string(&path).with_context(|| format!("cannot read the recorded checksums {}", path.display()))
}

/// The files of a folder, sorted.
fn names(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<anyhow::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

/// The figures as Markdown.
pub(super) fn figures(model: &LoadedModel, training: &str, held_out: &EvalReport, synthesis: &Synthesis) -> String {
    let mut text = String::from("# Measured by `cargo xtask tiny-policy`\n\n");
    let bytes = 4 * model.params.values.len();
    text += &format!(
        "{} parameters, {bytes} bytes in f32. {training}\n\n",
        model.params.values.len()
    );
    text += &format!("Held-out wordings and numbers:\n\n```\n{held_out}\n```\n\n");
    let [extracted, rewarded, other] = synthesis.shares().map(|share| 100.0 * share);
    text += &format!(
        "Writing problems from its own correct solutions ({} seeds, {} contexts, {} outputs): {extracted:.1} % extractable, \
         {rewarded:.1} % of those rewarded, {other:.1} % of the rewarded ones in another template (mean similarity to the \
         nearest known template {:.2}).\n\n",
        synthesis.seeds, synthesis.contexts, synthesis.outputs, synthesis.similarity
    );
    text += &format!(
        "Solutions of 8 that match, and how many problems: {:?}\n\n",
        synthesis.matches
    );
    for (seed, problem) in &synthesis.examples {
        text += &format!("- seed: {seed}\n  written: {problem}\n");
    }
    text
}
