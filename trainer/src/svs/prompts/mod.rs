//! Prompt templates for solving and for writing problems, checked before a run starts.

use serde::{Deserialize, Serialize};
use svs_engine::text::ChatMessage;

use crate::problems::Problem;

/// A template that cannot be used; `field` is its dotted name in the config.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct PromptError {
    /// As `prompts.solve`.
    pub field: &'static str,
    /// What is wrong and what is allowed.
    pub reason: String,
}

/// Templates of a single user turn each, with slots in braces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Prompts {
    /// How a problem is put; slot `{question}` exactly once.
    pub solve: String,
    /// How a problem is put with its hint; slots `{question}` and `{hint}` exactly once each.
    pub hint: String,
    /// How a variational problem is asked for; slot `{response}` (a correct solution) exactly once.
    pub synthesize: String,
}

const SOLVE: &str = "{question}\n\nWork through this one step at a time, then give the final answer inside \\boxed{}.";

const HINT: &str = "{question}\n\nHint: {hint}\n\nWork through this one step at a time, then give the final answer inside \
                    \\boxed{}.";

const SYNTHESIZE: &str =
    "Below is a worked solution whose final answer is known to be right. The problem it solves is not shown.

<solution>
{response}
</solution>

You write problems for a mathematics course. Work out in a few words (1) which topic the solution belongs to, \
(2) what has to be reasoned or computed, and (3) what a student should learn from it. Then write a new problem, told \
differently from the one that was probably asked, to which this solution is a correct answer. It must contain every \
number and condition that the solution relies on, have exactly one answer, the same as the solution's, without \
revealing it, and read as plain, clear English.

Give the finished problem, and nothing else, between these two lines:
```text
```";

impl Default for Prompts {
    /// Wording for general instruction-tuned models.
    fn default() -> Self {
        Self {
            solve: SOLVE.into(),
            hint: HINT.into(),
            synthesize: SYNTHESIZE.into(),
        }
    }
}

impl Prompts {
    /// Checks that each template uses its own slots exactly once and no other.
    ///
    /// # Errors
    /// [`PromptError`] naming the template.
    pub fn validate(&self) -> Result<(), PromptError> {
        check("prompts.solve", &self.solve, &["question"])?;
        check("prompts.hint", &self.hint, &["question", "hint"])?;
        check("prompts.synthesize", &self.synthesize, &["response"])
    }

    /// The conversation that poses `problem`: its own, or the template with its question.
    #[must_use]
    pub fn messages_of(&self, problem: &Problem) -> Vec<ChatMessage> {
        let own = problem.messages.clone();
        own.unwrap_or_else(|| self.solve_messages(&problem.question))
    }

    /// The conversation that asks for a solution of `question`.
    #[must_use]
    pub fn solve_messages(&self, question: &str) -> Vec<ChatMessage> {
        user(&self.solve.replacen("{question}", question, 1))
    }

    /// The conversation that asks for a solution of `question` with the help of `hint`.
    #[must_use]
    pub fn hint_messages(&self, question: &str, hint: &str) -> Vec<ChatMessage> {
        // The slots are those of the template, not of what is put into them.
        let (before, after) = self.hint.split_once("{hint}").unwrap_or((&self.hint, ""));
        let put = |part: &str| part.replacen("{question}", question, 1);
        user(&format!("{}{hint}{}", put(before), put(after)))
    }

    /// The conversation that asks for a problem to which `response` is a correct solution.
    #[must_use]
    pub fn synthesis_messages(&self, response: &str) -> Vec<ChatMessage> {
        user(&self.synthesize.replacen("{response}", response, 1))
    }
}

fn user(content: &str) -> Vec<ChatMessage> {
    vec![ChatMessage::new("user", content)]
}

/// Longest template: it is encoded once per problem.
const MAX_TEMPLATE_BYTES: usize = 16 << 10;

fn check(field: &'static str, template: &str, slots: &[&str]) -> Result<(), PromptError> {
    let fail = |reason: String| Err(PromptError { field, reason });
    if template.len() > MAX_TEMPLATE_BYTES {
        let len = template.len();
        return fail(format!("has {len} bytes; at most {MAX_TEMPLATE_BYTES} are allowed"));
    }
    let found = slots_of(template);
    if let Some(other) = found.iter().find(|name| !slots.contains(name)) {
        let known: Vec<String> = slots.iter().map(|slot| format!("`{{{slot}}}`")).collect();
        return fail(format!(
            "the slot `{{{other}}}` does not exist here; there is only {}",
            known.join(" and ")
        ));
    }
    for slot in slots {
        match found.iter().filter(|name| *name == slot).count() {
            1 => {}
            0 => return fail(format!("the slot `{{{slot}}}` is missing")),
            count => {
                return fail(format!(
                    "the slot `{{{slot}}}` is used {count} times; it must be used once"
                ));
            }
        }
    }
    Ok(())
}

/// Names in braces that look like slots. The argument of a LaTeX command (`\boxed{answer}`) is not one.
fn slots_of(template: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (open, _) in template.match_indices('{') {
        let rest = &template[open + 1..];
        let Some(close) = rest.find('}') else { continue };
        let name = &rest[..close];
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        if is_name && !ends_in_command(&template[..open]) {
            found.push(name);
        }
    }
    found
}

fn ends_in_command(text: &str) -> bool {
    let stem = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    stem.len() < text.len() && stem.ends_with('\\')
}

#[cfg(test)]
mod tests;
