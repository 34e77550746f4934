//! Tells which template a problem text follows, whoever wrote it: compares skeletons in which numbers, names, things
//! and containers are masked.

use std::sync::OnceLock;

use super::render::{expansions, fill};
use super::template::{TemplateId, templates};
use super::words::{CONTAINERS, ITEMS, NAMES, REMARKS};

/// The template nearest to a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Match {
    /// The template.
    pub template: TemplateId,
    /// 1 for the same skeleton, towards 0 for nothing in common: 1 − edit distance in words / the longer length.
    pub similarity: f64,
}

/// The words of `text` in lower case without punctuation; numbers, names, things and containers masked, remarks left
/// out. Two texts differ in template and not only in filling if their skeletons differ.
#[must_use]
pub fn skeleton(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for sentence in text.split_inclusive(['.', '?', '!']) {
        let masked: Vec<String> = sentence
            .split_whitespace()
            .map(mask)
            .filter(|word| !word.is_empty())
            .collect();
        if !remarks().contains(&masked) {
            words.extend(masked);
        }
    }
    words
}

/// The template whose skeleton is nearest to that of `text`.
#[must_use]
pub fn nearest_template(text: &str) -> Match {
    let words = skeleton(text);
    let mut best = Match {
        template: known()[0].0,
        similarity: -1.0,
    };
    for (template, candidate) in known() {
        let longer = words.len().max(candidate.len()).max(1);
        let similarity = 1.0 - distance(&words, candidate) as f64 / longer as f64;
        if similarity > best.similarity {
            best = Match {
                template: *template,
                similarity,
            };
        }
    }
    best
}

fn mask(word: &str) -> String {
    let bare: String = word.chars().filter(|c| c.is_alphanumeric()).collect();
    let plain = |class: &str| class.to_owned();
    if !bare.is_empty() && bare.chars().all(|c| c.is_ascii_digit()) {
        return plain("#");
    }
    match bare.as_str() {
        name if NAMES.contains(&name) => plain("@"),
        item if ITEMS.contains(&item) => plain("~"),
        one if CONTAINERS.iter().any(|container| container.0 == one) => plain("_"),
        many if CONTAINERS.iter().any(|container| container.1 == many) => plain("__"),
        other => other.to_lowercase(),
    }
}

fn skeleton_of_template(text: &str) -> Vec<String> {
    let filled = fill(text, |slot| match slot {
        "N" | "M" => NAMES[0].to_owned(),
        "x" => ITEMS[0].to_owned(),
        "u" => CONTAINERS[0].0.to_owned(),
        "U" => CONTAINERS[0].1.to_owned(),
        _ => "1".to_owned(),
    });
    filled
        .split_whitespace()
        .map(mask)
        .filter(|word| !word.is_empty())
        .collect()
}

fn remarks() -> &'static [Vec<String>] {
    static MASKED: OnceLock<Vec<Vec<String>>> = OnceLock::new();
    MASKED.get_or_init(|| REMARKS.iter().map(|remark| skeleton_of_template(remark)).collect())
}

fn known() -> &'static [(TemplateId, Vec<String>)] {
    static KNOWN: OnceLock<Vec<(TemplateId, Vec<String>)>> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let all = templates().iter();
        all.flat_map(|template| {
            expansions(template.text)
                .into_iter()
                .map(|text| (template.id, skeleton_of_template(&text)))
        })
        .collect()
    })
}

/// Levenshtein distance in words.
fn distance(left: &[String], right: &[String]) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, word) in left.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(word != other);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}
