//! What the value of each keyword must be.

use serde_json::Value;

/// Types of JSON values, `integer` among the numbers.
const TYPES: [&str; 7] = ["null", "boolean", "object", "array", "number", "integer", "string"];
/// The draft that is implemented.
const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// What a keyword's value holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    /// Nothing that is checked here, or that a reader of the schema cares for.
    Plain,
    /// A pattern.
    Pattern,
    /// A schema.
    Schema,
    /// A list of schemas.
    Schemas,
    /// Schemas by name.
    Named,
    /// Schemas by pattern.
    ByPattern,
    /// A pointer to another schema.
    Reference,
}

/// What a keyword holds, or why it is refused.
pub(super) fn holds(keyword: &str, value: &Value, is_root: bool) -> Result<Holds, String> {
    let wants = |right: bool, kind: &str| {
        if right {
            Ok(Holds::Plain)
        } else {
            Err(format!("`{keyword}` wants {kind}"))
        }
    };
    match keyword {
        "title" | "description" | "$comment" | "default" | "examples" | "deprecated" | "readOnly" | "writeOnly" => {
            Ok(Holds::Plain)
        }
        "$id" if is_root => Ok(Holds::Plain),
        "$schema" => wants(value.as_str().is_some_and(|s| s.trim_end_matches('#') == DRAFT), DRAFT),
        "type" => wants(is_type(value), "a type or a list of types"),
        "const" => Ok(Holds::Plain),
        "enum" => wants(value.is_array(), "a list"),
        "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties" | "minContains"
        | "maxContains" => wants(value.is_u64(), "a whole number"),
        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => wants(value.is_number(), "a number"),
        // Fractions such as 0.1 are no binary numbers: whether 0.3 is a multiple would depend on rounding.
        "multipleOf" => wants(
            value.as_u64().is_some_and(|n| (1..1 << 53).contains(&n)),
            "a whole number from 1 to 2^53",
        ),
        "uniqueItems" => wants(value.is_boolean(), "true or false"),
        "required" => wants(is_names(value), "a list of names"),
        "dependentRequired" => wants(
            value.as_object().is_some_and(|named| named.values().all(is_names)),
            "lists of names",
        ),
        "pattern" => wants(value.is_string(), "a pattern").map(|_| Holds::Pattern),
        "$ref" => wants(value.is_string(), "a pointer").map(|_| Holds::Reference),
        "items" | "contains" | "additionalProperties" | "propertyNames" | "not" | "if" | "then" | "else" => {
            wants(is_schema(value), "a schema").map(|_| Holds::Schema)
        }
        "prefixItems" | "allOf" | "anyOf" | "oneOf" => wants(
            value
                .as_array()
                .is_some_and(|list| !list.is_empty() && list.iter().all(is_schema)),
            "a list of schemas",
        )
        .map(|_| Holds::Schemas),
        "properties" | "$defs" | "definitions" => wants(is_named(value), "schemas by name").map(|_| Holds::Named),
        "patternProperties" => wants(is_named(value), "schemas by pattern").map(|_| Holds::ByPattern),
        _ => Err(format!("`{keyword}` is not checked")),
    }
}

/// Keywords whose schemas judge the same value as the schema that they stand in.
pub(super) fn is_in_place(keyword: &str) -> bool {
    matches!(
        keyword,
        "$ref" | "allOf" | "anyOf" | "oneOf" | "not" | "if" | "then" | "else"
    )
}

fn is_type(value: &Value) -> bool {
    let known = |value: &Value| value.as_str().is_some_and(|name| TYPES.contains(&name));
    known(value)
        || value
            .as_array()
            .is_some_and(|list| !list.is_empty() && list.iter().all(known))
}

fn is_names(value: &Value) -> bool {
    value.as_array().is_some_and(|list| list.iter().all(Value::is_string))
}

fn is_schema(value: &Value) -> bool {
    value.is_object() || value.is_boolean()
}

fn is_named(value: &Value) -> bool {
    value.as_object().is_some_and(|named| named.values().all(is_schema))
}
