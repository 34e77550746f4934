//! A stand-in for the driver's library that runs the kernels of `exact` on the CPU, and the names of what CUDA's libraries
//! have.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use serde_json::Value;

use super::kernels::{self, write_if_new};
use crate::repo;

/// What a function of the driver that is not there returns: CUDA_ERROR_STUB_LIBRARY.
pub(super) const STUB_LIBRARY: u32 = 34;

/// A libcuda that runs the kernels on the CPU, in `folder`.
pub(super) fn emulator(folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let source = kernels::source()?;
    let write = |name: &str, text: &str| {
        let path = std::path::absolute(folder.join(name))?;
        write_if_new(&path, text)?;
        anyhow::Ok(path)
    };
    let kernels = write("exact.cu", &source.text)?;
    let entries = write(
        "entries.inc",
        &source.kernels.iter().fold(String::new(), |mut text, name| {
            let _ = writeln!(text, "KERNEL({name})");
            text
        }),
    )?;
    let main = write("emulator.cpp", include_str!("emulator.cpp"))?;
    // Weak, so that the emulator's own functions go before.
    let weak = write("cuda.cpp", &weak_source(&functions("cuda")?))?;
    let library = folder.join("libcuda.so.1");
    let define = |name: &str, path: &Path| format!("-D{name}=\"{}\"", path.display());
    let (kernels, entries) = (define("KERNELS", &kernels), define("ENTRIES", &entries));
    // The processor's fused multiply-add, and none that the source does not write.
    let options = [
        "-std=c++17",
        "-O2",
        "-march=native",
        "-ffp-contract=off",
        "-U_FORTIFY_SOURCE",
        "-Wno-unknown-pragmas",
        &kernels,
        &entries,
    ];
    let shared = ["-shared", "-fPIC", "-Wl,-soname,libcuda.so.1"];
    let options = [options.as_slice(), shared.as_slice()].concat();
    compile("CXX", "c++", &options, &[main.as_os_str(), weak.as_os_str()], &library)
}

/// Every function of the driver, failing, and giving way to one of the same name.
pub(super) fn weak_source(names: &[String]) -> String {
    let mut text = String::from("extern \"C\" {\n");
    for name in names {
        let _ = writeln!(
            text,
            "__attribute__((weak)) int {name}(void) {{ return {STUB_LIBRARY}; }}"
        );
    }
    text + "}\n"
}

/// Compiles `sources` to the file `made` with the compiler that `variable` names, `default` without it.
pub(super) fn compile(
    variable: &str,
    default: &str,
    options: &[&str],
    sources: &[&std::ffi::OsStr],
    made: &Path,
) -> anyhow::Result<()> {
    let compiler = std::env::var_os(variable).unwrap_or_else(|| default.into());
    let mut command = Command::new(&compiler);
    command.args(options).arg("-o").arg(made).args(sources);
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => bail!("{command:?}: {status}"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            bail!(
                "there is no C compiler `{}`: install gcc, or name one in {variable}",
                compiler.display()
            )
        }
        Err(error) => Err(error).with_context(|| format!("cannot start {command:?}")),
    }
}

/// Names of the functions of a library that the cudarc of this workspace knows.
pub(super) fn functions(library: &str) -> anyhow::Result<Vec<String>> {
    let (folder, prefix) = match library {
        "cuda" => ("driver", "cu"),
        other => (other, other),
    };
    let path = cudarc_folder()?.join("src").join(folder).join("sys/mod.rs");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let names = function_names(&text, prefix);
    if names.len() < 20 {
        bail!("{} names only {} functions of {library}", path.display(), names.len());
    }
    Ok(names)
}

/// The functions in cudarc's bindings whose names are `prefix` and a capital, in order, each once.
pub(super) fn function_names(bindings: &str, prefix: &str) -> Vec<String> {
    let mut names: Vec<String> = bindings
        .lines()
        .filter_map(|line| line.trim().strip_prefix("pub unsafe fn ")?.split('(').next())
        .filter(|name| {
            name.strip_prefix(prefix)
                .is_some_and(|rest| rest.starts_with(char::is_uppercase))
        })
        .map(str::to_owned)
        .collect();
    names.sort();
    names.dedup();
    names
}

/// Where cargo keeps the sources of the cudarc that the engine depends on.
fn cudarc_folder() -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let asked = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--all-features", "--locked"])
        .current_dir(repo::root())
        .output()
        .context("cannot start cargo")?;
    if !asked.status.success() {
        bail!("cargo metadata: {}", crate::pip::last_line(&asked.stderr));
    }
    let metadata: Value = serde_json::from_slice(&asked.stdout).context("cargo metadata")?;
    let packages = metadata["packages"].as_array().map_or(&[][..], Vec::as_slice);
    // Others of our dependencies may name an older one.
    let ours = packages.iter().find(|package| {
        package["name"] == "cudarc" && package["version"].as_str().is_some_and(|v| v.starts_with("0.19."))
    });
    let manifest = ours.and_then(|package| package["manifest_path"].as_str());
    let manifest = manifest.context("the workspace does not depend on cudarc 0.19")?;
    Ok(Path::new(manifest).parent().unwrap_or(Path::new("")).to_path_buf())
}
