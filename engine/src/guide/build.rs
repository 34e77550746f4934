//! A guide and a vocabulary → a matcher at the beginning of its grammar. The library bounds a part of this work by
//! counts; what it leaves open is bounded by trying a guide in a process of its own first ([`super::trial`]).

use llguidance::toktrie::InferenceCapabilities;
use llguidance::{Matcher, ParserFactory};

use super::grammar::grammar;
use super::state::first_line;
use super::vocabulary::Vocabulary;
use super::{Guide, GuideLimits};

/// Stack of the thread that compiles: grammars are read by recursion.
pub(super) const STACK_BYTES: usize = 64 << 20;

/// Builds matchers over one vocabulary.
pub(super) struct Builder {
    factory: ParserFactory,
}

impl Builder {
    /// A builder over `vocabulary`; `None` if the library refuses that.
    pub(super) fn new(vocabulary: &Vocabulary, ours: &GuideLimits) -> Option<Self> {
        let environment = vocabulary.environment()?;
        let slices = llguidance::earley::SlicedBiasComputer::general_slices();
        let mut factory = ParserFactory::new(&environment, InferenceCapabilities::default(), &slices).ok()?;
        let limits = factory.limits_mut();
        limits.max_grammar_size = ours.max_grammar_size;
        limits.max_lexer_states = ours.max_lexer_states;
        limits.max_items_in_row = ours.row_items;
        limits.initial_lexer_fuel = ours.compile_fuel;
        limits.step_lexer_fuel = ours.token_fuel;
        limits.step_max_items = ours.token_items;
        limits.verbose_errors = false;
        factory.quiet();
        Some(Self { factory })
    }

    /// The matcher of `guide`, its first mask computed, on a thread with a stack that is deep enough.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the guide.
    pub(super) fn matcher(&self, guide: &Guide) -> Result<Matcher, String> {
        let work = || self.matcher_here(guide);
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new()
                .name("svs-guide".into())
                .stack_size(STACK_BYTES);
            let thread = thread
                .spawn_scoped(scope, work)
                .map_err(|error| format!("cannot compile it: {error}"))?;
            thread.join().map_err(|_| "cannot be compiled".to_owned())?
        })
    }

    fn matcher_here(&self, guide: &Guide) -> Result<Matcher, String> {
        let mut matcher = Matcher::new(self.factory.create_parser(grammar(guide)?));
        if let Some(error) = matcher.get_error() {
            return Err(first_line(&error));
        }
        // The first mask shows what the grammar's own reading does not: that nothing can begin.
        matcher.compute_mask_or_eos().map_err(|error| first_line(&error))?;
        Ok(matcher)
    }
}
