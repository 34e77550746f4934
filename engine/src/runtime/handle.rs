//! The handle on a running engine.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

use super::engine::event_channel;
use super::pause::{Observed, Pause, PauseMode};
use super::sweep::Sweep;
use super::thread::{Command, Shared, run};
use super::validate::validate;
use super::{Engine, EngineStats, Generation, PublishReport, memory};
use crate::config::{EngineConfig, InFlight, ModelConfig};
use crate::error::EngineError;
use crate::guide::{CompiledGuide, Guide, GuideCompiler};
use crate::ops::Team;
use crate::ops::heaps;
use crate::request::GenerateRequest;
use crate::sampler::philox4x32_10;
use crate::text::Tokenizer;
use crate::weights::{WeightSet, WeightStore};

/// Time in which a thread that has said goodbye frees what it holds.
const EXIT_TIME: Duration = Duration::from_secs(5);
/// Places in the command queue for commands other than requests.
const CONTROLS: usize = 16;

#[derive(Debug)]
struct Inner {
    commands: SyncSender<Command>,
    shared: Arc<Shared>,
    store: WeightStore,
    tokenizer: Tokenizer,
    model: ModelConfig,
    config: EngineConfig,
    context_length: usize,
    seeds: AtomicU64,
    /// Orders to pause or resume so far.
    orders: Mutex<u64>,
    observed: watch::Receiver<Observed>,
    thread: JoinHandle<()>,
    guides: GuideCompiler,
}

/// A running engine. Cheap to clone; the engine stops when the last handle is dropped and its requests are done.
#[derive(Debug, Clone)]
pub struct EngineHandle {
    inner: Arc<Inner>,
}

/// Training computes as long as this lives.
#[derive(Debug)]
pub struct TrainingComputes {
    shared: Arc<Shared>,
    team: Arc<Team>,
}

impl Drop for TrainingComputes {
    fn drop(&mut self) {
        let mut trainings = self.shared.trainings.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ours) = trainings.iter().position(|team| Arc::ptr_eq(team, &self.team)) {
            trainings.swap_remove(ours);
        }
    }
}

impl EngineHandle {
    /// Starts the engine thread. Memory is planned first and refused with the arithmetic if it cannot fit.
    ///
    /// # Errors
    /// [`EngineError::InvalidParameter`] for bounds that cannot hold.
    pub fn start(weights: Arc<WeightSet>, tokenizer: Tokenizer, config: EngineConfig) -> Result<Self, EngineError> {
        let model = weights.config.clone();
        let context_length = memory::plan(&config, &model, weights.storage.kv)?.context_length;
        let engine = Engine::new(weights, tokenizer.clone(), &config)?;
        let shared = Arc::new(Shared::default());
        *shared.stats.lock().unwrap_or_else(PoisonError::into_inner) = engine.stats();
        let store = engine.store().clone();
        let (commands, received) = sync_channel(config.max_waiting + CONTROLS);
        let kept = Arc::clone(&shared);
        let (pause, observed) = Pause::new();
        let sweep = Sweep::new(config.integrity_interval_ms);
        let thread = std::thread::Builder::new()
            .name("svs-engine".into())
            .spawn(move || run(engine, &received, &kept, (pause, sweep)))
            .map_err(|error| EngineError::Stopped(format!("cannot start its thread: {error}")))?;
        let seeds = AtomicU64::new(clock_seed());
        let guides = GuideCompiler::new(tokenizer.clone(), config.guides.clone(), config.guide_trial.clone());
        let inner = Inner {
            commands,
            shared,
            store,
            tokenizer,
            model,
            config,
            context_length,
            seeds,
            orders: Mutex::new(0),
            observed,
            thread,
            guides,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Tells the engine that training computes on its cores, on this thread's team, until the value is dropped. The team lends
    /// half of them to small steps, which take no more than [`EngineConfig::share_beside_training`] of the cores' time: the same
    /// bits, a little later.
    #[must_use]
    pub fn training_computes(&self) -> TrainingComputes {
        let (shared, team) = (Arc::clone(&self.inner.shared), Team::current());
        let mut trainings = shared.trainings.lock().unwrap_or_else(PoisonError::into_inner);
        trainings.push(Arc::clone(&team));
        drop(trainings);
        TrainingComputes { shared, team }
    }

    /// Queues a request. Does not block, except to compile a guide that [`Self::compile_guide`] has not seen lately.
    ///
    /// # Errors
    /// [`EngineError::InvalidParameter`], [`EngineError::ContextLengthExceeded`], [`EngineError::Overloaded`],
    /// [`EngineError::UnknownWeights`], [`EngineError::Stopped`], those of [`GuideCompiler::compile_to_run`].
    pub fn submit(&self, request: GenerateRequest) -> Result<Generation, EngineError> {
        let weights = self.inner.store.resolve(request.weights.as_deref())?;
        self.submit_under(request, weights)
    }

    /// As [`Self::submit`], under weights that are held.
    pub(super) fn submit_under(
        &self,
        mut request: GenerateRequest,
        weights: Arc<WeightSet>,
    ) -> Result<Generation, EngineError> {
        let inner = &*self.inner;
        if self.is_asleep() {
            return Err(EngineError::Asleep);
        }
        validate(&request, &inner.config, inner.model.vocab_size, inner.context_length)?;
        if let Some(guide) = &request.sampling.guide {
            request.guide = Some(inner.guides.compile_to_run(guide)?);
        }
        let (n, limit) = (request.n as usize, inner.config.max_waiting);
        let queued = inner.shared.queued.fetch_add(n, Ordering::Relaxed);
        let waiting = queued + inner.shared.waiting.load(Ordering::Relaxed);
        if waiting + n > limit {
            inner.shared.queued.fetch_sub(n, Ordering::Relaxed);
            return Err(EngineError::Overloaded { waiting, limit });
        }
        let seed = request.sampling.seed.unwrap_or_else(|| self.draw_seed());
        let (events, received) = event_channel(&request);
        let generation = Generation::new(seed, request.n, received);
        let command = Command::Submit {
            request: Box::new(request),
            weights,
            seed,
            events,
        };
        inner.commands.try_send(command).map_err(|error| {
            inner.shared.queued.fetch_sub(n, Ordering::Relaxed);
            match error {
                TrySendError::Full(_) => EngineError::Overloaded { waiting, limit },
                TrySendError::Disconnected(_) => stopped(),
            }
        })?;
        Ok(generation)
    }

    /// Compiles a guide, so that `submit` finds it compiled. Takes milliseconds to hundreds of them.
    ///
    /// # Errors
    /// Those of [`GuideCompiler::compile`].
    pub fn compile_guide(&self, guide: &Guide) -> Result<CompiledGuide, EngineError> {
        self.inner.guides.compile(guide)
    }

    /// Makes `weights` the policy between two steps and waits until it is so.
    ///
    /// # Errors
    /// [`EngineError::IncompatibleWeights`], [`EngineError::NoRoom`] until a set in use is let go, [`EngineError::Stopped`].
    pub fn publish(&self, weights: Arc<WeightSet>, in_flight: InFlight) -> Result<PublishReport, EngineError> {
        self.inner.store.check(&weights)?;
        let (reply, report) = sync_channel(1);
        self.inner
            .commands
            .send(Command::Publish {
                weights,
                in_flight,
                reply,
            })
            .map_err(|_| stopped())?;
        let published = report.recv().map_err(|_| stopped())?;
        // Here and not on the engine's thread, which has a step to take.
        heaps::give_back();
        published
    }

    /// Stops stepping after the current step (requests are kept), or goes on; does not wait.
    pub fn set_paused(&self, paused: bool) {
        // A stopped engine does not step either way.
        let _ = self.number_order(|order| Command::Pause {
            order,
            mode: paused.then_some(PauseMode::Keep),
            clear: false,
        });
    }

    /// Queues the command made with the next number of an order.
    pub(super) fn number_order(&self, command: impl FnOnce(u64) -> Command) -> Result<u64, EngineError> {
        let inner = &*self.inner;
        let mut orders = inner.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let order = *orders + 1;
        self.command(command(order))?;
        *orders = order;
        Ok(order)
    }

    pub(super) fn command(&self, command: Command) -> Result<(), EngineError> {
        let inner = &*self.inner;
        inner.commands.try_send(command).map_err(|error| match error {
            TrySendError::Full(_) => EngineError::Overloaded {
                waiting: inner.shared.queued.load(Ordering::Relaxed),
                limit: inner.config.max_waiting,
            },
            TrySendError::Disconnected(_) => stopped(),
        })
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.inner.shared
    }

    pub(super) fn observed(&self) -> watch::Receiver<Observed> {
        self.inner.observed.clone()
    }

    /// Whether the engine's thread lives.
    ///
    /// # Errors
    /// [`EngineError::Stopped`] after a shutdown or a crash.
    pub fn check_running(&self) -> Result<(), EngineError> {
        if self.inner.thread.is_finished() {
            Err(stopped())
        } else {
            Ok(())
        }
    }

    /// A snapshot of counters and gauges.
    #[must_use]
    pub fn stats(&self) -> EngineStats {
        self.inner
            .shared
            .stats
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The weights held.
    #[must_use]
    pub fn weights(&self) -> &WeightStore {
        &self.inner.store
    }

    /// The tokenizer.
    #[must_use]
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.inner.tokenizer
    }

    /// Shape of the model.
    #[must_use]
    pub fn model(&self) -> &ModelConfig {
        &self.inner.model
    }

    /// Longest sequence served.
    #[must_use]
    pub fn max_model_len(&self) -> usize {
        self.inner.context_length
    }

    /// Bounds in force.
    #[must_use]
    pub fn config(&self) -> &EngineConfig {
        &self.inner.config
    }

    /// Waits for running requests to end, at most `timeout`, then stops the thread; later submits fail with `Stopped`.
    pub fn shutdown(&self, timeout: Duration) {
        let (reply, done) = sync_channel(1);
        let deadline = Instant::now() + timeout;
        if self.inner.commands.send(Command::Shutdown { deadline, reply }).is_ok() {
            // The thread answers or is gone; a step under way at the deadline ends first.
            let _ = done.recv();
        }
        // Until the thread has let go of the queue, a submit would be taken and then broken off.
        let ended = Instant::now() + EXIT_TIME;
        while !self.inner.thread.is_finished() && Instant::now() < ended {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// A seed for a request that brought none.
    fn draw_seed(&self) -> u64 {
        let count = self.inner.seeds.fetch_add(1, Ordering::Relaxed);
        let [a, b, ..] = philox4x32_10(
            [(count >> 32) as u32, (count & 0xffff_ffff) as u32, 0, 1],
            [0x7365, 0x6564],
        );
        // 53 bits survive JSON numbers, so that a client can send the seed back.
        (u64::from(a) << 32 | u64::from(b)) >> 11
    }
}

pub(super) fn stopped() -> EngineError {
    EngineError::Stopped("it has been shut down or has crashed".into())
}

fn clock_seed() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |elapsed| elapsed.as_secs() << 20 ^ u64::from(elapsed.subsec_nanos()))
}
