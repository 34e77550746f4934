//! The lines of `svs verify`: read in batches, graded on several threads, written in order.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::time::Instant;

use anyhow::Context;
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};
use svs_verifier::{Grader, MathOptions, Reading, Verdict, explain_math, grade_math};

use super::scoring::{ScoredLine, score};

/// Lines that are read before the threads start on them.
const BATCH: usize = 4096;

/// A prediction to grade; other keys of the line are ignored.
#[derive(Debug, Deserialize)]
struct Line {
    id: serde_json::Value,
    prediction: String,
    gold: String,
}

#[derive(Debug, Serialize)]
struct Graded {
    id: serde_json::Value,
    correct: bool,
    verdict: Verdict,
    extracted: Option<String>,
    micros: u64,
    steps: u64,
    rule: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<Explained>,
}

/// What is written of a line.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Row {
    Graded(Graded),
    Scored(ScoredLine),
}

impl Row {
    /// What the summary counts it as.
    fn kind(&self) -> serde_json::Result<String> {
        match self {
            Self::Graded(graded) => {
                let verdict = serde_json::to_value(graded.verdict)?;
                Ok(verdict.as_str().unwrap_or_default().to_owned())
            }
            Self::Scored(scored) => Ok(scored.kind().to_owned()),
        }
    }
}

#[derive(Debug, Serialize)]
struct Explained {
    found_by: Option<String>,
    gold: Reading,
    answer: Option<Reading>,
}

/// How lines are graded.
pub(super) struct Grading<'a> {
    pub(super) options: &'a MathOptions,
    /// Grades in place of the mathematics grader with the options, of which only the steps then count.
    pub(super) grader: Option<&'a dyn Grader>,
    pub(super) explain: bool,
    pub(super) threads: usize,
    pub(super) progress: ProgressBar,
}

/// How many lines had each verdict, and how many could not be read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) verdicts: BTreeMap<String, usize>,
    pub(super) bad: usize,
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} graded", self.verdicts.values().sum::<usize>())?;
        for (verdict, count) in &self.verdicts {
            write!(f, ", {count} {verdict}")?;
        }
        if self.bad > 0 {
            write!(f, "; {} lines not read", self.bad)?;
        }
        Ok(())
    }
}

impl Grading<'_> {
    /// Grades every line of `input`. Those that cannot be read are reported to `errors` with their number.
    pub(super) fn run(
        &self,
        mut input: impl BufRead,
        mut output: impl Write,
        errors: &mut impl Write,
        name: &str,
    ) -> anyhow::Result<Summary> {
        let (mut summary, mut number) = (Summary::default(), 0);
        loop {
            let mut batch: Vec<(usize, Vec<u8>)> = Vec::new();
            while batch.len() < BATCH {
                let mut bytes = Vec::new();
                if input
                    .read_until(b'\n', &mut bytes)
                    .with_context(|| format!("cannot read {name}"))?
                    == 0
                {
                    break;
                }
                number += 1;
                self.progress.inc(bytes.len() as u64);
                if !bytes.trim_ascii().is_empty() {
                    batch.push((number, bytes));
                }
            }
            if batch.is_empty() {
                break;
            }
            for ((number, _), graded) in batch.iter().zip(self.grade_batch(&batch)) {
                match graded {
                    Ok(graded) => {
                        *summary.verdicts.entry(graded.kind()?).or_default() += 1;
                        serde_json::to_writer(&mut output, &graded).context("cannot write the verdicts")?;
                        output.write_all(b"\n").context("cannot write the verdicts")?;
                    }
                    Err(error) => {
                        summary.bad += 1;
                        writeln!(errors, "{name}:{number}: {error}").context("cannot write to stderr")?;
                    }
                }
            }
        }
        output.flush().context("cannot write the verdicts")?;
        Ok(summary)
    }

    /// The grades of a batch, in its order, shared out among the threads.
    fn grade_batch(&self, batch: &[(usize, Vec<u8>)]) -> Vec<serde_json::Result<Row>> {
        let share = batch.len().div_ceil(self.threads.max(1)).max(1);
        std::thread::scope(|scope| {
            let threads: Vec<_> = batch
                .chunks(share)
                .map(|lines| scope.spawn(move || lines.iter().map(|(_, bytes)| self.row(bytes)).collect::<Vec<_>>()))
                .collect();
            threads
                .into_iter()
                .flat_map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        })
    }

    fn row(&self, bytes: &[u8]) -> serde_json::Result<Row> {
        match self.grader {
            Some(grader) => score(bytes, grader, self.options.max_steps).map(Row::Scored),
            None => self.grade(bytes).map(Row::Graded),
        }
    }

    fn grade(&self, bytes: &[u8]) -> serde_json::Result<Graded> {
        let line: Line = serde_json::from_slice(bytes)?;
        let started = Instant::now();
        let grade = grade_math(&line.prediction, &line.gold, self.options);
        let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        let explanation = self.explain.then(|| {
            let explained = explain_math(&line.prediction, &line.gold, self.options);
            Explained {
                found_by: grade.found_by,
                gold: explained.gold,
                answer: explained.answer,
            }
        });
        Ok(Graded {
            id: line.id,
            correct: grade.verdict == Verdict::Correct,
            verdict: grade.verdict,
            extracted: grade.extracted,
            micros,
            steps: grade.steps,
            rule: grade.rule,
            explanation,
        })
    }
}
