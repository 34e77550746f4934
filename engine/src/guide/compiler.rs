//! From a guide to a grammar that is ready to run, bounded and kept for the next request.

use std::fmt::{self, Debug, Formatter};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::build::Builder;
use super::compiled::Live;
use super::grammar::grammar;
use super::kept::{Kept, Verdict};
use super::trial::try_guide;
use super::vocabulary::Vocabulary;
use super::{CompiledGuide, Guide, GuideLimits};
use crate::error::EngineError;
use crate::text::Tokenizer;

/// Compiles guides for one vocabulary. Cheap to clone.
#[derive(Clone)]
pub struct GuideCompiler {
    shared: Arc<Shared>,
}

struct Shared {
    tokenizer: Tokenizer,
    limits: GuideLimits,
    /// Program that tries unknown guides; without one they are trusted.
    trial: Option<PathBuf>,
    /// Made at the first guide: a prefix tree over the vocabulary takes milliseconds and megabytes.
    ready: OnceLock<Option<Ready>>,
    kept: Mutex<Kept>,
    live: Live,
    /// Held while compiling, so that grammars take one core at most.
    compiling: Mutex<()>,
    /// Callers that hold that or wait for it.
    queued: AtomicUsize,
}

/// What every guide is compiled with.
struct Ready {
    vocabulary: Vocabulary,
    builder: Builder,
}

impl GuideCompiler {
    /// A compiler for the vocabulary of `tokenizer`, which has unknown guides tried by `trial` first: a program that
    /// calls [`super::trial::run_child`] when its argument is `guide-trial`. Without one, guides must come from callers
    /// that are trusted, since not all work of compiling them is counted.
    #[must_use]
    pub fn new(tokenizer: Tokenizer, limits: GuideLimits, trial: Option<PathBuf>) -> Self {
        let shared = Shared {
            tokenizer,
            trial,
            ready: OnceLock::new(),
            kept: Mutex::default(),
            live: Live::new(limits.live_bytes),
            compiling: Mutex::default(),
            queued: AtomicUsize::new(0),
            limits,
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Compiles `guide`, or finds it compiled. Takes milliseconds to hundreds of them: not for async contexts.
    ///
    /// # Errors
    /// [`EngineError::InvalidParameter`] on field `guide`; [`EngineError::Busy`] if too many guides wait to be compiled;
    /// [`EngineError::GuideTrial`] if no guide can be tried at present.
    pub fn compile(&self, guide: &Guide) -> Result<CompiledGuide, EngineError> {
        let known = self.kept().find(guide);
        let verdict = match known {
            Some(verdict) => verdict,
            None => self.compile_in_turn(guide)?,
        };
        verdict.map_err(|reason| EngineError::InvalidParameter { field: "guide", reason })
    }

    /// As [`Self::compile`], for a request about to run: its states count among the guides in use.
    ///
    /// # Errors
    /// Those of [`Self::compile`]; [`EngineError::Busy`] if the guides in use take all memory that they may.
    pub fn compile_to_run(&self, guide: &Guide) -> Result<CompiledGuide, EngineError> {
        self.compile(guide)?.held(&self.shared.live)
    }

    fn compile_in_turn(&self, guide: &Guide) -> Result<Verdict, EngineError> {
        let shared = &*self.shared;
        let limit = shared.limits.compile_queue;
        let _place = Place::take(&shared.queued, limit).ok_or(EngineError::Busy {
            what: "guides waiting to be compiled (engine.guides.compile_queue)",
            limit,
        })?;
        let _one = shared.compiling.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = self.kept().find(guide) {
            return Ok(found);
        }
        let verdict = self.fresh(guide)?;
        self.kept().keep(guide.clone(), verdict.clone(), &shared.limits);
        Ok(verdict)
    }

    fn fresh(&self, guide: &Guide) -> Result<Verdict, EngineError> {
        let shared = &*self.shared;
        let (bytes, most) = (guide.bytes(), shared.limits.max_bytes);
        if bytes > most {
            return Ok(Err(format!(
                "{bytes} bytes; allowed are at most {most} (engine.guides.max_bytes)"
            )));
        }
        let Some(ready) = shared.ready.get_or_init(|| self.ready()) else {
            let reason = "the model has no end-of-sequence token, so a guided text could not end";
            return Ok(Err(reason.into()));
        };
        if let Err(reason) = grammar(guide) {
            return Ok(Err(reason));
        }
        let tried = match &shared.trial {
            None => Ok(0),
            Some(program) => try_guide(program, &ready.vocabulary, guide, &shared.limits)
                .map_err(|error| EngineError::GuideTrial(format!("{}: {error}", program.display())))?,
        };
        Ok(tried.and_then(|bytes| Ok(CompiledGuide::new(ready.builder.matcher(guide)?, bytes))))
    }

    fn ready(&self) -> Option<Ready> {
        let vocabulary = Vocabulary::of(&self.shared.tokenizer)?;
        let builder = Builder::new(&vocabulary, &self.shared.limits)?;
        Some(Ready { vocabulary, builder })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.shared.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the queue of those who compile.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(queued: &'a AtomicUsize, limit: usize) -> Option<Self> {
        let grown = |count: usize| (count < limit).then_some(count + 1);
        let taken = queued.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown);
        taken.is_ok().then_some(Self(queued))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Debug for GuideCompiler {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuideCompiler")
            .field("limits", &self.shared.limits)
            .finish_non_exhaustive()
    }
}
