//! `choice`: the right option by its letter or by its text.

use super::{Case, Fault, Grader, Scored, Sides, Stopped, within, worth};
use crate::budget::Budget;
use crate::spec::template::Template;
use crate::spec::{ChoiceSpec, SpecError};
use crate::text::choice::{choice, chosen, option_of};
use crate::text::extract::{ExtractRules, Found, find};
use crate::text::words::bare_text;

/// As many options as letters.
const MAX_CHOICES: usize = 26;
/// Bytes of a response that are searched for one step.
const BYTES_PER_STEP: usize = 64;

#[derive(Debug)]
pub(crate) struct Choice {
    sides: Sides,
    choices: Vec<Template>,
}

impl Choice {
    pub(crate) fn new(spec: &ChoiceSpec) -> Result<Self, SpecError> {
        if spec.choices.len() > MAX_CHOICES || spec.choices.iter().any(|text| text.trim().is_empty()) {
            return Err(SpecError::Choices);
        }
        Ok(Self {
            sides: Sides::parse(&spec.input, &spec.reference)?,
            choices: spec
                .choices
                .iter()
                .map(|text| Template::parse_reference(text))
                .collect::<Result<_, _>>()?,
        })
    }

    /// The texts of the options, compared without case, spacing and a final dot.
    fn texts(&self, case: &Case<'_>, budget: &mut Budget) -> Result<Vec<String>, Stopped> {
        let texts = self.choices.iter().map(|text| Ok(plain(&text.resolve(case, budget)?)));
        texts.collect()
    }
}

impl Grader for Choice {
    fn grade(&self, case: &Case<'_>) -> Scored {
        within(case, |budget| {
            let texts = self.texts(case, budget)?;
            let (input, reference) = self.sides.resolve(case, budget)?;
            let gold = letter(&reference, &texts)
                .or_else(|| option_of(&reference).and_then(|l| listed(l, &texts)))
                .ok_or_else(|| Fault::Gold {
                    rule: "gold_is_no_option".to_owned(),
                })?;
            let steps = (input.len() / BYTES_PER_STEP) as u64;
            budget.charge(steps).map_err(|_| Stopped::OVER_BUDGET)?;
            let Found::Answer(found) = find(&input, ExtractRules::default(), false) else {
                return Err(Stopped::Zero("no_answer"));
            };
            let picked =
                letter(&found.answer, &texts).or_else(|| chosen(&found.answer).and_then(|l| listed(&l, &texts)));
            match picked {
                Some(picked) => Ok((worth(picked == gold), "choice")),
                None => Err(Stopped::Zero("no_option")),
            }
        })
    }
}

/// The option that a text is: by its letter, else by a text that only one option has.
fn letter(text: &str, texts: &[String]) -> Option<usize> {
    if let Some(option) = choice(text).and_then(|l| listed(&l, texts)) {
        return Some(option);
    }
    let text = Some(plain(text)).filter(|text| !text.is_empty())?;
    let mut same = texts.iter().enumerate().filter(|(_, option)| **option == text);
    let (option, _) = same.next()?;
    same.next().is_none().then_some(option)
}

/// The option of a letter, if there is one.
fn listed(letter: &str, texts: &[String]) -> Option<usize> {
    let byte = letter.bytes().next()?.to_ascii_uppercase();
    let option = usize::from(byte.checked_sub(b'A')?);
    let options = if texts.is_empty() { MAX_CHOICES } else { texts.len() };
    (option < options).then_some(option)
}

/// Words without commands that set text. A dot at the end says nothing; other marks, as in `5!`, do.
fn plain(text: &str) -> String {
    bare_text(text).to_lowercase().trim_end_matches('.').to_owned()
}
