//! Where the answer is in a response: the last box, else an announced answer, else the last expression.

mod announced;
mod boxed;
mod expression;

use serde::{Deserialize, Serialize};

use super::boxes::boxes;
pub(crate) use boxed::parts_in_boxes;
pub(crate) use expression::has_prose;

/// An answer found in a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extracted {
    /// The answer as written, without its box or announcement.
    pub answer: String,
    /// The rule that found it: `box`, `boxes`, `final`, `tag`, `hash`, `announced`, `corrected`, `whole`,
    /// `mathematics` or `number`.
    pub rule: &'static str,
}

/// Which rules may find an answer, tried in this order. All are on by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self", default, deny_unknown_fields)]
pub struct ExtractRules {
    /// "The final answer is" after the last box.
    pub final_answer: bool,
    /// The last balanced `\boxed{}` or `\fbox{}`.
    pub boxed: bool,
    /// The last `<answer>` tag.
    pub tag: bool,
    /// The line after the last `####`.
    pub hash: bool,
    /// The clause after the last "answer is", "Answer:" or the like.
    pub announced: bool,
    /// A short response without prose as a whole.
    pub whole: bool,
    /// The last formula or number.
    pub expression: bool,
}

crate::objects_only! { ExtractRules: "`extract`" }

impl Default for ExtractRules {
    fn default() -> Self {
        Self {
            final_answer: true,
            boxed: true,
            tag: true,
            hash: true,
            announced: true,
            whole: true,
            expression: true,
        }
    }
}

impl ExtractRules {
    /// Only a box counts.
    #[must_use]
    pub fn boxed_only() -> Self {
        Self {
            final_answer: false,
            tag: false,
            hash: false,
            announced: false,
            whole: false,
            expression: false,
            ..Self::default()
        }
    }

    /// Only what says that it is the answer: for a gold that is a worked solution.
    pub(crate) fn announcements() -> Self {
        Self {
            whole: false,
            expression: false,
            ..Self::default()
        }
    }
}

/// What the search for an answer found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    Answer(Extracted),
    Nothing,
    /// Strict mode: several boxes with different content.
    Several,
}

/// Finds the answer in a response by the lenient rules.
#[must_use]
pub fn extract_answer(response: &str) -> Option<Extracted> {
    match find(response, ExtractRules::default(), false) {
        Found::Answer(extracted) => Some(extracted),
        Found::Nothing | Found::Several => None,
    }
}

/// Finds the answer after the reasoning; strict mode wants a box, and one distinct content.
pub(crate) fn find(response: &str, rules: ExtractRules, strict: bool) -> Found {
    let rules = if strict { ExtractRules::boxed_only() } else { rules };
    let visible = after_reasoning(response);
    let spans = if rules.boxed { boxes(visible) } else { Vec::new() };
    if let Some(last) = spans.last() {
        let later = if rules.final_answer {
            announced::final_answer(&visible[last.end..])
        } else {
            None
        };
        return later.map_or_else(|| boxed::from_boxes(visible, &spans, strict), found);
    }
    let visible = visible.split("<|").next().unwrap_or_default();
    type Rule = for<'a> fn(&'a str) -> Option<(&'a str, &'static str)>;
    let tried: [(bool, Rule); 5] = [
        (rules.tag, answer_tag),
        (rules.hash, after_hashes),
        (rules.announced, announced::announced),
        (rules.whole, expression::whole),
        (rules.expression, expression::last_expression),
    ];
    let first = tried.iter().filter(|(on, _)| *on).find_map(|(_, rule)| rule(visible));
    first
        .filter(|(answer, _)| !answer.trim().is_empty())
        .map_or(Found::Nothing, found)
}

fn found((answer, rule): (&str, &'static str)) -> Found {
    Found::Answer(Extracted {
        answer: answer.trim().to_owned(),
        rule,
    })
}

/// The text after the last `</think>`; nothing of reasoning that is still open counts.
pub(crate) fn after_reasoning(text: &str) -> &str {
    let closed = text.rfind("</think>").map_or(text, |at| &text[at + "</think>".len()..]);
    closed.split("<think>").next().unwrap_or_default()
}

fn answer_tag(text: &str) -> Option<(&str, &'static str)> {
    let start = text.rfind("<answer>")? + "<answer>".len();
    let rest = &text[start..];
    Some((&rest[..rest.find("</answer>")?], "tag"))
}

fn after_hashes(text: &str) -> Option<(&str, &'static str)> {
    let rest = &text[text.rfind("####")? + "####".len()..];
    Some((rest.lines().next().unwrap_or_default(), "hash"))
}
