//! Request fields that chat and text completions share, defined once.

use std::collections::BTreeMap;

use crate::common::StreamOptions;
use crate::flexible::{Seed, TextOrList};
use crate::guide::{JsonSchema, ResponseFormat, StructuredOutputs};

/// Defines a request type: its own fields plus the shared ones, and `take_sampling` that moves the shared ones out.
macro_rules! generation_request {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* pub $field:ident: $type:ty,)* }) => {
        crate::sampling::shared_fields! {
            @request $(#[$meta])* $name { $($(#[$field_meta])* $field: $type,)* }
        }
    };
}

/// The list of shared fields, expanded into a request type or into [`SamplingFields`].
macro_rules! shared_fields {
    (@request $(#[$meta:meta])* $name:ident { $($own:tt)* }) => {
        crate::sampling::shared_fields! { @list request [$(#[$meta])* $name] [$($own)*] }
    };
    (@list $target:ident [$($head:tt)*] [$($own:tt)*]) => {
        crate::sampling::$target! { [$($head)*] [$($own)*]
            /// Softmax temperature in [0, 2]; 0 is greedy. Default 1.
            temperature: Option<f64>,
            /// Nucleus mass in (0, 1]. Default 1.
            top_p: Option<f64>,
            /// Keep the k most likely tokens; 0 or -1 keeps all (default).
            top_k: Option<i64>,
            /// Keep tokens with at least this share of the best token's probability, in [0, 1]. Default 0.
            min_p: Option<f64>,
            /// In [-2, 2]; lowers tokens that were sampled already. Default 0.
            presence_penalty: Option<f64>,
            /// In [-2, 2]; lowers tokens by how often they were sampled. Default 0.
            frequency_penalty: Option<f64>,
            /// In (0, 100]; above 1 makes tokens of prompt and output less likely. Default 1.
            repetition_penalty: Option<f64>,
            /// Same seed, prompt, parameters and weight version: same tokens. Drawn and returned if absent.
            seed: Option<Seed>,
            /// Most tokens to sample per choice.
            max_tokens: Option<u32>,
            /// No end of sequence and no stop before so many tokens. Default 0.
            min_tokens: Option<u32>,
            /// At most 16 strings that end the text.
            stop: Option<TextOrList>,
            /// Tokens that end the text, besides the model's own.
            stop_token_ids: Option<Vec<u32>>,
            /// Keep the stop string in the text.
            include_stop_str_in_output: Option<bool>,
            /// Do not stop at the model's end-of-sequence token.
            ignore_eos: Option<bool>,
            /// Token id (as a string) to a value in [-100, 100] that is added to its logit.
            logit_bias: Option<BTreeMap<String, f64>>,
            /// What the text must be: `text` (anything), `json_object` or `json_schema`. At most one of this field,
            /// `structured_outputs` and the `guided_` fields may rule.
            response_format: Option<ResponseFormat>,
            /// What the text must be: a JSON schema, a regular expression, a choice or a grammar.
            structured_outputs: Option<StructuredOutputs>,
            /// As `structured_outputs.json`.
            guided_json: Option<JsonSchema>,
            /// As `structured_outputs.regex`.
            guided_regex: Option<String>,
            /// As `structured_outputs.choice`.
            guided_choice: Option<Vec<String>>,
            /// As `structured_outputs.grammar`.
            guided_grammar: Option<String>,
            /// Choices per prompt. Default 1.
            n: Option<u32>,
            /// Send server-sent events as tokens come.
            stream: Option<bool>,
            /// Options of the stream; only with `stream: true`.
            stream_options: Option<StreamOptions>,
            /// Score the prompt: each token's logprob with so many alternatives, 0 to 20.
            prompt_logprobs: Option<u32>,
            /// Return `prompt_token_ids` and each choice's `token_ids`.
            return_token_ids: Option<bool>,
            /// Return each choice's `sampled_logprobs`: behaviour and raw logprob of each token and where truncation cut.
            return_raw_logprobs: Option<bool>,
            /// Return each choice's `weight_versions`: which tokens were drawn under which weights.
            return_weight_versions: Option<bool>,
            /// Separates the prefix cache of different tenants; 1 to 1024 bytes.
            cache_salt: Option<String>,
            /// Lower is served earlier; default 0, the trainer's own requests have 10. A request is passed over at most
            /// `engine.max_overtakes` times.
            priority: Option<i32>,
            /// Name of the request for `/abort_requests` and `/abort_request`, 1 to 256 bytes; the answer's `id` is one too.
            request_id: Option<String>,
            /// Up to 16 strings, logged with the trajectory. `group`, `group_size`, `problem_id`, `reference` (or `answer`)
            /// and `grader` are what the trainer reads.
            metadata: Option<BTreeMap<String, String>>,
            /// Who asked; accepted and not used.
            user: Option<String>,
            /// As `user`.
            safety_identifier: Option<String>,
            /// Accepted and not used: prompts that begin alike share their KV anyway; see `cache_salt`.
            prompt_cache_key: Option<String>,
            /// `false` keeps the request out of the trajectory log. Default true.
            store: Option<bool>,
        }
    };
}

macro_rules! request {
    (
        [$(#[$meta:meta])* $name:ident] [$($(#[$own_meta:meta])* $own:ident: $own_type:ty,)*]
        $($(#[$shared_meta:meta])* $shared:ident: $type:ty,)*
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($(#[$own_meta])* pub $own: $own_type,)*
            $($(#[$shared_meta])* #[serde(skip_serializing_if = "Option::is_none")] pub $shared: $type,)*
        }

        impl $name {
            /// Moves the fields that both routes share out of the request.
            pub fn take_sampling(&mut self) -> crate::sampling::SamplingFields {
                crate::sampling::SamplingFields { $($shared: self.$shared.take(),)* }
            }
        }
    };
}

macro_rules! fields {
    ([] [] $($(#[$meta:meta])* $field:ident: $type:ty,)*) => {
        /// The fields that both generation routes share.
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct SamplingFields {
            $($(#[$meta])* pub $field: $type,)*
        }
    };
}

pub(crate) use {fields, generation_request, request, shared_fields};

shared_fields! { @list fields [] [] }
