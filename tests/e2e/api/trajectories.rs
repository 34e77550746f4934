//! What clients get is what the trainer reads: exact tokens, logprobs, versions, groups.

use serde_json::{Value, json};
use svs_trainer::trajectory::{Kind, SegmentRole, Trajectory};

use super::harness::{Server, chat, completion};

const CHAT: &str = "/v1/chat/completions";
const TEXT: &str = "/v1/completions";

fn group(server: &Server, id: &str) -> Vec<Trajectory> {
    server
        .stack
        .log
        .group(id)
        .unwrap()
        .map_or_else(Vec::new, |group| group.members)
}

fn ids(value: &Value) -> Vec<u32> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|id| id.as_u64().unwrap() as u32)
        .collect()
}

#[test]
fn an_answer_is_in_the_log_before_it_is_sent() {
    let server = Server::start();
    let extra = json!({
        "n": 3, "max_tokens": 9, "temperature": 0.8, "top_p": 0.9, "logprobs": true, "return_token_ids": true,
        "metadata": {"reference": "42", "problem_id": "p-1", "note": "x"},
    });
    let body = server.post(CHAT, &chat(extra)).body;
    let members = group(&server, &format!("{}-0", body["id"].as_str().unwrap()));
    assert_eq!(members.len(), 3);
    for (index, (member, choice)) in members.iter().zip(body["choices"].as_array().unwrap()).enumerate() {
        assert_eq!(
            (member.kind, member.group_size, member.choice),
            (Kind::Client, 3, index as u32)
        );
        assert_eq!(member.segments.len(), 2);
        assert_eq!(member.segments[0].role, SegmentRole::Prompt);
        assert_eq!(member.segments[0].tokens, ids(&body["prompt_token_ids"]));
        assert_eq!(member.segments[1].tokens, ids(&choice["token_ids"]));
        assert!(member.segments[1].trainable && !member.segments[0].trainable);
        let logged: Vec<f64> = member.logprobs.iter().map(|logprob| f64::from(*logprob)).collect();
        let sent: Vec<f64> = choice["logprobs"]["content"]
            .as_array()
            .unwrap()
            .iter()
            .map(|token| f64::from(token["logprob"].as_f64().unwrap() as f32))
            .collect();
        assert_eq!(logged, sent);
        let count = member.segments[1].tokens.len();
        assert_eq!((member.raw_logprobs.len(), member.thresholds.len()), (count, count));
        assert_eq!(member.spans.last().unwrap().end as usize, count);
        assert_eq!(member.sampling.seed, body["seed"].as_u64());
        assert_eq!((member.sampling.temperature, member.sampling.top_p), (0.8, 0.9));
        assert_eq!(
            (member.reference.as_deref(), member.problem_id.as_deref()),
            (Some("42"), Some("p-1"))
        );
        assert_eq!(member.metadata["note"], "x");
        assert_eq!(member.text, choice["message"]["content"].as_str().unwrap());
    }
}

#[test]
fn a_named_group_gathers_requests() {
    let server = Server::start();
    let ask = |reference: &str, stream: bool| {
        let metadata = json!({"group": "task-7", "group_size": "4", "answer": reference});
        let body = chat(json!({"n": 2, "max_tokens": 4, "metadata": metadata, "stream": stream}));
        if stream {
            server.stream(CHAT, &body);
        } else {
            assert_eq!(server.post(CHAT, &body).status, 200);
        }
        group(&server, "task-7").len()
    };
    assert_eq!(
        (ask("5", false), ask("5", true)),
        (2, 4),
        "each is logged when its answer has arrived"
    );
    let members = group(&server, "task-7");
    assert!(
        members
            .iter()
            .all(|member| member.group_size == 4 && member.reference.as_deref() == Some("5"))
    );
    let mut ids: Vec<&str> = members.iter().map(|member| member.id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 4);
}

#[test]
fn what_must_not_be_logged_is_not() {
    let server = Server::start();
    let cases = [
        (CHAT, chat(json!({"max_tokens": 2, "store": false}))),
        (TEXT, completion(json!({"max_tokens": 0, "echo": true, "logprobs": 1}))),
        (TEXT, completion(json!({"max_tokens": 0, "prompt_logprobs": 1}))),
    ];
    for (route, body) in cases {
        let answer = server.post(route, &body);
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        assert!(
            group(&server, &format!("{}-0", answer.body["id"].as_str().unwrap())).is_empty(),
            "{body}"
        );
    }
    let body = completion(json!({"prompt": ["a", "b"], "max_tokens": 2}));
    let id = server.post(TEXT, &body).body["id"].as_str().unwrap().to_string();
    for prompt in 0..2 {
        assert_eq!(
            group(&server, &format!("{id}-{prompt}")).len(),
            1,
            "one group per prompt"
        );
    }
}
