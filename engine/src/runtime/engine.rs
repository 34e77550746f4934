//! The step: plan, compute, draw, report. Synchronous, so that a test can drive it by hand.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::compute::Gathered;
use super::lane::Lane;
use super::live::{Live, Start};
use super::memory::{MemoryPlan, plan};
use super::steer::Steering;
use super::wanted::Wanted;
use super::{EngineStats, PublishReport};
use crate::config::{EngineConfig, InFlight};
use crate::device::{CudaMode, Device};
use crate::error::EngineError;
use crate::kv::KvBlocks;
use crate::model::Executor;
use crate::ops::Team;
use crate::request::{Event, GenerateRequest};
use crate::scheduler::{Limits, NewSequence, Scheduler, SeqId};
use crate::tap::Tapped;
use crate::text::Tokenizer;
use crate::weights::{WeightSet, WeightStore};

/// Engine without a thread. [`super::EngineHandle`] runs one on its own thread.
#[derive(Debug)]
pub struct Engine {
    pub(super) store: WeightStore,
    pub(super) tokenizer: Tokenizer,
    pub(super) scheduler: Scheduler,
    pub(super) live: HashMap<SeqId, Live>,
    /// `None` while it sleeps.
    pub(super) executor: Option<Executor>,
    /// Where steps are computed, and KV blocks there.
    pub(super) place: (Device, CudaMode, usize),
    pub(super) logits: Vec<f32>,
    /// The states behind `logits`, then those that are pooled, `[rows, hidden]`; kept where somebody reads them.
    pub(super) states: Vec<f32>,
    pub(super) gathered: Gathered,
    wanted: Wanted,
    pub(super) team: Arc<Team>,
    /// Of small steps beside training: half of the threads.
    pub(super) few: Arc<Team>,
    /// What is shared with training.
    pub(super) lane: Lane,
    pub(super) next: SeqId,
    pub(super) stats: EngineStats,
}

/// A channel that holds every event `request` can cause, so that sending never waits.
#[must_use]
pub fn event_channel(request: &GenerateRequest) -> (Sender<Event>, Receiver<Event>) {
    let choices = request.n as usize * (1 + request.control.as_ref().map_or(0, |control| control.forks as usize));
    channel(choices * (request.sampling.max_tokens as usize + 3) + 2)
}

impl Engine {
    /// Plans memory and starts the compute threads.
    ///
    /// # Errors
    /// [`EngineError::InvalidParameter`] for bounds that cannot hold, [`EngineError::Device`].
    pub fn new(weights: Arc<WeightSet>, tokenizer: Tokenizer, config: &EngineConfig) -> Result<Self, EngineError> {
        let MemoryPlan { blocks, .. } = plan(config, &weights.config, weights.storage.kv)?;
        let team = |threads| {
            let started = Team::new(threads);
            started.map_err(|error| EngineError::Stopped(format!("cannot start the compute threads: {error}")))
        };
        let all = team(config.threads)?;
        let few = team(Some((all.threads() / 2).max(1)))?;
        let limits = Limits {
            max_num_seqs: config.max_num_seqs,
            max_num_batched_tokens: config.max_num_batched_tokens,
            max_scored_rows: config.max_scored_rows,
            max_prompt_rows_beside: config.max_prompt_rows_beside,
            max_overtakes: config.max_overtakes,
        };
        Ok(Self {
            executor: Some(Executor::new(config.device, config.cuda_mode, &weights, blocks)?),
            place: (config.device, config.cuda_mode, blocks),
            stats: EngineStats::new(weights.version, blocks),
            store: WeightStore::new(weights, config.max_weight_sets),
            tokenizer,
            scheduler: Scheduler::new(limits, KvBlocks::new(blocks, config.prefix_cache)),
            live: HashMap::new(),
            logits: Vec::new(),
            states: Vec::new(),
            gathered: Gathered::default(),
            wanted: Wanted::default(),
            lane: Lane::new(config.share_beside_training, (few.threads(), all.threads())),
            team: all,
            few,
            next: 0,
        })
    }

    /// The weights held.
    #[must_use]
    pub fn store(&self) -> &WeightStore {
        &self.store
    }

    /// Queues a validated request; its events arrive on `events`, which [`event_channel`] made. It begins under `weights` if
    /// it names them, else under the policy: one that was queued behind a publish must not stay under the weights before it.
    pub fn add(&mut self, request: &GenerateRequest, weights: &Arc<WeightSet>, seed: u64, events: &Sender<Event>) {
        let policy = (!request.is_pinned()).then(|| self.store.policy());
        let weights = policy.as_ref().unwrap_or(weights);
        let sampling = Arc::new(request.sampling.clone());
        let salt: Option<Arc<str>> = request.cache_salt.as_deref().map(Into::into);
        let tokens: Vec<u32> = request.prompt.iter().chain(&request.resume).copied().collect();
        let leader = self.next;
        let guide = request.guide.as_ref().map(|guide| guide.start(&request.resume));
        debug_assert_eq!(
            request.sampling.guide.is_some(),
            guide.is_some(),
            "a guide must be compiled"
        );
        for choice in 0..request.n {
            let start = Start {
                choice,
                seed,
                prompt: &request.prompt,
                resume: &request.resume,
                weights: Arc::clone(weights),
                events: events.clone(),
                guide: guide.clone(),
                continues_text: request.continues_text,
                score_from: request.score_from,
                pooling: request.pooling,
                pinned: request.is_pinned(),
                steering: Steering::of(request, seed),
                tapped: request.tap.as_ref().map(|source| Tapped::new(source, choice)),
            };
            let live = Live::new(start, Arc::clone(&sampling), &self.tokenizer);
            let new = NewSequence {
                tokens: tokens.clone(),
                prompt_len: request.prompt.len(),
                version: weights.version,
                salt: salt.clone(),
                leader: (choice > 0).then_some(leader),
                scored_from: live.wanted_from(request.score_from),
                pinned: live.pinned,
                priority: request.priority,
            };
            self.scheduler.add(self.next, new);
            self.live.insert(self.next, live);
            self.next += 1;
        }
        self.stats.prompt_tokens += request.prompt.len() as u64;
    }

    /// Nothing to do.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.live.is_empty()
    }

    /// Makes `weights` the policy, between two steps.
    ///
    /// # Errors
    /// [`EngineError::IncompatibleWeights`], [`EngineError::NoRoom`].
    pub fn publish(&mut self, weights: Arc<WeightSet>, in_flight: InFlight) -> Result<PublishReport, EngineError> {
        let started = Instant::now();
        let version = weights.version;
        let old = self.store.policy().version;
        self.store.publish(Arc::clone(&weights))?;
        let mut crossed = 0;
        if in_flight != InFlight::Drain {
            // Only followers of the alias move; a sequence that asked for another version keeps it.
            crossed = self
                .scheduler
                .set_version(old, version, in_flight == InFlight::Recompute);
            let moved = self
                .live
                .values_mut()
                .filter(|live| live.weights.version == old && !live.pinned);
            moved.for_each(|live| live.weights = Arc::clone(&weights));
        }
        self.stats.publishes += 1;
        self.stats.version = version;
        let pause_s = started.elapsed().as_secs_f64();
        self.stats.swap_pauses.add(pause_s);
        Ok(PublishReport {
            version,
            in_flight: crossed,
            pause_ms: pause_s * 1e3,
        })
    }

    /// Runs one step; false if there was nothing to do.
    pub fn step(&mut self) -> bool {
        let began = Instant::now();
        self.drop_abandoned();
        let Some(plan) = self.scheduler.schedule() else {
            return false;
        };
        self.stats.steps += 1;
        self.stats
            .step_rows
            .add(plan.rows.iter().map(|rows| rows.len).sum::<usize>() as f64);
        for id in plan
            .rows
            .iter()
            .flat_map(|rows| std::iter::once(&rows.id).chain(&rows.draw))
        {
            if let Some(live) = self.live.get_mut(id) {
                live.began.get_or_insert(began);
            }
        }
        // A defect in a kernel fails the requests of this step, not the server.
        let mut wanted = std::mem::take(&mut self.wanted);
        self.want(&plan, &mut wanted);
        let computed = catch_unwind(AssertUnwindSafe(|| self.compute(&plan, &wanted)));
        match computed {
            Ok(Ok(())) => {
                self.scheduler.computed(&plan);
                self.report(&plan, &wanted);
            }
            Ok(Err(error)) => self.fail_all(&plan, &error.into()),
            Err(_) => self.fail_all(&plan, &EngineError::Stopped("the step panicked; see the log".into())),
        }
        self.wanted = wanted;
        self.stats.step_seconds += began.elapsed().as_secs_f64();
        true
    }

    /// A snapshot.
    #[must_use]
    pub fn stats(&self) -> EngineStats {
        let (preemptions, prefix_queries, prefix_hits) = self.scheduler.counters();
        EngineStats {
            running: self.scheduler.running(),
            waiting: self.scheduler.waiting(),
            kv_blocks_used: self.scheduler.kv().in_use(),
            kv_blocks_free: self.scheduler.kv().free(),
            preemptions,
            prefix_queries,
            prefix_hits,
            ..self.stats.clone()
        }
    }

    /// Fails everything with `error`.
    pub fn fail_everything(&mut self, error: &EngineError) {
        let ids: Vec<SeqId> = self.live.keys().copied().collect();
        ids.into_iter().for_each(|id| self.fail(id, error));
    }

    /// Checks queues and blocks.
    ///
    /// # Errors
    /// A sentence about the first inconsistency.
    pub fn check(&self) -> Result<(), String> {
        self.scheduler.check()
    }

    /// Forgets requests whose callers went away.
    pub(super) fn drop_abandoned(&mut self) {
        let gone: Vec<SeqId> = self
            .live
            .iter()
            .filter(|(_, live)| live.abandoned())
            .map(|(id, _)| *id)
            .collect();
        for id in gone {
            self.scheduler.remove(id);
            self.live.remove(&id);
        }
    }
}
