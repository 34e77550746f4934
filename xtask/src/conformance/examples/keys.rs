//! Whether an answer has the keys of the printed one.

use serde_json::Value;

/// Where the two differ in keys or in kinds of values; empty where they agree. What a printed list has must agree with the
/// answer's at the same place (its length is not compared); a null in either may stand for anything.
pub(super) fn differences(printed: &Value, answered: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare("the answer", printed, answered, &mut found);
    found
}

fn compare(place: &str, printed: &Value, answered: &Value, found: &mut Vec<String>) {
    match (printed, answered) {
        (Value::Null, _) | (_, Value::Null) => {}
        (Value::Object(printed), Value::Object(answered)) => {
            for (key, value) in printed {
                match answered.get(key) {
                    Some(answer) => compare(&format!("{place}.{key}"), value, answer, found),
                    None => found.push(format!("{place} has no `{key}`")),
                }
            }
            let more = answered.keys().filter(|key| !printed.contains_key(*key));
            found.extend(more.map(|key| format!("{place} also has `{key}`")));
        }
        (Value::Array(printed), Value::Array(answered)) => {
            for (at, (value, answer)) in printed.iter().zip(answered).enumerate() {
                compare(&format!("{place}[{at}]"), value, answer, found);
            }
        }
        _ if kind(printed) == kind(answered) => {}
        _ => found.push(format!("{place} is {} and not {}", kind(answered), kind(printed))),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_and_kinds_are_compared_and_values_are_not() {
        let rows = [
            (json!({"a": 1, "b": "x"}), json!({"b": "y", "a": 2}), 0),
            (json!({"a": 1}), json!({"a": 2, "b": 1}), 1),
            (json!({"a": 1, "b": 1}), json!({"a": 2}), 1),
            (json!({"a": null}), json!({"a": 2}), 0),
            (json!({"a": 1}), json!({"a": "1"}), 1),
            (json!([{"a": 1}]), json!([{"a": 1}, {"b": 1}]), 0),
            (json!([{"a": 1}, {"b": 1}]), json!([{"a": 1}, {"c": 1}]), 2),
            (json!({"a": {"b": []}}), json!({"a": {"b": {}}}), 1),
        ];
        for (printed, answered, count) in rows {
            assert_eq!(differences(&printed, &answered).len(), count, "{printed} {answered}");
        }
    }
}
