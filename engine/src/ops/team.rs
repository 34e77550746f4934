//! Threads that carry out one parallel call after another.
//!
//! A step has some three hundred calls of tens of microseconds each. Helpers that sleep in between, or give their core
//! away, lose more than the calls take; so they spin for a moment before they sleep, and the caller works along. A call
//! within a call stays on its thread. Knows nothing of what the pieces do.
#![allow(unsafe_code)]

use std::any::Any;
use std::cell::{Cell, RefCell, UnsafeCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError, TryLockError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a helper spins for the next call before it sleeps: longer than what a step does between calls.
const SPIN: Duration = Duration::from_micros(100);
/// Turns of a spinning loop between two looks at the clock.
const TURNS: u32 = 256;

/// A call: `piece(i)` for every `i < count`.
#[derive(Clone, Copy)]
struct Call {
    piece: *const (dyn Fn(usize) + Sync),
    count: usize,
}

struct Shared {
    /// Odd while a call is open to helpers; grows by one as a call opens and as it closes.
    epoch: AtomicU64,
    /// Written by the caller while no call is open and no helper active; read by active helpers.
    call: UnsafeCell<Call>,
    /// The next piece.
    next: AtomicUsize,
    /// Helpers that may be reading `call`.
    active: AtomicUsize,
    /// What a piece panicked with.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    /// Threads, the caller included: it is number 0, helpers follow.
    threads: usize,
    /// Cores lent to others: as many of the last threads take no piece.
    lent: AtomicUsize,
    /// Helpers asleep or about to be.
    sleeping: AtomicUsize,
    bed: Mutex<()>,
    wake: Condvar,
    stop: AtomicBool,
}

// SAFETY: `call` is written only while no helper can read it (see `Team::run`); the closure it points to is `Sync`.
unsafe impl Sync for Shared {}
// SAFETY: as above.
unsafe impl Send for Shared {}

/// Threads that work on one call at a time, the caller among them.
pub struct Team {
    shared: Arc<Shared>,
    helpers: Vec<JoinHandle<()>>,
    /// Held by the caller during a call.
    lead: Mutex<()>,
}

impl std::fmt::Debug for Team {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Team")
            .field("threads", &self.threads())
            .finish_non_exhaustive()
    }
}

thread_local! {
    /// The team that this thread has been given.
    static CURRENT: RefCell<Option<Arc<Team>>> = const { RefCell::new(None) };
    /// Whether this thread is inside a piece.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// The team of threads that have none of their own: as many as the machine has cores.
fn common() -> &'static Arc<Team> {
    static COMMON: OnceLock<Arc<Team>> = OnceLock::new();
    COMMON.get_or_init(|| Team::new(None).unwrap_or_else(|_| Arc::new(Team::alone())))
}

/// Runs `work` with this thread's team.
fn with_current<T>(work: impl FnOnce(&Team) -> T) -> T {
    let own = CURRENT.with_borrow(Clone::clone);
    work(own.as_ref().unwrap_or_else(|| common()))
}

/// Threads that a call made here can use.
pub(super) fn threads() -> usize {
    if INSIDE.get() { 1 } else { with_current(Team::threads) }
}

/// Runs `piece(i)` for every `i < count` on this thread's team, in any order. Stays on this thread if the team is busy
/// with another caller's call.
pub(super) fn each(count: usize, piece: &(dyn Fn(usize) + Sync)) {
    let serial = || (0..count).for_each(piece);
    if INSIDE.get() || count <= 1 {
        return serial();
    }
    with_current(|team| {
        let _lead = match team.lead.try_lock() {
            Ok(lead) => lead,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return serial(),
        };
        if team.helpers.is_empty() {
            serial()
        } else {
            team.run(count, piece)
        }
    });
}

impl Team {
    /// Starts a team of `threads` threads, the caller included; as many as the machine has cores if `None`.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub fn new(threads: Option<usize>) -> std::io::Result<Arc<Self>> {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let threads = threads.unwrap_or_else(cores).max(1);
        let mut team = Self::with_room(threads);
        for helper in 1..threads {
            let shared = Arc::clone(&team.shared);
            let builder = std::thread::Builder::new().name(format!("svs-compute-{helper}"));
            // On an error the helpers started so far end as the team is dropped.
            team.helpers.push(builder.spawn(move || help(&shared, helper))?);
        }
        Ok(Arc::new(team))
    }

    /// A team of the caller only.
    fn alone() -> Self {
        Self::with_room(1)
    }

    /// A team whose helpers, `threads` less the caller, are to be started.
    fn with_room(threads: usize) -> Self {
        let nothing: *const (dyn Fn(usize) + Sync) = &|_| ();
        Self {
            shared: Arc::new(Shared {
                epoch: AtomicU64::new(0),
                call: UnsafeCell::new(Call {
                    piece: nothing,
                    count: 0,
                }),
                next: AtomicUsize::new(0),
                active: AtomicUsize::new(0),
                panic: Mutex::new(None),
                threads,
                lent: AtomicUsize::new(0),
                sleeping: AtomicUsize::new(0),
                bed: Mutex::new(()),
                wake: Condvar::new(),
                stop: AtomicBool::new(false),
            }),
            helpers: Vec::new(),
            lead: Mutex::new(()),
        }
    }

    /// Threads, the caller included.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.helpers.len() + 1
    }

    /// Runs `work` on this thread, its parallel calls on this team.
    pub fn install<T>(self: &Arc<Self>, work: impl FnOnce() -> T) -> T {
        /// Gives the thread back what it had, also after a panic.
        struct Before(Option<Arc<Team>>);
        impl Drop for Before {
            fn drop(&mut self) {
                CURRENT.set(self.0.take());
            }
        }
        let _before = Before(CURRENT.replace(Some(Arc::clone(self))));
        work()
    }

    /// The team of this thread.
    #[must_use]
    pub fn current() -> Arc<Self> {
        let own = CURRENT.with_borrow(Clone::clone);
        own.unwrap_or_else(|| Arc::clone(common()))
    }

    /// Leaves `cores` to somebody else until the value is dropped: as many threads, the caller last, end the piece that they
    /// are at and take no other. With all of them lent, calls rest.
    #[must_use]
    pub fn lend(self: &Arc<Self>, cores: usize) -> Lent {
        self.shared.lent.fetch_add(cores, SeqCst);
        let team = Arc::clone(self);
        Lent { team, cores }
    }

    /// Runs a call to its end. The caller holds `lead`.
    fn run(&self, count: usize, piece: &(dyn Fn(usize) + Sync)) {
        let shared = &*self.shared;
        // SAFETY: only the lifetime changes; no helper keeps the pointer beyond this function, see below.
        let piece: *const (dyn Fn(usize) + Sync) = unsafe { std::mem::transmute(piece) };
        // SAFETY: no call is open and no helper active, as the call before has waited for; we hold `lead`.
        unsafe { *shared.call.get() = Call { piece, count } };
        shared.next.store(0, SeqCst);
        let open = shared.epoch.load(SeqCst) + 1;
        shared.epoch.store(open, SeqCst);
        if shared.sleeping.load(SeqCst) > 0 && !shared.rests(1) {
            shared.wake_all();
        }
        while shared.take_pieces(0) == Left::Resting {
            shared.wait_for_cores();
        }
        // A helper first counts itself as active and then looks whether the call is open; we close it first and then look
        // for active helpers. So either it sees the call closed or we wait for it.
        shared.epoch.store(open + 1, SeqCst);
        let mut turns = 0_u32;
        while shared.active.load(SeqCst) != 0 {
            turns = turns.saturating_add(1);
            // A helper that has lost its core needs ours, perhaps.
            if turns > 4 * TURNS {
                std::thread::yield_now()
            } else {
                std::hint::spin_loop()
            }
        }
        let panic = shared.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }
}

impl Shared {
    /// Whether the core of thread `number` is lent.
    fn rests(&self, number: usize) -> bool {
        number + self.lent.load(SeqCst) >= self.threads
    }

    fn wake_all(&self) {
        // Whoever is about to sleep holds it from its last look on.
        drop(self.bed.lock().unwrap_or_else(PoisonError::into_inner));
        self.wake.notify_all();
    }

    /// Sleeps until not all cores are lent.
    fn wait_for_cores(&self) {
        let mut bed = self.bed.lock().unwrap_or_else(PoisonError::into_inner);
        while self.rests(0) {
            bed = self.wake.wait(bed).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Works on the open call, as thread `number`, until no piece is left or its core is lent.
    fn take_pieces(&self, number: usize) -> Left {
        // SAFETY: the caller of `Team::run`, or a helper that is active while the call is open: nobody writes it.
        let call = unsafe { *self.call.get() };
        let before = INSIDE.replace(true);
        let done = catch_unwind(AssertUnwindSafe(|| {
            while !self.rests(number) {
                let at = self.next.fetch_add(1, SeqCst);
                if at >= call.count {
                    return Left::Done;
                }
                // SAFETY: `Team::run` keeps the closure alive until no helper is active.
                unsafe { (*call.piece)(at) };
            }
            Left::Resting
        }));
        INSIDE.set(before);
        done.unwrap_or_else(|panic| {
            // The others need not go on.
            self.next.store(call.count, SeqCst);
            self.panic
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get_or_insert(panic);
            Left::Done
        })
    }

    /// Waits for an open call other than `seen` with the core of helper `number` its own; `None` when the team ends.
    fn next_call(&self, number: usize, seen: u64) -> Option<u64> {
        let look = || {
            let epoch = self.epoch.load(SeqCst);
            let open = (epoch % 2 == 1 && epoch != seen && !self.rests(number)).then_some(epoch);
            let stop = self.stop.load(SeqCst);
            (stop || open.is_some()).then_some(if stop { None } else { open })
        };
        let began = Instant::now();
        while began.elapsed() < SPIN && !self.rests(number) {
            for _ in 0..TURNS {
                if let Some(found) = look() {
                    return found;
                }
                std::hint::spin_loop();
            }
        }
        let mut bed = self.bed.lock().unwrap_or_else(PoisonError::into_inner);
        self.sleeping.fetch_add(1, SeqCst);
        let found = loop {
            // A caller opens its call first and then looks for sleepers, so one of us sees the other; a core that comes back
            // wakes everybody.
            if let Some(found) = look() {
                break found;
            }
            bed = self.wake.wait(bed).unwrap_or_else(PoisonError::into_inner);
        };
        self.sleeping.fetch_sub(1, SeqCst);
        found
    }
}

/// What helper `number` does all its life.
fn help(shared: &Shared, number: usize) {
    let mut seen = 0;
    while let Some(epoch) = shared.next_call(number, seen) {
        shared.active.fetch_add(1, SeqCst);
        let open = shared.epoch.load(SeqCst) == epoch;
        // A call that was left because the core was lent is taken up again, if it is still open then.
        if !open || shared.take_pieces(number) == Left::Done {
            seen = epoch;
        }
        shared.active.fetch_sub(1, SeqCst);
    }
}

/// Why a thread left a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    /// No piece is left.
    Done,
    /// The thread's core is lent.
    Resting,
}

/// Cores that a team has lent.
#[derive(Debug)]
pub struct Lent {
    team: Arc<Team>,
    cores: usize,
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.team.shared.lent.fetch_sub(self.cores, SeqCst);
        self.team.shared.wake_all();
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.shared.stop.store(true, SeqCst);
        self.shared.wake_all();
        for helper in self.helpers.drain(..) {
            // A helper's panics are caught piece by piece.
            let _ = helper.join();
        }
    }
}

#[cfg(test)]
#[path = "team_tests.rs"]
mod tests;
