//! Functions that a chat may call: what the template shows, and what the text of the answer must be.

use svs_engine::guide::{Guide, json_rule};
use svs_engine::text::{CALL_CLOSES, CALL_OPENS, ToolFormat};
use svs_openapi::tools::{Tool, ToolChoice};

use super::guide::Given;
use crate::app::App;
use crate::error::ApiError;

const MAX_TOOLS: usize = 128;
const MAX_NAME_BYTES: usize = 64;

/// How calls are read from the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToolUse {
    /// How the model writes them.
    pub format: ToolFormat,
    /// The client named the function, so that its being called says nothing about why the answer ends.
    pub named: bool,
}

/// What a request says about tools.
pub(super) struct Asked {
    pub(super) tools: Option<Vec<Tool>>,
    pub(super) choice: Option<ToolChoice>,
    pub(super) parallel: Option<bool>,
}

/// Tools as the rest of the plan needs them; nothing at all where none may be called.
#[derive(Default)]
pub(super) struct Tools {
    /// For the template, as the client sent them.
    pub(super) shown: Vec<serde_json::Value>,
    pub(super) uses: Option<ToolUse>,
    pub(super) guide: Option<Given>,
}

/// Which of the answer is held to a grammar.
#[derive(Clone, Copy)]
struct Hold {
    /// It may be text, or text and calls.
    text: bool,
    /// It may make several calls.
    several: bool,
}

impl Asked {
    /// Checks what is asked.
    ///
    /// # Errors
    /// 400 `invalid_value` naming the field.
    pub(super) fn read(self, app: &App) -> Result<Tools, ApiError> {
        let tools = self.tools.unwrap_or_default();
        check(&tools)?;
        let named = named(&tools, self.choice.as_ref())?;
        let mode = match &self.choice {
            Some(ToolChoice::Mode(mode)) => mode.as_str(),
            _ => "auto",
        };
        if !["none", "auto", "required"].contains(&mode) {
            let message = format!("`{mode}` is not supported; allowed are none, auto, required and a function");
            return Err(ApiError::value("tool_choice", message));
        }
        if tools.is_empty() || mode == "none" {
            return match mode {
                "required" => Err(ApiError::value("tool_choice", "needs `tools`")),
                _ => Ok(Tools::default()),
            };
        }
        let Some(format) = app.engine.tokenizer().tool_format() else {
            let message = "the chat template of this model has none, or writes calls in a way that is not known here";
            return Err(ApiError::value("tools", message));
        };
        let several = self.parallel != Some(false) && named.is_none() && format == ToolFormat::Hermes;
        let strict = tools.iter().any(|tool| tool.function.strict == Some(true));
        let called: Vec<&Tool> = named.map_or_else(|| tools.iter().collect(), |at| vec![&tools[at]]);
        let forced = mode == "required" || named.is_some();
        let hold = Hold { text: !forced, several };
        let held = forced || strict || self.parallel == Some(false);
        let field = if forced { "tool_choice" } else { "tools" };
        let grammar = held.then(|| grammar(format, &called, hold)).transpose();
        let grammar = grammar.map_err(|reason| ApiError::value("tools", reason))?;
        Ok(Tools {
            guide: grammar.map(|text| (field.to_owned(), Guide::Lark(text))),
            uses: Some(ToolUse {
                format,
                named: named.is_some(),
            }),
            shown: tools.iter().map(shown).collect(),
        })
    }
}

/// As templates want it: with a schema, and without what says how to decode.
fn shown(tool: &Tool) -> serde_json::Value {
    let mut tool = tool.clone();
    tool.function.strict = None;
    tool.function.parameters = Some(parameters(&tool));
    serde_json::to_value(tool).expect("wire types have string keys")
}

fn parameters(tool: &Tool) -> serde_json::Value {
    let none = || serde_json::json!({"type": "object", "properties": {}, "additionalProperties": false});
    tool.function.parameters.clone().unwrap_or_else(none)
}

fn check(tools: &[Tool]) -> Result<(), ApiError> {
    if tools.len() > MAX_TOOLS {
        let message = format!("{} tools; allowed are at most {MAX_TOOLS}", tools.len());
        return Err(ApiError::value("tools", message));
    }
    for (index, tool) in tools.iter().enumerate() {
        let at = |field: &str| format!("tools[{index}].{field}");
        if tool.kind != "function" {
            let message = format!("`{}` is not supported; allowed is function", tool.kind);
            return Err(ApiError::value(&at("type"), message));
        }
        let name = &tool.function.name;
        let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(letters) {
            let message = format!("must be 1 to {MAX_NAME_BYTES} letters, digits, `_` and `-`");
            return Err(ApiError::value(&at("function.name"), message));
        }
        if tools[..index].iter().any(|other| other.function.name == *name) {
            return Err(ApiError::value(
                &at("function.name"),
                format!("`{name}` is there twice"),
            ));
        }
        let Some(schema) = &tool.function.parameters else {
            continue;
        };
        if !schema.is_object() || !may_be_object(schema) {
            return Err(ApiError::value(
                &at("function.parameters"),
                "must be a JSON schema, an object, of `type` object: arguments are one",
            ));
        }
    }
    Ok(())
}

/// Whether the `type` of a schema, if it has one, lets objects through.
fn may_be_object(schema: &serde_json::Value) -> bool {
    match schema.get("type") {
        None => true,
        Some(serde_json::Value::Array(types)) => types.iter().any(|name| name == "object"),
        Some(name) => name == "object",
    }
}

/// The schema of the arguments that may be written: of an object, where nothing but `type` could say so.
fn held(tool: &Tool) -> serde_json::Value {
    let mut schema = parameters(tool);
    let says = ["$ref", "anyOf", "oneOf", "allOf", "enum", "const"];
    if let Some(keys) = schema.as_object_mut()
        && !says.iter().any(|key| keys.contains_key(*key))
    {
        keys.insert("type".into(), "object".into());
    }
    schema
}

/// The index of the function that must be called.
fn named(tools: &[Tool], choice: Option<&ToolChoice>) -> Result<Option<usize>, ApiError> {
    let Some(ToolChoice::Named(named)) = choice else {
        return Ok(None);
    };
    let name = &named.function.name;
    match tools.iter().position(|tool| tool.function.name == *name) {
        Some(index) => Ok(Some(index)),
        None => {
            let message = format!("`{name}` is not one of `tools`");
            Err(ApiError::value("tool_choice.function.name", message))
        }
    }
}

/// A grammar of the answers that are allowed. Each schema has a rule of its own, so that its references keep their root.
fn grammar(format: ToolFormat, tools: &[&Tool], hold: Hold) -> Result<String, String> {
    let (key, (opens, closes)) = match format {
        ToolFormat::Hermes => ("arguments", (format!("{CALL_OPENS}\n"), format!("\n{CALL_CLOSES}"))),
        ToolFormat::Llama => ("parameters", (String::new(), String::new())),
    };
    let mut rules = Vec::new();
    for (index, tool) in tools.iter().enumerate() {
        let before = format!("{opens}{{\"name\": \"{}\", \"{key}\": ", tool.function.name);
        let after = format!("}}{closes}");
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        rules.push(format!(
            "call_{index}: {} arguments_{index} {}",
            quoted(&before),
            quoted(&after)
        ));
        rules.push(format!("arguments_{index}: {}", json_rule(held(tool))?));
    }
    let calls: Vec<String> = (0..tools.len()).map(|index| format!("call_{index}")).collect();
    rules.push(format!("call: {}", calls.join(" | ")));
    rules.push(
        if hold.several {
            r#"calls: call ("\n" call)*"#
        } else {
            "calls: call"
        }
        .to_owned(),
    );
    match (hold.text, format) {
        (false, _) => rules.push("start: calls".to_owned()),
        (true, ToolFormat::Hermes) => {
            rules.push("start: TEXT | TEXT calls".to_owned());
            rules.push(format!("TEXT: /(?s:.*)/ & ~/(?s:.*){CALL_OPENS}(?s:.*)/"));
        }
        (true, ToolFormat::Llama) => {
            rules.push("start: TEXT | calls".to_owned());
            rules.push(r"TEXT: /[^{](?s:.*)/".to_owned());
        }
    }
    Ok(rules.join("\n"))
}
