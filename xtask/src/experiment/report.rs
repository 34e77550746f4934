//! The report: evaluations and steps in one file each, figures, tables and plots.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use svs_trainer::eval::estimate::Interval;
use svs_trainer::run::history;

use super::arm::{self, Arm, GENERATED, RUN};
use super::comparison::{self, Comparison, ENTROPY, Measure, Point};
use super::curves::{self, Curve};
use super::plot::{self, Panel};
use super::records::{self, Evaluation};

/// Entropy of the policy over the solutions of every step, before any filter: the same problems in both recipes.
const STEP_ENTROPY: &str = "svs/solve/entropy";
/// Metrics of a step that are kept.
const COLUMNS: [&str; 14] = [
    GENERATED,
    "training/epoch",
    "critic/score/mean",
    STEP_ENTROPY,
    "actor/entropy",
    "actor/grad_norm",
    "response_length/mean",
    "training/rows",
    "training/optimizer_steps",
    "svs/contexts",
    "svs/synthesized",
    "svs/valid",
    "svs/rewarded",
    "svs/solve_synthetic/kept_rows",
];

/// Writes the report on `seeds`, all of whose evaluations must be there.
///
/// # Errors
/// Evaluations that are missing, files that cannot be read or written.
pub(super) fn write(out: &Path, seeds: &[u64], due: &[u64]) -> anyhow::Result<()> {
    let evaluations = gather(out, seeds, due)?;
    let compared = Comparison::new(&evaluations, seeds, due)?;
    let tables = tables(&compared, &evaluations)?;
    save(out, "results.json", &(serde_json::to_string_pretty(&compared)? + "\n"))?;
    save(out, "tables.md", &tables)?;
    save(out, "steps.csv", &steps(out, &evaluations)?)?;
    plots(out, &compared, &evaluations)?;
    println!("{tables}\nreport in {}", folder(out).display());
    Ok(())
}

/// Where the report of an experiment in `out` goes.
pub(super) fn folder(out: &Path) -> PathBuf {
    out.join("report")
}

/// Writes a file of the report.
pub(super) fn save(out: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    let path = folder(out).join(name);
    std::fs::write(&path, text).with_context(|| path.display().to_string())
}

/// Brings the evaluations of the start and at `due` together, in the report's folder too.
pub(super) fn gather(out: &Path, seeds: &[u64], due: &[u64]) -> anyhow::Result<Vec<Evaluation>> {
    let folder = folder(out);
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let mut evaluations: Vec<Evaluation> = Vec::new();
    for &seed in seeds {
        for arm in [Arm::Start, Arm::Grpo, Arm::Svs] {
            let made = records::read(&arm::evaluations(&arm.folder(out, seed)))?;
            let wanted = |one: &Evaluation| one.due_tokens == 0 || due.contains(&one.due_tokens);
            evaluations.extend(made.into_iter().filter(wanted));
        }
    }
    records::write(&folder.join("evaluations.jsonl"), &evaluations)?;
    Ok(evaluations)
}

/// What became of every measure, and how it went there.
pub(super) fn tables(compared: &Comparison, evaluations: &[Evaluation]) -> anyhow::Result<String> {
    let end = compared.end()?;
    let mut text = String::from(
        "| held out | before | GRPO | SvS | SvS − GRPO, paired | seeds with SvS higher | plain means, GRPO and SvS |\n\
         |---|---|---|---|---|---|---|\n",
    );
    let names = comparison::names(compared.samples);
    for (name, measure) in in_order(&names, end) {
        let before = compared.points.first().and_then(|start| start.measures.get(name));
        let before = before.context("no start")?.svs;
        let Measure {
            grpo, svs, difference, ..
        } = *measure;
        let (scale, places) = scale(name);
        writeln!(
            text,
            "| {name}{} | {} | {} | {} | {} | {} of {} | {:.places$}, {:.places$} |",
            if name == ENTROPY { ", nats" } else { ", %" },
            shown(before, name),
            shown(grpo, name),
            shown(svs, name),
            signed(difference, name),
            measure.seeds_higher,
            compared.seeds.len(),
            scale * measure.grpo_mean,
            scale * measure.svs_mean,
        )?;
    }
    text += "\n| tokens due | recipe | steps | generated tokens |";
    for name in &names {
        write!(text, " {name} |")?;
    }
    text += "\n|---|---|---|---|";
    text += &"---|".repeat(end.measures.len());
    text.push('\n');
    for point in &compared.points[1..] {
        for arm in Arm::TRAINED {
            let of_arm = |one: &&Evaluation| one.arm == arm && one.due_tokens == point.due_tokens;
            let range = |value: fn(&Evaluation) -> u64| {
                let values = || evaluations.iter().filter(of_arm).map(value);
                format!("{} to {}", values().min().unwrap_or(0), values().max().unwrap_or(0))
            };
            let (steps, tokens) = (range(|one| one.step), range(|one| one.generated_tokens));
            write!(text, "| {} | {} | {steps} | {tokens} |", point.due_tokens, arm.name())?;
            for (name, measure) in in_order(&names, point) {
                let interval = if arm == Arm::Svs { measure.svs } else { measure.grpo };
                write!(text, " {} |", shown(interval, name))?;
            }
            text.push('\n');
        }
    }
    Ok(text)
}

/// The measures of a point in the order of `names`.
fn in_order<'a>(names: &'a [String], point: &'a Point) -> impl Iterator<Item = (&'a str, &'a Measure)> {
    names
        .iter()
        .filter_map(|name| Some((name.as_str(), point.measures.get(name)?)))
}

/// What values of a measure are multiplied by, and their decimals.
fn scale(name: &str) -> (f64, usize) {
    if name == ENTROPY { (1.0, 3) } else { (100.0, 1) }
}

fn shown(interval: Interval, name: &str) -> String {
    let (scale, places) = scale(name);
    let [value, lower, upper] = [interval.value, interval.lower, interval.upper].map(|share| scale * share);
    format!("{value:.places$} [{lower:.places$}, {upper:.places$}]")
}

fn signed(interval: Interval, name: &str) -> String {
    let (scale, places) = scale(name);
    let [value, lower, upper] = [interval.value, interval.lower, interval.upper].map(|share| scale * share);
    format!("{value:+.places$} [{lower:+.places$}, {upper:+.places$}]")
}

/// The steps of every run up to its last evaluation; a run with a larger budget may have gone further.
pub(super) fn steps(out: &Path, evaluations: &[Evaluation]) -> anyhow::Result<String> {
    let mut last: BTreeMap<(u64, &str), (Arm, u64)> = BTreeMap::new();
    for one in evaluations.iter().filter(|one| Arm::TRAINED.contains(&one.arm)) {
        let ended = last.entry((one.seed, one.arm.name())).or_insert((one.arm, one.step));
        ended.1 = ended.1.max(one.step);
    }
    let mut text = format!("arm,seed,step,{}\n", COLUMNS.join(","));
    for ((seed, name), (arm, last)) in last {
        let records = history::read(&arm.folder(out, seed).join(RUN))?;
        for record in records.iter().filter(|record| record.step <= last) {
            write!(text, "{name},{seed},{}", record.step)?;
            for column in COLUMNS {
                let value = record.metrics.get(column);
                write!(text, ",{}", value.map_or_else(String::new, |value| rounded(*value)))?;
            }
            text.push('\n');
        }
    }
    Ok(text)
}

/// Whole numbers as they are, others to six decimals.
fn rounded(value: f64) -> String {
    if value.fract() == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.6}")
    }
}

/// A curve of each recipe.
fn both(curve: impl Fn(Arm) -> anyhow::Result<Curve>) -> anyhow::Result<Vec<Curve>> {
    Arm::TRAINED.into_iter().map(curve).collect()
}

/// What panels go over: the title of that axis and what its values are multiplied by.
const TOKENS: (&str, f64) = ("generated tokens (millions)", 1e-6);
const STEPS: (&str, f64) = ("steps", 1.0);

fn plots(out: &Path, compared: &Comparison, evaluations: &[Evaluation]) -> anyhow::Result<()> {
    let measured = |name: &String| {
        let (title, scale) = curves::title(name);
        Ok(Panel {
            title,
            across: TOKENS,
            scale,
            curves: both(|arm| curves::of_measure(compared, evaluations, arm, name))?,
        })
    };
    let panels = |wanted: fn(&str) -> bool| {
        let names = comparison::names(compared.samples);
        names
            .iter()
            .filter(|name| wanted(name))
            .map(measured)
            .collect::<anyhow::Result<Vec<Panel>>>()
    };
    plot::write_svg(&folder(out).join("pass.svg"), &panels(|name| name != ENTROPY)?)?;
    let mut entropy = panels(|name| name == ENTROPY)?;
    let title = "entropy on the training problems by";
    for across in [TOKENS, STEPS] {
        let title = format!("{title} {} (nats per token)", across.0);
        entropy.push(of_steps(
            out,
            &compared.seeds,
            evaluations,
            across,
            (STEP_ENTROPY, 1.0, title),
        )?);
    }
    plot::write_svg(&folder(out).join("entropy.svg"), &entropy)
}

/// Draws reward and entropy of the training steps.
pub(super) fn steps_plot(out: &Path, seeds: &[u64], evaluations: &[Evaluation]) -> anyhow::Result<()> {
    let panels = [
        ("critic/score/mean", 100.0, "right solutions of training problems (%)"),
        (STEP_ENTROPY, 1.0, "entropy on the training problems (nats per token)"),
    ]
    .map(|(metric, scale, title)| of_steps(out, seeds, evaluations, TOKENS, (metric, scale, title.to_owned())));
    let panels = panels.into_iter().collect::<anyhow::Result<Vec<Panel>>>()?;
    plot::write_svg(&folder(out).join("steps.svg"), &panels)
}

/// A metric of the training steps, up to where the first of the runs ended.
fn of_steps(
    out: &Path,
    seeds: &[u64],
    evaluations: &[Evaluation],
    across: (&'static str, f64),
    (metric, scale, title): (&str, f64, String),
) -> anyhow::Result<Panel> {
    let due = evaluations
        .iter()
        .map(|one| one.due_tokens)
        .max()
        .context("no evaluations")?;
    let last = evaluations
        .iter()
        .filter(|one| one.due_tokens == due)
        .map(|one| one.step)
        .min();
    let (name, end) = match across {
        TOKENS => (GENERATED, due),
        _ => ("training/global_step", last.context("no evaluations")?),
    };
    Ok(Panel {
        title,
        across,
        scale,
        curves: both(|arm| curves::of_steps(out, (arm, seeds), (name, end as f64), metric))?,
    })
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
