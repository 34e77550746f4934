//! The files of the policy, their checksums and the figures measured on them.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::Context;
use sha2::{Digest, Sha256};
use svs_engine::load::{LoadedModel, save};
use svs_trainer::eval::EvalReport;

use super::measure::Synthesis;

/// Checksums of the model's files, in the format of `sha256sum`.
pub(super) const CHECKSUMS: &str = "SHA256SUMS";
/// The figures.
pub(super) const FIGURES: &str = "FIGURES.md";

/// Writes the model's files into `folder` and their checksums beside them; returns the checksums.
pub(super) fn write_model(folder: &Path, model: &LoadedModel) -> anyhow::Result<String> {
    let staging = crate::repo::target().join("tiny-policy");
    save(&staging, model, &model.params)?;
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let mut names: Vec<String> = Vec::new();
    for entry in fs::read_dir(&staging)? {
        let entry = entry?;
        fs::copy(entry.path(), folder.join(entry.file_name())).with_context(|| folder.display().to_string())?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    let mut sums = String::new();
    for name in names {
        let digest = Sha256::digest(fs::read(folder.join(&name))?);
        let hex = digest
            .iter()
            .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        writeln!(sums, "{hex}  {name}")?;
    }
    fs::write(folder.join(CHECKSUMS), &sums)?;
    Ok(sums)
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
