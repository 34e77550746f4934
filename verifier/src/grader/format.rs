//! `format`: tags, lengths and scripts of a response.

use super::pattern::Pattern;
use super::{Case, Grader, Scored, Stopped, within};
use crate::budget::Budget;
use crate::spec::template::Template;
use crate::spec::{FormatSpec, ScriptSpec, SpecError};

/// Most tags and most scripts.
const MAX_NAMES: usize = 16;
/// Bytes that one pass reads for one step.
const BYTES_PER_STEP: usize = 64;

#[derive(Debug)]
pub(crate) struct Format {
    input: Template,
    tags: Vec<(String, String)>,
    only_tags: bool,
    chars: (u64, u64),
    words: (u64, u64),
    script: Option<Script>,
}

#[derive(Debug)]
struct Script {
    allowed: Pattern,
    letters: Pattern,
    min_share: f64,
}

impl Format {
    pub(crate) fn new(spec: &FormatSpec) -> Result<Self, SpecError> {
        let bounds = |min: Option<u64>, max: Option<u64>| (min.unwrap_or(0), max.unwrap_or(u64::MAX));
        let format = Self {
            input: Template::parse(&spec.input)?,
            tags: tags(&spec.tags)?,
            only_tags: spec.only_tags,
            chars: bounds(spec.min_chars, spec.max_chars),
            words: bounds(spec.min_words, spec.max_words),
            script: spec.script.as_ref().map(Script::new).transpose()?,
        };
        if format.chars.0 > format.chars.1 || format.words.0 > format.words.1 {
            return Err(SpecError::Format("a least length is above its most"));
        }
        if spec.only_tags && spec.tags.is_empty() {
            return Err(SpecError::Format("`only_tags` without `tags`"));
        }
        let open = (0, u64::MAX);
        if format.tags.is_empty() && format.script.is_none() && format.chars == open && format.words == open {
            return Err(SpecError::Format("no condition"));
        }
        Ok(format)
    }

    /// The first condition that does not hold.
    fn broken(&self, text: &str, budget: &mut Budget) -> Result<Option<&'static str>, Stopped> {
        let passes = 3 + 4 * self.tags.len();
        let steps = text.len().div_ceil(BYTES_PER_STEP) * passes;
        budget.charge(steps as u64).map_err(|_| Stopped::OVER_BUDGET)?;
        let outside = |count: usize, (min, max): (u64, u64)| !(min..=max).contains(&(count as u64));
        if !self.tags.is_empty() && !self.tags_hold(text) {
            return Ok(Some("tags"));
        }
        if outside(text.chars().count(), self.chars) {
            return Ok(Some("chars"));
        }
        if outside(text.split_whitespace().count(), self.words) {
            return Ok(Some("words"));
        }
        match &self.script {
            Some(script) if !script.holds(text, budget)? => Ok(Some("script")),
            _ => Ok(None),
        }
    }

    /// Whether each tag opens and closes exactly once, one after the other.
    fn tags_hold(&self, text: &str) -> bool {
        let mut rest = text;
        for (open, close) in &self.tags {
            if text.matches(open.as_str()).count() != 1 || text.matches(close.as_str()).count() != 1 {
                return false;
            }
            let Some((before, after)) = rest.split_once(open.as_str()) else {
                return false;
            };
            let Some((_, after)) = after.split_once(close.as_str()) else {
                return false;
            };
            if self.only_tags && !before.trim().is_empty() {
                return false;
            }
            rest = after;
        }
        !self.only_tags || rest.trim().is_empty()
    }
}

fn tags(names: &[String]) -> Result<Vec<(String, String)>, SpecError> {
    let named = |name: &String| {
        !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
    };
    let twice = names.iter().enumerate().any(|(at, name)| names[..at].contains(name));
    if names.len() > MAX_NAMES || twice || !names.iter().all(named) {
        return Err(SpecError::Format(
            "at most 16 tags of letters, digits, `_` and `-`, each once",
        ));
    }
    Ok(names
        .iter()
        .map(|name| (format!("<{name}>"), format!("</{name}>")))
        .collect())
}

impl Script {
    fn new(spec: &ScriptSpec) -> Result<Self, SpecError> {
        let named = |name: &String| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphabetic() || c == '_');
        if spec.allowed.is_empty() || spec.allowed.len() > MAX_NAMES || !spec.allowed.iter().all(named) {
            return Err(SpecError::Format("1 to 16 scripts, by their Unicode names"));
        }
        if !(spec.min_share > 0.0 && spec.min_share <= 1.0) {
            return Err(SpecError::Format("`min_share` is in (0, 1]"));
        }
        let allowed: String = spec.allowed.iter().map(|name| format!(r"\p{{sc={name}}}")).collect();
        // Letters that belong to no script or to all of them say nothing.
        let letters = r"\p{L}--[\p{sc=Common}\p{sc=Inherited}]";
        Ok(Self {
            allowed: Pattern::compile(&format!("[{letters}&&[{allowed}]]"))?,
            letters: Pattern::compile(&format!("[{letters}]"))?,
            min_share: spec.min_share,
        })
    }

    fn holds(&self, text: &str, budget: &mut Budget) -> Result<bool, Stopped> {
        let letters = self.letters.count(text, budget)?;
        let allowed = self.allowed.count(text, budget)?;
        Ok(allowed as f64 >= self.min_share * letters as f64)
    }
}

impl Grader for Format {
    fn grade(&self, case: &Case<'_>) -> Scored {
        within(case, |budget| {
            let input = self.input.resolve(case, budget)?;
            match self.broken(&input, budget)? {
                Some(condition) => Err(Stopped::Zero(condition)),
                None => Ok((1.0, "format")),
            }
        })
    }
}
