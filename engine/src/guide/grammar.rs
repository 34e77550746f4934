//! What a request asks for → the grammar engine's own notation.

use llguidance::api::TopLevelGrammar;
use serde_json::{Value, json};

use super::Guide;

/// Deepest nesting of brackets in a guide.
const MAX_NESTING: usize = 200;
/// Deepest nesting of a schema: it is read again as a part of records, by readers that give up at 128.
const MAX_SCHEMA_DEPTH: usize = 64;
/// White space between the parts of a JSON text: none, one space, or a line break with its indentation. Bounded, since
/// a policy may else go on with spaces for ever.
const JSON_SPACE: &str = r" |\n {0,16}";

/// The grammar behind a guide.
pub(super) fn grammar(guide: &Guide) -> Result<TopLevelGrammar, String> {
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
            // One expression rather than a rule with alternatives: the parser's rows are short, however many there are.
            let literal: Vec<String> = texts.iter().map(|text| literal(text)).collect();
            Ok(TopLevelGrammar::from_regex(&literal.join("|")))
        }
    }
}

/// A regular expression that matches `text` alone.
fn literal(text: &str) -> String {
    let mut expression = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_alphanumeric() {
            expression.push(letter);
        } else {
            expression.push_str(&format!("\\x{{{:X}}}", u32::from(letter)));
        }
    }
    expression
}

/// The right side of a rule of a [`Guide::Lark`] for JSON that `schema` accepts, with the white space of
/// [`Guide::JsonSchema`].
///
/// # Errors
/// What is wrong with the schema, as far as that shows without compiling it.
pub fn json_rule(schema: Value) -> Result<String, String> {
    Ok(format!("%json {}", spaced(schema)?))
}

fn json_grammar(schema: Value) -> Result<TopLevelGrammar, String> {
    Ok(TopLevelGrammar::from_json_schema(spaced(schema)?))
}

/// The schema with bounded white space.
fn spaced(mut schema: Value) -> Result<Value, String> {
    let Some(object) = schema.as_object_mut() else {
        return Err("a schema must be a JSON object".into());
    };
    if object.values().any(|value| deeper(value, MAX_SCHEMA_DEPTH)) {
        return Err(format!("the schema is nested more than {MAX_SCHEMA_DEPTH} deep"));
    }
    if object.contains_key("x-guidance") {
        return Err("`x-guidance` is not supported".into());
    }
    object.insert("x-guidance".into(), json!({"whitespace_pattern": JSON_SPACE}));
    Ok(schema)
}

/// Whether `value` has more than `depth` levels of lists and objects.
fn deeper(value: &Value, depth: usize) -> bool {
    match value {
        Value::Array(list) => depth == 0 || list.iter().any(|value| deeper(value, depth - 1)),
        Value::Object(object) => depth == 0 || object.values().any(|value| deeper(value, depth - 1)),
        _ => false,
    }
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
