//! From a guide to a grammar that is ready to run, bounded and kept for the next request.

use std::collections::VecDeque;
use std::fmt::{self, Debug, Formatter};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use llguidance::api::TopLevelGrammar;
use llguidance::toktrie::InferenceCapabilities;
use llguidance::{Matcher, ParserFactory};
use serde_json::{Value, json};

use super::state::first_line;
use super::{Guide, GuideLimits, GuideState};
use crate::error::EngineError;
use crate::text::Tokenizer;

/// Stack of the thread that compiles: grammars are read by recursion.
const STACK_BYTES: usize = 64 << 20;
/// Deepest nesting of brackets in a guide.
const MAX_NESTING: usize = 200;
/// White space between the parts of a JSON text: none, one space, or a line break with its indentation. Bounded, since
/// a policy may else go on with spaces for ever.
const JSON_SPACE: &str = r" |\n {0,16}";

/// Compiles guides for one vocabulary. Cheap to clone.
#[derive(Clone)]
pub struct GuideCompiler {
    shared: Arc<Shared>,
}

struct Shared {
    tokenizer: Tokenizer,
    limits: GuideLimits,
    /// Made at the first guide: a prefix tree over the vocabulary takes milliseconds and megabytes.
    factory: OnceLock<Option<ParserFactory>>,
    /// The latest guides, the newest last.
    kept: Mutex<VecDeque<(Guide, CompiledGuide)>>,
    /// Held while compiling, so that grammars take one core at most.
    compiling: Mutex<()>,
}

/// A guide ready to run; the samples of a request share its lexer.
#[derive(Clone)]
pub struct CompiledGuide {
    fresh: Arc<Mutex<Matcher>>,
}

impl CompiledGuide {
    /// A state at the beginning, with a lexer of its own; clones of it share that lexer. Requests do not share one, so
    /// that its size is bounded by what one request does. Begins after the tokens `resumed`; if they do not follow the
    /// guide, the state fails when it is used.
    #[must_use]
    pub fn start(&self, resumed: &[u32]) -> GuideState {
        let fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = GuideState::new(fresh.deep_clone());
        for token in resumed {
            // A failure stays in the state.
            let _ = state.push(*token);
        }
        state
    }
}

#[cfg(test)]
impl CompiledGuide {
    pub(super) fn same_as(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.fresh, &other.fresh)
    }
}

impl GuideCompiler {
    /// A compiler for the vocabulary of `tokenizer`.
    #[must_use]
    pub fn new(tokenizer: Tokenizer, limits: GuideLimits) -> Self {
        let shared = Shared {
            tokenizer,
            limits,
            factory: OnceLock::new(),
            kept: Mutex::default(),
            compiling: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Compiles `guide`, or finds it compiled. Takes milliseconds to tens of them: not for async contexts.
    ///
    /// # Errors
    /// [`EngineError::InvalidParameter`] on field `guide`.
    pub fn compile(&self, guide: &Guide) -> Result<CompiledGuide, EngineError> {
        if let Some(found) = self.find(guide) {
            return Ok(found);
        }
        let _one = self.shared.compiling.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = self.find(guide) {
            return Ok(found);
        }
        let compiled = self
            .fresh(guide)
            .map_err(|reason| EngineError::InvalidParameter { field: "guide", reason })?;
        let mut kept = self.shared.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back((guide.clone(), compiled.clone()));
        while kept.len() > self.shared.limits.cached {
            kept.pop_front();
        }
        Ok(compiled)
    }

    fn find(&self, guide: &Guide) -> Option<CompiledGuide> {
        let mut kept = self.shared.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|(other, _)| other == guide)?;
        let entry = kept.remove(at)?;
        let found = entry.1.clone();
        kept.push_back(entry);
        Some(found)
    }

    fn fresh(&self, guide: &Guide) -> Result<CompiledGuide, String> {
        let most = self.shared.limits.max_bytes;
        let bytes = guide.bytes();
        if bytes > most {
            return Err(format!(
                "{bytes} bytes; allowed are at most {most} (engine.guides.max_bytes)"
            ));
        }
        let grammar = grammar(guide)?;
        let work = || self.matcher(grammar);
        let matcher = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new()
                .name("svs-guide".into())
                .stack_size(STACK_BYTES);
            let thread = thread
                .spawn_scoped(scope, work)
                .map_err(|error| format!("cannot compile it: {error}"))?;
            thread.join().map_err(|_| "cannot be compiled".to_owned())?
        })?;
        Ok(CompiledGuide {
            fresh: Arc::new(Mutex::new(matcher)),
        })
    }

    fn matcher(&self, grammar: TopLevelGrammar) -> Result<Matcher, String> {
        let factory = self.shared.factory.get_or_init(|| self.factory());
        let factory = factory
            .as_ref()
            .ok_or("the model has no end-of-sequence token, so a guided text could not end")?;
        let mut matcher = Matcher::new(factory.create_parser(grammar));
        if let Some(error) = matcher.get_error() {
            return Err(first_line(&error));
        }
        // The first mask shows what the grammar's own reading does not: that nothing can begin.
        matcher.compute_mask_or_eos().map_err(|error| first_line(&error))?;
        Ok(matcher)
    }

    fn factory(&self) -> Option<ParserFactory> {
        let environment = super::vocabulary::vocabulary(&self.shared.tokenizer)?;
        let slices = llguidance::earley::SlicedBiasComputer::general_slices();
        let mut factory = ParserFactory::new(&environment, InferenceCapabilities::default(), &slices).ok()?;
        let (limits, ours) = (factory.limits_mut(), &self.shared.limits);
        limits.max_grammar_size = ours.max_grammar_size;
        limits.max_lexer_states = ours.max_lexer_states;
        limits.initial_lexer_fuel = ours.compile_fuel;
        limits.step_lexer_fuel = ours.token_fuel;
        limits.step_max_items = ours.token_items;
        limits.verbose_errors = false;
        factory.quiet();
        Some(factory)
    }
}

/// The grammar behind a guide.
fn grammar(guide: &Guide) -> Result<TopLevelGrammar, String> {
    match guide {
        Guide::JsonSchema(schema) => json_grammar(schema.clone()),
        Guide::JsonObject => json_grammar(json!({"type": "object"})),
        Guide::Regex(text) => {
            shallow(text)?;
            Ok(TopLevelGrammar::from_regex(text))
        }
        Guide::Lark(text) => {
            shallow(text)?;
            Ok(TopLevelGrammar::from_lark(text.clone()))
        }
        Guide::Choice(texts) => {
            if texts.is_empty() || texts.iter().any(String::is_empty) {
                return Err("needs at least one choice, and none may be empty".into());
            }
            let quoted: Vec<String> = texts.iter().map(|text| json!(text).to_string()).collect();
            Ok(TopLevelGrammar::from_lark(format!("start: {}", quoted.join(" | "))))
        }
    }
}

fn json_grammar(mut schema: Value) -> Result<TopLevelGrammar, String> {
    let Some(object) = schema.as_object_mut() else {
        return Err("a schema must be a JSON object".into());
    };
    if object.contains_key("x-guidance") {
        return Err("`x-guidance` is not supported".into());
    }
    object.insert("x-guidance".into(), json!({"whitespace_pattern": JSON_SPACE}));
    Ok(TopLevelGrammar::from_json_schema(schema))
}

/// Refuses brackets nested so deep that reading them could exhaust a stack.
fn shallow(text: &str) -> Result<(), String> {
    let mut depth = 0usize;
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_NESTING {
            return Err(format!("brackets are nested more than {MAX_NESTING} deep"));
        }
    }
    Ok(())
}

impl Debug for GuideCompiler {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuideCompiler")
            .field("limits", &self.shared.limits)
            .finish_non_exhaustive()
    }
}

impl Debug for CompiledGuide {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("CompiledGuide")
    }
}
