//! What the demo shows while it works: a bar for the work under way, a line per iteration.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use svs_trainer::run::TrainStatus;

/// The terminal, shared by bars and lines. Without a terminal, bars vanish and lines go to stdout.
#[derive(Debug)]
pub(crate) struct Progress {
    bars: MultiProgress,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self {
            bars: MultiProgress::new(),
        }
    }

    /// Prints a line above the bars.
    #[allow(clippy::print_stdout)] // The demo's lines are its output.
    pub(crate) fn say(&self, line: &str) {
        self.bars.suspend(|| println!("{line}"));
    }

    /// A bar for a piece of work; its length is told with the first [`Bar::set`].
    pub(crate) fn bar(&self, what: &str) -> Bar {
        let style = ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len} {elapsed_precise} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = self
            .bars
            .add(ProgressBar::new(0).with_style(style).with_prefix(what.to_owned()));
        Bar { bar }
    }
}

/// One bar; gone when finished or dropped.
#[derive(Debug)]
pub(crate) struct Bar {
    bar: ProgressBar,
}

impl Bar {
    pub(crate) fn set(&self, done: usize, total: usize) {
        self.bar.set_length(total as u64);
        self.bar.set_position(done as u64);
    }

    pub(crate) fn note(&self, note: &str) {
        self.bar.set_message(note.to_owned());
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.finish();
    }
}

/// One iteration in a line: accuracy, the synthesis funnel, entropy, speed, publish time.
pub(crate) fn iteration_line(status: &TrainStatus) -> String {
    let metric = |name: &str| status.metrics.get(name).copied().unwrap_or(0.0);
    let mut line = format!(
        "iteration {:>3}  accuracy {:>5.1} %",
        status.step,
        100.0 * metric("svs/solve/acc_mean")
    );
    if metric("svs/synthesized") > 0.0 {
        line += &format!(
            "  written {:>3} → extracted {:>3} → solved {:>3} → rewarded {:>3}",
            metric("svs/synthesized"),
            metric("svs/extracted"),
            metric("svs/valid"),
            metric("svs/rewarded")
        );
    }
    line += &format!(
        "  entropy {:.3}  {:>6.0} tok/s  publish {:.1} ms",
        metric("actor/entropy"),
        metric("perf/throughput"),
        metric("publish/ms")
    );
    line
}
