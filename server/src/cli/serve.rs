//! `svs serve`: the HTTP server with engine and trainer behind it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use svs_trainer::run::RunState;
use tokio::net::TcpListener;

use super::rehearse::Rehearsal;
use super::shared::EngineArgs;
use super::signals::{Asked, outlive_file_limit};
use crate::app::App;
use crate::config::ServeConfig;
use crate::http::listen::{Stopped, listen};
use crate::http::router;
use crate::otlp;
use crate::secret::Secret;
use crate::stack::Stack;

/// Arguments of `svs serve`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  svs serve                                     the embedded policy on http://127.0.0.1:8000
  svs serve --model ./SmolLM2-135M-Instruct     a Hugging Face folder
  svs serve --model model.gguf --port 9000      a GGUF file
  svs serve --served-model-name policy '*'      answers to `policy` and to any other name
  svs serve --model ./base --lora math=./math-lora   a LoRA adapter as model `math`
  svs serve --config svs.toml --max-num-seqs 32 flags go before the file

Try it:
  curl http://127.0.0.1:8000/v1/chat/completions -H 'Content-Type: application/json' \\
    -d '{\"model\": \"embedded\", \"messages\": [{\"role\": \"user\", \"content\": \"What is 2 + 3?\"}]}'
  curl -X POST http://127.0.0.1:8000/v1/train/start

SIGINT or SIGTERM stops it: no new connections, running requests finish, a training run is checkpointed. A second one ends it at once.")]
pub struct Args {
    /// A Hugging Face folder, a .gguf file or a hub id; the embedded policy if absent.
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// Address to listen on [default: 127.0.0.1].
    #[arg(long)]
    pub host: Option<String>,
    /// Port to listen on; 0 takes a free one [default: 8000].
    #[arg(long)]
    pub port: Option<u16>,
    /// Names that requests may use; `*` answers to any [default: the model's own name].
    #[arg(long, value_name = "NAME", num_args = 1..)]
    pub served_model_name: Vec<String>,
    /// Folder inside of which /v1/load_lora_adapter may load LoRA adapters [default: none, and the route refuses].
    #[arg(long, value_name = "FOLDER")]
    pub lora_dir: Option<PathBuf>,
    /// Folder inside of which /update_weights_from_disk and /update_weights may read weights [default: none, and the
    /// routes refuse].
    #[arg(long, value_name = "FOLDER")]
    pub weights_dir: Option<PathBuf>,
    /// Folder inside of which requests that start a training may name files of problems [default: none, and they may name
    /// none].
    #[arg(long, value_name = "FOLDER")]
    pub problems_dir: Option<PathBuf>,
    /// A LoRA adapter to load at start, served as model NAME; may be given several times.
    #[arg(long, value_name = "NAME=FOLDER", value_parser = parse_lora)]
    pub lora: Vec<(String, PathBuf)>,
    /// Bearer token that /v1 routes ask for.
    #[arg(long, value_name = "KEY", env = "SVS_API_KEY", hide_env_values = true)]
    pub api_key: Option<String>,
    /// Bearer token for routes that change weights, training or memory; without it they ask for --api-key.
    #[arg(long, value_name = "KEY", env = "SVS_ADMIN_API_KEY", hide_env_values = true)]
    pub admin_api_key: Option<String>,
    /// Address of an OpenTelemetry collector that spans of requests and training are sent to, as OTLP over HTTP in JSON,
    /// such as http://localhost:4318/v1/traces [default: none, and there are no spans].
    #[arg(
        long,
        value_name = "URL",
        env = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        help_heading = "OpenTelemetry"
    )]
    pub otlp_traces_endpoint: Option<String>,
    /// `service.name` of the spans [default: svs].
    #[arg(long, value_name = "NAME", env = "OTEL_SERVICE_NAME", help_heading = "OpenTelemetry")]
    pub otlp_service_name: Option<String>,
    /// Headers of each export: name=value,name=value, values in percent encoding.
    #[arg(
        long,
        value_name = "HEADERS",
        env = "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
        hide_env_values = true,
        help_heading = "OpenTelemetry"
    )]
    pub otlp_traces_headers: Option<String>,
    /// Configuration file; every key is optional, see docs/api.md.
    #[arg(long, value_name = "FILE.toml")]
    pub config: Option<PathBuf>,
    /// Pack and publish the loaded weights again every so many seconds: what swaps cost under your load. Not together
    /// with training.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub rehearse_swaps: Option<u64>,
    /// Folder for the trajectory log and checkpoints [default: runs].
    #[arg(long, value_name = "FOLDER")]
    pub runs: Option<PathBuf>,
    #[command(flatten)]
    bounds: EngineArgs,
    /// Sequences that may wait; one more is answered 429.
    #[arg(long, value_name = "N", help_heading = "Engine bounds")]
    pub max_waiting: Option<usize>,
}

impl Args {
    /// The configuration file with these flags laid over it.
    fn configuration(self) -> anyhow::Result<ServeConfig> {
        let mut config = match &self.config {
            Some(path) => ServeConfig::from_file(path)?,
            None => ServeConfig::default(),
        };
        fn over<T>(slot: &mut T, flag: Option<T>) {
            if let Some(value) = flag {
                *slot = value;
            }
        }
        config.model = self.model.or(config.model);
        config.runs = self.runs.or(config.runs);
        config.server.lora_dir = self.lora_dir.or(config.server.lora_dir);
        config.server.weights_dir = self.weights_dir.or(config.server.weights_dir);
        config.server.problems_dir = self.problems_dir.or(config.server.problems_dir);
        let mut lora = BTreeMap::new();
        for (name, folder) in self.lora {
            anyhow::ensure!(
                lora.insert(name.clone(), folder).is_none(),
                "--lora: `{name}` is given twice"
            );
        }
        config.server.lora.extend(lora);
        config.server.api_key = self.api_key.map(Secret::from).or(config.server.api_key);
        let admin = self.admin_api_key.map(Secret::from);
        config.server.admin_api_key = admin.or(config.server.admin_api_key);
        let endpoint = self.otlp_traces_endpoint.filter(|endpoint| !endpoint.is_empty());
        config.server.otlp_traces_endpoint = endpoint.or(config.server.otlp_traces_endpoint);
        let service = self.otlp_service_name.filter(|name| !name.is_empty());
        over(&mut config.server.otlp.service_name, service);
        if let Some(headers) = self.otlp_traces_headers {
            let headers =
                otlp::header_list(&headers).map_err(|reason| anyhow::anyhow!("--otlp-traces-headers: {reason}"))?;
            config.server.otlp.headers.extend(headers);
        }
        over(&mut config.server.host, self.host);
        over(&mut config.server.port, self.port);
        over(&mut config.engine.max_waiting, self.max_waiting);
        self.bounds.over(&mut config.engine);
        if !self.served_model_name.is_empty() {
            config.server.served_model_names = self.served_model_name;
        }
        config.server.validate()?;
        if let Err(error) = config.train.validate() {
            // Only the defaults of runs: what a request says is laid over them.
            tracing::warn!(%error, "[train] is no configuration of a run as it stands; a run that does not say otherwise is refused");
        }
        Ok(config)
    }
}

/// Reads `NAME=FOLDER`.
fn parse_lora(text: &str) -> Result<(String, PathBuf), String> {
    let parts = text
        .split_once('=')
        .filter(|(name, folder)| !name.is_empty() && !folder.is_empty());
    let (name, folder) = parts.ok_or("must be NAME=FOLDER")?;
    Ok((name.into(), folder.into()))
}

/// Runs the command.
///
/// # Errors
/// The configuration, the model, the log or the port cannot be used.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let rehearse_swaps = args.rehearse_swaps.map(Duration::from_secs);
    let config = args.configuration()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")?;
    // The port first: a clash must not cost the time that loading a model takes.
    let address = format!("{}:{}", config.server.host, config.server.port);
    let listener = runtime
        .block_on(TcpListener::bind(&address))
        .with_context(|| format!("cannot listen on {address}"))?;
    let stack = Stack::open(&config)?;
    let app = stack.app(&config);
    let rehearsal = rehearse_swaps.map(|period| Rehearsal::start(&stack, period));
    let stopped = runtime.block_on(serve(listener, &stack, &config, Arc::clone(&app)))?;
    drop(rehearsal);
    shut_down(&stack, Duration::from_secs(config.server.shutdown_grace_seconds));
    app.tracer.close(Duration::from_secs(config.server.otlp.flush_seconds));
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(if stopped == Stopped::Drained {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn serve(listener: TcpListener, stack: &Stack, config: &ServeConfig, app: Arc<App>) -> anyhow::Result<Stopped> {
    let address = listener.local_addr().context("the listener has no address")?;
    outlive_file_limit()?;
    let signal = stop_signal()?;
    let engine = stack.engine.clone();
    let jobs = Arc::clone(&app.jobs);
    let signal = async move {
        signal.await;
        // What stops now is the server, not the job: it goes on with the next process.
        let _ = tokio::task::spawn_blocking(move || jobs.close()).await;
        // What a pause holds back may finish within the grace time. An engine that has stopped holds nothing back.
        let _ = engine.resume().await;
    };
    tracing::info!(
        "serving {} as {} on http://{address}",
        stack.model.name,
        app.names().join(", ")
    );
    let stopped = listen(listener, router(app), &config.server, signal).await;
    if stopped == Stopped::Cut {
        tracing::warn!("the grace time ran out; connections still open were cut");
    }
    Ok(stopped)
}

/// Resolves at the first SIGINT or SIGTERM. Another one of either kind ends the process at once.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut asked = Asked::listen()?;
    Ok(async move {
        asked.next().await;
        tracing::info!("stopping: running requests finish first; a second SIGINT or SIGTERM ends the process at once");
        tokio::spawn(async move {
            let status = asked.next().await;
            tracing::warn!("ended by a second signal; running requests and the training step are cut off");
            std::process::exit(status);
        });
    })
}

/// Ends an active training run with a checkpoint, then the engine; together within `grace`.
fn shut_down(stack: &Stack, grace: Duration) {
    let deadline = Instant::now() + grace;
    if stack.trainer.stop().is_ok() {
        tracing::info!("stopping the training run after its current step");
        while matches!(
            stack.trainer.status().state,
            RunState::Running | RunState::Paused | RunState::Stopping
        ) {
            if Instant::now() >= deadline {
                tracing::warn!("the current training step did not end in time; --resume regenerates it");
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    stack
        .engine
        .shutdown(deadline.saturating_duration_since(Instant::now()));
}
