//! SGLang's `/generate` and vLLM's `/inference/v1/generate`: the same tokens and logprobs as `/v1/completions`.

use serde_json::{Value, json};

use super::harness::{Server, completion};

const TEXT: &str = "/v1/completions";
pub(super) const NATIVE: &str = "/generate";
pub(super) const TOKENS: &str = "/inference/v1/generate";

fn ids(text: &str) -> Vec<u32> {
    text.bytes().map(u32::from).collect()
}

pub(super) fn answered(server: &Server, route: &str, body: &Value) -> Value {
    let answer = server.post(route, body);
    assert_eq!(answer.status, 200, "{route} {body}: {:?}", answer.body);
    answer.body
}

/// What `/v1/completions` says: choices with tokens, logprobs and two alternatives.
fn reference(server: &Server, extra: Value) -> Vec<Value> {
    let mut asked = completion(json!({
        "prompt": ids("Once upon a time"), "seed": 9, "max_tokens": 12, "ignore_eos": true, "logprobs": 2,
        "return_token_ids": true, "return_weight_versions": true, "prompt_logprobs": 2,
    }));
    asked
        .as_object_mut()
        .unwrap()
        .extend(extra.as_object().unwrap().clone());
    answered(server, TEXT, &asked)["choices"].as_array().unwrap().clone()
}

fn column(entries: &Value, at: usize) -> Value {
    entries
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry[at].clone())
        .collect()
}

#[test]
fn a_native_answer_is_that_of_completions() {
    let server = Server::start();
    let expected = reference(&server, json!({"n": 2}));
    let sampling = json!({"max_new_tokens": 12, "ignore_eos": true, "sampling_seed": 9, "n": 2});
    let both = [
        json!({"text": "Once upon a time"}),
        json!({"input_ids": ids("Once upon a time")}),
    ];
    for prompt in both {
        let mut body = json!({
            "sampling_params": sampling, "return_logprob": true, "top_logprobs_num": 2, "logprob_start_len": 3,
            "return_prompt_token_ids": true, "rid": "mine",
        });
        body.as_object_mut()
            .unwrap()
            .extend(prompt.as_object().unwrap().clone());
        let answers = answered(&server, NATIVE, &body);
        assert_eq!(answers.as_array().unwrap().len(), 2);
        for (index, (answer, expected)) in answers.as_array().unwrap().iter().zip(&expected).enumerate() {
            let meta = &answer["meta_info"];
            assert_eq!((&answer["index"], &meta["id"]), (&json!(index), &json!("mine")));
            assert_eq!(
                (&answer["text"], &answer["output_ids"]),
                (&expected["text"], &expected["token_ids"])
            );
            assert_eq!(answer["prompt_token_ids"], json!(ids("Once upon a time")));
            assert_eq!(meta["finish_reason"], json!({"type": "length", "length": 12}));
            assert_eq!(
                (&meta["prompt_tokens"], &meta["completion_tokens"]),
                (&json!(16), &json!(12))
            );
            assert_eq!((&meta["weight_version"], &meta["seed"]), (&json!("base"), &json!(9)));
            assert_eq!(
                meta["weight_versions"],
                json!([{"version": "base", "start": 0, "end": 12}])
            );
            assert_eq!(
                column(&meta["output_token_logprobs"], 0),
                expected["logprobs"]["token_logprobs"]
            );
            assert_eq!(column(&meta["output_token_logprobs"], 1), expected["token_ids"]);
            assert!(
                column(&meta["output_token_logprobs"], 2)
                    .as_array()
                    .unwrap()
                    .iter()
                    .all(Value::is_null)
            );
            let top = meta["output_top_logprobs"].as_array().unwrap();
            assert!(top.len() == 12 && top.iter().all(|top| top.as_array().unwrap().len() == 2));
            let scored = meta["input_token_logprobs"].as_array().unwrap();
            assert_eq!(
                (scored.len(), meta["input_top_logprobs"].as_array().unwrap().len()),
                (13, 13)
            );
            for (entry, position) in scored.iter().zip(&expected["prompt_logprobs"].as_array().unwrap()[3..]) {
                assert_eq!(entry[0], position[entry[1].to_string()]["logprob"]);
            }
            assert!(meta["e2e_latency"].as_f64().unwrap() > 0.0);
        }
    }
}

#[test]
fn a_native_answer_is_one_or_a_list() {
    let server = Server::start();
    let sampling = json!({"max_new_tokens": 3, "ignore_eos": true, "temperature": 0});
    let alone = |text: &str| answered(&server, NATIVE, &json!({"text": text, "sampling_params": sampling}));
    let (one, two) = (alone("ab"), alone("xyz"));
    assert!(one["meta_info"].get("output_token_logprobs").is_none() && one.get("index").is_none());
    let batch = answered(
        &server,
        NATIVE,
        &json!({"text": ["ab", "xyz"], "sampling_params": sampling}),
    );
    let ids = answered(
        &server,
        NATIVE,
        &json!({"input_ids": [ids("ab"), ids("xyz")], "sampling_params": sampling}),
    );
    for list in [batch, ids] {
        for (answer, alone) in list.as_array().unwrap().iter().zip([&one, &two]) {
            assert_eq!(answer["output_ids"], alone["output_ids"]);
        }
    }
    let single = answered(&server, NATIVE, &json!({"text": ["ab"], "sampling_params": sampling}));
    assert_eq!(single.as_array().unwrap().len(), 1);
    let scored = json!({
        "text": "ab", "return_logprob": true, "logprob_start_len": 0, "return_text_in_logprobs": true,
        "sampling_params": {"max_new_tokens": 0},
    });
    let scored = answered(&server, NATIVE, &scored);
    assert_eq!(scored["output_ids"], json!([]));
    let entries = &scored["meta_info"]["input_token_logprobs"];
    assert_eq!((&entries[0], &entries[1][2]), (&json!([null, 97, "a"]), &json!("b")));
}

#[test]
fn a_stream_grows_to_the_answer() {
    let server = Server::start();
    let mut body = json!({
        "text": "Once", "return_logprob": true,
        "sampling_params": {"max_new_tokens": 10, "ignore_eos": true, "sampling_seed": 3, "n": 2},
    });
    let whole = answered(&server, NATIVE, &body);
    body["stream"] = json!(true);
    let events = server.stream(NATIVE, &body);
    for index in 0..2 {
        let own: Vec<&Value> = events.iter().filter(|event| event["index"] == index).collect();
        assert_eq!(own.len(), 11, "a chunk per token and one for the end");
        for (count, event) in own.iter().enumerate() {
            let tokens = event["output_ids"].as_array().unwrap();
            assert_eq!(tokens.len(), (count + 1).min(10));
            assert_eq!(event["meta_info"]["finish_reason"].is_null(), count < 10);
            assert_eq!(
                event["meta_info"]["output_token_logprobs"].as_array().unwrap().len(),
                tokens.len()
            );
        }
        let (last, whole) = (own[10], &whole[index]);
        for key in ["text", "output_ids"] {
            assert_eq!(last[key], whole[key]);
        }
        assert_eq!(
            last["meta_info"]["output_token_logprobs"],
            whole["meta_info"]["output_token_logprobs"]
        );
    }
}

#[test]
fn token_generation_is_that_of_completions() {
    let server = Server::start();
    let expected = reference(&server, json!({"n": 2}));
    let mut body = json!({
        "request_id": "mine", "token_ids": ids("Once upon a time"), "return_token_ids": true, "output_mode": "text",
        "sampling_params": {
            "n": 2, "seed": 9, "max_tokens": 12, "ignore_eos": true, "logprobs": 2, "prompt_logprobs": 2, "detokenize": true,
        },
    });
    let whole = answered(&server, TOKENS, &body);
    assert_eq!(
        (&whole["request_id"], &whole["prompt_token_ids"]),
        (&json!("mine"), &body["token_ids"])
    );
    assert_eq!(
        whole["usage"],
        json!({"prompt_tokens": 16, "completion_tokens": 24, "total_tokens": 40})
    );
    assert_eq!(whole["prompt_logprobs"], expected[0]["prompt_logprobs"]);
    for (index, (choice, expected)) in whole["choices"].as_array().unwrap().iter().zip(&expected).enumerate() {
        assert_eq!(
            (&choice["index"], &choice["finish_reason"]),
            (&json!(index), &json!("length"))
        );
        assert_eq!(
            (&choice["token_ids"], &choice["text"]),
            (&expected["token_ids"], &expected["text"])
        );
        assert_eq!(
            choice["weight_versions"],
            json!([{"version": "base", "start": 0, "end": 12}])
        );
        assert_eq!((&choice["stop_reason"], &choice["seed"]), (&Value::Null, &json!(9)));
        let content = choice["logprobs"]["content"].as_array().unwrap();
        let logprobs: Value = content.iter().map(|entry| entry["logprob"].clone()).collect();
        assert_eq!(logprobs, expected["logprobs"]["token_logprobs"]);
        for (entry, token) in content.iter().zip(choice["token_ids"].as_array().unwrap()) {
            assert_eq!(
                (&entry["token_id"], &entry["token"]),
                (token, &json!(format!("token_id:{token}")))
            );
            let top = entry["top_logprobs"].as_array().unwrap();
            assert_eq!((top.len(), &top[0]["rank"], &top[1]["rank"]), (2, &json!(1), &json!(2)));
            let own = top.iter().find(|top| top["token_id"] == *token).map(|top| &top["rank"]);
            assert_eq!(&entry["rank"], own.unwrap_or(&Value::Null));
        }
    }
    body["stream"] = json!(true);
    body["stream_options"] = json!({"include_usage": true});
    let events = server.stream(TOKENS, &body);
    assert_eq!(events[0]["prompt_token_ids"], body["token_ids"]);
    assert_eq!(events[0]["prompt_logprobs"], whole["prompt_logprobs"]);
    assert!(events[1..].iter().all(|event| event.get("prompt_token_ids").is_none()));
    assert_eq!(events.last().unwrap()["usage"], whole["usage"]);
    for (index, choice) in whole["choices"].as_array().unwrap().iter().enumerate() {
        let parts = events.iter().flat_map(|event| event["choices"].as_array().unwrap());
        let own: Vec<&Value> = parts.filter(|part| part["index"] == index).collect();
        let joined: Vec<Value> = own
            .iter()
            .flat_map(|part| part["token_ids"].as_array().unwrap())
            .cloned()
            .collect();
        let content = |part: &&Value| part["logprobs"]["content"].as_array().unwrap().clone();
        let logprobs: Vec<Value> = own.iter().flat_map(content).collect();
        assert_eq!(
            (json!(joined), json!(logprobs)),
            (choice["token_ids"].clone(), choice["logprobs"]["content"].clone())
        );
        let text: String = own.iter().map(|part| part["text"].as_str().unwrap()).collect();
        assert_eq!(json!(text), choice["text"]);
        assert_eq!(own.last().unwrap()["weight_versions"], choice["weight_versions"]);
    }
    body["output_mode"] = json!("tokens");
    body["stream"] = json!(false);
    body.as_object_mut().unwrap().remove("stream_options");
    let choice = answered(&server, TOKENS, &body)["choices"][0].clone();
    assert!(choice.get("text").is_none());
}

#[test]
fn what_ended_an_answer_is_told() {
    let server = Server::start();
    let always = |token: u32| json!({token.to_string(): 100.0});
    for (sampling, matched, reason) in [
        (
            json!({"stop": "zz", "logit_bias": always(122)}),
            json!("zz"),
            json!("zz"),
        ),
        (
            json!({"stop_token_ids": [65], "logit_bias": always(65)}),
            json!(65),
            json!(65),
        ),
        (json!({"logit_bias": always(258)}), json!(258), Value::Null),
    ] {
        let native = answered(&server, NATIVE, &json!({"text": "a", "sampling_params": sampling}));
        let finish = &native["meta_info"]["finish_reason"];
        assert_eq!(finish, &json!({"type": "stop", "matched": matched}), "{sampling}");
        let tokens = answered(
            &server,
            TOKENS,
            &json!({"token_ids": [97], "sampling_params": sampling}),
        );
        let choice = &tokens["choices"][0];
        assert_eq!(
            (&choice["finish_reason"], &choice["stop_reason"]),
            (&json!("stop"), &reason),
            "{sampling}"
        );
    }
    let guided = json!({"text": "a", "sampling_params": {"regex": "[0-9]{4}"}});
    let text = answered(&server, NATIVE, &guided)["text"].as_str().unwrap().to_owned();
    assert!(
        text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit()),
        "{text}"
    );
}

#[test]
fn answers_are_logged_and_end_by_their_id() {
    let server = Server::slow(|_| {});
    let logged = |server: &Server| {
        let text = server.get("/metrics").body.as_str().unwrap().to_owned();
        let line = text
            .lines()
            .find(|line| line.starts_with("svs_trajectories_logged_total"))
            .unwrap();
        line.rsplit(' ').next().unwrap().parse::<usize>().unwrap()
    };
    let sampling = json!({"max_new_tokens": 2, "ignore_eos": true});
    let group = json!({"group": "g", "group_size": "4"});
    for (route, body, count) in [
        (
            NATIVE,
            json!({"text": "a", "sampling_params": sampling, "metadata": group}),
            1,
        ),
        (
            NATIVE,
            json!({"text": "a", "sampling_params": sampling, "store": false}),
            0,
        ),
        (TOKENS, json!({"token_ids": [97], "metadata": group}), 1),
        (TOKENS, json!({"token_ids": [97], "store": false}), 0),
    ] {
        let before = logged(&server);
        answered(&server, route, &body);
        assert_eq!(logged(&server), before + count, "{route} {body}");
    }
    server.wait_until_idle();
    let long = json!({"max_new_tokens": 480, "ignore_eos": true});
    let body = json!({"text": "a", "rid": "r1", "sampling_params": long});
    let answer = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| answered(&server, NATIVE, &body));
        server.wait_until("running request", |stats| stats.running == 1);
        assert_eq!(server.post("/abort_request", &json!({"rid": "r1"})).status, 200);
        waiting.join().unwrap()
    });
    let finish = &answer["meta_info"]["finish_reason"];
    assert_eq!(finish["type"], "abort");
    assert!(answer["output_ids"].as_array().unwrap().len() < 480);
}
