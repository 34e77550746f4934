//! Stand-ins for the driver's library: a stub to link with, and one that runs the kernels of `exact` on the CPU.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use serde_json::Value;

use super::kernels::{self, write_if_new};
use crate::repo;

/// What a function of the stub returns: CUDA_ERROR_STUB_LIBRARY.
const STUB_LIBRARY: u32 = 34;

/// A libcuda to link with, in `folder`. Its functions say that it is a stub.
pub(super) fn stub(folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let names = driver_functions()?;
    let (source, library) = (folder.join("cuda.c"), folder.join("libcuda.so.1"));
    if write_if_new(&source, &stub_source(&names))? || !library.is_file() {
        compile("CC", "cc", &["-O1"], &[source.as_os_str()], &library)?;
    }
    let plain = folder.join("libcuda.so");
    if !plain.exists() {
        std::os::unix::fs::symlink("libcuda.so.1", &plain)?;
    }
    println!("stub libcuda with {} functions in {}", names.len(), folder.display());
    Ok(())
}

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
    let weak = write("cuda.cpp", &weak_source(&driver_functions()?))?;
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
    compile("CXX", "c++", &options, &[main.as_os_str(), weak.as_os_str()], &library)
}

pub(super) fn stub_source(names: &[String]) -> String {
    let mut text = String::from("/* Made by `cargo xtask cuda-toolchain` from the names in cudarc. */\n");
    for name in names {
        let _ = writeln!(text, "int {name}(void) {{ return {STUB_LIBRARY}; }}");
    }
    text
}

fn weak_source(names: &[String]) -> String {
    let functions = stub_source(names).replace("int cu", "__attribute__((weak)) int cu");
    format!("extern \"C\" {{\n{functions}}}\n")
}

/// Compiles a shared library with the compiler that `variable` names, `default` without it.
fn compile(
    variable: &str,
    default: &str,
    options: &[&str],
    sources: &[&std::ffi::OsStr],
    library: &Path,
) -> anyhow::Result<()> {
    let compiler = std::env::var_os(variable).unwrap_or_else(|| default.into());
    let mut command = Command::new(&compiler);
    command
        .args(options)
        .args(["-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-o"]);
    command.arg(library).args(sources);
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

/// Names of the driver's functions that the cudarc of this workspace knows.
fn driver_functions() -> anyhow::Result<Vec<String>> {
    let path = cudarc_folder()?.join("src/driver/sys/mod.rs");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let names = function_names(&text);
    if names.len() < 100 {
        bail!("{} names only {} functions of the driver", path.display(), names.len());
    }
    Ok(names)
}

/// The `cu…` functions of cudarc's bindings, in order, each once.
pub(super) fn function_names(bindings: &str) -> Vec<String> {
    let mut names: Vec<String> = bindings
        .lines()
        .filter_map(|line| line.trim().strip_prefix("pub unsafe fn cu")?.split('(').next())
        .filter(|rest| rest.starts_with(char::is_uppercase))
        .map(|rest| format!("cu{rest}"))
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
