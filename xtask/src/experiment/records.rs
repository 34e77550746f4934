//! What is kept of a run: an evaluation per line, and the metrics of its steps.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::arm::Arm;

/// One evaluation on the held-out problems.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Evaluation {
    pub(super) arm: Arm,
    pub(super) seed: u64,
    /// Generated tokens at which it was due: after the first step that reaches them.
    pub(super) due_tokens: u64,
    /// Generated tokens by then.
    pub(super) generated_tokens: u64,
    /// Steps by then.
    pub(super) step: u64,
    /// Samples of each problem.
    pub(super) samples: u32,
    /// Entropy of the policy on the sampled tokens, nats.
    pub(super) entropy: f64,
    /// Sampled tokens of all problems.
    pub(super) sampled_tokens: u64,
    /// Correct samples of each problem, shape by shape.
    pub(super) correct: Vec<u32>,
}

/// Reads a file of evaluations; none if it is not there. A line that an interruption cut short is left out.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<Evaluation>> {
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.with_context(|| path.display().to_string())?,
    };
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let parse = |line: &str| serde_json::from_str(line).with_context(|| format!("{}: {line}", path.display()));
    whole.lines().filter(|line| !line.is_empty()).map(parse).collect()
}

/// Writes `evaluations` behind those in the file that are whole.
pub(super) fn append(path: &Path, evaluation: &Evaluation) -> anyhow::Result<()> {
    let mut all = read(path)?;
    all.push(evaluation.clone());
    write(path, &all)
}

/// Writes the file anew, whole or not at all.
pub(super) fn write(path: &Path, evaluations: &[Evaluation]) -> anyhow::Result<()> {
    let part = path.with_extension("part");
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).open(&part)?;
    for evaluation in evaluations {
        writeln!(file, "{}", serde_json::to_string(evaluation)?)?;
    }
    file.sync_all()?;
    std::fs::rename(&part, path).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_line_is_left_out_and_made_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("evaluations.jsonl");
        let one = |step| Evaluation {
            arm: Arm::Svs,
            seed: 3,
            due_tokens: 100 * step,
            generated_tokens: 100 * step + 7,
            step,
            samples: 4,
            entropy: 0.25,
            sampled_tokens: 99,
            correct: vec![0, 4, 2],
        };
        assert_eq!(read(&path).expect("no file"), []);
        append(&path, &one(1)).expect("writes");
        let mut file = OpenOptions::new().append(true).open(&path).expect("opens");
        file.write_all(b"{\"arm\":\"svs\",\"se").expect("writes");
        assert_eq!(read(&path).expect("reads"), [one(1)]);
        append(&path, &one(2)).expect("writes");
        assert_eq!(read(&path).expect("reads"), [one(1), one(2)]);
    }
}
