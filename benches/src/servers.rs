//! Servers under comparison: started here and killed when dropped, or running elsewhere.

use std::fs::File;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::client::Client;
use crate::contestants::{Contestant, Weights};
use crate::layout::Layout;

/// Most time for loading a model.
const START: Duration = Duration::from_secs(180);
/// Tokens of a sequence that a server must have room for.
const SEQUENCE: usize = 256;

/// A server that answers.
#[derive(Debug)]
pub struct Server {
    pub contestant: Contestant,
    pub client: Client,
    child: Option<Child>,
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended by itself; then there is nothing left to do.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Server {
    /// Starts a contestant with room for `slots` sequences at once, or connects to one that runs.
    ///
    /// # Errors
    /// A program that does not start or does not become healthy in time; the message names its log.
    pub fn start(contestant: Contestant, slots: usize, exact: bool, layout: &Layout) -> anyhow::Result<Self> {
        let port = free_port()?;
        let command = match &contestant {
            Contestant::Svs(weights) => svs(*weights, slots, port, layout)?,
            Contestant::LlamaCpp(weights, flash) => llama_cpp(*weights, *flash, slots, exact, port, layout),
            Contestant::Url(url) => {
                let client = Client::connect(url.trim_end_matches('/').trim_end_matches("/v1"))?;
                return Ok(Self {
                    contestant,
                    client,
                    child: None,
                });
            }
        };
        let url = format!("http://127.0.0.1:{port}");
        let log = layout
            .results
            .join(format!("{}.log", contestant.to_string().replace(' ', "-")));
        let child = spawn(command, &log).with_context(|| format!("cannot start {contestant}"))?;
        let mut server = Self {
            client: Client::new(&url),
            contestant,
            child: Some(child),
        };
        server
            .wait_until_healthy()
            .with_context(|| format!("{} does not serve; see {}", server.contestant, log.display()))?;
        server.client = Client::connect(&url)?;
        Ok(server)
    }

    /// The process, if it is ours.
    pub fn process(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    fn wait_until_healthy(&mut self) -> anyhow::Result<()> {
        let began = Instant::now();
        while !self.client.healthy() {
            if let Some(status) = self.child.as_mut().map(Child::try_wait).transpose()?.flatten() {
                bail!("it ended ({status})");
            }
            if began.elapsed() > START {
                bail!("it is not healthy after {} s", START.as_secs());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }
}

fn svs(weights: Weights, slots: usize, port: u16, layout: &Layout) -> anyhow::Result<Command> {
    // A log that grows from run to run would be measured along.
    let runs = layout.results.join(format!("runs-{}", weights.flag()));
    if runs.exists() {
        std::fs::remove_dir_all(&runs).with_context(|| format!("cannot empty {}", runs.display()))?;
    }
    let mut command = Command::new(&layout.svs);
    command.arg("serve").arg("--model").arg(&layout.model);
    command.arg("--runs").arg(runs).args(["--weights", weights.flag()]);
    command.args(["--port", &port.to_string(), "--max-num-seqs", &slots.to_string()]);
    command.args(["--threads", &layout.threads.to_string()]);
    Ok(command)
}

/// `exact` keeps keys and values in f32, for comparing logprobs.
fn llama_cpp(weights: Weights, flash: bool, slots: usize, exact: bool, port: u16, layout: &Layout) -> Command {
    let mut command = Command::new(layout.llama("llama-server"));
    command.arg("-m").arg(layout.converted(weights));
    command.args(["--host", "127.0.0.1", "--port", &port.to_string(), "--no-webui"]);
    command.args(["-np", &slots.to_string(), "-c", &(slots * SEQUENCE).to_string()]);
    let threads = layout.threads.to_string();
    command.args(["-t", &threads, "-tb", &threads, "-fa", if flash { "on" } else { "off" }]);
    // Prompts are never asked twice: copies of finished slots would only cost it time.
    command.args(["--cache-ram", "0"]);
    if exact {
        command.args(["-ctk", "f32", "-ctv", "f32"]);
    }
    command
}

fn spawn(mut command: Command, log: &std::path::Path) -> anyhow::Result<Child> {
    let out = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
    Ok(command.spawn()?)
}

/// A port that was free a moment ago.
fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port")?;
    Ok(listener.local_addr()?.port())
}
