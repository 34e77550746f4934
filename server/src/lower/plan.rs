//! A checked request: nothing in it can be refused any more except by the engine's own bounds.

use std::sync::Arc;

use svs_engine::SamplingParams;
use svs_openapi::chat::Message;
use svs_openapi::tools::{Tool, ToolChoice};
use svs_openapi::{ChatCompletionRequest, CompletionRequest, Prompt, SamplingFields};
use uuid::Uuid;

use super::guide::{Given, guide};
use super::intent::Intent;
use super::messages::{bytes, messages};
use super::outputs::Outputs;
use super::room::{Limit, Room};
use super::sampling::{alternatives, outside, sampling};
use super::tools::{self, ToolUse};
use crate::adapters::Adapter;
use crate::app::{App, unix_seconds};
use crate::error::ApiError;

/// Tokens sampled by a text completion that does not say how many.
const DEFAULT_COMPLETION_TOKENS: usize = 16;
pub(super) const MAX_SALT_BYTES: usize = 1024;
const MAX_ID_BYTES: usize = 256;

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
    /// The answers go on in the text of the prompts: a first space is theirs.
    pub continues_text: bool,
    /// The field that gave `sampling.guide`.
    pub guide_field: Option<String>,
    /// What to report.
    pub outputs: Outputs,
    /// What to log; `None` with `store: false`.
    pub intent: Option<Intent>,
    /// How calls of functions are read from the answer, where some may be made.
    pub tools: Option<ToolUse>,
    /// Prefix-cache tenant.
    pub cache_salt: Option<String>,
    /// Lower is served earlier.
    pub priority: i32,
    /// What the client calls the request.
    pub request_id: Option<String>,
}

/// Checks a chat request.
///
/// # Errors
/// The refusal of the first bad field.
pub fn plan_chat(app: &App, mut request: ChatCompletionRequest) -> Result<Plan, ApiError> {
    let fields = request.take_sampling();
    let limit_field = if request.max_completion_tokens.is_some() {
        "max_completion_tokens"
    } else {
        "max_tokens"
    };
    if request.max_completion_tokens.is_some() && fields.max_tokens.is_some() {
        let message = "give `max_tokens` or `max_completion_tokens`, not both";
        return Err(ApiError::value("max_completion_tokens", message));
    }
    if request.top_logprobs.is_some() && request.logprobs != Some(true) {
        return Err(ApiError::value("top_logprobs", "needs `logprobs: true`"));
    }
    let top = alternatives("top_logprobs", request.top_logprobs)?;
    let chat = Chat {
        prefix: "chatcmpl-",
        model: request.model,
        messages: request.messages,
        tools: request.tools,
        choice: request.tool_choice,
        parallel: request.parallel_tool_calls,
        limit: (limit_field, request.max_completion_tokens.or(fields.max_tokens)),
        logprobs: (request.logprobs == Some(true)).then(|| top.unwrap_or(0)),
        fields,
    };
    plan_conversation(app, chat)
}

/// A chat to continue, whichever route it comes from.
pub(super) struct Chat {
    /// What ids of such requests begin with.
    pub(super) prefix: &'static str,
    /// The name asked for.
    pub(super) model: String,
    /// The chat so far.
    pub(super) messages: Vec<Message>,
    /// Functions that may be called.
    pub(super) tools: Option<Vec<Tool>>,
    /// Whether they are.
    pub(super) choice: Option<ToolChoice>,
    /// Whether several are.
    pub(super) parallel: Option<bool>,
    /// The field that says how many tokens to sample, and what it says.
    pub(super) limit: (&'static str, Option<u32>),
    /// Logprobs with so many alternatives.
    pub(super) logprobs: Option<u32>,
    /// All else.
    pub(super) fields: SamplingFields,
}

/// Checks a request to continue a chat.
///
/// # Errors
/// The refusal of the first bad field, as `/v1/chat/completions` names it.
pub(super) fn plan_conversation(app: &App, mut chat: Chat) -> Result<Plan, ApiError> {
    let adapter = app.find_model(&chat.model)?;
    let messages = messages(chat.messages)?;
    let asked_tools = tools::Asked {
        tools: chat.tools,
        choice: chat.choice,
        parallel: chat.parallel,
    };
    let tools = asked_tools.read(app)?;
    let (field, asked) = chat.limit;
    let (limit, room) = (
        Limit {
            field,
            asked,
            default: usize::MAX,
            zero: false,
        },
        Room::of(app),
    );
    room.admit(app, "messages", bytes(&messages, &tools.shown))?;
    // Templates give every message at least a token of its own.
    if messages.len() > room.0 {
        let message = format!(
            "{} messages do not fit the context length of {}",
            messages.len(),
            room.0
        );
        return Err(ApiError::invalid("messages", "context_length_exceeded", message));
    }
    let text = app.engine.tokenizer().render_chat(&messages, &tools.shown, true)?;
    // Schemas and arguments of earlier calls count only now.
    room.admit(app, "messages", text.len())?;
    let tokens = app.engine.tokenizer().encode(&text, false)?;
    let prompt = PromptPlan {
        max_tokens: limit.resolve("messages", tokens.len(), room)?,
        tokens,
        echo: None,
    };
    let mut plan = build(
        app,
        chat.prefix,
        (chat.model, adapter),
        vec![prompt],
        (&mut chat.fields, tools.guide),
        chat.logprobs,
        false,
        field,
    )?;
    plan.tools = tools.uses;
    Ok(plan)
}

/// Checks a text completion request.
///
/// # Errors
/// The refusal of the first bad field.
pub fn plan_completion(app: &App, mut request: CompletionRequest) -> Result<Plan, ApiError> {
    let adapter = app.find_model(&request.model)?;
    let fields = request.take_sampling();
    if let Some(best_of) = request.best_of.filter(|best_of| *best_of != fields.n.unwrap_or(1)) {
        return Err(ApiError::value(
            "best_of",
            format!("{best_of} is not supported; it must equal `n` or be absent"),
        ));
    }
    let asked = Asked {
        prefix: "cmpl-",
        model: (request.model, adapter),
        prompt: request.prompt,
        echo: request.echo.unwrap_or(false),
        logprobs: request.logprobs,
        default_tokens: DEFAULT_COMPLETION_TOKENS,
        fields,
    };
    plan_prompts(app, asked)
}

/// Prompts to continue, whichever route they come from.
pub(super) struct Asked {
    /// What ids of such requests begin with.
    pub(super) prefix: &'static str,
    /// The name asked for, and the adapter that it means.
    pub(super) model: (String, Option<Arc<Adapter>>),
    /// The prompts.
    pub(super) prompt: Prompt,
    /// Put them before the answers.
    pub(super) echo: bool,
    /// Logprobs with so many alternatives.
    pub(super) logprobs: Option<u32>,
    /// Tokens to sample where the request does not say.
    pub(super) default_tokens: usize,
    /// All else.
    pub(super) fields: SamplingFields,
}

/// Checks a request to continue prompts.
///
/// # Errors
/// The refusal of the first bad field, as `/v1/completions` names it.
pub(super) fn plan_prompts(app: &App, asked: Asked) -> Result<Plan, ApiError> {
    let (mut fields, echo) = (asked.fields, asked.echo);
    let logprobs = alternatives("logprobs", asked.logprobs)?;
    let limit = Limit {
        field: "max_tokens",
        asked: fields.max_tokens,
        default: asked.default_tokens,
        zero: echo || fields.prompt_logprobs.is_some(),
    };
    let room = Room::of(app);
    let mut prompts = Vec::new();
    for (tokens, text) in token_prompts(app, asked.prompt, ("prompt", true))? {
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
    let mut plan = build(
        app,
        asked.prefix,
        asked.model,
        prompts,
        (&mut fields, None),
        logprobs,
        echo,
        "max_tokens",
    )?;
    bound_prompt_logprobs(app, &plan)?;
    plan.continues_text = true;
    Ok(plan)
}

/// Refuses an answer whose choices, each with those of its prompt, would have too many logprobs to hold.
fn bound_prompt_logprobs(app: &App, plan: &Plan) -> Result<(), ApiError> {
    let Some(alternatives) = plan.sampling.prompt_logprobs else {
        return Ok(());
    };
    let tokens: usize = plan.prompts.iter().map(|prompt| prompt.tokens.len()).sum();
    let (n, each, most) = (
        plan.n as usize,
        alternatives as usize + 1,
        app.config.max_prompt_logprobs,
    );
    if tokens.saturating_mul(n).saturating_mul(each) <= most {
        return Ok(());
    }
    let message = format!(
        "{n} choices with the logprobs of {tokens} prompt tokens, {each} each: above {most} \
         (server.max_prompt_logprobs)"
    );
    let field = plan.outputs.prompt_logprobs.map_or("logprobs", |_| "prompt_logprobs");
    Err(ApiError::value(field, message))
}

fn build(
    app: &App,
    prefix: &str,
    (model, adapter): (String, Option<Arc<Adapter>>),
    prompts: Vec<PromptPlan>,
    (fields, tools): (&mut SamplingFields, Option<Given>),
    logprobs: Option<u32>,
    echo: bool,
    limit_field: &str,
) -> Result<Plan, ApiError> {
    let mut sampling = sampling(fields, app.engine.model().vocab_size)?;
    let (guide_field, guide) = guide(app, fields, tools)?.unzip();
    sampling.guide = guide;
    let n = choices(app, fields.n.unwrap_or(1))?;
    admit_all(app, "prompt", prompts.len())?;
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
        raw_logprobs: fields.return_raw_logprobs.unwrap_or(false),
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
        continues_text: false,
        guide_field,
        outputs,
        intent: fields.store.unwrap_or(true).then_some(intent),
        tools: None,
        cache_salt: fields.cache_salt.take(),
        priority: fields.priority.unwrap_or(0),
        request_id: request_id(fields.request_id.take())?,
    })
}

impl Plan {
    /// Whether an answer has the space that its vocabulary begins texts with: guided, it is what the grammar read.
    #[must_use]
    pub fn keeps_first_space(&self) -> bool {
        self.continues_text || self.sampling.guide.is_some()
    }
}

fn request_id(id: Option<String>) -> Result<Option<String>, ApiError> {
    match id {
        Some(id) if id.is_empty() || id.len() > MAX_ID_BYTES => {
            let message = format!("must have 1 to {MAX_ID_BYTES} bytes");
            Err(ApiError::value("request_id", message))
        }
        id => Ok(id),
    }
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

/// Tokens of a prompt, and its text where it came as text.
type TokenPrompt = (Vec<u32>, Option<String>);

/// Every prompt of `field` as tokens, with its text where it came as text. `opening` ones begin a sequence, as the model
/// wants it. There are at most `server.max_prompts`.
pub(super) fn token_prompts(
    app: &App,
    prompt: Prompt,
    (field, opening): (&str, bool),
) -> Result<Vec<TokenPrompt>, ApiError> {
    let most = (app.config.max_prompts, "server.max_prompts");
    bounded_prompts(app, prompt, (field, opening), most)
}

/// As [`token_prompts`], with a bound of its own and the name of it.
pub(super) fn bounded_prompts(
    app: &App,
    prompt: Prompt,
    (field, opening): (&str, bool),
    most: (usize, &str),
) -> Result<Vec<TokenPrompt>, ApiError> {
    let encode = |text: String| {
        Room::of(app).admit(app, field, text.len())?;
        Ok((app.engine.tokenizer().encode(&text, opening)?, Some(text)))
    };
    let prompts = match prompt {
        Prompt::Text(text) => vec![encode(text)?],
        Prompt::Texts(texts) => {
            few(most, field, texts.len())?;
            texts.into_iter().map(encode).collect::<Result<Vec<_>, ApiError>>()?
        }
        Prompt::Tokens(tokens) => vec![(tokens, None)],
        Prompt::TokenLists(lists) => lists.into_iter().map(|tokens| (tokens, None)).collect(),
    };
    few(most, field, prompts.len())?;
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

pub(super) fn few((most, key): (usize, &str), field: &str, count: usize) -> Result<(), ApiError> {
    if count == 0 {
        return Err(ApiError::value(field, "an empty list; at least one is needed"));
    }
    if count <= most {
        return Ok(());
    }
    Err(ApiError::value(
        field,
        format!("{count} {field}s; allowed are at most {most} ({key})"),
    ))
}
