//! Whole answers: shapes, counts, seeds, logprobs.

use serde_json::{Value, json};

use super::harness::{Server, chat, completion};

const CHAT: &str = "/v1/chat/completions";
const TEXT: &str = "/v1/completions";

fn numbers(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|number| number.as_f64().unwrap())
        .collect()
}

fn ids(value: &Value) -> Vec<u64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|id| id.as_u64().unwrap())
        .collect()
}

#[test]
fn a_chat_answer_has_every_part() {
    let server = Server::start();
    let extra = json!({
        "n": 2, "seed": 7, "max_completion_tokens": 6, "ignore_eos": true, "logprobs": true, "top_logprobs": 3,
        "return_token_ids": true, "return_weight_versions": true, "prompt_logprobs": 1,
    });
    let answer = server.post(CHAT, &chat(extra));
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    assert_eq!(answer.header("x-svs-weight-version"), Some("0"));
    let body = &answer.body;
    assert_eq!(
        (&body["object"], &body["model"]),
        (&json!("chat.completion"), &json!("tiny-random"))
    );
    assert_eq!((&body["weight_version"], &body["seed"]), (&json!(0), &json!(7)));
    let prompt = ids(&body["prompt_token_ids"]);
    let total = prompt.len() + 12;
    let usage = json!({"prompt_tokens": prompt.len(), "completion_tokens": 12, "total_tokens": total});
    assert_eq!(body["usage"], usage);
    let scored = body["prompt_logprobs"].as_array().unwrap();
    assert_eq!((scored.len(), &scored[0]), (prompt.len(), &Value::Null));
    assert!(
        scored[1][prompt[1].to_string()]["logprob"].as_f64().unwrap() < 0.0,
        "{}",
        scored[1]
    );
    for (index, choice) in body["choices"].as_array().unwrap().iter().enumerate() {
        assert_eq!(
            (&choice["index"], &choice["finish_reason"]),
            (&json!(index), &json!("length"))
        );
        assert_eq!(choice["message"]["role"], "assistant");
        assert_eq!(choice["weight_versions"], json!([{"version": 0, "start": 0, "end": 6}]));
        let logprobs = choice["logprobs"]["content"].as_array().unwrap();
        assert_eq!((logprobs.len(), ids(&choice["token_ids"]).len()), (6, 6));
        for (token, id) in logprobs.iter().zip(ids(&choice["token_ids"])) {
            assert!(token["logprob"].as_f64().unwrap() <= 0.0);
            let top: Vec<f64> = token["top_logprobs"]
                .as_array()
                .unwrap()
                .iter()
                .map(|top| top["logprob"].as_f64().unwrap())
                .collect();
            assert!(top.len() == 3 && top.is_sorted_by(|a, b| a >= b), "{top:?}");
            assert!(
                id >= 256 || ids(&token["bytes"]) == [id],
                "one token is one byte: {token}"
            );
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_answer_and_another_seed_another() {
    let server = Server::start();
    let ask = |seed: Option<u64>| {
        let answer = server.post(
            CHAT,
            &chat(json!({"seed": seed, "max_tokens": 24, "return_token_ids": true})),
        );
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        (
            answer.body["seed"].as_u64().unwrap(),
            answer.body["choices"][0]["token_ids"].clone(),
        )
    };
    assert_eq!(ask(Some(1)), ask(Some(1)));
    assert_ne!(ask(Some(1)).1, ask(Some(2)).1);
    let (drawn, tokens) = ask(None);
    assert_eq!(ask(Some(drawn)), (drawn, tokens), "a drawn seed reproduces the answer");
}

#[test]
fn prompts_may_be_texts_or_tokens_one_or_many() {
    let server = Server::start();
    let cases = [
        (json!("ab"), vec![vec![97, 98]]),
        (json!([97, 98]), vec![vec![97, 98]]),
        (json!(["ab", "c"]), vec![vec![97, 98], vec![99]]),
        (json!([[97, 98], [99]]), vec![vec![97, 98], vec![99]]),
    ];
    for (prompt, tokens) in cases {
        let extra = json!({"prompt": prompt, "n": 2, "seed": 5, "max_tokens": 3, "ignore_eos": true,
            "echo": true, "return_token_ids": true});
        let answer = server.post(TEXT, &completion(extra));
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        let choices = answer.body["choices"].as_array().unwrap();
        assert_eq!(choices.len(), tokens.len() * 2);
        for (index, choice) in choices.iter().enumerate() {
            let prompt: Vec<u64> = tokens[index / 2].clone();
            assert_eq!(
                (&choice["index"], ids(&choice["prompt_token_ids"])),
                (&json!(index), prompt.clone())
            );
            let echoed: String = prompt.iter().map(|byte| char::from(*byte as u8)).collect();
            assert!(choice["text"].as_str().unwrap().starts_with(&echoed), "{choice}");
        }
        let prompt_tokens: usize = tokens.iter().map(Vec::len).sum();
        assert_eq!(answer.body["usage"]["prompt_tokens"], prompt_tokens);
        assert_eq!(answer.body["usage"]["completion_tokens"], tokens.len() * 6);
    }
}

#[test]
fn scoring_a_prompt_agrees_with_sampling_it() {
    let server = Server::start();
    let extra = json!({"prompt": [104, 105], "seed": 3, "max_tokens": 12, "ignore_eos": true, "logprobs": 2,
        "return_token_ids": true});
    let sampled = server.post(TEXT, &completion(extra)).body["choices"][0].clone();
    let mut tokens = vec![104, 105];
    tokens.extend(ids(&sampled["token_ids"]));
    let extra = json!({"prompt": tokens, "max_tokens": 0, "echo": true, "logprobs": 2});
    let answer = server.post(TEXT, &completion(extra));
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    assert_eq!(answer.body["usage"]["completion_tokens"], 0);
    let scored = &answer.body["choices"][0]["logprobs"];
    assert_eq!(scored["tokens"].as_array().unwrap().len(), 14);
    assert_eq!(
        (&scored["token_logprobs"][0], &scored["top_logprobs"][0]),
        (&Value::Null, &Value::Null)
    );
    let (again, first) = (
        &scored["token_logprobs"].as_array().unwrap()[2..],
        &sampled["logprobs"]["token_logprobs"],
    );
    assert_eq!(
        numbers(&Value::from(again.to_vec())),
        numbers(first),
        "temperature 1: the same logprobs"
    );
    assert_eq!(scored["top_logprobs"][5], sampled["logprobs"]["top_logprobs"][3]);
    let text: Vec<char> = answer.body["choices"][0]["text"].as_str().unwrap().chars().collect();
    let starts = ids(&scored["text_offset"]);
    assert!(starts.is_sorted() && starts[0] == 0, "{starts:?}");
    for (token, start) in scored["tokens"].as_array().unwrap().iter().zip(starts) {
        let token = token.as_str().unwrap();
        assert!(
            !token.is_ascii() || text[start as usize] == token.chars().next().unwrap(),
            "{token} at {start}"
        );
    }
}

#[test]
fn echo_with_logprobs_covers_prompt_and_answer() {
    let server = Server::start();
    let extra = json!({"prompt": "abc", "max_tokens": 4, "ignore_eos": true, "echo": true, "logprobs": 0, "seed": 1});
    let choice = server.post(TEXT, &completion(extra)).body["choices"][0].clone();
    let logprobs = &choice["logprobs"];
    for list in ["tokens", "token_logprobs", "text_offset", "top_logprobs"] {
        assert_eq!(logprobs[list].as_array().unwrap().len(), 7, "{list}");
    }
    assert_eq!(
        logprobs["top_logprobs"][1].as_object().unwrap().len(),
        1,
        "0 alternatives: the token itself"
    );
    assert_eq!(
        (&logprobs["tokens"][0], &logprobs["text_offset"][3]),
        (&json!("a"), &json!(3))
    );
}

#[test]
fn stops_and_biases_reach_the_sampler() {
    let server = Server::start();
    // A bias of 100 makes the letter `q` (113) certain; then the text is known.
    let certain = json!({"113": 100});
    let ask = |extra: Value| {
        let mut body = completion(json!({"max_tokens": 8, "logit_bias": certain, "seed": 1, "return_token_ids": true}));
        for (key, value) in extra.as_object().unwrap() {
            body[key] = value.clone();
        }
        let answer = server.post(TEXT, &body);
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        let choice = answer.body["choices"][0].clone();
        (
            choice["text"].as_str().unwrap().to_string(),
            choice["finish_reason"].clone(),
            choice["stop_reason"].clone(),
        )
    };
    assert_eq!(ask(json!({})), ("qqqqqqqq".into(), json!("length"), Value::Null));
    assert_eq!(
        ask(json!({"stop": "qqq"})),
        (String::new(), json!("stop"), json!("qqq"))
    );
    assert_eq!(
        ask(json!({"stop": ["zz", "qqq"], "include_stop_str_in_output": true})),
        ("qqq".into(), json!("stop"), json!("qqq"))
    );
    assert_eq!(ask(json!({"stop_token_ids": [113], "min_tokens": 3})).1, json!("stop"));
    let (text, ..) = ask(json!({"logit_bias": {"113": 100, "258": 100}, "temperature": 0}));
    assert!(!text.contains("im_end"), "{text}");
}
