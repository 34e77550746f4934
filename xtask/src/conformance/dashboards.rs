//! The Grafana dashboards of `docker/` over a real Prometheus that scrapes a real server under load: every panel's query must
//! return a number.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};

use super::Outcome;
use super::debian::{Program, program};
use crate::server::Server;
use crate::{http, repo};

/// Longest wait for all queries to return something.
const PATIENCE: Duration = Duration::from_secs(300);
/// What Grafana would put for its variables, at a scrape every second.
const VARIABLES: [(&str, &str); 3] = [("$__rate_interval", "2m"), ("$__interval", "2m"), ("$model_name", ".*")];
const DASHBOARDS: [&str; 2] = ["serving", "training"];

/// A panel's query.
#[derive(Debug)]
struct Query {
    panel: String,
    expression: String,
}

pub(super) fn run() -> anyhow::Result<Outcome> {
    let (prometheus, promtool) = match (
        program(&["prometheus"], "prometheus"),
        program(&["promtool"], "prometheus"),
    ) {
        (Program::Ready(prometheus), Program::Ready(promtool)) => (prometheus, promtool),
        (Program::NotReached(why), _) | (_, Program::NotReached(why)) => return Ok(Outcome::NotReached(why)),
    };
    let shipped = repo::root().join("docker/prometheus/prometheus.yml");
    quietly(Command::new(&promtool).args(["check", "config"]).arg(&shipped))?;
    let mut queries = Vec::new();
    for name in DASHBOARDS {
        queries.extend(read(
            &repo::root().join(format!("docker/grafana/dashboards/{name}.json")),
        )?);
    }
    ensure!(queries.len() > 60, "only {} queries were found", queries.len());

    let server = Server::start(None, None, &[])?;
    let run = json!({"config": {"steps": 1000, "problems": {"train_batch_size": 6}, "eval": {"test_freq": 1, "samples": 2, "k": [1, 2]}}});
    http::post(server.url(), "/v1/train/start", &run)?.ok()?;
    let monitor = Prometheus::start(&prometheus, &shipped, server.url())?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        // Something for the rates of clients' requests.
        let asked =
            json!({"model": "embedded", "prompt": "Tom has 3 apples.", "n": 2, "max_tokens": 8, "temperature": 1.0});
        http::post(server.url(), "/v1/completions", &asked)?.ok()?;
        let status = http::get(server.url(), "/v1/train/status")?.ok()?;
        ensure!(status["state"] == "running", "the run ended: {status}");
        let mut silent = Vec::new();
        for query in queries {
            if !monitor.answers(&query.expression)? {
                silent.push(query);
            }
        }
        queries = silent;
        if queries.is_empty() {
            break;
        }
        if Instant::now() > deadline {
            let silent: Vec<String> = queries
                .iter()
                .map(|query| format!("{}: {}", query.panel, query.expression))
                .collect();
            bail!("{} queries return no number:\n{}", silent.len(), silent.join("\n"));
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    let exposition = http::get(server.url(), "/metrics")?.text;
    lint(&promtool, &exposition)?;
    let version = Command::new(&prometheus).arg("--version").output()?.stdout;
    let version = String::from_utf8_lossy(&version);
    let version = version.split_whitespace().nth(2).unwrap_or("?");
    Ok(Outcome::Passed(format!(
        "every query of the dashboards {DASHBOARDS:?} returns numbers on Prometheus {version}; promtool accepts its configuration and the exposition"
    )))
}

/// The queries of a dashboard, its annotations included; every panel must have one and name the provisioned source.
fn read(path: &Path) -> anyhow::Result<Vec<Query>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let dashboard: Value = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    let source = std::fs::read_to_string(repo::root().join("docker/grafana/provisioning/datasources/prometheus.yml"))?;
    let mut queries = Vec::new();
    let panels = dashboard["panels"].as_array().context("no panels")?;
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        let title = panel["title"].as_str().context("a panel without a title")?;
        let targets = panel["targets"].as_array().filter(|targets| !targets.is_empty());
        for target in targets.with_context(|| format!("{title} has no query"))? {
            let uid = target["datasource"]["uid"].as_str().unwrap_or_default();
            ensure!(
                source.contains(&format!("uid: {uid}")),
                "{title}: no source {uid:?} is provisioned"
            );
            queries.push(query(title, &target["expr"])?);
        }
    }
    for annotation in dashboard["annotations"]["list"].as_array().into_iter().flatten() {
        queries.push(query("annotation", &annotation["expr"])?);
    }
    Ok(queries)
}

fn query(panel: &str, expression: &Value) -> anyhow::Result<Query> {
    let expression = expression
        .as_str()
        .with_context(|| format!("{panel}: a query without an expression"))?;
    let expression = VARIABLES
        .iter()
        .fold(expression.to_owned(), |text, (name, value)| text.replace(name, value));
    ensure!(
        !expression.contains('$'),
        "{panel}: {expression} has a variable that is not known here"
    );
    Ok(Query {
        panel: panel.to_owned(),
        expression,
    })
}

/// A Prometheus with the shipped configuration, but for the address and the interval; dropping it ends it.
struct Prometheus {
    child: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl Prometheus {
    fn start(program: &Path, shipped: &Path, server: &str) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let config = std::fs::read_to_string(shipped)?;
        let target = server.trim_start_matches("http://");
        let changed = config
            .replace("svs:8000", target)
            .replace("scrape_interval: 5s", "scrape_interval: 1s");
        ensure!(
            changed.contains(target) && changed.contains("scrape_interval: 1s"),
            "{config} has other contents"
        );
        let path = folder.path().join("prometheus.yml");
        std::fs::write(&path, changed)?;
        // Free a moment ago; whoever takes it meanwhile makes the start fail, not the figures wrong.
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let child = Command::new(program)
            .arg(format!("--config.file={}", path.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let url = format!("http://127.0.0.1:{port}");
        let monitor = Self {
            child,
            url,
            _folder: folder,
        };
        let deadline = Instant::now() + PATIENCE;
        while !http::get(&monitor.url, "/-/ready").is_ok_and(|answer| answer.status == 200) {
            ensure!(Instant::now() < deadline, "Prometheus does not get ready");
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(monitor)
    }

    /// Whether an expression has a series with a number now.
    fn answers(&self, expression: &str) -> anyhow::Result<bool> {
        let mut encoded = String::new();
        for byte in expression.bytes() {
            encoded.push_str(&format!("%{byte:02X}"));
        }
        let answer = http::get(&self.url, &format!("/api/v1/query?query={encoded}"))?;
        // A query that is no query will never be one.
        ensure!(answer.status != 400, "{expression}: {}", answer.text);
        let answer = answer.ok()?;
        let series = answer["data"]["result"].as_array().context("no result")?;
        let mut numbers = series
            .iter()
            .filter_map(|one| one["value"][1].as_str()?.parse::<f64>().ok());
        Ok(numbers.any(f64::is_finite))
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lets promtool read the exposition: it must parse. What promtool would name otherwise (vLLM's names, among others, have a
/// colon and a histogram ending in `_total`) is not ours to change.
fn lint(promtool: &Path, exposition: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    let mut child = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    child
        .stdin
        .take()
        .context("no standard input")?
        .write_all(exposition.as_bytes())?;
    let output = child.wait_with_output()?;
    // 1: it cannot be read; 3: advice on names.
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    ensure!(matches!(output.status.code(), Some(0 | 3)), "promtool: {said}");
    let own: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("svs_") || line.starts_with("trainer_staleness"))
        .collect();
    ensure!(own.is_empty(), "promtool on our names: {own:?}");
    Ok(())
}

/// Runs a program; what it says is shown where it fails.
fn quietly(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {said}");
    Ok(())
}
