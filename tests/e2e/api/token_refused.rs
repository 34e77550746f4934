//! Refusals of `/generate` and `/inference/v1/generate`, in their own words.

use serde_json::{Value, json};

use super::harness::Server;
use super::token_generation::{NATIVE, TOKENS, answered};

#[test]
fn faults_are_named_in_the_words_of_the_route() {
    let server = Server::start();
    let native = |sampling: Value| json!({"text": "a", "sampling_params": sampling});
    let tokens = |sampling: Value| json!({"token_ids": [97], "sampling_params": sampling});
    for (route, body, param, code) in [
        (NATIVE, json!({}), "text", "missing_parameter"),
        (
            NATIVE,
            json!({"text": "a", "input_ids": [1]}),
            "input_ids",
            "invalid_value",
        ),
        (NATIVE, json!({"input_ids": [999]}), "input_ids", "invalid_value"),
        (NATIVE, json!({"input_ids": []}), "input_ids", "invalid_value"),
        (
            NATIVE,
            json!({"text": "x".repeat(600)}),
            "text",
            "context_length_exceeded",
        ),
        (
            NATIVE,
            json!({"text": "a", "top_logprobs_num": 2}),
            "top_logprobs_num",
            "invalid_value",
        ),
        (
            NATIVE,
            json!({"text": "a", "logprob_start_len": 0}),
            "logprob_start_len",
            "invalid_value",
        ),
        (
            NATIVE,
            json!({"text": "a", "return_logprob": true, "logprob_start_len": 2}),
            "logprob_start_len",
            "invalid_value",
        ),
        (
            NATIVE,
            json!({"text": "a", "return_logprob": true, "top_logprobs_num": 21}),
            "top_logprobs_num",
            "invalid_value",
        ),
        (
            NATIVE,
            json!({"text": "a", "return_hidden_states": true}),
            "return_hidden_states",
            "unsupported_parameter",
        ),
        (
            NATIVE,
            json!({"text": "a", "prompt": "a"}),
            "prompt",
            "unknown_parameter",
        ),
        (NATIVE, json!({"text": "a", "rid": ""}), "rid", "invalid_value"),
        (NATIVE, native(json!([])), "sampling_params", "invalid_type"),
        (
            NATIVE,
            native(json!({"max_tokens": 3})),
            "sampling_params.max_tokens",
            "unknown_parameter",
        ),
        (
            NATIVE,
            native(json!({"max_new_tokens": 0})),
            "sampling_params.max_new_tokens",
            "invalid_value",
        ),
        (
            NATIVE,
            native(json!({"temperature": 3})),
            "sampling_params.temperature",
            "invalid_value",
        ),
        (
            NATIVE,
            native(json!({"min_new_tokens": 300})),
            "sampling_params.min_new_tokens",
            "invalid_value",
        ),
        (
            NATIVE,
            native(json!({"ebnf": "x"})),
            "sampling_params.ebnf",
            "unsupported_parameter",
        ),
        (
            NATIVE,
            native(json!({"regex": "("})),
            "sampling_params.regex",
            "invalid_value",
        ),
        (
            NATIVE,
            native(json!({"skip_special_tokens": false})),
            "sampling_params.skip_special_tokens",
            "invalid_value",
        ),
        (TOKENS, json!({}), "token_ids", "missing_parameter"),
        (TOKENS, json!({"token_ids": []}), "token_ids", "invalid_value"),
        (TOKENS, json!({"token_ids": [999]}), "token_ids", "invalid_value"),
        (
            TOKENS,
            json!({"token_ids": [97], "output_mode": "derender"}),
            "output_mode",
            "invalid_value",
        ),
        (
            TOKENS,
            json!({"token_ids": [97], "stream_options": {}}),
            "stream_options",
            "invalid_value",
        ),
        (
            TOKENS,
            json!({"token_ids": [97], "features": {}}),
            "features",
            "unsupported_parameter",
        ),
        (
            TOKENS,
            tokens(json!({"logprobs": 21})),
            "sampling_params.logprobs",
            "invalid_value",
        ),
        (TOKENS, tokens(json!({"n": 0})), "sampling_params.n", "invalid_value"),
        (
            TOKENS,
            tokens(json!({"bad_words": ["x"]})),
            "sampling_params.bad_words",
            "unsupported_parameter",
        ),
        (
            TOKENS,
            tokens(json!({"max_new_tokens": 1})),
            "sampling_params.max_new_tokens",
            "unknown_parameter",
        ),
    ] {
        let answer = server.post(route, &body);
        assert_eq!(
            (answer.status, answer.error()),
            (400, (param, code)),
            "{route} {body} {:?}",
            answer.body
        );
    }
    // What clients send of fields that they do not use.
    let unused =
        json!({"text": "a", "return_hidden_states": false, "image_data": null, "sampling_params": {"ebnf": null}});
    answered(&server, NATIVE, &unused);
    for (route, body, param) in [
        (NATIVE, json!({"text": "a", "lora_path": "none"}), "lora_path"),
        (TOKENS, json!({"token_ids": [97], "model": "none"}), "model"),
    ] {
        let answer = server.post(route, &body);
        assert_eq!((answer.status, answer.error()), (404, (param, "model_not_found")));
    }
}
