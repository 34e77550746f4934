//! Where programs, models and results lie.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::contestants::Weights;

/// Paths, and the number of threads that every engine gets.
#[derive(Debug, Clone)]
pub struct Layout {
    /// The binary of svs.
    pub svs: PathBuf,
    /// What `cargo xtask peers` made.
    pub peers: PathBuf,
    /// The model as it was published, which svs reads.
    pub model: PathBuf,
    /// For results, logs and the servers' runs.
    pub results: PathBuf,
    /// Threads of each engine.
    pub threads: usize,
}

/// The folder of llama.cpp's programs begins so; its version follows.
const PROGRAMS: &str = "llama.cpp-";

impl Layout {
    /// Finds everything; builds svs unless a binary is given.
    ///
    /// # Errors
    /// A build that fails.
    pub fn find(svs: Option<PathBuf>, threads: usize) -> anyhow::Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .context("the package lies in no folder")?;
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        let svs = match svs {
            Some(svs) => svs,
            None => {
                let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
                let mut build = Command::new(cargo);
                build.current_dir(root).args(["build", "--release", "--workspace"]);
                if !build.status().context("cannot start cargo")?.success() {
                    bail!("svs does not build");
                }
                target.join("release/svs")
            }
        };
        let results = target.join("compare");
        std::fs::create_dir_all(&results).with_context(|| format!("cannot make {}", results.display()))?;
        Ok(Self {
            svs,
            peers: target.join("peers"),
            model: target.join("models/smollm2-0.1.2/SmolLM2-135M-Instruct.Q4_1.gguf"),
            results,
            threads,
        })
    }

    /// Refuses to start without what `cargo xtask peers` makes.
    ///
    /// # Errors
    /// The first file that is missing.
    pub fn check(&self) -> anyhow::Result<()> {
        let wanted = [
            self.model.clone(),
            self.llama("llama-batched-bench"),
            self.llama("llama-server"),
            self.converted(Weights::F32),
            self.converted(Weights::F16),
            self.converted(Weights::Bf16),
        ];
        match wanted.iter().find(|path| !path.is_file()) {
            Some(path) => bail!("{} is missing: run `cargo xtask peers` first", path.display()),
            None => Ok(()),
        }
    }

    /// One of llama.cpp's programs, of the newest version built.
    pub fn llama(&self, program: &str) -> PathBuf {
        let folders = std::fs::read_dir(&self.peers).into_iter().flatten().flatten();
        let named = folders.filter(|entry| entry.file_name().to_string_lossy().starts_with(PROGRAMS));
        let newest = named.map(|entry| entry.path()).max();
        newest.unwrap_or_else(|| self.peers.join(PROGRAMS)).join(program)
    }

    /// The model in a format of llama.cpp.
    pub fn converted(&self, weights: Weights) -> PathBuf {
        let name = format!("SmolLM2-135M-Instruct.{}.gguf", weights.gguf());
        self.peers.join(name)
    }
}
