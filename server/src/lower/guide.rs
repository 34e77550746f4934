//! The fields that say what the text must be → one guide, compiled, so that its faults name the field.

use svs_engine::EngineError;
use svs_engine::guide::Guide;
use svs_openapi::SamplingFields;
use svs_openapi::guide::{JsonSchema, ResponseFormat, StructuredOutputs};

use crate::app::App;
use crate::error::ApiError;

/// The field that gave a guide, and that.
pub(super) type Given = (String, Guide);

/// The guide that `fields` ask for, if any, and the field that did. It is compiled here, off the runtime; the engine finds
/// it compiled.
/// What tools ask for is in `tools`.
pub(super) fn guide(app: &App, fields: &mut SamplingFields, tools: Option<Given>) -> Result<Option<Given>, ApiError> {
    let mut given = given(fields)?;
    given.extend(tools);
    if given.len() > 1 {
        let (field, _) = given.swap_remove(1);
        let message = format!("`{}` says already what the text must be; give one of them", given[0].0);
        return Err(ApiError::value(&field, message));
    }
    let Some((field, guide)) = given.pop() else {
        return Ok(None);
    };
    if fields.ignore_eos == Some(true) {
        let message = format!("a text held to `{field}` ends where that does; leave `ignore_eos` out");
        return Err(ApiError::value("ignore_eos", message));
    }
    match app.engine.compile_guide(&guide) {
        Ok(_) => Ok(Some((field, guide))),
        Err(EngineError::InvalidParameter { reason, .. }) => Err(ApiError::value(&field, reason)),
        Err(error) => Err(error.into()),
    }
}

/// Every guide that some field gives.
fn given(fields: &mut SamplingFields) -> Result<Vec<Given>, ApiError> {
    let mut given = Vec::new();
    if let Some(format) = fields.response_format.take() {
        given.extend(response_format(format)?);
    }
    if let Some(outputs) = fields.structured_outputs.take() {
        let before = given.len();
        structured(outputs, &mut given)?;
        if given.len() == before {
            let message = "needs one of `json`, `json_object`, `regex`, `choice` and `grammar`";
            return Err(ApiError::value("structured_outputs", message));
        }
    }
    if let Some(json) = fields.guided_json.take() {
        given.push(("guided_json".into(), schema("guided_json", json)?));
    }
    let texts = [
        ("guided_regex", fields.guided_regex.take().map(Guide::Regex)),
        ("guided_choice", fields.guided_choice.take().map(Guide::Choice)),
        ("guided_grammar", fields.guided_grammar.take().map(Guide::Lark)),
    ];
    given.extend(
        texts
            .into_iter()
            .filter_map(|(field, guide)| Some((field.to_owned(), guide?))),
    );
    Ok(given)
}

fn response_format(format: ResponseFormat) -> Result<Option<Given>, ApiError> {
    let field = "response_format.json_schema";
    match (format.kind.as_str(), format.json_schema) {
        ("json_schema", Some(wrapped)) => {
            let field = format!("{field}.schema");
            let guide = schema(&field, wrapped.schema)?;
            Ok(Some((field, guide)))
        }
        ("json_schema", None) => Err(ApiError::value(field, "is needed with type `json_schema`")),
        (_, Some(_)) => Err(ApiError::value(field, "needs type `json_schema`")),
        ("text", None) => Ok(None),
        ("json_object", None) => Ok(Some(("response_format.type".into(), Guide::JsonObject))),
        (kind, None) => {
            let message = format!("`{kind}` is not supported; allowed are `text`, `json_object` and `json_schema`");
            Err(ApiError::value("response_format.type", message))
        }
    }
}

fn structured(outputs: StructuredOutputs, given: &mut Vec<Given>) -> Result<(), ApiError> {
    if let Some(json) = outputs.json {
        let field = "structured_outputs.json";
        given.push((field.into(), schema(field, json)?));
    }
    let others = [
        (
            "json_object",
            outputs.json_object.filter(|asked| *asked).map(|_| Guide::JsonObject),
        ),
        ("regex", outputs.regex.map(Guide::Regex)),
        ("choice", outputs.choice.map(Guide::Choice)),
        ("grammar", outputs.grammar.map(Guide::Lark)),
    ];
    let named = others
        .into_iter()
        .filter_map(|(name, guide)| Some((format!("structured_outputs.{name}"), guide?)));
    given.extend(named);
    Ok(())
}

/// The guide behind a schema, which may have come as its text.
fn schema(field: &str, JsonSchema(value): JsonSchema) -> Result<Guide, ApiError> {
    let value = match value.as_str() {
        Some(text) => {
            serde_json::from_str(text).map_err(|error| ApiError::value(field, format!("is not JSON: {error}")))?
        }
        None => value,
    };
    Ok(Guide::JsonSchema(value))
}
