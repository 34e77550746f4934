//! Fields of other servers that may be sent as long as they ask for nothing.

use serde_json::Value;

use crate::error::ApiError;

/// A field that may only have values that ask for nothing; with one of them it is as if it were not there.
#[derive(Debug)]
pub struct NoOp {
    /// Its name.
    pub field: &'static str,
    /// The values, as JSON; null is one besides.
    pub values: &'static [&'static str],
    /// Why there is nothing to ask for.
    pub note: &'static str,
}

impl NoOp {
    const fn new(field: &'static str, values: &'static [&'static str], note: &'static str) -> Self {
        Self { field, values, note }
    }

    /// The values but for null.
    pub fn allowed(&self) -> impl Iterator<Item = Value> {
        let read = |text: &&str| serde_json::from_str(text).expect("the tables hold JSON");
        self.values.iter().map(read)
    }
}

/// Of chats, completions and responses.
pub const SHARED: [NoOp; 9] = [
    NoOp::new("service_tier", &["\"auto\"", "\"default\""], "There is one tier."),
    NoOp::new(
        "add_generation_prompt",
        &["true"],
        "The answer is always the assistant's.",
    ),
    NoOp::new(
        "skip_special_tokens",
        &["true"],
        "Texts have no control tokens; `token_ids` have them.",
    ),
    NoOp::new(
        "spaces_between_special_tokens",
        &["true", "false"],
        "Texts have no control tokens.",
    ),
    NoOp::new("bad_words", &["[]"], "No words are ruled out; see `logit_bias`."),
    NoOp::new(
        "allowed_token_ids",
        &["[]"],
        "All tokens are allowed; see `logit_bias` and guided answers.",
    ),
    NoOp::new("chat_template_kwargs", &["{}"], "Templates take no arguments."),
    NoOp::new("truncate_prompt_tokens", &[], "What does not fit is refused."),
    NoOp::new("use_beam_search", &["false"], "There is no beam search."),
];

/// Of chats alone.
pub const CHAT: [NoOp; 2] = [
    NoOp::new("best_of", &["1"], "Every answer is returned; see `n`."),
    NoOp::new("echo", &["false"], "Prompts of chats are not repeated."),
];

/// Removes the fields of `tables` from `body`.
///
/// # Errors
/// 400 `invalid_value` naming the first that asks for something.
pub fn drop_no_ops(body: &mut Value, tables: &[&[NoOp]]) -> Result<(), ApiError> {
    let Some(object) = body.as_object_mut() else {
        return Ok(());
    };
    for row in tables.iter().copied().flatten() {
        match object.get(row.field) {
            None => continue,
            Some(value) if !value.is_null() && !row.allowed().any(|allowed| allowed == *value) => {
                let allowed = match row.values {
                    [] => "null".to_owned(),
                    values => values.join(" and "),
                };
                let message = format!("only {allowed} is supported: {}", row.note);
                return Err(ApiError::value(row.field, message));
            }
            Some(_) => object.remove(row.field),
        };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_asks_for_nothing_is_dropped_and_all_else_refused() {
        for row in SHARED.iter().chain(&CHAT) {
            let asked = |value: Value| {
                let mut body = json!({"model": "m", row.field: value});
                drop_no_ops(&mut body, &[&SHARED, &CHAT]).map(|()| body)
            };
            for value in row.allowed().chain([Value::Null]) {
                assert_eq!(asked(value).expect(row.field), json!({"model": "m"}));
            }
            for value in [json!("flex"), json!(2), json!(["a"]), json!({"a": 1})] {
                let error = asked(value).expect_err(row.field);
                assert_eq!((error.code, error.param.as_deref()), ("invalid_value", Some(row.field)));
            }
        }
        let mut array = json!([]);
        assert!(drop_no_ops(&mut array, &[&SHARED]).is_ok());
    }
}
