//! A checked request: nothing in it can be refused any more except by the engine's own bounds.

use std::sync::Arc;

use svs_engine::SamplingParams;
use svs_engine::text::ChatMessage;
use svs_openapi::chat::Message;
use svs_openapi::{ChatCompletionRequest, CompletionRequest, Prompt, SamplingFields};
use uuid::Uuid;

use super::guide::guide;
use super::intent::Intent;
use super::sampling::{alternatives, outside, sampling};
use crate::adapters::Adapter;
use crate::app::{App, unix_seconds};
use crate::error::ApiError;

/// Tokens sampled by a text completion that does not say how many.
const DEFAULT_COMPLETION_TOKENS: usize = 16;
pub(super) const MAX_SALT_BYTES: usize = 1024;
const ROLES: [&str; 4] = ["system", "developer", "user", "assistant"];

/// A prompt with its own limit of sampled tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct PromptPlan {
    /// Token ids, at least one.
    pub tokens: Vec<u32>,
    /// Text to put before the answer, where `echo` was asked.
    pub echo: Option<String>,
    /// Most tokens to sample per choice.
    pub max_tokens: u32,
}

/// What the answer reports besides the text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outputs {
    /// Logprobs of sampled tokens, with so many alternatives.
    pub logprobs: Option<u32>,
    /// Logprobs of prompt tokens, with so many alternatives.
    pub prompt_logprobs: Option<u32>,
    /// Token ids of prompt and answer.
    pub token_ids: bool,
    /// Weight version spans.
    pub weight_versions: bool,
    /// A usage chunk at the end of a stream.
    pub usage: bool,
    /// Answer as a stream.
    pub stream: bool,
}

/// A checked request.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Id of the request.
    pub id: String,
    /// Seconds since the epoch.
    pub created: u64,
    /// Name the client used for the model.
    pub model: String,
    /// The adapter of that name; `None` is the policy. Held from here on, so that unloading does not break the request.
    pub adapter: Option<Arc<Adapter>>,
    /// Prompts, at least one.
    pub prompts: Vec<PromptPlan>,
    /// Choices per prompt.
    pub n: u32,
    /// Sampling parameters; `max_tokens` is each prompt's own.
    pub sampling: SamplingParams,
    /// The field that gave `sampling.guide`.
    pub guide_field: Option<String>,
    /// What to report.
    pub outputs: Outputs,
    /// What to log; `None` with `store: false`.
    pub intent: Option<Intent>,
    /// Prefix-cache tenant.
    pub cache_salt: Option<String>,
    /// Lower is served earlier.
    pub priority: i32,
}

/// Checks a chat request.
///
/// # Errors
/// The refusal of the first bad field.
pub fn plan_chat(app: &App, mut request: ChatCompletionRequest) -> Result<Plan, ApiError> {
    let adapter = app.find_model(&request.model)?;
    let mut fields = request.take_sampling();
    let limit_field = if request.max_completion_tokens.is_some() {
        "max_completion_tokens"
    } else {
        "max_tokens"
    };
    if request.max_completion_tokens.is_some() && fields.max_tokens.is_some() {
        let message = "give `max_tokens` or `max_completion_tokens`, not both";
        return Err(ApiError::value("max_completion_tokens", message));
    }
    let asked = request.max_completion_tokens.or(fields.max_tokens);
    if request.top_logprobs.is_some() && request.logprobs != Some(true) {
        return Err(ApiError::value("top_logprobs", "needs `logprobs: true`"));
    }
    let top = alternatives("top_logprobs", request.top_logprobs)?;
    let logprobs = (request.logprobs == Some(true)).then(|| top.unwrap_or(0));
    let messages = messages(request.messages)?;
    let (limit, room) = (
        Limit {
            field: limit_field,
            asked,
            default: usize::MAX,
            zero: false,
        },
        Room::of(app),
    );
    room.admit(
        app,
        "messages",
        messages.iter().map(|message| message.content.len()).sum(),
    )?;
    // Templates give every message at least a token of its own.
    if messages.len() > room.0 {
        let message = format!(
            "{} messages do not fit the context length of {}",
            messages.len(),
            room.0
        );
        return Err(ApiError::invalid("messages", "context_length_exceeded", message));
    }
    let tokens = app.engine.tokenizer().encode_chat(&messages, true)?;
    let prompt = PromptPlan {
        max_tokens: limit.resolve("messages", tokens.len(), room)?,
        tokens,
        echo: None,
    };
    build(
        app,
        "chatcmpl-",
        (request.model, adapter),
        vec![prompt],
        &mut fields,
        logprobs,
        false,
        limit_field,
    )
}

/// Checks a text completion request.
///
/// # Errors
/// The refusal of the first bad field.
pub fn plan_completion(app: &App, mut request: CompletionRequest) -> Result<Plan, ApiError> {
    let adapter = app.find_model(&request.model)?;
    let mut fields = request.take_sampling();
    if let Some(best_of) = request.best_of.filter(|best_of| *best_of != fields.n.unwrap_or(1)) {
        return Err(ApiError::value(
            "best_of",
            format!("{best_of} is not supported; it must equal `n` or be absent"),
        ));
    }
    let logprobs = alternatives("logprobs", request.logprobs)?;
    let echo = request.echo.unwrap_or(false);
    let limit = Limit {
        field: "max_tokens",
        asked: fields.max_tokens,
        default: DEFAULT_COMPLETION_TOKENS,
        zero: echo || fields.prompt_logprobs.is_some(),
    };
    let room = Room::of(app);
    let mut prompts = Vec::new();
    for (tokens, text) in token_prompts(app, request.prompt, ("prompt", true))? {
        let max_tokens = limit.resolve("prompt", tokens.len(), room)?;
        let echo = match text {
            text if !echo => text.filter(|_| false),
            Some(text) => Some(text),
            None => Some(app.engine.tokenizer().decode(&tokens, false)?),
        };
        prompts.push(PromptPlan {
            tokens,
            echo,
            max_tokens,
        });
    }
    build(
        app,
        "cmpl-",
        (request.model, adapter),
        prompts,
        &mut fields,
        logprobs,
        echo,
        "max_tokens",
    )
}

fn build(
    app: &App,
    prefix: &str,
    (model, adapter): (String, Option<Arc<Adapter>>),
    prompts: Vec<PromptPlan>,
    fields: &mut SamplingFields,
    logprobs: Option<u32>,
    echo: bool,
    limit_field: &str,
) -> Result<Plan, ApiError> {
    let mut sampling = sampling(fields, app.engine.model().vocab_size)?;
    let (guide_field, guide) = guide(app, fields)?.unzip();
    sampling.guide = guide;
    let n = choices(app, fields.n.unwrap_or(1))?;
    admit_all(app, "n", prompts.len() * n as usize)?;
    if let Some(prompt) = prompts.iter().find(|prompt| sampling.min_tokens > prompt.max_tokens) {
        let message = format!(
            "{} is above `{limit_field}` = {}",
            sampling.min_tokens, prompt.max_tokens
        );
        return Err(ApiError::value("min_tokens", message));
    }
    let stream = fields.stream.unwrap_or(false);
    if fields.stream_options.is_some() && !stream {
        return Err(ApiError::value("stream_options", "needs `stream: true`"));
    }
    if fields
        .cache_salt
        .as_ref()
        .is_some_and(|salt| salt.is_empty() || salt.len() > MAX_SALT_BYTES)
    {
        return Err(ApiError::value(
            "cache_salt",
            format!("must have 1 to {MAX_SALT_BYTES} bytes"),
        ));
    }
    let outputs = Outputs {
        logprobs,
        prompt_logprobs: sampling.prompt_logprobs,
        token_ids: fields.return_token_ids.unwrap_or(false),
        weight_versions: fields.return_weight_versions.unwrap_or(false),
        usage: fields.stream_options.is_some_and(|options| options.include_usage),
        stream,
    };
    sampling.top_logprobs = logprobs.unwrap_or(0);
    if echo && logprobs.is_some() {
        sampling.prompt_logprobs = sampling.prompt_logprobs.max(logprobs);
    }
    let intent = Intent::read(fields.metadata.take(), prompts.len(), n)?;
    Ok(Plan {
        id: format!("{prefix}{}", Uuid::new_v4().simple()),
        created: unix_seconds(),
        model,
        adapter,
        prompts,
        n,
        sampling,
        guide_field,
        outputs,
        intent: fields.store.unwrap_or(true).then_some(intent),
        cache_salt: fields.cache_salt.take(),
        priority: fields.priority.unwrap_or(0),
    })
}

fn choices(app: &App, n: u32) -> Result<u32, ApiError> {
    let most = u32::try_from(app.engine.config().max_choices).unwrap_or(u32::MAX);
    if (1..=most).contains(&n) {
        return Ok(n);
    }
    Err(ApiError::value(
        "n",
        format!("{n} is out of range; allowed is 1 to {most} (engine.max_choices)"),
    ))
}

/// Refuses sequences that could never queue together.
pub(super) fn admit_all(app: &App, field: &str, sequences: usize) -> Result<(), ApiError> {
    let most = app.engine.config().max_waiting;
    if sequences <= most {
        return Ok(());
    }
    let message = format!("{sequences} sequences; at most {most} may wait (engine.max_waiting)");
    Err(ApiError::value(field, message))
}

fn messages(messages: Vec<Message>) -> Result<Vec<ChatMessage>, ApiError> {
    if messages.is_empty() {
        return Err(ApiError::value("messages", "at least one message is needed"));
    }
    let lower = |(index, message): (usize, Message)| {
        if ROLES.contains(&message.role.as_str()) {
            return Ok(ChatMessage {
                role: message.role,
                content: message.content.into_text(),
            });
        }
        let message = format!("`{}` is not supported; allowed are {}", message.role, ROLES.join(", "));
        Err(ApiError::value(&format!("messages[{index}].role"), message))
    };
    messages.into_iter().enumerate().map(lower).collect()
}

/// Tokens of a prompt, and its text where it came as text.
type TokenPrompt = (Vec<u32>, Option<String>);

/// Every prompt of `field` as tokens, with its text where it came as text. `opening` ones begin a sequence, as the model
/// wants it.
pub(super) fn token_prompts(
    app: &App,
    prompt: Prompt,
    (field, opening): (&str, bool),
) -> Result<Vec<TokenPrompt>, ApiError> {
    let encode = |text: String| {
        Room::of(app).admit(app, field, text.len())?;
        Ok((app.engine.tokenizer().encode(&text, opening)?, Some(text)))
    };
    let prompts = match prompt {
        Prompt::Text(text) => vec![encode(text)?],
        Prompt::Texts(texts) => {
            few(app, field, texts.len())?;
            texts.into_iter().map(encode).collect::<Result<Vec<_>, ApiError>>()?
        }
        Prompt::Tokens(tokens) => vec![(tokens, None)],
        Prompt::TokenLists(lists) => lists.into_iter().map(|tokens| (tokens, None)).collect(),
    };
    few(app, field, prompts.len())?;
    let vocab_size = app.engine.model().vocab_size;
    for (index, (tokens, _)) in prompts.iter().enumerate() {
        if tokens.is_empty() {
            return Err(ApiError::value(
                field,
                format!("{field} {index} has no tokens; at least one is needed"),
            ));
        }
        if let Some(token) = tokens.iter().find(|token| **token as usize >= vocab_size) {
            return Err(ApiError::value(field, outside(*token, vocab_size)));
        }
    }
    Ok(prompts)
}

fn few(app: &App, field: &str, count: usize) -> Result<(), ApiError> {
    let most = app.config.max_prompts;
    if count <= most {
        return Ok(());
    }
    Err(ApiError::value(
        field,
        format!("{count} {field}s; allowed are at most {most} (server.max_prompts)"),
    ))
}

/// Longest sequence served.
#[derive(Clone, Copy)]
pub(super) struct Room(pub(super) usize);

impl Room {
    pub(super) fn of(app: &App) -> Self {
        Self(app.engine.max_model_len())
    }

    /// Refuses a text that is too long whatever its tokens are, before minutes go into encoding it.
    fn admit(self, app: &App, source: &str, bytes: usize) -> Result<(), ApiError> {
        let least = app.engine.tokenizer().least_tokens(bytes);
        if least <= self.0 {
            return Ok(());
        }
        let message = format!(
            "{bytes} bytes, thus at least {least} tokens; the context length is {}",
            self.0
        );
        Err(ApiError::invalid(
            source,
            "context_length_exceeded",
            format!("`{source}`: {message}"),
        ))
    }
}

/// How many tokens a request wants.
struct Limit {
    field: &'static str,
    asked: Option<u32>,
    default: usize,
    zero: bool,
}

impl Limit {
    /// Tokens to sample after a prompt of `prompt` tokens, which the field `source` gave.
    fn resolve(&self, source: &str, prompt: usize, Room(room): Room) -> Result<u32, ApiError> {
        let scoring = self.asked == Some(0) && self.zero;
        if self.asked == Some(0) && !self.zero {
            let message = "must be at least 1; 0 is for scoring a prompt with `echo` or `prompt_logprobs`";
            return Err(ApiError::value(self.field, message));
        }
        let wanted = self.asked.map_or(usize::from(!scoring), |asked| asked as usize);
        if prompt.saturating_add(wanted) > room {
            let message = match self.asked {
                Some(asked) => format!(
                    "the prompt has {prompt} tokens and `{}` asks for {asked} more, but the context length is {room}",
                    self.field
                ),
                None => format!("the prompt has {prompt} tokens, which leaves no room in the context length of {room}"),
            };
            return Err(ApiError::invalid(source, "context_length_exceeded", message));
        }
        let tokens = self
            .asked
            .map_or_else(|| self.default.min(room - prompt), |asked| asked as usize);
        Ok(u32::try_from(tokens).unwrap_or(u32::MAX))
    }
}
