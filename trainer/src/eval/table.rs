//! An evaluation as text: a line for each figure over all problems, and a table by source where there are several.

use std::fmt;

use super::figures::{Figures, named};
use super::{Estimate, EvalReport};

/// How a figure is written.
#[derive(Debug, Clone, Copy)]
enum Unit {
    Percent,
    Nats,
    Tokens,
}

impl Unit {
    fn show(self, estimate: Estimate) -> String {
        let Estimate { mean, lower, upper, .. } = estimate;
        match self {
            Self::Percent => format!("{:6.2} %   [{:.2}, {:.2}]", 100.0 * mean, 100.0 * lower, 100.0 * upper),
            Self::Nats => format!("{mean:6.3} nats   [{lower:.3}, {upper:.3}]"),
            Self::Tokens => format!("{mean:6.1} tokens   [{lower:.1}, {upper:.1}]"),
        }
    }
}

/// Every figure that there is, by name.
fn lines(figures: &Figures) -> Vec<(String, String)> {
    // avg@k is the same for every k: shown once, at the largest.
    let average = named("avg", &figures.avg_at).last();
    let accuracies = figures
        .rows()
        .into_iter()
        .chain(average)
        .chain(named("maj", &figures.maj_at));
    let others = [
        ("answer entropy", Unit::Nats, figures.answer_entropy),
        ("answered", Unit::Percent, figures.answered),
        ("response length", Unit::Tokens, figures.response_length),
        ("cut at the limit", Unit::Percent, figures.clip_ratio),
    ];
    let others = others
        .into_iter()
        .filter_map(|(name, unit, estimate)| Some((name.to_owned(), unit.show(estimate?))));
    accuracies
        .map(|(name, estimate)| (name, Unit::Percent.show(estimate)))
        .chain(others)
        .collect()
}

impl fmt::Display for EvalReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} problems, {} samples each at temperature {}, seed {}",
            self.overall.problems, self.samples, self.temperature, self.seed
        )?;
        for (name, shown) in lines(&self.overall) {
            writeln!(f, "{name:<16} {shown}")?;
        }
        if self.ungraded() > 0 {
            let all: u64 = self.verdicts.values().sum();
            let ungraded = self.ungraded();
            writeln!(
                f,
                "not graded       {ungraded} of {all} samples: faults of graders, golds or machines"
            )?;
        }
        if let Some(entropy) = self.entropy {
            writeln!(f, "{:<16} {entropy:7.3} nats per token", "entropy")?;
        }
        if self.sources.len() > 1 {
            for (source, figures) in &self.sources {
                writeln!(f, "\n{source}: {} problems", figures.problems)?;
                for (name, shown) in lines(figures) {
                    writeln!(f, "  {name:<16} {shown}")?;
                }
            }
            writeln!(f)?;
        }
        let verdicts = self
            .verdicts
            .iter()
            .map(|(verdict, count)| format!("{verdict} {count}"));
        write!(f, "verdicts: {}", verdicts.collect::<Vec<_>>().join(", "))
    }
}
