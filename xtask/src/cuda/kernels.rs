//! The source of the kernels of `exact`, as the engine puts it together, and its check with nvcc.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use super::toolchain::Toolkit;
use crate::repo;

/// The source.
pub(super) struct Source {
    /// All files in the engine's order.
    pub(super) text: String,
    /// Names of the kernels, in order.
    pub(super) kernels: Vec<String>,
}

/// Reads the files that engine/src/cuda/kernels.rs joins.
pub(super) fn source() -> anyhow::Result<Source> {
    let folder = repo::root().join("engine/src/cuda");
    let list = fs::read_to_string(folder.join("kernels.rs")).context("cannot read engine/src/cuda/kernels.rs")?;
    let mut text = String::new();
    for path in included(&list) {
        text += &fs::read_to_string(folder.join(path)).with_context(|| format!("cannot read {path}"))?;
    }
    let kernels = names(&text);
    if kernels.is_empty() {
        bail!("no kernels in {}", folder.display());
    }
    Ok(Source { text, kernels })
}

/// Arguments of `include_str!` that name CUDA files.
pub(super) fn included(list: &str) -> Vec<&str> {
    list.split("include_str!(\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .filter(|path| path.ends_with(".cu"))
        .collect()
}

/// Names of the kernels in a source.
pub(super) fn names(text: &str) -> Vec<String> {
    text.split("extern \"C\" __global__ void ")
        .skip(1)
        .filter_map(|rest| rest.split('(').next())
        .map(|name| name.trim().to_owned())
        .collect()
}

/// Compiles the kernels for the H100 and H200 down to machine code, without warnings; returns how many there are.
pub(super) fn check(toolkit: &Toolkit) -> anyhow::Result<usize> {
    let source = source()?;
    nvcc(toolkit, &source, &["-cubin", "-arch=sm_90"], "exact.cubin")?;
    Ok(source.kernels.len())
}

/// The kernels as PTX that every device of compute capability 8.0 or more can translate.
pub(super) fn ptx(toolkit: &Toolkit) -> anyhow::Result<PathBuf> {
    let source = source()?;
    let path = nvcc(toolkit, &source, &["-ptx", "-arch=compute_80"], "exact.ptx")?;
    let text = fs::read_to_string(&path)?;
    if let Some(name) = source
        .kernels
        .iter()
        .find(|name| !text.contains(&format!(".entry {name}(")))
    {
        bail!("{} has no entry {name}", path.display());
    }
    Ok(path)
}

fn nvcc(toolkit: &Toolkit, source: &Source, options: &[&str], name: &str) -> anyhow::Result<PathBuf> {
    let (from, to) = (
        toolkit.folder.join("exact.cu"),
        std::path::absolute(toolkit.folder.join(name))?,
    );
    write_if_new(&from, &source.text)?;
    let mut nvcc = Command::new(toolkit.root().join("bin/nvcc"));
    nvcc.args(options);
    // As engine/src/cuda/kernels.rs asks of NVRTC.
    nvcc.args(["--fmad=false", "-Werror", "all-warnings", "-o"])
        .arg(&to)
        .arg(&from);
    repo::run(&mut nvcc).context("the kernels do not compile")?;
    Ok(to)
}

/// Writes a file unless it holds the text already, so that nothing is rebuilt for it.
pub(super) fn write_if_new(path: &Path, text: &str) -> anyhow::Result<bool> {
    if fs::read_to_string(path).is_ok_and(|found| found == text) {
        return Ok(false);
    }
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(true)
}
