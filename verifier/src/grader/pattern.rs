//! Patterns of bounded size: a search takes linear time, and its steps are counted before it starts.

use crate::budget::Budget;
use crate::grader::Stopped;
use crate::spec::SpecError;

/// Most bytes of a pattern as written.
const MAX_PATTERN: usize = 4 << 10;
/// The compiled sizes that are tried, bytes: from the smallest that fits follows what a search costs.
const SIZES: [usize; 9] = [
    1 << 10,
    2 << 10,
    4 << 10,
    8 << 10,
    16 << 10,
    32 << 10,
    64 << 10,
    128 << 10,
    256 << 10,
];
/// Most classes of letters (`\w`, `\pL`) as written: each is hundreds of ranges to the compiler.
const MAX_CLASSES: usize = 64;
/// Most bytes of states that a search may cache.
const CACHE: usize = 1 << 20;
/// Bytes of text for one step, where the compiled pattern has up to one of `SIZES[0]`.
const BYTES_PER_STEP: usize = 64;

/// A compiled pattern and what a search costs with it.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    regex: regex::Regex,
    size: u64,
}

impl Pattern {
    pub(crate) fn compile(pattern: &str) -> Result<Self, SpecError> {
        let refuse = |why: String| SpecError::Pattern {
            pattern: pattern.chars().take(200).collect(),
            why,
        };
        if pattern.len() > MAX_PATTERN {
            return Err(refuse("longer than 4 KiB".to_owned()));
        }
        if classes(pattern) > MAX_CLASSES {
            return Err(refuse(format!(
                "more than {MAX_CLASSES} classes such as `\\w` or `\\p{{L}}`"
            )));
        }
        let build = |bytes| {
            let mut builder = regex::RegexBuilder::new(pattern);
            builder.size_limit(bytes).dfa_size_limit(CACHE).build()
        };
        let too_big = |bytes: &usize| matches!(build(*bytes), Err(regex::Error::CompiledTooBig(_)));
        let regex = build(SIZES[SIZES.len() - 1]).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => refuse("more than 256 KiB when compiled".to_owned()),
            error => refuse(error.to_string()),
        })?;
        let smallest = SIZES[SIZES.partition_point(too_big).min(SIZES.len() - 1)];
        Ok(Self {
            regex,
            size: (smallest / SIZES[0]) as u64,
        })
    }

    /// Whether the pattern matches somewhere.
    pub(crate) fn matches(&self, text: &str, budget: &mut Budget) -> Result<bool, Stopped> {
        self.pay(text, budget)?;
        Ok(self.regex.is_match(text))
    }

    /// How often it matches, without overlaps. For patterns of one character: others may search the rest again each time.
    pub(crate) fn count(&self, text: &str, budget: &mut Budget) -> Result<usize, Stopped> {
        self.pay(text, budget)?;
        Ok(self.regex.find_iter(text).count())
    }

    fn pay(&self, text: &str, budget: &mut Budget) -> Result<(), Stopped> {
        let steps = text.len().div_ceil(BYTES_PER_STEP) as u64 * self.size;
        budget.charge(steps).map_err(|_| Stopped::OVER_BUDGET)
    }
}

/// Classes that a backslash stands for.
fn classes(pattern: &str) -> usize {
    let mut bytes = pattern.bytes();
    let mut count = 0;
    while let Some(byte) = bytes.next() {
        if byte == b'\\'
            && matches!(
                bytes.next(),
                Some(b'p' | b'P' | b'w' | b'W' | b'd' | b'D' | b's' | b'S')
            )
        {
            count += 1;
        }
    }
    count
}
