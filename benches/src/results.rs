//! Results: one JSON file with every sample, and tables in Markdown.

use std::fmt::Write;
use std::path::Path;

use anyhow::Context;
use serde::Serialize;

use crate::agreement::Agreement;
use crate::machine::Machine;
use crate::measure::Sample;
use crate::verdict::{Spread, Verdict, limits, verdicts};

/// Everything that was found.
#[derive(Debug, Serialize)]
pub struct Results<'a> {
    pub machine: &'a Machine,
    /// Threads of each engine.
    pub threads: usize,
    /// Share of the machine that others were to leave alone.
    pub foreign_limit: f64,
    pub agreement: Agreement,
    pub verdicts: Vec<Verdict>,
    pub samples: &'a [Sample],
}

impl<'a> Results<'a> {
    pub fn new(
        machine: &'a Machine,
        threads: usize,
        foreign_limit: f64,
        agreement: Agreement,
        samples: &'a [Sample],
    ) -> Self {
        Self {
            machine,
            threads,
            foreign_limit,
            agreement,
            verdicts: verdicts(samples),
            samples,
        }
    }

    /// Writes the JSON; whole, so that an interruption leaves the file of the alternation before.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let partial = path.with_extension("partial");
        std::fs::write(&partial, serde_json::to_vec_pretty(self)?)
            .and_then(|()| std::fs::rename(&partial, path))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// The machine, the verdicts and the standings.
    pub fn tables(&self) -> String {
        let mut out = String::new();
        self.circumstances(&mut out);
        self.verdict_table(&mut out);
        self.standing_table(&mut out);
        out
    }

    fn circumstances(&self, out: &mut String) {
        let machine = self.machine;
        let _ = writeln!(
            out,
            "- {}, {} cores, {} threads; {}",
            machine.processor,
            machine.cores,
            self.threads,
            machine.instructions.join(", ")
        );
        if let Some((flops, read)) = limits(self.samples) {
            let giga = |spread: Spread| shown(spread, |figure| format!("{:.0}", figure * 1e-9));
            let (flops, read) = (giga(flops), giga(read));
            let _ = writeln!(
                out,
                "- fused multiply-adds {flops} GFLOP/s, memory read {read} GB/s, measured beside svs's runs"
            );
        }
        let Agreement {
            tokens,
            same,
            largest_difference,
        } = self.agreement;
        let _ = writeln!(
            out,
            "- in f32, {same} of {tokens} greedy tokens are llama.cpp's; their logprobs differ by at most {largest_difference:.0e} nats"
        );
        let others = Spread::of(self.samples.iter().filter_map(|sample| sample.foreign_share).collect());
        if let Some(others) = others {
            let percent = shown(others, |share| format!("{:.0}", 100.0 * share));
            let _ = writeln!(out, "- others used {percent} % of the machine during a measurement");
        }
    }

    fn verdict_table(&self, out: &mut String) {
        let _ = writeln!(
            out,
            "\n| work | llama.cpp's strongest | svs ÷ that | floor | | of FMA peak | overhead |"
        );
        let _ = writeln!(out, "|---|---|---|---|---|---|---|");
        for verdict in &self.verdicts {
            let percent = |spread: &Option<Spread>| {
                spread.map_or_else(String::new, |spread| format!("{:.1} %", 100.0 * spread.median))
            };
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} | {} | {} | {} |",
                verdict.row.title(),
                verdict.strongest.as_ref().map_or_else(String::new, ToString::to_string),
                verdict.ratio.map_or_else(String::new, as_ratio),
                verdict.floor,
                match verdict.reached {
                    Some(true) => "reached",
                    Some(false) => "missed",
                    None => "not compared",
                },
                percent(&verdict.fma_peak_fraction),
                percent(&verdict.overhead_fraction),
            );
        }
    }

    fn standing_table(&self, out: &mut String) {
        let _ = writeln!(out, "\n| work | engine | tokens/s | svs bf16 ÷ it |");
        let _ = writeln!(out, "|---|---|---|---|");
        for verdict in &self.verdicts {
            for standing in &verdict.standings {
                let _ = writeln!(
                    out,
                    "| {} | {} | {} | {} |",
                    verdict.row.title(),
                    standing.contestant,
                    shown(standing.tokens_per_second, |rate| format!("{rate:.0}")),
                    standing.svs_ratio.map_or_else(String::new, as_ratio),
                );
            }
        }
    }
}

fn as_ratio(spread: Spread) -> String {
    shown(spread, |ratio| format!("{ratio:.2}"))
}

/// `median (least–most)`.
fn shown(spread: Spread, figure: impl Fn(f64) -> String) -> String {
    let Spread { median, least, most } = spread;
    format!("{} ({}–{})", figure(median), figure(least), figure(most))
}
