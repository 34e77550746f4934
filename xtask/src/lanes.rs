//! `cargo xtask lanes`: serving and training on one machine. What training costs one interactive stream, and what the
//! stream costs training, each beside itself alone.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};

use svs_trainer::TrainConfig;

use crate::measure::quantile;
use crate::server::Server;

/// How often the trainer is asked where it stands.
const POLL: Duration = Duration::from_millis(50);
/// Streams whose gaps count as idle: the slowest of a hundred gaps is no bound of one stream's.
const IDLE_STREAMS: usize = 3;
/// Longest time that a run may take.
const PATIENCE: Duration = Duration::from_secs(1200);
/// Largest ratio of the 99th percentiles of gaps between tokens, with training to without.
const MOST_LATENCY: f64 = 3.0;
/// Smallest share of its speed alone that training keeps beside a stream.
const LEAST_TRAINING: f64 = 0.8;

/// Options of `cargo xtask lanes`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// A model for `svs serve`; the embedded policy if absent.
    #[arg(long)]
    model: Option<String>,
    /// Steps of training; the first is not measured.
    #[arg(long, default_value_t = 4)]
    steps: u64,
    /// Problems of a step, and samples of each.
    #[arg(long, default_value_t = 4)]
    problems: u32,
    /// Longest response, tokens.
    #[arg(long, default_value_t = 32)]
    response_tokens: u32,
    /// Tokens of a stream; one follows the other.
    #[arg(long, default_value_t = 256)]
    stream_tokens: u32,
    /// `train_share` of the run.
    #[arg(long, default_value_t = TrainConfig::default().train_share)]
    train_share: f64,
    /// `engine.share_beside_training` of the server; its default if absent.
    #[arg(long)]
    share_beside_training: Option<f64>,
    /// Storage of the weights, `f32` or `bf16`.
    #[arg(long, default_value = "f32")]
    weights: String,
    /// A built `svs`; without it one is built.
    #[arg(long)]
    binary: Option<PathBuf>,
}

/// Measures and prints.
///
/// # Errors
/// A bound that is not kept, after the table.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    ensure!(options.steps >= 2, "--steps must be at least 2");
    let file = tempfile::NamedTempFile::with_suffix(".toml")?;
    let ours = options.share_beside_training;
    let ours = ours.map_or(String::new(), |share| format!("share_beside_training = {share}\n"));
    std::fs::write(
        file.path(),
        format!("[engine]\nweights = \"{}\"\n{ours}", options.weights),
    )?;
    let config = file.path().to_str().context("a path that is text")?;
    let start = || {
        Server::start(
            options.binary.as_deref(),
            options.model.as_deref(),
            &["--config", config],
        )
    };
    let (idle, alone, quiet) = {
        let server = start()?;
        stream(server.url(), 16)?;
        let before = stolen();
        let mut idle = Vec::new();
        for _ in 0..IDLE_STREAMS {
            idle.extend(stream(server.url(), options.stream_tokens)?);
        }
        let alone = train(server.url(), options)?;
        (idle, alone, share(before, stolen()))
    };
    // The same run again, on a server that has not trained: the same bits, so the same work.
    let server = start()?;
    let before = stolen();
    let ended = AtomicBool::new(false);
    let (beside, busy) = std::thread::scope(|scope| {
        let streams = scope.spawn(|| {
            let mut gaps = Vec::new();
            while !ended.load(Ordering::Relaxed) {
                gaps.extend(stream(server.url(), options.stream_tokens)?);
            }
            anyhow::Ok(gaps)
        });
        let beside = train(server.url(), options);
        ended.store(true, Ordering::Relaxed);
        let busy = streams.join().map_err(|_| anyhow::anyhow!("the stream panicked"))?;
        anyhow::Ok((beside?, busy?))
    })?;
    let stolen = share(before, stolen());
    println!(
        "a hypervisor took {:.0} % of the processors' time while alone, {:.0} % while both ran",
        100.0 * quiet,
        100.0 * stolen
    );
    by_phase(&busy, &beside.1);
    seconds_by_phase(&alone.1, &beside.1);
    report([idle, busy], [alone.0, beside.0])
}

/// A gap between two tokens: when it ended, and its length in ms.
type Gap = (Instant, f64);
/// When the training was seen to be in a phase.
type Phase = (Instant, String);

/// Ticks of all processors, and those a hypervisor gave to others; zeros where the system does not say.
fn stolen() -> [u64; 2] {
    let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let first = text.lines().next().unwrap_or_default().split_whitespace().skip(1);
    let ticks: Vec<u64> = first.take(8).filter_map(|tick| tick.parse().ok()).collect();
    [ticks.iter().sum(), ticks.get(7).copied().unwrap_or(0)]
}

fn share(before: [u64; 2], after: [u64; 2]) -> f64 {
    (after[1] - before[1]) as f64 / (after[0] - before[0]).max(1) as f64
}

/// Gaps between the tokens of one stream, those without a text of their own included: a character may take several tokens,
/// and what its reader waits is the vocabulary's doing.
fn stream(url: &str, tokens: u32) -> anyhow::Result<Vec<Gap>> {
    let body = json!({
        "model": "policy", "prompt": "Once upon a time", "max_tokens": tokens, "stream": true, "ignore_eos": true,
        "store": false, "return_token_ids": true,
    });
    let answer = ureq::post(format!("{url}/v1/completions")).send_json(body)?;
    let lines = BufReader::new(answer.into_body().into_reader()).lines();
    let (mut gaps, mut last) = (Vec::new(), None);
    for line in lines {
        let line = line?;
        let now = Instant::now();
        let Some(chunk) = line.strip_prefix("data: ").filter(|chunk| chunk.starts_with('{')) else {
            continue;
        };
        // The chunks that open and close a stream have none.
        if serde_json::from_str::<Value>(chunk)?["choices"][0]["token_ids"][0].is_null() {
            continue;
        }
        if let Some(last) = last.replace(now) {
            gaps.push((now, (now - last).as_secs_f64() * 1e3));
        }
    }
    ensure!(!gaps.is_empty(), "the stream had no tokens");
    Ok(gaps)
}

/// Runs the training; seconds from the end of its first step to the end of its last, and its phases.
fn train(url: &str, options: &Options) -> anyhow::Result<(f64, Vec<Phase>)> {
    let config = json!({
        "recipe": "grpo", "steps": options.steps, "train_share": options.train_share,
        "problems": {"train_batch_size": options.problems},
        "rollout": {"n": options.problems.max(2), "max_response_length": options.response_tokens},
        // With the entropy in the loss every row is trained on, also where all rewards are alike.
        "algorithm": {"filter_groups": false, "entropy_coeff": 1e-4},
        "checkpoint": {"save_freq": options.steps + 1},
    });
    ureq::post(format!("{url}/v1/train/start")).send_json(json!({ "config": config }))?;
    let (began, mut first, mut phases) = (Instant::now(), None, Vec::new());
    while began.elapsed() < PATIENCE {
        let status: Value = ureq::get(format!("{url}/v1/train/status"))
            .call()?
            .into_body()
            .read_json()?;
        let step = status["step"].as_u64().context("a step")?;
        if step >= 1 && first.is_none() {
            first = Some(Instant::now());
        }
        phases.push((Instant::now(), status["phase"].as_str().unwrap_or_default().to_owned()));
        match (status["state"].as_str(), first) {
            (Some("failed"), _) => bail!("the run failed: {}", status["error"]),
            (_, Some(first)) if step == options.steps => return Ok((first.elapsed().as_secs_f64(), phases)),
            _ => std::thread::sleep(POLL),
        }
    }
    bail!("the run took more than {} s", PATIENCE.as_secs())
}

/// The gaps by what the training did when they ended.
fn by_phase(gaps: &[Gap], phases: &[Phase]) {
    let mut rows: Vec<(&str, Vec<f64>)> = Vec::new();
    for (ended, gap) in gaps {
        let seen = phases.partition_point(|(at, _)| at <= ended);
        let phase = seen.checked_sub(1).map_or("before", |at| phases[at].1.as_str());
        match rows.iter_mut().find(|(name, _)| *name == phase) {
            Some((_, gaps)) => gaps.push(*gap),
            None => rows.push((phase, vec![*gap])),
        }
    }
    head("beside training, by its phase");
    for (phase, mut gaps) in rows {
        row(phase, &mut gaps);
    }
}

/// Where the training's time went, alone and beside streams; of all its steps.
fn seconds_by_phase(alone: &[Phase], beside: &[Phase]) {
    let spent = |phases: &[Phase], name: &str| -> f64 {
        let within = phases.windows(2).filter(|pair| pair[0].1 == name);
        within.map(|pair| pair[1].0 - pair[0].0).sum::<Duration>().as_secs_f64()
    };
    let mut names: Vec<&str> = Vec::new();
    for (_, name) in beside {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    println!(
        "{:<44} {:>8} {:>8} {:>8}",
        "seconds of the training by phase", "alone", "beside", "keeps"
    );
    for name in names {
        let [alone, beside] = [spent(alone, name), spent(beside, name)];
        // Of a phase that was seen once there is no length.
        if alone.min(beside) == 0.0 {
            continue;
        }
        println!(
            "{name:<44} {alone:>8.2} {beside:>8.2} {:>6.0} %",
            100.0 * alone / beside
        );
    }
}

fn head(title: &str) {
    println!("{title:<44} {:>8} {:>8} {:>8} {:>6}", "p50", "p99", "max", "count");
}

/// Prints a row and gives its 99th percentile.
fn row(name: &str, gaps: &mut [f64]) -> f64 {
    gaps.sort_unstable_by(f64::total_cmp);
    let at = |share| quantile(gaps, share);
    println!(
        "{name:<44} {:>8.1} {:>8.1} {:>8.1} {:>6}",
        at(0.5),
        at(0.99),
        at(1.0),
        gaps.len()
    );
    at(0.99)
}

fn report(gaps: [Vec<Gap>; 2], seconds: [f64; 2]) -> anyhow::Result<()> {
    head("gaps between tokens of one stream, ms");
    let p99: Vec<f64> = gaps
        .into_iter()
        .zip(["alone", "beside training"])
        .map(|(gaps, name)| row(name, &mut gaps.into_iter().map(|(_, gap)| gap).collect::<Vec<_>>()))
        .collect();
    let (latency, training) = (p99[1] / p99[0], seconds[0] / seconds[1]);
    println!(
        "the same steps of training took {:.1} s alone and {:.1} s beside streams",
        seconds[0], seconds[1]
    );
    println!(
        "p99 of the gaps: {latency:.2} times (at most {MOST_LATENCY}); training keeps {:.0} % (at least {:.0})",
        100.0 * training,
        100.0 * LEAST_TRAINING
    );
    ensure!(
        latency <= MOST_LATENCY && training >= LEAST_TRAINING,
        "training and serving cost each other more than they may"
    );
    Ok(())
}
