//! `svs demo`: serve the embedded policy, train it with SvS while it answers, and show what that did.
//!
//! Nothing here is special to the demo but the sizes: it uses the server, the trainer and the evaluation as they are.

mod client;
mod config;
mod plot;
mod progress;
mod table;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use svs_engine::EngineHandle;
use svs_trainer::Problem;
use svs_trainer::eval::{EvalConfig, EvalReport, evaluate};
use svs_trainer::problems::procedural::Split;
use svs_trainer::run::config::Recipe;
use svs_trainer::run::{RunState, TrainStatus, source};
use svs_trainer::svs::Prompts;

use crate::cli::shared::this_program;
use crate::config::ServeConfig;
use crate::http::listen::listen;
use crate::http::router;
use crate::stack::Stack;
use client::Client;
use plot::CurvePoint;
use progress::Progress;

/// Time between two looks at the trainer's status.
const POLL: Duration = Duration::from_millis(50);

/// What to run.
#[derive(Debug, Clone)]
pub struct DemoConfig {
    /// `svs` or `grpo`.
    pub recipe: Recipe,
    /// Seed of training, problems and evaluation.
    pub seed: u64,
    /// Iterations.
    pub steps: u64,
    /// Held-out problems.
    pub problems: usize,
    /// Port on loopback; 0 takes a free one.
    pub port: u16,
    /// Folder for model, plot, log and metrics.
    pub output: PathBuf,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// Held-out accuracy before training.
    pub before: EvalReport,
    /// And after.
    pub after: EvalReport,
    /// One point per iteration.
    pub curve: Vec<CurvePoint>,
    /// API requests answered while training.
    pub answered: u64,
    /// API requests that failed.
    pub failed: u64,
}

/// Runs the whole demo and writes its files.
///
/// # Errors
/// Anything that stopped it, with its cause.
pub fn run(demo: &DemoConfig) -> anyhow::Result<Outcome> {
    let started = Instant::now();
    let progress = Progress::new();
    std::fs::create_dir_all(&demo.output)
        .with_context(|| format!("cannot create the output folder {}", demo.output.display()))?;
    let serve = serve_config(demo);
    let stack = Stack::open(&serve)?;
    let prompts = source::prompts(None, &stack.model)?;
    let server = Server::start(&stack, &serve)?;
    progress.say(&format!("serving {} on http://{}/v1", stack.model.name, server.address));
    progress.say(&format!(
        "try: curl http://{}/v1/chat/completions -H 'content-type: application/json' -d '{{\"model\":\"svs\",\"messages\":[{{\"role\":\"user\",\"content\":\"Tom has 12 pens and buys 7 more. How many pens does Tom have?\"}}]}}'",
        server.address
    ));
    let problems = source::procedural(demo.seed, Split::HeldOut, demo.problems);
    let eval = config::eval_config(demo.seed);
    let before = measure(&progress, "before", &stack.engine, &problems, &prompts, &eval)?;

    let questions = problems.iter().map(|problem| problem.question.clone()).collect();
    let mut client = Client::start(server.address, questions);
    let curve = train(demo, &stack, &progress, &client)?;
    client.stop();
    let (answered, failed) = (client.tally().answered(), client.tally().failed());

    let after = measure(&progress, "after", &stack.engine, &problems, &prompts, &eval)?;
    let run = stack.trainer.status().run_id.unwrap_or_default();
    let model = demo.output.join("runs").join(run).join("model");
    let plot = demo.output.join("learning.svg");
    let title = format!(
        "svs demo: {} on the embedded policy, seed {}",
        demo.recipe.name(),
        demo.seed
    );
    plot::write_svg(&plot, &title, &curve).map_err(anyhow::Error::msg)?;
    server.stop(&stack, &serve);

    progress.say("");
    progress.say(&format!(
        "{} held-out problems (unseen templates and numbers), 8 samples each",
        problems.len()
    ));
    progress.say(&table::render(&before, &after));
    progress.say(&format!(
        "{answered} API requests answered while training, {failed} failed, slowest {} ms, last under weight version {}",
        client.tally().slowest_ms(),
        client.tally().last_version()
    ));
    progress.say(&format!("model  {}\nplot   {}", model.display(), plot.display()));
    progress.say(&format!(
        "reproduce the table, before and after:\n  {}\n  {}",
        eval_command(None, demo),
        eval_command(Some(&model), demo)
    ));
    progress.say(&format!("took {:.0} s", started.elapsed().as_secs_f64()));
    Ok(Outcome {
        before,
        after,
        curve,
        answered,
        failed,
    })
}

fn serve_config(demo: &DemoConfig) -> ServeConfig {
    let mut serve = ServeConfig {
        runs: Some(demo.output.join("runs")),
        ..ServeConfig::default()
    };
    serve.server.port = demo.port;
    serve.server.served_model_names = vec!["svs".into(), "*".into()];
    serve.engine.max_num_seqs = 256;
    serve.engine.max_num_batched_tokens = 1024;
    serve.engine.kv_cache_bytes = 256 << 20;
    serve.engine.guide_trial = Some(this_program());
    serve
}

/// The command that measures the saved model, or the embedded policy, the same way.
fn eval_command(model: Option<&Path>, demo: &DemoConfig) -> String {
    let model = model.map_or_else(String::new, |path| format!("--model {} ", path.display()));
    format!(
        "svs eval {model}--procedural {} --problem-seed {} --samples 8 --max-tokens {} --seed {}",
        demo.problems,
        demo.seed,
        config::MAX_RESPONSE_TOKENS,
        demo.seed
    )
}

fn measure(
    progress: &Progress,
    when: &str,
    engine: &EngineHandle,
    problems: &[Problem],
    prompts: &Prompts,
    eval: &EvalConfig,
) -> anyhow::Result<EvalReport> {
    let bar = progress.bar(&format!("held-out evaluation {when} training"));
    let report = evaluate(engine, problems, prompts, eval, |done, total| bar.set(done, total))?;
    bar.finish();
    Ok(report)
}

/// Runs the training to its end and returns its curve.
fn train(demo: &DemoConfig, stack: &Stack, progress: &Progress, client: &Client) -> anyhow::Result<Vec<CurvePoint>> {
    let config = config::train_config(demo.recipe, demo.seed, demo.steps);
    stack.trainer.start(config, false)?;
    let bar = progress.bar("training");
    let mut curve: Vec<CurvePoint> = Vec::new();
    loop {
        let status = stack.trainer.status();
        bar.set(usize::try_from(status.step)?, usize::try_from(demo.steps)?);
        bar.note(&format!(
            "{} · {} requests answered",
            status.phase,
            client.tally().answered()
        ));
        if status.step as usize > curve.len() {
            let point = point(&status);
            progress.say(&progress::iteration_line(&status));
            curve.push(point);
        }
        match status.state {
            RunState::Finished => break,
            RunState::Failed => bail!("training failed: {}", status.error.unwrap_or_default()),
            _ => std::thread::sleep(POLL),
        }
    }
    bar.finish();
    Ok(curve)
}

fn point(status: &TrainStatus) -> CurvePoint {
    let metric = |name: &str| status.metrics.get(name).copied().unwrap_or(f64::NAN);
    CurvePoint {
        step: status.step,
        accuracy: metric("svs/solve/acc_mean"),
        entropy: metric("actor/entropy"),
    }
}

/// The HTTP server on its own threads.
struct Server {
    address: SocketAddr,
    runtime: tokio::runtime::Runtime,
    stop: tokio::sync::oneshot::Sender<()>,
}

impl Server {
    fn start(stack: &Stack, serve: &ServeConfig) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .context("cannot start the asynchronous runtime")?;
        let address = format!("127.0.0.1:{}", serve.server.port);
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind(&address))
            .with_context(|| format!("cannot listen on {address}"))?;
        let address = listener.local_addr().context("the listener has no address")?;
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let (app, limits) = (stack.app(serve), serve.server.clone());
        runtime.spawn(async move {
            let ended = async move {
                // A dropped sender means the same as a message: stop.
                let _ = stopped.await;
            };
            listen(listener, router(app), &limits, ended).await;
        });
        Ok(Self { address, runtime, stop })
    }

    fn stop(self, stack: &Stack, serve: &ServeConfig) {
        // The receiver is gone only if the server has ended already.
        let _ = self.stop.send(());
        stack
            .engine
            .shutdown(Duration::from_secs(serve.server.shutdown_grace_seconds));
        self.runtime.shutdown_timeout(Duration::from_secs(1));
    }
}
