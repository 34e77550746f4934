//! The first half of a step: what is computed from is gathered, and computed.

use std::sync::Arc;
use std::time::Instant;

use super::Engine;
use super::lists::Lists;
use super::wanted::Wanted;
use crate::device::{Device, DeviceError};
use crate::model::{SequenceRows, StepBatch};
use crate::scheduler::{PlannedRows, StepPlan};

/// What a step is computed from, gathered from its sequences. The memory is kept from step to step.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    tokens: Vec<u32>,
    logit_rows: Vec<u32>,
    state_rows: Vec<u32>,
    block_tables: Lists<u32>,
}

impl Engine {
    /// Puts the tokens, block tables and wanted rows of `plan` into `gathered`.
    fn gather(&self, plan: &StepPlan, wanted: &Wanted, gathered: &mut Gathered) {
        gathered.tokens.clear();
        gathered.logit_rows.clear();
        gathered.state_rows.clear();
        gathered.block_tables.clear();
        let wanted = wanted.logits.iter().zip(wanted.states.iter());
        for (rows, (logits, states)) in plan.rows.iter().zip(wanted) {
            let first = gathered.tokens.len();
            let numbered = |row: &usize| u32::try_from(first + row).expect("a step's rows fit u32");
            let tokens = &self.scheduler.tokens(rows.id)[rows.start..rows.start + rows.len];
            gathered.tokens.extend_from_slice(tokens);
            gathered.logit_rows.extend(logits.iter().map(numbered));
            gathered.state_rows.extend(states.iter().map(numbered));
            gathered.block_tables.push(self.scheduler.block_table(rows.id));
        }
    }

    /// Computes the logits and states that are wanted of `plan`.
    ///
    /// # Errors
    /// [`DeviceError`]; [`DeviceError::Failed`] while the engine sleeps.
    pub(super) fn compute(&mut self, plan: &StepPlan, wanted: &Wanted) -> Result<(), DeviceError> {
        let mut gathered = std::mem::take(&mut self.gathered);
        self.gather(plan, wanted, &mut gathered);
        let computed = self.forward(plan, &gathered);
        self.gathered = gathered;
        computed
    }

    fn forward(&mut self, plan: &StepPlan, gathered: &Gathered) -> Result<(), DeviceError> {
        let Some(executor) = &mut self.executor else {
            return Err(DeviceError::Failed {
                doing: "running a step",
                reason: "the engine sleeps".into(),
            });
        };
        for copy in &plan.copies {
            executor.copy_block(copy.from, copy.to, copy.rows)?;
        }
        let mut row = 0;
        let sequence = |(rows, block_table): (&PlannedRows, _)| {
            let first = row;
            row += rows.len;
            SequenceRows {
                rows: first..row,
                start: rows.start,
                block_table,
            }
        };
        let placed = plan.rows.iter().zip(gathered.block_tables.iter());
        let sequences: Vec<SequenceRows<'_>> = placed.map(sequence).collect();
        let weights = Arc::clone(&self.live[&plan.rows[0].id].weights);
        debug_assert_eq!(weights.version, plan.version);
        let Gathered {
            tokens,
            logit_rows,
            state_rows,
            ..
        } = gathered;
        let batch = StepBatch {
            tokens,
            sequences: &sequences,
            logit_rows,
            state_rows,
        };
        let drawn = plan.rows.iter().flat_map(|rows| rows.draw.iter().chain([&rows.id]));
        let tapped = drawn
            .filter_map(|id| self.live.get(id))
            .any(|live| live.tapped.is_some());
        let stated = logit_rows.len() + state_rows.len();
        let read = stated > 0 && (tapped || !state_rows.is_empty());
        let (logits, states) = (&mut self.logits, &mut self.states);
        let began = Instant::now();
        // On another device it takes nothing from a training.
        let lent = (self.place.0 == Device::Cpu)
            .then(|| self.lane.enter(tokens.len()))
            .flatten();
        let team = if lent.is_some() { &self.few } else { &self.team };
        let computed = team.install(|| {
            executor.forward(&weights, &batch, logits)?;
            if read {
                executor.states(&weights, stated, states)?;
            }
            Ok(())
        });
        self.stats.decoder_seconds += began.elapsed().as_secs_f64();
        let ours = lent.is_some();
        drop(lent);
        self.lane.left(ours.then_some(began));
        computed
    }
}
