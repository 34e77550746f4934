//! Chat templates: Jinja as `transformers` renders it, bounded so that a hostile template cannot hang the server.
//!
//! Known difference: printing a whole list or dict (`{{ messages }}`) quotes strings with `"` where Python uses `'`.

use minijinja::value::{Kwargs, Value};
use minijinja::{Environment, Error, ErrorKind, context};
use serde::Serialize;
use serde_json::Value as Json;

use super::tokenizer::special_token;
use super::tools::{ToolFormat, knows_tools, without_tools};
use super::{ChatMessage, TextError, clock};

/// Instructions one rendering may take; a long chat of a large template takes a few ten thousand.
const FUEL: u64 = 10_000_000;
/// Depth of macro calls and includes.
const RECURSION_LIMIT: usize = 64;
/// Longest template text accepted, bytes.
const MAX_TEMPLATE_BYTES: usize = 1 << 20;
const NAME: &str = "chat_template";
const SPECIAL_TOKENS: [&str; 7] = [
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
];

/// A compiled chat template and the special tokens it may name.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    source: String,
    special_tokens: Vec<(&'static str, String)>,
}

impl ChatTemplate {
    /// Compiles `source`; `tokenizer_config` names the special tokens.
    ///
    /// # Errors
    /// [`TextError::Template`] if it is too long or does not parse.
    pub fn new(source: &str, tokenizer_config: &Json) -> Result<Self, TextError> {
        if source.len() > MAX_TEMPLATE_BYTES {
            return Err(TextError::Template(format!(
                "{} bytes, at most {MAX_TEMPLATE_BYTES}",
                source.len()
            )));
        }
        let mut environment = Environment::new();
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(RECURSION_LIMIT);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", raise_exception);
        environment.add_function("strftime_now", strftime_now);
        environment.add_filter("tojson", tojson);
        environment
            .add_template_owned(NAME, without_generation_marks(source))
            .map_err(|error| describe(&error))?;
        let named = |key| special_token(tokenizer_config, key).map(|token| (key, token));
        let special_tokens = SPECIAL_TOKENS.into_iter().filter_map(named).collect();
        Ok(Self {
            environment,
            source: source.to_owned(),
            special_tokens,
        })
    }

    /// The template of a model: the separate file, else the `chat_template` of `tokenizer_config`: a string, or a list
    /// of named templates of which `default` is taken (or the only one).
    pub(super) fn find(file: Option<&str>, tokenizer_config: &Json) -> Result<Option<Self>, TextError> {
        if let Some(source) = file {
            return Self::new(source, tokenizer_config).map(Some);
        }
        let source = match tokenizer_config.get("chat_template") {
            None | Some(Json::Null) => return Ok(None),
            Some(Json::String(source)) => source,
            Some(Json::Array(named)) => default_of(named)?,
            Some(_) => {
                return Err(TextError::Template(
                    "`chat_template` is neither a string nor a list".into(),
                ));
            }
        };
        Self::new(source, tokenizer_config).map(Some)
    }

    /// The template's text.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// How the model writes calls of functions; `None` if that is not known here.
    #[must_use]
    pub fn tool_format(&self) -> Option<ToolFormat> {
        ToolFormat::of(&self.source)
    }

    /// Renders messages and the functions that may be called; `add_generation_prompt` opens the assistant's turn.
    ///
    /// The role `developer` becomes `system` in templates that do not know it; tools and calls become text in those that
    /// have no place for them.
    ///
    /// # Errors
    /// [`TextError::Template`] if the template refuses the messages, fails or takes too many instructions.
    pub fn render(
        &self,
        messages: &[ChatMessage],
        tools: &[Json],
        add_generation_prompt: bool,
    ) -> Result<String, TextError> {
        let plain = (!knows_tools(&self.source)).then(|| without_tools(messages, tools));
        let messages = plain.as_deref().unwrap_or(messages);
        let knows_developer = self.source.contains("developer");
        let messages: Vec<ChatMessage> = messages
            .iter()
            .map(|message| match message.role.as_str() {
                "developer" if !knows_developer => ChatMessage::new("system", &message.content),
                _ => message.clone(),
            })
            .collect();
        let special_tokens = Value::from_iter(self.special_tokens.iter().map(|(key, token)| (*key, token.as_str())));
        let variables = context! {
            messages => messages,
            tools => (!tools.is_empty()).then_some(tools),
            documents => (),
            add_generation_prompt => add_generation_prompt,
            ..special_tokens
        };
        let template = self.environment.get_template(NAME).map_err(|error| describe(&error))?;
        template.render(variables).map_err(|error| describe(&error))
    }
}

fn default_of(named: &[Json]) -> Result<&String, TextError> {
    let called = |name: &str| {
        named
            .iter()
            .find(|entry| entry.get("name").and_then(Json::as_str) == Some(name))
    };
    let entry = called("default").or(if named.len() == 1 { named.first() } else { None });
    match entry.and_then(|entry| entry.get("template")) {
        Some(Json::String(source)) => Ok(source),
        _ => Err(TextError::Template(
            "the list `chat_template` has no template called `default`".into(),
        )),
    }
}

/// `{% generation %}` marks the assistant's text for training; for rendering it is a block that is always taken.
fn without_generation_marks(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let (before, tag) = rest.split_at(start);
        out.push_str(before);
        let Some(end) = tag.find("%}") else { break };
        let inner = &tag[2..end];
        match inner.trim_matches(|c: char| c == '-' || c == '+' || c.is_whitespace()) {
            "generation" => out.push_str(&tag[..end].replace("generation", "if true")),
            "endgeneration" => out.push_str(&tag[..end].replace("endgeneration", "endif")),
            _ => out.push_str(&tag[..end]),
        }
        out.push_str("%}");
        rest = &tag[end + 2..];
        continue;
    }
    out.push_str(rest);
    out
}

fn describe(error: &Error) -> TextError {
    let reason = match (error.kind(), error.detail()) {
        (ErrorKind::OutOfFuel, _) => format!("takes more than {FUEL} instructions"),
        (ErrorKind::InvalidOperation, Some(refusal)) if refusal.starts_with(REFUSED) => {
            refusal[REFUSED.len()..].to_owned()
        }
        _ => error.to_string(),
    };
    TextError::Template(reason)
}

const REFUSED: &str = "refused: ";

fn raise_exception(reason: String) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, format!("{REFUSED}{reason}")))
}

fn strftime_now(format: &str) -> Result<String, Error> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seconds = now.map_or(0, |elapsed| elapsed.as_secs());
    clock::strftime(format, seconds).map_err(|reason| Error::new(ErrorKind::InvalidOperation, reason))
}

/// Python's `json.dumps(…, ensure_ascii=False)`: separators with spaces, no HTML escapes.
fn tojson(value: &Value, options: Kwargs) -> Result<Value, Error> {
    let indent: Option<usize> = options.get("indent")?;
    let _: Option<bool> = options.get("ensure_ascii")?;
    options.assert_all_used()?;
    let failed = |error: serde_json::Error| Error::new(ErrorKind::BadSerialization, error.to_string());
    let mut out = Vec::new();
    match indent {
        Some(width) => {
            let spaces = " ".repeat(width.min(16));
            let formatter = serde_json::ser::PrettyFormatter::with_indent(spaces.as_bytes());
            value
                .serialize(&mut serde_json::Serializer::with_formatter(&mut out, formatter))
                .map_err(failed)?;
        }
        None => value
            .serialize(&mut serde_json::Serializer::with_formatter(&mut out, Spaced))
            .map_err(failed)?,
    }
    let text = String::from_utf8_lossy(&out).into_owned();
    Ok(Value::from_safe_string(text))
}

/// `, ` and `: ` as separators.
struct Spaced;

impl serde_json::ser::Formatter for Spaced {
    fn begin_array_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W) -> std::io::Result<()> {
        writer.write_all(b": ")
    }
}
