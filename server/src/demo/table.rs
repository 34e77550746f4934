//! The table at the end of the demo: held-out accuracy before and after training.

use std::fmt::Write;

use svs_trainer::eval::{Estimate, EvalReport};

/// The table as text, one row per measure, percent with 95 % intervals, change in points.
#[must_use]
pub fn render(before: &EvalReport, after: &EvalReport) -> String {
    let mut out = format!("{:<10}{:>24}{:>24}{:>12}\n", "held out", "before", "after", "change");
    for ((name, before), (_, after)) in before.rows().into_iter().zip(after.rows()) {
        let change = 100.0 * (after.mean - before.mean);
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "{name:<10}{:>24}{:>24}{change:>+12.1}",
            percent(before),
            percent(after)
        );
    }
    out
}

fn percent(estimate: Estimate) -> String {
    format!(
        "{:.1} [{:.1}, {:.1}] %",
        100.0 * estimate.mean,
        100.0 * estimate.lower,
        100.0 * estimate.upper
    )
}
