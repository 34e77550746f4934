//! Graders that ask a real server on this machine, which behaves and misbehaves.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use svs_verifier::Verdict;
use svs_verifier::spec::GraderSpec;

use super::testing::{Reply, Server};
use crate::reward::{EndpointConfig, Reward, RewardConfig, Task, grade_all, read_grader};

fn quick(url: &str) -> EndpointConfig {
    EndpointConfig {
        timeout_seconds: 0.5,
        retries: 2,
        backoff_seconds: 0.01,
        max_reply_bytes: 4096,
        ..EndpointConfig::at(url)
    }
}

fn config(endpoint: EndpointConfig, grader: Option<GraderSpec>) -> RewardConfig {
    RewardConfig {
        grader,
        endpoints: [("lab".to_owned(), endpoint)].into(),
        ..RewardConfig::default()
    }
}

fn external() -> GraderSpec {
    read_grader(&json!({"type": "external", "name": "e", "endpoint": "lab"})).expect("a grader")
}

fn reward(endpoint: EndpointConfig) -> Reward {
    let config = config(endpoint, Some(external()));
    config.validate().expect("valid");
    Reward::new(&config, false).expect("a reward")
}

fn task() -> Task {
    Task {
        reference: None,
        grader: None,
        item: json!({"question": "why"}),
    }
}

fn grade(reward: &Reward, response: &str) -> Option<f64> {
    let task = task();
    let finding = reward.judge(&task).grade(response, &task);
    assert_eq!(finding.verdict == Verdict::Infrastructure, finding.reward.is_none());
    finding.reward
}

fn good() -> Reply {
    Reply::json(200, &json!({"reward": 0.5}))
}

#[test]
fn every_misbehaviour_is_a_fault_in_bounded_time_or_a_reward_after_another_attempt() {
    let late = Duration::from_secs(20);
    // What the server does at the first, second, … request, the last for ever; the reward; how many requests there were.
    let cases: Vec<(&str, Vec<Reply>, Option<f64>, usize)> = vec![
        ("good", vec![good()], Some(0.5), 1),
        (
            "500 twice",
            vec![Reply::status(500), Reply::status(503), good()],
            Some(0.5),
            3,
        ),
        ("500 for ever", vec![Reply::status(500)], None, 3),
        (
            "429",
            vec![Reply::with(429, "retry-after: 0", ""), good()],
            Some(0.5),
            2,
        ),
        ("404", vec![Reply::status(404), good()], None, 1),
        ("401", vec![Reply::status(401), good()], None, 1),
        (
            "no JSON, then JSON",
            vec![Reply::with(200, "", "<html>"), good()],
            Some(0.5),
            2,
        ),
        ("no JSON for ever", vec![Reply::with(200, "", "<html>")], None, 3),
        ("a reward of 2", vec![Reply::json(200, &json!({"reward": 2}))], None, 3),
        (
            "declines",
            vec![Reply::json(200, &json!({"fault": "no data"})), good()],
            None,
            1,
        ),
        ("empty", vec![Reply::with(200, "", "")], None, 3),
        ("silent", vec![Reply::Wait(late)], None, 3),
        ("silent once", vec![Reply::Wait(late), good()], Some(0.5), 2),
        ("a byte at a time", vec![Reply::Drip], None, 3),
        (
            "no HTTP",
            vec![Reply::Raw(b"\0\xff\0 SSH-2.0\r\n\r\n".to_vec())],
            None,
            3,
        ),
        ("closes", vec![Reply::Raw(Vec::new()), good()], Some(0.5), 2),
        (
            "closes in the middle",
            vec![
                Reply::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{".to_vec()),
                good(),
            ],
            Some(0.5),
            2,
        ),
        ("endless body", vec![Reply::Endless, good()], None, 1),
        ("endless head", vec![Reply::EndlessHead], None, 3),
        (
            "lies about its length",
            vec![Reply::with(200, "content-length: 18446744073709551615", "{}")],
            None,
            3,
        ),
    ];
    for (name, replies, expected, requests) in cases {
        let server = Server::start(move |at| replies[at.min(replies.len() - 1)].clone());
        let began = Instant::now();
        let found = grade(&reward(quick(&server.url)), "so");
        let took = began.elapsed();
        assert_eq!(found, expected, "{name}");
        assert_eq!(server.requests().len(), requests, "{name}");
        assert!(took < Duration::from_secs(10), "{name}: {took:?}");
    }
    let gone = TcpListener::bind("127.0.0.1:0").and_then(|bound| bound.local_addr());
    let gone = format!("http://{}", gone.expect("a port that is free again"));
    assert_eq!(grade(&reward(quick(&gone)), "so"), None, "nobody listens");
}

#[test]
fn a_redirect_is_not_followed_and_the_key_goes_only_to_its_endpoint() {
    let other = Server::start(|_| good());
    let location = format!("location: {}", other.url);
    for status in [301, 302, 303, 307, 308] {
        let location = location.clone();
        let server = Server::start(move |_| Reply::with(status, &location, ""));
        let keyed = EndpointConfig {
            key_env: Some("CARGO_PKG_NAME".into()),
            ..quick(&server.url)
        };
        let reward = reward(keyed);
        assert_eq!(grade(&reward, "so"), None, "{status}");
        assert_eq!((server.requests().len(), other.requests().len()), (1, 0), "{status}");
        assert!(
            server.requests()[0].contains("authorization: Bearer svs-trainer\r\n"),
            "the key is sent"
        );
        assert!(!format!("{reward:?}").contains("Bearer") && !format!("{reward:?}").contains("\"svs-trainer\""));
    }
    let unset = EndpointConfig {
        key_env: Some("SVS_NO_SUCH_KEY".into()),
        ..quick("http://127.0.0.1:1")
    };
    let said = Reward::new(&config(unset, None), false)
        .expect_err("refused")
        .to_string();
    assert!(said.contains("lab") && said.contains("SVS_NO_SUCH_KEY"), "{said}");
}

#[test]
fn the_same_question_is_asked_once_and_others_for_themselves() {
    for (entries, requests) in [(0, 5), (1, 4), (16, 2)] {
        let server = Server::start(|_| good());
        let reward = reward(EndpointConfig {
            cache_entries: entries,
            ..quick(&server.url)
        });
        for response in ["a", "a", "b", "a", "b"] {
            assert_eq!(grade(&reward, response), Some(0.5));
        }
        assert_eq!(server.requests().len(), requests, "{entries} entries");
    }
    let server = Server::start(|at| if at == 0 { Reply::status(404) } else { good() });
    let reward = reward(quick(&server.url));
    assert_eq!(
        (grade(&reward, "a"), grade(&reward, "a")),
        (None, Some(0.5)),
        "faults are not kept"
    );
}

#[test]
fn responses_of_a_group_are_graded_at_once_within_the_places() {
    for (places, least) in [(1, 1), (4, 2)] {
        let server = Server::start(|_| Reply::Late(Duration::from_millis(60), Box::new(good())));
        let reward = Arc::new(reward(EndpointConfig {
            max_in_flight: places,
            timeout_seconds: 10.0,
            ..quick(&server.url)
        }));
        let task = task();
        let judge = reward.judge(&task);
        let responses: Vec<String> = (0..12).map(|at| at.to_string()).collect();
        let cases: Vec<_> = responses
            .iter()
            .map(|response| (&judge, response.as_str(), &task))
            .collect();
        let found = grade_all(&cases);
        assert_eq!(found.len(), 12);
        assert!(found.iter().all(|finding| finding.reward == Some(0.5)), "{found:?}");
        assert!(
            (least..=places).contains(&server.most_at_once()),
            "{} at once",
            server.most_at_once()
        );
    }
}

#[test]
fn a_model_judges_by_chat_completions() {
    let content = r#"<think>hm</think>{"steps": ["fine"], "result": 4}"#;
    let reply = json!({"choices": [{"message": {"role": "assistant", "content": content}}]});
    let server = Server::start(move |_| Reply::json(200, &reply));
    let spec = json!({"type": "score_model", "name": "s", "endpoint": "lab", "model": "judge", "range": [0, 5],
        "input": [{"role": "user", "content": "{{ item.question }}: {{ sample.output_text }}"}]});
    let multi = json!({"type": "multi", "name": "m", "calculate_output": "0.5 * s + 0.5 * r",
        "graders": {"s": spec, "r": {"type": "regex", "name": "r", "pattern": "so"}}});
    let endpoint = quick(&format!("{}/v1/", server.url));
    for (grader, expected) in [(spec.clone(), 0.8), (multi, 0.9)] {
        let spec = read_grader(&grader).expect("a grader");
        let reward = Reward::new(&config(endpoint.clone(), Some(spec)), false).expect("a reward");
        let found = grade(&reward, "so").expect("a reward");
        assert!((found - expected).abs() < 1e-12, "{found}");
    }
    let head = server.requests()[0].clone();
    assert!(head.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{head}");
    let sent: Value = serde_json::from_str(head.split_once("\r\n\r\n").expect("a body").1).expect("JSON");
    assert_eq!(sent["model"], "judge");
}

#[test]
fn a_part_that_is_not_answered_leaves_the_whole_without_a_reward() {
    let server = Server::start(|_| Reply::status(404));
    let spec = read_grader(
        &json!({"type": "multi", "name": "m", "calculate_output": "0 * e + r", "graders": {
        "e": {"type": "external", "name": "e", "endpoint": "lab"}, "r": {"type": "regex", "name": "r", "pattern": "so"}}}),
    );
    let config = config(quick(&server.url), Some(spec.expect("a grader")));
    assert_eq!(grade(&Reward::new(&config, false).expect("a reward"), "so"), None);
}

#[test]
fn only_declared_endpoints_are_reached_and_clients_reach_only_open_ones() {
    let stranger = read_grader(&json!({"type": "external", "name": "e", "endpoint": "elsewhere"})).expect("read");
    let address = json!({"type": "external", "name": "e", "endpoint": "http://169.254.169.254/latest"});
    let address = read_grader(&address).expect("a name like another");
    for open in [false, true] {
        let endpoint = EndpointConfig {
            for_requests: open,
            ..quick("http://127.0.0.1:1")
        };
        let config = config(endpoint, None);
        let reward = Reward::new(&config, false).expect("a reward");
        assert_eq!(reward.admits(&external()).is_ok(), open);
        for unknown in [&stranger, &address] {
            assert!(reward.admits(unknown).is_err() && config.declares(unknown).is_err());
            let task = Task {
                grader: Some(Box::new(unknown.clone())),
                ..task()
            };
            let found = reward.judge(&task).grade("so", &task);
            assert_eq!((found.verdict, found.reward), (Verdict::Infrastructure, None));
        }
    }
    let undeclared = config(quick("http://127.0.0.1:1"), Some(stranger))
        .validate()
        .expect_err("refused");
    assert!(
        undeclared.0 == "reward.grader" && undeclared.1.contains("elsewhere"),
        "{undeclared:?}"
    );
}

#[test]
fn endpoints_that_cannot_be_are_refused_by_the_field() {
    let at = |url: &str| quick(url);
    let cases = [
        (at("file:///etc/passwd"), "url"),
        (at("ftp://host/a"), "http"),
        (at("/v1"), "http"),
        (at("http://user:secret@host/v1"), "key_env"),
        (at(&format!("http://{}", "a".repeat(3000))), "url"),
        (at("http://ho st/"), "url"),
        (
            EndpointConfig {
                key_env: Some("sk-123 456".into()),
                ..at("http://h")
            },
            "key_env",
        ),
        (
            EndpointConfig {
                timeout_seconds: 0.0,
                ..at("http://h")
            },
            "timeout_seconds",
        ),
        (
            EndpointConfig {
                timeout_seconds: f64::NAN,
                ..at("http://h")
            },
            "timeout_seconds",
        ),
        (
            EndpointConfig {
                retries: 11,
                ..at("http://h")
            },
            "retries",
        ),
        (
            EndpointConfig {
                backoff_seconds: 31.0,
                ..at("http://h")
            },
            "backoff_seconds",
        ),
        (
            EndpointConfig {
                max_in_flight: 0,
                ..at("http://h")
            },
            "max_in_flight",
        ),
        (
            EndpointConfig {
                max_request_bytes: 0,
                ..at("http://h")
            },
            "max_request_bytes",
        ),
        (
            EndpointConfig {
                max_reply_bytes: 0,
                ..at("http://h")
            },
            "max_reply_bytes",
        ),
        (
            EndpointConfig {
                cache_entries: 2_000_000,
                ..at("http://h")
            },
            "cache_entries",
        ),
    ];
    for (endpoint, field) in cases {
        let (key, reason) = config(endpoint.clone(), None).validate().expect_err("refused");
        assert!(
            key == "reward.endpoints" && reason.contains(field),
            "{endpoint:?}: {reason}"
        );
    }
    let read: RewardConfig =
        serde_json::from_value(json!({"endpoints": {"lab": {"url": "https://h/v1"}}})).expect("defaults");
    assert_eq!(read.endpoints["lab"], EndpointConfig::at("https://h/v1"));
}
