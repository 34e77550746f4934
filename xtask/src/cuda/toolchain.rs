//! `cargo xtask cuda-toolchain`: a CUDA toolkit under target/cuda, from PyPI packages alone.
//!
//! Every step looks for what it would make and goes on where an interrupted run has stopped.

use std::ffi::OsStr;
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};

use super::{deferred, kernels};
use crate::{pip, repo};

/// Packages on PyPI. Without a pin crt and nvvm come newer than nvcc.
pub(super) const PACKAGES: [(&str, &str); 8] = [
    ("nvidia-cuda-nvcc", "13.0.88"),
    ("nvidia-cuda-crt", "13.0.88"),
    ("nvidia-nvvm", "13.0.88"),
    ("nvidia-cuda-runtime", "13.0.96"),
    ("nvidia-cuda-cccl", "13.0.85"),
    ("nvidia-cuda-nvrtc", "13.0.88"),
    ("nvidia-cublas", "13.0.2.14"),
    ("nvidia-curand", "10.4.0.35"),
];
/// What nvcc must say of itself.
const NVCC_RELEASE: &str = "release 13.0, V13.0.88";

/// Options of `cuda-toolchain`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Python 3 with venv; it gets a virtual environment of its own under target/cuda.
    #[arg(long, default_value = "python3")]
    python: PathBuf,
    /// Compute capability that candle's and mistral.rs's kernels are built for, without the dot.
    #[arg(long, default_value_t = 90)]
    compute_cap: u32,
}

/// A toolkit that is ready.
pub(super) struct Toolkit {
    /// Where all of it lies.
    pub(super) folder: PathBuf,
}

impl Toolkit {
    /// The place under the target folder.
    fn place() -> Self {
        Self {
            folder: repo::target().join("cuda"),
        }
    }

    /// The one that `cuda-toolchain` has made.
    pub(super) fn find() -> anyhow::Result<Self> {
        let toolkit = Self::place();
        if !toolkit.env_file().is_file() {
            bail!(
                "there is no CUDA toolkit under {}: run `cargo xtask cuda-toolchain` first",
                toolkit.folder.display()
            );
        }
        Ok(toolkit)
    }

    /// The root that CUDA_HOME names, a link into the virtual environment.
    pub(super) fn root(&self) -> PathBuf {
        self.folder.join("toolkit")
    }

    /// What a build of `fast` finds it by, besides its `bin` on the PATH.
    pub(super) fn variables(&self, compute_cap: u32) -> anyhow::Result<Vec<(&'static str, String)>> {
        let root = std::path::absolute(self.root())?.display().to_string();
        let roots = ["CUDA_HOME", "CUDA_PATH", "CUDA_ROOT", "CUDA_TOOLKIT_ROOT_DIR"];
        let mut variables: Vec<_> = roots.into_iter().map(|name| (name, root.clone())).collect();
        variables.push(("CUDA_COMPUTE_CAP", compute_cap.to_string()));
        variables.push(("CUDARC_CUDA_VERSION", "13000".into()));
        Ok(variables)
    }

    fn env_file(&self) -> PathBuf {
        self.folder.join("env.sh")
    }

    fn site_packages(&self) -> anyhow::Result<PathBuf> {
        let lib = self.folder.join("venv/lib");
        let entries = fs::read_dir(&lib).with_context(|| format!("cannot read {}", lib.display()))?;
        entries
            .filter_map(|entry| entry.ok().map(|entry| entry.path().join("site-packages")))
            .find(|path| path.is_dir())
            .with_context(|| format!("no site-packages under {}: delete it and run again", lib.display()))
    }
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let toolkit = Toolkit::place();
    fs::create_dir_all(&toolkit.folder).with_context(|| format!("cannot make {}", toolkit.folder.display()))?;
    make_venv(&toolkit, &options.python)?;
    install(&toolkit)?;
    link(&toolkit)?;
    deferred::make(&toolkit.folder.join("deferred"), &toolkit.root().join("lib"))?;
    check(&toolkit)?;
    fs::write(toolkit.env_file(), environment(&toolkit, options.compute_cap)?)?;
    println!(
        "CUDA 13.0 toolkit in {}. Before building crates that link CUDA: source {}",
        toolkit.root().display(),
        toolkit.env_file().display()
    );
    Ok(())
}

fn make_venv(toolkit: &Toolkit, python: &Path) -> anyhow::Result<()> {
    let folder = toolkit.folder.join("venv");
    if works(&folder.join("bin/python")) {
        return Ok(());
    }
    println!("virtual environment in {}", folder.display());
    let mut venv = Command::new(python);
    venv.args(["-m", "venv", "--clear"]).arg(&folder).stdin(Stdio::null());
    let made = match venv.output() {
        Ok(made) => made,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            bail!(
                "there is no {}: install Python 3 or name one with --python",
                python.display()
            )
        }
        Err(error) => return Err(error).context("cannot start Python"),
    };
    if !made.status.success() {
        // Python says why on stdout.
        let said = [made.stderr, made.stdout].concat();
        bail!(
            "{} -m venv failed ({}): install its venv and pip packages (Debian: python3-venv)",
            python.display(),
            pip::last_line(&said)
        );
    }
    Ok(())
}

/// Whether pip runs under this Python.
fn works(python: &Path) -> bool {
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    pip.status().is_ok_and(|status| status.success())
}

/// Installs what is missing, one package after the other, so that a broken download costs only itself.
fn install(toolkit: &Toolkit) -> anyhow::Result<()> {
    let site = toolkit.site_packages()?;
    let bar =
        ProgressBar::new(PACKAGES.len() as u64).with_style(ProgressStyle::with_template("{pos}/{len} packages {msg}")?);
    for (name, version) in PACKAGES {
        bar.set_message(format!("{name} {version}"));
        let record = format!("{}-{version}.dist-info", name.replace('-', "_"));
        if !site.join(&record).join("RECORD").is_file() {
            let package = format!("{name}=={version}");
            let arguments = ["install", "--no-deps", "--only-binary", ":all:", &package].map(OsStr::new);
            if let pip::Ended::NotReached(why) = pip::run(&toolkit.folder.join("venv/bin/python"), &arguments)? {
                bail!("cannot download {package} from PyPI: {why}; check the network and run again");
            }
            if !site.join(&record).is_dir() {
                bail!(
                    "pip has installed {package}, but {} is not there",
                    site.join(&record).display()
                );
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    println!("{} packages in {}", PACKAGES.len(), site.display());
    Ok(())
}

/// What the packages lack of a toolkit: lib64, and names of libraries without versions.
fn link(toolkit: &Toolkit) -> anyhow::Result<()> {
    let packages = toolkit.site_packages()?.join("nvidia/cu13");
    if !packages.join("bin/nvcc").is_file() {
        bail!(
            "{} has no bin/nvcc: delete {} and run again",
            packages.display(),
            toolkit.folder.display()
        );
    }
    let root = toolkit.root();
    if root.is_symlink() {
        fs::remove_file(&root)?;
    }
    symlink(&packages, &root).with_context(|| format!("cannot link {}", root.display()))?;
    make_link(Path::new("lib"), &packages.join("lib64"))?;
    for entry in fs::read_dir(packages.join("lib"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if let Some((stem, _)) = name.split_once(".so.") {
            make_link(Path::new(&name), &packages.join("lib").join(format!("{stem}.so")))?;
        }
    }
    Ok(())
}

fn make_link(to: &Path, at: &Path) -> anyhow::Result<()> {
    if at.exists() {
        return Ok(());
    }
    symlink(to, at).with_context(|| format!("cannot link {}", at.display()))
}

/// The compiler is the one pinned, runs, and takes our kernels.
fn check(toolkit: &Toolkit) -> anyhow::Result<()> {
    let nvcc = toolkit.root().join("bin/nvcc");
    let told = Command::new(&nvcc).arg("--version").output();
    let told = told.with_context(|| format!("cannot start {}", nvcc.display()))?;
    if !String::from_utf8_lossy(&told.stdout).contains(NVCC_RELEASE) {
        bail!(
            "{} is not {NVCC_RELEASE}: delete {} and run again",
            nvcc.display(),
            toolkit.folder.display()
        );
    }
    let count = kernels::check(toolkit)?;
    println!("nvcc {NVCC_RELEASE}; {count} kernels of `exact` compile for sm_90");
    Ok(())
}

/// What a build needs to know, as a file for the shell. No RUSTFLAGS: cudarc names `lib` to the linker, so nothing is
/// rebuilt that does not know CUDA.
fn environment(toolkit: &Toolkit, compute_cap: u32) -> anyhow::Result<String> {
    let mut text = String::from("# Made by `cargo xtask cuda-toolchain`.\n");
    for (name, value) in toolkit.variables(compute_cap)? {
        let _ = writeln!(text, "export {name}=\"{value}\"");
    }
    Ok(text
        + &format!(
            "export PATH=\"{}/bin:$PATH\"\n",
            std::path::absolute(toolkit.root())?.display()
        ))
}
