//! SGLang's `/generate` → a checked plan, with refusals in SGLang's words.

use svs_openapi::native::{NativeRequest, NativeSampling};
use svs_openapi::{Prompt, SamplingFields, TextOrList, TokenIds};

use super::in_words_of;
use super::plan::{Asked, Plan, plan_prompts};
use crate::app::App;
use crate::error::ApiError;

/// Tokens sampled by a request that does not say how many.
const DEFAULT_TOKENS: usize = 128;

/// A checked request.
#[derive(Debug, Clone, PartialEq)]
pub struct NativePlan {
    /// What to run.
    pub plan: Plan,
    /// How to answer.
    pub shape: NativeShape,
}

/// How to answer.
#[derive(Debug, Clone, PartialEq)]
pub struct NativeShape {
    /// The id to repeat.
    pub id: String,
    /// Answer with a list.
    pub list: bool,
    /// Report the prompt from this token on.
    pub prompt_from: Option<usize>,
    /// Texts beside logprobs.
    pub texts: bool,
    /// Alternatives were asked for.
    pub alternatives: bool,
    /// Return the prompt's tokens.
    pub prompt_tokens: bool,
    /// Names of fields on this route.
    names: Vec<(&'static str, &'static str)>,
}

impl NativeShape {
    /// A refusal in this route's words.
    #[must_use]
    pub fn refusal(&self, error: ApiError) -> ApiError {
        in_words_of(&self.names, error)
    }
}

/// Names of the shared fields on this route.
const NAMES: [(&str, &str); 9] = [
    ("model", "lora_path"),
    ("request_id", "rid"),
    ("logprobs", "top_logprobs_num"),
    ("prompt_logprobs", "top_logprobs_num"),
    ("max_tokens", "sampling_params.max_new_tokens"),
    ("min_tokens", "sampling_params.min_new_tokens"),
    ("n", "sampling_params.n"),
    ("guided_json", "sampling_params.json_schema"),
    ("guided_regex", "sampling_params.regex"),
];

/// Checks a request.
///
/// # Errors
/// The refusal of the first bad field.
pub fn plan_native(app: &App, request: NativeRequest) -> Result<NativePlan, ApiError> {
    let (field, prompt) = match (request.text, request.input_ids) {
        (Some(_), Some(_)) => return Err(ApiError::value("input_ids", "give `text` or `input_ids`, not both")),
        (None, None) => {
            let message = "`text` or `input_ids` is required";
            return Err(ApiError::invalid("text", "missing_parameter", message));
        }
        (Some(TextOrList::One(text)), None) => ("text", Prompt::Text(text)),
        (Some(TextOrList::Many(texts)), None) => ("text", Prompt::Texts(texts)),
        (None, Some(TokenIds::One(tokens))) => ("input_ids", Prompt::Tokens(tokens)),
        (None, Some(TokenIds::Many(lists))) => ("input_ids", Prompt::TokenLists(lists)),
    };
    let sampling = request.sampling_params.unwrap_or_default();
    if sampling.skip_special_tokens == Some(false) {
        let message = "only true is supported: texts have no control tokens, `output_ids` have them";
        return Err(ApiError::value("sampling_params.skip_special_tokens", message));
    }
    let asked = request.return_logprob.unwrap_or(false);
    let top = request.top_logprobs_num.unwrap_or(0);
    if top > 0 && !asked {
        return Err(ApiError::value("top_logprobs_num", "needs `return_logprob: true`"));
    }
    let prompt_from = prompt_from(request.logprob_start_len, asked)?;
    let adapter = match &request.lora_path {
        Some(name) => app.find_model(name),
        None => Ok(None),
    };
    let names: Vec<_> = NAMES.into_iter().chain([("prompt", field)]).collect();
    let adapter = adapter.map_err(|error| in_words_of(&names, error))?;
    let several = matches!(prompt, Prompt::Texts(_) | Prompt::TokenLists(_));
    let list = several || sampling.n.is_some_and(|n| n > 1);
    let fields = SamplingFields {
        stream: request.stream,
        prompt_logprobs: prompt_from.map(|_| top),
        cache_salt: request.cache_salt,
        priority: request.priority,
        request_id: request.rid,
        metadata: request.metadata,
        store: request.store,
        ..shared(sampling)
    };
    let model = request.lora_path.unwrap_or_else(|| app.model_name.clone());
    let plan = Asked {
        prefix: "gen-",
        model: (model, adapter),
        prompt,
        echo: false,
        logprobs: asked.then_some(top),
        default_tokens: DEFAULT_TOKENS,
        fields,
    };
    let plan = plan_prompts(app, plan).map_err(|error| in_words_of(&names, error))?;
    let shortest = plan.prompts.iter().map(|prompt| prompt.tokens.len()).min();
    if let (Some(from), Some(length)) = (prompt_from, shortest)
        && from > length
    {
        let message = format!("{from} is behind the prompt of {length} tokens");
        return Err(ApiError::value("logprob_start_len", message));
    }
    let shape = NativeShape {
        id: plan.request_id.clone().unwrap_or_else(|| plan.id.clone()),
        list,
        prompt_from,
        texts: request.return_text_in_logprobs.unwrap_or(false),
        alternatives: top > 0,
        prompt_tokens: request.return_prompt_token_ids.unwrap_or(false),
        names,
    };
    Ok(NativePlan { plan, shape })
}

fn prompt_from(start: Option<i64>, asked: bool) -> Result<Option<usize>, ApiError> {
    match start {
        None | Some(-1) => Ok(None),
        Some(_) if !asked => Err(ApiError::value("logprob_start_len", "needs `return_logprob: true`")),
        Some(start) => match usize::try_from(start) {
            Ok(start) => Ok(Some(start)),
            Err(_) => {
                let message = format!("{start} is out of range; allowed is -1 (no prompt token) and up");
                Err(ApiError::value("logprob_start_len", message))
            }
        },
    }
}

fn shared(sampling: NativeSampling) -> SamplingFields {
    SamplingFields {
        max_tokens: sampling.max_new_tokens,
        min_tokens: sampling.min_new_tokens,
        temperature: sampling.temperature,
        top_p: sampling.top_p,
        top_k: sampling.top_k,
        min_p: sampling.min_p,
        frequency_penalty: sampling.frequency_penalty,
        presence_penalty: sampling.presence_penalty,
        repetition_penalty: sampling.repetition_penalty,
        stop: sampling.stop,
        stop_token_ids: sampling.stop_token_ids,
        ignore_eos: sampling.ignore_eos,
        include_stop_str_in_output: sampling.no_stop_trim,
        n: sampling.n,
        seed: sampling.sampling_seed,
        guided_json: sampling.json_schema,
        guided_regex: sampling.regex,
        logit_bias: sampling.logit_bias,
        ..SamplingFields::default()
    }
}
