//! The table of a run and its verdict.

use std::time::Instant;

use anyhow::ensure;

use super::Swap;
use crate::measure::quantile;

/// What a swap may hold up decoding beyond one step, and the whole time of the move itself.
const MOST_BEYOND_A_STEP_MS: f64 = 5.0;

/// Gaps between tokens, milliseconds.
#[derive(Debug, Default)]
struct Gaps {
    quiet: Vec<f64>,
    packing: Vec<f64>,
    crossing: Vec<f64>,
}

/// Prints the table.
///
/// # Errors
/// A move above 5 ms, whichever it was. A gap across a swap above two steps, the one that runs when the swap is asked for and
/// the one after it, and 5 ms: by the median, by the 99th percentile and at the most, each against gaps without a swap at the same rank,
/// which hold what the machine itself holds up.
pub(super) fn conclude(rounds: &[Vec<Instant>], swaps: &[Swap]) -> anyhow::Result<()> {
    let gaps = gaps(rounds, swaps);
    let counted = || swaps.iter().filter(|swap| swap.counts);
    let moves: Vec<f64> = counted().map(|swap| swap.move_ms).collect();
    let waits: Vec<f64> = counted()
        .map(|swap| (swap.done - swap.asked).as_secs_f64() * 1e3)
        .collect();
    println!("{} swaps that all streams crossed, keep; milliseconds", moves.len());
    println!("{:<56} {:>8} {:>8} {:>8} {:>6}", "", "p50", "p99", "max", "count");
    let step = Row::print("gap between tokens, no swap", gaps.quiet);
    Row::print("gap between tokens while weights are packed", gaps.packing);
    let crossed = Row::print("gap between tokens across a swap", gaps.crossing);
    Row::print("publish asked for until done (one step, and the move)", waits);
    let moved = Row::print("the move itself: no step can run", moves);
    verdict(&step, &crossed, &moved)
}

fn gaps(rounds: &[Vec<Instant>], swaps: &[Swap]) -> Gaps {
    let mut gaps = Gaps::default();
    for pair in rounds.iter().flat_map(|round| round.windows(2)) {
        let gap = (pair[1] - pair[0]).as_secs_f64() * 1e3;
        let overlaps = |from: Instant, to: Instant| pair[0] <= to && pair[1] >= from;
        if let Some(swap) = swaps.iter().find(|swap| overlaps(swap.asked, swap.done)) {
            if swap.counts {
                gaps.crossing.push(gap);
            }
        } else if swaps.iter().any(|swap| overlaps(swap.packing, swap.asked)) {
            gaps.packing.push(gap);
        } else {
            gaps.quiet.push(gap);
        }
    }
    gaps
}

/// What a row of the table says; NaN where there are no values.
#[derive(Debug)]
struct Row {
    p50: f64,
    p99: f64,
    max: f64,
}

impl Row {
    fn print(name: &str, mut values: Vec<f64>) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        let [p50, p99, max] = [0.5, 0.99, 1.0].map(|share| quantile(&values, share));
        println!("{name:<56} {p50:>8.3} {p99:>8.3} {max:>8.3} {:>6}", values.len());
        Self { p50, p99, max }
    }
}

fn verdict(step: &Row, crossed: &Row, moved: &Row) -> anyhow::Result<()> {
    let gap = |what, rank: fn(&Row) -> f64| (what, rank(crossed), 2.0 * rank(step) + MOST_BEYOND_A_STEP_MS);
    let table = [
        ("the move at the most", moved.max, MOST_BEYOND_A_STEP_MS),
        gap("a gap across a swap (p50)", |row| row.p50),
        gap("a gap across a swap (p99)", |row| row.p99),
        gap("a gap across a swap at the most", |row| row.max),
    ];
    for (what, took_ms, bound_ms) in table {
        println!("{what}: {took_ms:.3} ms, {bound_ms:.3} allowed");
        // Without a value there is NaN, which is within no bound.
        ensure!(
            took_ms <= bound_ms,
            "{what} is {took_ms:.3} ms; {bound_ms:.3} are allowed"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_bound_is_one() {
        let row = |p50, p99, max| Row { p50, p99, max };
        let (step, fast) = (row(2.0, 4.0, 10.0), row(0.1, 1.0, 5.0));
        let table = [
            (row(9.0, 13.0, 25.0), &fast, ""),
            (row(9.1, 13.0, 25.0), &fast, "(p50)"),
            (row(9.0, 13.1, 25.0), &fast, "(p99)"),
            (row(9.0, 13.0, 25.1), &fast, "across a swap at the most"),
            (row(9.0, 13.0, 25.0), &row(0.1, 1.0, 5.1), "the move"),
            (row(9.0, 13.0, 25.0), &row(f64::NAN, f64::NAN, f64::NAN), "the move"),
        ];
        for (crossed, moved, wanted) in table {
            let failed = verdict(&step, &crossed, moved).err().map(|error| error.to_string());
            let holds = failed
                .as_ref()
                .map_or(wanted.is_empty(), |text| !wanted.is_empty() && text.contains(wanted));
            assert!(holds, "{failed:?} instead of `{wanted}`");
        }
    }

    #[test]
    fn a_gap_counts_for_the_swap_that_all_streams_crossed() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let swap = |packing, asked, done, counts| Swap {
            packing: at(packing),
            asked: at(asked),
            done: at(done),
            move_ms: 0.1,
            counts,
        };
        let swaps = [swap(12, 22, 23, true), swap(41, 42, 43, false)];
        let rounds = [vec![at(0), at(10), at(20), at(31)], vec![at(40), at(52), at(60)]];
        let gaps = gaps(&rounds, &swaps);
        let near = |got: &[f64], wanted: &[f64]| {
            got.len() == wanted.len() && got.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 0.5)
        };
        assert!(
            near(&gaps.quiet, &[10.0, 8.0]) && near(&gaps.packing, &[10.0]) && near(&gaps.crossing, &[11.0]),
            "{gaps:?}"
        );
    }
}
