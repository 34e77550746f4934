//! Fills a template: draws alternatives, names and things, then puts the numbers in.

use super::rng::Rng;
use super::words::{CONTAINERS, ITEMS, NAMES, REMARKS};

/// What fills the slots that are not numbers.
#[derive(Debug, Clone, Copy)]
struct Cast {
    first: &'static str,
    second: &'static str,
    item: &'static str,
    container: (&'static str, &'static str),
}

impl Cast {
    fn draw(rng: &mut Rng) -> Self {
        let first = rng.below(NAMES.len());
        let second = (first + 1 + rng.below(NAMES.len() - 1)) % NAMES.len();
        Self {
            first: NAMES[first],
            second: NAMES[second],
            item: *rng.pick::<&str>(ITEMS),
            container: *rng.pick(CONTAINERS),
        }
    }

    fn slot(&self, name: &str, numbers: &[i64], remark: i64) -> String {
        match name {
            "N" => self.first.into(),
            "M" => self.second.into(),
            "x" => self.item.into(),
            "u" => self.container.0.into(),
            "U" => self.container.1.into(),
            "k" => remark.to_string(),
            _ => {
                let index = name
                    .bytes()
                    .next()
                    .map_or(0, |byte| usize::from(byte.wrapping_sub(b'a')));
                numbers.get(index).map_or_else(String::new, ToString::to_string)
            }
        }
    }
}

/// A question from `template` with `numbers`; a share of `remarks` gets a remark that changes nothing.
pub(super) fn question(rng: &mut Rng, template: &str, numbers: &[i64], remarks: f64) -> String {
    let cast = Cast::draw(rng);
    let mut text = alternatives(rng, template);
    if rng.chance(remarks) {
        let remark: &str = rng.pick::<&str>(REMARKS);
        text = insert(rng, &text, remark);
    }
    let remark = rng.between(2, 12);
    fill(&text, |name| cast.slot(name, numbers, remark))
}

/// Puts `remark` before the first or before the last sentence.
fn insert(rng: &mut Rng, text: &str, remark: &str) -> String {
    match text.rfind(". ") {
        Some(end) if rng.chance(0.5) => format!("{} {remark}{}", &text[..=end], &text[end + 1..]),
        _ => format!("{remark} {text}"),
    }
}

/// Replaces every `[one|two]` by one of its alternatives.
fn alternatives(rng: &mut Rng, template: &str) -> String {
    substitute(template, '[', ']', |inside| {
        let options: Vec<&str> = inside.split('|').collect();
        (*rng.pick(&options)).to_owned()
    })
}

/// Replaces every `{slot}`.
pub(super) fn fill(text: &str, mut slot: impl FnMut(&str) -> String) -> String {
    substitute(text, '{', '}', &mut slot)
}

fn substitute(text: &str, open: char, close: char, mut replace: impl FnMut(&str) -> String) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(open) {
        let (inside, tail) = after.split_once(close).unwrap_or((after, ""));
        result += before;
        result += &replace(inside);
        rest = tail;
    }
    result + rest
}

/// Every choice of alternatives of `template`.
pub(super) fn expansions(template: &str) -> Vec<String> {
    let Some((before, after)) = template.split_once('[') else {
        return vec![template.to_owned()];
    };
    let (inside, tail) = after.split_once(']').unwrap_or((after, ""));
    let tails = expansions(tail);
    let joined = |option: &str| {
        tails
            .iter()
            .map(|tail| format!("{before}{option}{tail}"))
            .collect::<Vec<_>>()
    };
    inside.split('|').flat_map(joined).collect()
}
