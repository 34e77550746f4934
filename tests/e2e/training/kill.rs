//! `kill -9` in the middle of training, `--resume`, and everything is as if it had not happened.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use svs_trainer::TrajectoryLog;
use svs_trainer::crash::{self, Point};
use svs_trainer::log::ListQuery;
use svs_trainer::run::config::Recipe;
use svs_trainer::run::history;
use svs_trainer::seeds::{SplitMix, derive};

use super::process::Process;
use super::toy::{config, save_model};

/// Steps from one checkpoint to the next.
const SAVE_FREQ: u64 = 3;

/// Ids in the log with their marks, sorted.
fn logged(runs: &Path) -> Vec<(String, bool)> {
    let log = TrajectoryLog::open(&runs.join("trajectories.sqlite")).unwrap();
    let mut query = ListQuery {
        limit: 1000,
        ..ListQuery::default()
    };
    let mut rows = Vec::new();
    loop {
        let page = log.list(&query).unwrap();
        let Some(last) = page.last() else {
            rows.sort();
            return rows;
        };
        query.before_seq = Some(last.seq);
        rows.extend(
            page.into_iter()
                .map(|row| (row.trajectory.id, row.trained_at.is_some())),
        );
    }
}

/// The weights that the run in this folder ended with.
pub(super) fn weights(run: &Path) -> Vec<u8> {
    std::fs::read(run.join("model/model.safetensors")).unwrap()
}

/// Metrics of every step but those that are times.
pub(super) fn learned(run: &Path) -> Vec<(u64, BTreeMap<String, f64>)> {
    let records = history::read(run).unwrap();
    let timed = |name: &str| {
        ["timing_s/", "perf/", "publish/"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
    };
    let steps = records.into_iter().map(|record| {
        let metrics = record.metrics.into_iter().filter(|(name, _)| !timed(name));
        (record.step, metrics.collect())
    });
    steps.collect()
}

/// A run that nothing interrupts, and what it takes to make it again.
pub(super) struct Bench {
    folder: tempfile::TempDir,
    model: PathBuf,
    toml: PathBuf,
}

pub(super) static BENCH: LazyLock<Bench> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let model = save_model(folder.path());
    let mut config = config(folder.path(), Recipe::Svs, 12);
    config.checkpoint.save_freq = SAVE_FREQ;
    let toml = folder.path().join("run.toml");
    std::fs::write(&toml, config.to_toml().unwrap()).unwrap();
    let bench = Bench { folder, model, toml };
    bench.start(&bench.runs("straight"), false, None).finish();
    bench
});

impl Bench {
    pub(super) fn runs(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start(&self, runs: &Path, resume: bool, die_at: Option<&str>) -> Process {
        let more: &[&str] = if resume { &["--resume"] } else { &[] };
        self.start_with(runs, more, die_at)
    }

    /// Starts the run with more arguments.
    pub(super) fn start_with(&self, runs: &Path, more: &[&str], die_at: Option<&str>) -> Process {
        let arguments = self.arguments(runs);
        let arguments: Vec<&str> = arguments
            .iter()
            .map(String::as_str)
            .chain(more.iter().copied())
            .collect();
        match die_at {
            None => Process::start(&arguments),
            Some(point) => Process::start_with(&arguments, (crash::VARIABLE, point)),
        }
    }

    /// Resumes the run where no file can grow beyond `bytes`.
    pub(super) fn resume_within(&self, runs: &Path, bytes: u64) -> Process {
        let arguments = self.arguments(runs);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(["--resume"]).collect();
        Process::start_within(bytes, &arguments)
    }

    fn arguments(&self, runs: &Path) -> [String; 7] {
        let [model, toml, runs] = [&self.model, &self.toml, runs].map(|path| path.to_str().unwrap());
        ["train", "--model", model, "--config", toml, "--runs", runs].map(str::to_owned)
    }

    /// How many groups the uninterrupted run sampled until its first checkpoint, and in all: so often it comes to `rollout`.
    fn groups(&self) -> (usize, usize) {
        let mut groups: HashSet<(u64, String)> = HashSet::new();
        for (id, _) in logged(&self.runs("straight")) {
            // `toy/<step>/<problem>...#<sample>`; no rollouts differ here, so that no step is sampled under other ids.
            let (group, _) = id.rsplit_once('#').unwrap();
            let step = group.split('/').nth(1).and_then(|step| step.parse().ok());
            groups.insert((step.unwrap(), group.to_owned()));
        }
        let early = groups.iter().filter(|(step, _)| *step <= SAVE_FREQ).count();
        (early, groups.len())
    }

    /// The run in `runs` ended as the uninterrupted one did.
    pub(super) fn compare(&self, runs: &Path, how: &str) {
        let straight = self.runs("straight");
        let same = weights(&straight.join("toy")) == weights(&runs.join("toy"));
        assert!(same, "{how}: the weights differ");
        let (whole, parted) = (logged(&straight), logged(runs));
        let ids: HashSet<&String> = parted.iter().map(|(id, _)| id).collect();
        assert_eq!(ids.len(), parted.len(), "{how}: an id is in the log twice");
        assert_eq!(
            whole, parted,
            "{how}: a trajectory was lost, repeated or marked differently"
        );
        assert_eq!(
            learned(&straight.join("toy")),
            learned(&runs.join("toy")),
            "{how}: the metrics differ"
        );
    }
}

#[test]
fn a_killed_run_resumes_without_losing_or_repeating_anything() {
    let bench = &*BENCH;
    let killed = bench.runs("killed");
    // Killed twice, at different distances from the last checkpoint and anywhere inside a step.
    for (resume, steps, wait_ms) in [(false, 4, 7), (true, 8, 23)] {
        let mut process = bench.start(&killed, resume, None);
        let deadline = Instant::now() + Duration::from_secs(120);
        let done = || history::read(&killed.join("toy")).map_or(0, |records| records.len());
        while done() < steps {
            assert!(!process.has_ended() && Instant::now() < deadline, "{} steps", done());
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(wait_ms));
        assert!(!process.has_ended(), "the run was over before it could be killed");
        process.kill();
    }
    bench.start(&killed, true, None).finish();
    bench.compare(&killed, "killed by the clock");
}

/// A point to die at.
#[derive(Debug, Clone, Copy)]
struct Death {
    point: Point,
    name: &'static str,
    /// Which passage of it, from 1.
    passage: usize,
}

/// The points to die at, each at two of its passages, drawn by `seed`: two of the first ones, but of `rollout`, which is passed
/// many times in a step, one before the first checkpoint and one behind it. `groups` are those of [`Bench::groups`].
fn deaths(seed: &str, groups: (usize, usize)) -> Vec<Death> {
    let mut random = SplitMix::new(derive(&["crash", seed]));
    let mut deaths = Vec::new();
    for (point, name) in Point::ALL {
        // There are four checkpoints and twelve steps.
        let passages = match point {
            Point::Manifest | Point::CheckpointRename => 4,
            Point::Backward | Point::Publish => 6,
            Point::Rollout => groups.0,
            _ => 12,
        };
        let first = random.below(passages);
        let second = match point {
            Point::Rollout => groups.0 + random.below(groups.1 - groups.0),
            _ => (first + 1 + random.below(passages - 1)) % passages,
        };
        deaths.extend([first, second].map(|passed| Death {
            point,
            name,
            passage: passed + 1,
        }));
    }
    deaths
}

/// All of them with `SVS_CRASH_POINTS=all`, else five; drawn by `SVS_CRASH_SEED`.
fn drawn(groups: (usize, usize)) -> Vec<Death> {
    let seed = std::env::var("SVS_CRASH_SEED").unwrap_or_default();
    let mut deaths = deaths(&seed, groups);
    if std::env::var("SVS_CRASH_POINTS").as_deref() != Ok("all") {
        SplitMix::new(derive(&["crash", "which", &seed])).shuffle(&mut deaths);
        deaths.truncate(5);
    }
    deaths
}

#[test]
fn rollouts_die_before_and_behind_the_first_checkpoint() {
    for seed in 0..100 {
        let passages: Vec<usize> = deaths(&seed.to_string(), (30, 130))
            .into_iter()
            .filter(|death| death.point == Point::Rollout)
            .map(|death| death.passage)
            .collect();
        assert!(matches!(passages[..], [1..=30, 31..=130]), "seed {seed}: {passages:?}");
    }
}

#[test]
fn a_run_that_dies_at_any_point_resumes_bit_for_bit() {
    let bench = &*BENCH;
    let groups = bench.groups();
    for death in drawn(groups) {
        let point = format!("{}:{}", death.name, death.passage);
        let runs = bench.runs(&point.replace(':', "-"));
        let died = bench.start(&runs, false, Some(&point)).end();
        assert!(!died.success(), "{point}: the run ended without coming there");
        #[cfg(unix)]
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&died), Some(9), "{point}");
        if death.point == Point::Rollout {
            let saved = std::fs::read_dir(runs.join("toy/checkpoints")).is_ok_and(|mut found| {
                found.any(|one| one.unwrap().file_name().to_str().unwrap().starts_with("step-"))
            });
            assert_eq!(saved, death.passage > groups.0, "{point}: a checkpoint, {groups:?}");
        }
        bench.start(&runs, true, None).finish();
        bench.compare(&runs, &point);
        println!("{point}: resumed to the same bits");
    }
}
