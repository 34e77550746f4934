//! The second half of a step: scores given tokens, draws new ones, tells the callers, ends what is done.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use super::Engine;
use super::live::tap_panicked;
use super::wanted::Wanted;
use crate::control::Observed;
use crate::error::EngineError;
use crate::guide::Allowed;
use crate::ops::par::Par;
use crate::request::{Event, FinishReason};
use crate::sampler::{Context, Draw, DrawScratch, NonFinite, Scored, draw, observe, score};
use crate::scheduler::{SeqId, StepPlan};

/// Logits below which a handful of rows is done sooner than other threads wake up.
const SERIAL_LOGITS: usize = 1 << 14;

thread_local! {
    /// Kept from draw to draw.
    static SCRATCH: RefCell<DrawScratch> = RefCell::default();
}

/// A draw, and what a controller wants to know of it.
type Drawn = (Draw, Option<Observed>);

/// A tap failed, and its request with it.
struct TapFailed;

/// A row of logits that scores a given token.
#[derive(Debug, Clone, Copy)]
struct ScoredRow {
    id: SeqId,
    position: usize,
    row: usize,
}

impl Engine {
    /// Scores given tokens, draws new ones, reports both.
    pub(super) fn report(&mut self, plan: &StepPlan, wanted: &Wanted) {
        self.pool(plan, wanted);
        let vocab = self.store.policy().config.vocab_size;
        let (mut scored, mut draws) = (Vec::new(), Vec::new());
        let mut first = 0;
        for (rows, wanted) in plan.rows.iter().zip(wanted.logits.iter()) {
            let places = wanted.iter().zip(first..);
            scored.extend(places.map(|(row, at)| ScoredRow {
                id: rows.id,
                position: rows.start + row,
                row: at,
            }));
            first += wanted.len();
            // What samples nothing has no row to draw from, and does not look at one.
            draws.extend(rows.draw.iter().map(|id| (*id, first.saturating_sub(1))));
        }
        scored.retain(|row| self.scores(row));
        self.report_scores(plan, &scored, vocab);
        let began = Instant::now();
        let drawn = self.draw(&draws, vocab, plan.version);
        self.stats.sampler_seconds += began.elapsed().as_secs_f64();
        for ((id, row), drawn) in draws.into_iter().zip(drawn) {
            let at = self.live.get(&id).map_or(0, |live| live.sampled);
            // A request that samples nothing has no state of its own here.
            if drawn.is_some() && self.tap(id, at, row).is_err() {
                continue;
            }
            self.accept(id, drawn, plan.version);
        }
    }

    /// Shows a choice's tap the state behind a row of logits; a tap that panics fails its request.
    fn tap(&mut self, id: SeqId, at: usize, row: usize) -> Result<(), TapFailed> {
        let hidden = self.store.policy().config.hidden_size;
        let Some(tapped) = self.live.get_mut(&id).and_then(|live| live.tapped.as_mut()) else {
            return Ok(());
        };
        let state = &self.states[row * hidden..][..hidden];
        let seen = catch_unwind(AssertUnwindSafe(|| tapped.on_hidden(at, state)));
        seen.map_err(|_| {
            self.fail(id, &tap_panicked());
            TapFailed
        })
    }

    fn scores(&self, row: &ScoredRow) -> bool {
        let scoring = self.live.get(&row.id).and_then(|live| live.scoring.as_ref());
        scoring.is_some_and(|scoring| scoring.wants(row.position))
    }

    /// Takes scores in and reports those that are complete; fails whom a row without finite logits belongs to.
    fn report_scores(&mut self, plan: &StepPlan, rows: &[ScoredRow], vocab: usize) {
        let scores = self.score_rows(rows, vocab);
        for (row, scored) in rows.iter().zip(scores) {
            let token = self
                .live
                .contains_key(&row.id)
                .then(|| self.scheduler.tokens(row.id)[row.position + 1]);
            let scoring = self.live.get_mut(&row.id).and_then(|live| live.scoring.as_mut());
            match (scored, scoring, token) {
                (Ok(scored), Some(scoring), Some(token)) => {
                    scoring.push(row.position, token, scored);
                    if let Some(at) = scoring.newest() {
                        // One that failed has been told so.
                        let _ = self.tap(row.id, at, row.row);
                    }
                }
                (Err(NonFinite), Some(_), _) => {
                    let error = EngineError::NonFiniteLogits {
                        position: row.position,
                        version: plan.version,
                    };
                    let whose = plan.rows.iter().find(|rows| rows.id == row.id);
                    whose
                        .into_iter()
                        .flat_map(|rows| &rows.draw)
                        .for_each(|id| self.fail(*id, &error));
                    self.fail(row.id, &error);
                }
                _ => {}
            }
        }
        for rows in &plan.rows {
            let Some(live) = self.live.get_mut(&rows.id) else {
                continue;
            };
            if let Some(done) = live.scoring.as_mut().and_then(super::scoring::Scoring::complete) {
                live.scoring = None;
                live.send(Event::Prompt(done));
                self.scheduler.scored(rows.id);
            }
        }
    }

    fn score_rows(&self, rows: &[ScoredRow], vocab: usize) -> Vec<Result<Scored, NonFinite>> {
        let one = |scratch: &mut DrawScratch, row: &ScoredRow| {
            let scoring = self.live[&row.id].scoring.as_ref().ok_or(NonFinite)?;
            let token = self.scheduler.tokens(row.id)[row.position + 1];
            let logits = &self.logits[row.row * vocab..(row.row + 1) * vocab];
            let wanted = (scoring.temperature, scoring.entropies, scoring.alternatives);
            score(logits, scratch, token, wanted)
        };
        self.each(rows, vocab, one)
    }

    /// Draws for each (sequence, row of logits): a draw depends on its own sequence only.
    fn draw(&self, draws: &[(SeqId, usize)], vocab: usize, version: u64) -> Vec<Option<Result<Drawn, EngineError>>> {
        let one = |scratch: &mut DrawScratch, (id, row): &(SeqId, usize)| {
            let live = self.live.get(id)?;
            if live.sampling.max_tokens == 0 {
                return None;
            }
            Some(self.draw_one(scratch, *id, &self.logits[row * vocab..(row + 1) * vocab], version))
        };
        self.each(draws, vocab, one)
    }

    fn draw_one(
        &self,
        scratch: &mut DrawScratch,
        id: SeqId,
        logits: &[f32],
        version: u64,
    ) -> Result<Drawn, EngineError> {
        let live = &self.live[&id];
        let position = self.scheduler.tokens(id).len();
        let non_finite = |NonFinite| EngineError::NonFiniteLogits { position, version };
        let allowed = live.allowed()?;
        let context = Context {
            params: &live.sampling,
            history: &live.history,
            suppressed: live.suppressed(),
            allowed: allowed.as_ref().map(Allowed::words),
            key: live.key,
            position,
        };
        let drawn = draw(logits, scratch, context).map_err(non_finite)?;
        if live.steering.is_none() {
            return Ok((drawn, None));
        }
        let (margin, entropy) = observe(logits).map_err(non_finite)?;
        let observed = Observed {
            token: drawn.token,
            logprob: drawn.logprob,
            margin,
            entropy,
        };
        Ok((drawn, Some(observed)))
    }

    /// Runs `one` on every row, on all threads where that pays.
    fn each<T: Sync, R: Send>(
        &self,
        rows: &[T],
        vocab: usize,
        one: impl Fn(&mut DrawScratch, &T) -> R + Sync + Send,
    ) -> Vec<R> {
        let par = if rows.len() * vocab < SERIAL_LOGITS {
            Par::Serial
        } else {
            Par::Pool
        };
        let at = |at: usize| Some(SCRATCH.with_borrow_mut(|scratch| one(scratch, &rows[at])));
        let done = self.team.install(|| par.collect(rows.len(), at));
        done.into_iter().flatten().collect()
    }

    /// Takes a draw into its sequence; ends the sequence where that is due.
    fn accept(&mut self, id: SeqId, drawn: Option<Result<Drawn, EngineError>>, version: u64) {
        let mixed = self.live.contains_key(&id) && self.scheduler.is_mixed(id);
        let Some(live) = self.live.get_mut(&id) else { return };
        let mut observed = None;
        let ended = match drawn {
            None => {
                live.finish(FinishReason::Length, None);
                true
            }
            Some(Ok((draw, seen))) => {
                if let Err(error) = live.follow(draw.token) {
                    return self.fail(id, &error);
                }
                self.stats.sampled(version);
                self.scheduler.push(id, draw.token);
                observed = seen;
                live.accept(draw, version, mixed)
            }
            Some(Err(error)) => return self.fail(id, &error),
        };
        if ended {
            self.end(id);
        } else if let Some(observed) = observed {
            self.steer(id, observed, version);
        }
    }

    pub(super) fn fail_all(&mut self, plan: &StepPlan, error: &EngineError) {
        for rows in &plan.rows {
            rows.draw.iter().for_each(|id| self.fail(*id, error));
            self.fail(rows.id, error);
        }
    }

    pub(super) fn fail(&mut self, id: SeqId, error: &EngineError) {
        if let Some(live) = self.live.remove(&id) {
            live.send(Event::Failed(error.clone()));
            self.scheduler.remove(id);
        }
    }
}
