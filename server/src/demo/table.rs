//! The table at the end of the demo: held-out accuracy before and after training.

use std::fmt::Write;

/// A share with its 95 % interval, all in 0..=1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Point estimate.
    pub value: f64,
    /// Lower end.
    pub lower: f64,
    /// Upper end.
    pub upper: f64,
}

/// What one evaluation measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scores {
    /// Mean accuracy of single samples at temperature 1.
    pub pass_at_1: Estimate,
    /// Accuracy of greedy decoding.
    pub greedy: Estimate,
    /// Probability that at least one of k samples is right.
    pub pass_at_k: Estimate,
    /// k of the line above.
    pub k: usize,
}

/// The table as text, one row per measure, percent with intervals, change in points.
#[must_use]
pub fn render(before: &Scores, after: &Scores) -> String {
    let k_name = format!("pass@{}", before.k);
    let rows = [
        ("pass@1", before.pass_at_1, after.pass_at_1),
        ("greedy", before.greedy, after.greedy),
        (k_name.as_str(), before.pass_at_k, after.pass_at_k),
    ];
    let mut out = format!("{:<10}{:>22}{:>22}{:>12}\n", "held out", "before", "after", "change");
    for (name, before, after) in rows {
        let change = 100.0 * (after.value - before.value);
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{name:<10}{:>22}{:>22}{change:>+12.1}", percent(before), percent(after));
    }
    out
}

fn percent(estimate: Estimate) -> String {
    format!("{:.1} [{:.1}, {:.1}] %", 100.0 * estimate.value, 100.0 * estimate.lower, 100.0 * estimate.upper)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_percent_intervals_and_points() {
        let estimate = |value| Estimate { value, lower: value - 0.02, upper: value + 0.02 };
        let before = Scores { pass_at_1: estimate(0.4), greedy: estimate(0.5), pass_at_k: estimate(0.8), k: 8 };
        let after = Scores { pass_at_1: estimate(0.6), greedy: estimate(0.62), pass_at_k: estimate(0.79), k: 8 };
        let table = render(&before, &after);
        for piece in ["40.0 [38.0, 42.0] %", "60.0 [58.0, 62.0] %", "+20.0", "-1.0", "pass@8"] {
            assert!(table.contains(piece), "`{piece}` is missing in\n{table}");
        }
        assert_eq!(table.lines().count(), 4);
    }
}
