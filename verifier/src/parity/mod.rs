//! The verdicts of the scorer that SvS was published with, for comparison with its numbers and for nothing else: it accepts
//! listed candidates, drops bases, and equals empty answers. What it evaluates as code is never evaluated here.

mod candidate;
mod minerva;
mod normal;
mod simple;

use crate::budget::Budget;
use crate::grade::judge;
use crate::read::Gold;
use crate::text::boxes::last_boxed;
use crate::text::extract::{ExtractRules, Found, find};
use crate::{MathOptions, Units, Verdict};

/// Characters at the end of a response that the two last layers see.
const TAIL: usize = 300;

/// The verdict of the first of the four layers that accepts, and its name.
pub(crate) fn grade(
    prediction: &str,
    gold: &str,
    options: &MathOptions,
    budget: &mut Budget,
) -> (Verdict, Option<String>, &'static str) {
    let candidate = candidate::extract(prediction);
    let tail = last_characters(prediction, TAIL);
    // Each of the string layers reads the candidate and the response a few times.
    if budget.charge((prediction.len() + gold.len()) as u64 / 16).is_err() {
        return (Verdict::OverBudget, None, "response_too_long");
    }
    let rule = if simple::equal(&candidate, gold, budget) {
        Some("layer_simple")
    } else if last_boxed(prediction).is_some_and(|boxed| normal::form(boxed) == normal::form(gold)) {
        Some("layer_boxed")
    } else if by_value(tail, gold, options, budget) {
        Some("layer_value")
    } else if minerva::equal(tail, gold) {
        Some("layer_minerva")
    } else {
        None
    };
    match rule {
        Some(rule) => (Verdict::Correct, Some(candidate), rule),
        None => (Verdict::Wrong, Some(candidate), "no_layer"),
    }
}

/// The last characters of a text.
fn last_characters(text: &str, count: usize) -> &str {
    let start = text
        .char_indices()
        .rev()
        .take(count)
        .last()
        .map_or(text.len(), |(at, _)| at);
    &text[start..]
}

/// The third layer: by value, units and bases aside; of listed numbers the last one counts too.
fn by_value(tail: &str, gold: &str, options: &MathOptions, budget: &mut Budget) -> bool {
    let Found::Answer(found) = find(tail, ExtractRules::default(), false) else {
        return false;
    };
    let gold = without_base(gold);
    let gold = Gold::read(&gold, Units::Ignore, budget);
    let Ok(value) = &gold.value else { return false };
    let options = MathOptions {
        units: Units::Ignore,
        ..options.clone()
    };
    let answer = without_base(&found.answer);
    let last = answer
        .rsplit([',', ' '])
        .next()
        .filter(|last| last.bytes().all(|b| b.is_ascii_digit()));
    [Some(answer.as_str()), last]
        .into_iter()
        .flatten()
        .filter(|answer| !answer.is_empty())
        .any(|answer| judge(answer, value, &gold, &options, budget).0 == Verdict::Correct)
}

/// A number without the base written below it.
fn without_base(text: &str) -> String {
    let trimmed = text.trim();
    match trimmed.split_once('_') {
        Some((digits, base)) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
            let plain = base.trim_matches(['{', '}']);
            let number = !plain.is_empty() && plain.bytes().all(|b| b.is_ascii_digit());
            if number { digits.to_owned() } else { trimmed.to_owned() }
        }
        _ => trimmed.to_owned(),
    }
}
