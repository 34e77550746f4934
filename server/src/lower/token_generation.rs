//! vLLM's `/inference/v1/generate` → a checked plan, with refusals in vLLM's words.

use svs_openapi::token_generation::{TokenRequest, TokenSampling};
use svs_openapi::{Prompt, SamplingFields};

use super::in_words_of;
use super::plan::{Asked, Plan, plan_prompts};
use crate::app::App;
use crate::error::ApiError;

/// Tokens sampled by a request that does not say how many.
const DEFAULT_TOKENS: usize = 16;

/// A checked request.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenPlan {
    /// What to run.
    pub plan: Plan,
    /// The id to repeat.
    pub id: String,
    /// Texts beside tokens.
    pub texts: bool,
}

/// Names of the shared fields on this route.
const NAMES: [(&str, &str); 9] = [
    ("prompt", "token_ids"),
    ("logprobs", "sampling_params.logprobs"),
    ("prompt_logprobs", "sampling_params.prompt_logprobs"),
    ("max_tokens", "sampling_params.max_tokens"),
    ("min_tokens", "sampling_params.min_tokens"),
    ("n", "sampling_params.n"),
    ("structured_outputs", "sampling_params.structured_outputs"),
    ("structured_outputs.json", "sampling_params.structured_outputs.json"),
    ("structured_outputs.regex", "sampling_params.structured_outputs.regex"),
];

/// A refusal in this route's words.
#[must_use]
pub fn refusal(error: ApiError) -> ApiError {
    in_words_of(&NAMES, error)
}

/// Checks a request.
///
/// # Errors
/// The refusal of the first bad field.
pub fn plan_tokens(app: &App, request: TokenRequest) -> Result<TokenPlan, ApiError> {
    let texts = match request.output_mode.as_deref() {
        None | Some("tokens") => false,
        Some("text") => true,
        Some(other) => {
            let message = format!("`{other}` is not supported; allowed are `tokens` and `text`");
            return Err(ApiError::value("output_mode", message));
        }
    };
    let sampling = request.sampling_params.unwrap_or_default();
    if sampling.skip_special_tokens == Some(false) {
        let message = "only true is supported: texts have no control tokens, `token_ids` have them";
        return Err(ApiError::value("sampling_params.skip_special_tokens", message));
    }
    let model = request.model.unwrap_or_else(|| app.names()[0].to_owned());
    let adapter = app.find_model(&model)?;
    let logprobs = sampling.logprobs;
    let fields = SamplingFields {
        stream: request.stream,
        stream_options: request.stream_options,
        return_token_ids: request.return_token_ids,
        return_raw_logprobs: request.return_raw_logprobs,
        cache_salt: request.cache_salt,
        priority: request.priority,
        request_id: request.request_id,
        metadata: request.metadata,
        store: request.store,
        ..shared(sampling)
    };
    let asked = Asked {
        prefix: "gen-",
        model: (model, adapter),
        prompt: Prompt::Tokens(request.token_ids),
        echo: false,
        logprobs,
        default_tokens: DEFAULT_TOKENS,
        fields,
    };
    let plan = plan_prompts(app, asked).map_err(refusal)?;
    let id = plan.request_id.clone().unwrap_or_else(|| plan.id.clone());
    Ok(TokenPlan { plan, id, texts })
}

fn shared(sampling: TokenSampling) -> SamplingFields {
    SamplingFields {
        n: sampling.n,
        temperature: sampling.temperature,
        top_p: sampling.top_p,
        top_k: sampling.top_k,
        min_p: sampling.min_p,
        presence_penalty: sampling.presence_penalty,
        frequency_penalty: sampling.frequency_penalty,
        repetition_penalty: sampling.repetition_penalty,
        seed: sampling.seed,
        max_tokens: sampling.max_tokens,
        min_tokens: sampling.min_tokens,
        stop: sampling.stop,
        stop_token_ids: sampling.stop_token_ids,
        include_stop_str_in_output: sampling.include_stop_str_in_output,
        ignore_eos: sampling.ignore_eos,
        prompt_logprobs: sampling.prompt_logprobs,
        logit_bias: sampling.logit_bias,
        structured_outputs: sampling.structured_outputs,
        ..SamplingFields::default()
    }
}
