//! `return_raw_logprobs`: both logprobs of a sampled token and where truncation cut, in every route that can be asked.

use serde_json::{Value, json};

use super::harness::{Server, chat, completion};

const CHAT: &str = "/v1/chat/completions";
const TEXT: &str = "/v1/completions";
const TOKENS: &str = "/inference/v1/generate";
const LISTS: [&str; 3] = ["behaviour", "raw", "thresholds"];

fn numbers(value: &Value) -> Vec<f32> {
    let list = value.as_array().unwrap_or_else(|| panic!("no list: {value}"));
    list.iter().map(|number| number.as_f64().unwrap() as f32).collect()
}

/// Raw logprobs of `response` by another way: scoring under the model's own distribution.
fn scored(server: &Server, prompt: &Value, response: &Value) -> Vec<f32> {
    let body = json!({"model": "tiny-random", "prompt": prompt, "response": [response]});
    numbers(&server.post("/v1/score", &body).body["data"][0]["logprobs"])
}

#[test]
fn raw_logprobs_are_the_models_own_and_truncation_says_where_it_cut() {
    let server = Server::start();
    let common = json!({"seed": 3, "max_tokens": 24, "ignore_eos": true, "return_token_ids": true});
    for (params, truncates) in [
        (json!({}), false),
        (json!({"temperature": 0.7}), false),
        (json!({"top_p": 0.8}), true),
        (json!({"temperature": 0.7, "top_p": 0.8}), true),
        (json!({"top_k": 5}), true),
        (json!({"min_p": 0.3}), true),
        (json!({"temperature": 0}), false),
    ] {
        let mut asked = completion(common.clone());
        asked["return_raw_logprobs"] = json!(true);
        asked["logprobs"] = json!(0);
        asked
            .as_object_mut()
            .unwrap()
            .extend(params.as_object().unwrap().clone());
        let choice = server.post(TEXT, &asked).body["choices"][0].clone();
        let told = &choice["sampled_logprobs"];
        let [behaviour, raw] = ["behaviour", "raw"].map(|list| numbers(&told[list]));
        assert_eq!(
            raw,
            scored(&server, &choice["prompt_token_ids"], &choice["token_ids"]),
            "{params}"
        );
        assert_eq!(behaviour, numbers(&choice["logprobs"]["token_logprobs"]), "{params}");
        assert_eq!(choice["logprobs_mode"], "behaviour");
        let cuts: Vec<bool> = told["thresholds"]
            .as_array()
            .unwrap()
            .iter()
            .map(Value::is_number)
            .collect();
        assert_eq!((cuts.len(), cuts.contains(&true)), (24, truncates), "{params}: {told}");
        let warm = params.get("temperature").is_none();
        for ((behaviour, raw), cut) in behaviour.iter().zip(&raw).zip(cuts).filter(|_| warm) {
            // What is left of the distribution is scaled up, by no more than what may be cut.
            assert!(
                if cut { behaviour > raw } else { behaviour == raw },
                "{params}: {behaviour} {raw}"
            );
            assert!(params["top_p"].is_null() || behaviour - raw <= -0.8f32.ln() + 1e-6);
        }
    }
}

/// The lists of choice 0 of all events, one after the other.
fn joined(events: &[Value]) -> [Vec<Value>; 3] {
    LISTS.map(|list| {
        let parts = events
            .iter()
            .map(|event| &event["choices"][0]["sampled_logprobs"][list]);
        parts.filter_map(Value::as_array).flatten().cloned().collect()
    })
}

#[test]
fn every_route_gives_them_whole_and_streamed_and_only_when_asked() {
    let server = Server::start();
    let common = json!({"seed": 9, "max_tokens": 12, "top_p": 0.8, "temperature": 0.7, "ignore_eos": true});
    let tokens = json!({"token_ids": [72, 105], "sampling_params": common});
    for (route, plain) in [
        (CHAT, chat(common.clone())),
        (TEXT, completion(common)),
        (TOKENS, tokens),
    ] {
        let answer = server.post(route, &plain);
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        let silent = &answer.body["choices"][0];
        assert!(
            silent.get("sampled_logprobs").is_none() && silent.get("logprobs_mode").is_none(),
            "{silent}"
        );
        let mut asked = plain;
        asked["return_raw_logprobs"] = json!(true);
        let whole = joined(&[server.post(route, &asked).body]);
        assert!(whole.iter().all(|list| list.len() == 12), "{route}: {whole:?}");
        asked["stream"] = json!(true);
        assert_eq!(joined(&server.stream(route, &asked)), whole, "{route}");
    }
}
