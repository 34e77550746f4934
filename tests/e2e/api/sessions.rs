//! Sessions of outside agents: who a request belongs to, rewards, ends, bounds.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use svs_trainer::log::GroupQuery;
use svs_trainer::run::config::{ProblemSource, Recipe};

use super::harness::{Answer, Server, chat};

const CHAT: &str = "/v1/chat/completions";

fn post_as(server: &Server, key: &str, path: &str, body: &Value) -> Answer {
    let carried = format!("Bearer {key}");
    let headers = [
        ("content-type", "application/json"),
        ("authorization", carried.as_str()),
    ];
    server.post_raw(path, &headers, body.to_string().as_bytes())
}

/// Begins a session; returns its id and key.
fn begin(server: &Server, body: Value) -> (String, String) {
    let started = post_as(server, "admin", "/rl/start_session", &body);
    assert_eq!(started.status, 200, "{}", started.body);
    let text = |key: &str| started.body[key].as_str().unwrap().to_owned();
    assert!(text("api_key").starts_with("sk-sess-"));
    (text("session_id"), text("api_key"))
}

/// Asks under a key; returns the id of the answer.
fn ask(server: &Server, key: &str, extra: Value) -> String {
    let answer = post_as(server, key, CHAT, &chat(extra));
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body["id"].as_str().unwrap().to_owned()
}

fn closed(server: &Server) -> Vec<(String, Vec<Option<f64>>)> {
    let groups = server.stack.log.closed_groups(&GroupQuery::default()).unwrap();
    let rewards = |group: &svs_trainer::Group| {
        let last = group.members.iter().map(|member| member.verdicts.last()?.reward);
        last.collect()
    };
    groups
        .into_iter()
        .map(|closed| (closed.group.id.clone(), rewards(&closed.group)))
        .collect()
}

fn guarded() -> Server {
    Server::with(|config| {
        config.server.api_key = Some("client".into());
        config.server.admin_api_key = Some("admin".into());
    })
}

#[test]
fn what_a_key_samples_is_its_sessions_and_carries_its_reward() {
    let server = guarded();
    let (id, key) = begin(&server, json!({"task_id": "task-1"}));
    let (other, other_key) = begin(&server, Value::Null);
    // An agent's client knows nothing of sessions, and its own group is not the session's.
    let first = ask(&server, &key, json!({"max_tokens": 3, "metadata": {"group": "mine"}}));
    let second = ask(&server, &key, json!({"max_tokens": 3, "n": 2}));
    ask(&server, &other_key, json!({"max_tokens": 2}));
    ask(&server, "client", json!({"max_tokens": 2}));
    let rewarded = post_as(
        &server,
        &key,
        "/rl/set_reward",
        &json!({"reward": 0.25, "interaction_id": first}),
    );
    assert_eq!((rewarded.status, &rewarded.body["trajectories"]), (200, &json!(1)));
    let rest = post_as(
        &server,
        &key,
        "/rl/set_reward",
        &json!({"reward": 1.0, "explanation": "done"}),
    );
    assert_eq!(rest.body["trajectories"], 2);
    let admin = [("authorization", "Bearer admin")];
    let listed = |query: &str| server.get_with(&format!("/v1/trajectories{query}"), &admin).body["data"].clone();
    let mine = listed(&format!("?session={id}"));
    assert_eq!(mine.as_array().unwrap().len(), 3);
    assert!(
        mine.as_array()
            .unwrap()
            .iter()
            .all(|row| row["group"] == id.as_str() && row["session"] == id.as_str())
    );
    assert_eq!(listed(&format!("?session={other}")).as_array().unwrap().len(), 1);
    assert_eq!(listed("").as_array().unwrap().len(), 5);
    assert_eq!(closed(&server).len(), 1, "the client's own; sessions are open");

    let ended = post_as(&server, &key, "/rl/end_session", &Value::Null);
    assert_eq!(
        (
            ended.status,
            &ended.body["trajectories"],
            &ended.body["rewarded"],
            &ended.body["group_closed"]
        ),
        (200, &json!(3), &json!(3), &json!(true))
    );
    let groups = closed(&server);
    let rewards = &groups.iter().find(|(group, _)| *group == id).unwrap().1;
    assert_eq!(*rewards, [Some(0.25), Some(1.0), Some(1.0)]);
    let whole = server.get_with(&format!("/v1/trajectories/{second}-0-1"), &admin).body;
    assert_eq!(
        (&whole["problem_id"], &whole["findings"][0]["explanation"]),
        (&json!("task-1"), &json!("done"))
    );
    // The key is worth nothing now.
    for (path, body) in [
        (CHAT, chat(json!({"max_tokens": 2}))),
        ("/rl/set_reward", json!({"reward": 1})),
        ("/rl/end_session", Value::Null),
    ] {
        let answer = post_as(&server, &key, path, &body);
        assert_eq!((answer.status, answer.error().1), (401, "invalid_api_key"), "{path}");
    }
}

#[test]
fn a_session_key_opens_generation_and_nothing_else() {
    let server = guarded();
    let (_, key) = begin(&server, Value::Null);
    let carried = format!("Bearer {key}");
    for (path, status) in [
        ("/v1/models", 200),
        ("/v1/models/tiny-random", 200),
        ("/v1/trajectories", 401),
        ("/v1/train/status", 401),
        ("/server_info", 401),
    ] {
        assert_eq!(
            server.get_with(path, &[("authorization", &carried)]).status,
            status,
            "{path}"
        );
    }
    for path in ["/pause", "/v1/train/stop", "/v1/score", "/rl/start_session"] {
        assert_eq!(post_as(&server, &key, path, &json!({})).status, 401, "{path}");
    }
    for (starter, status) in [("client", 403), ("", 401), ("admin", 200)] {
        assert_eq!(
            post_as(&server, starter, "/rl/start_session", &json!({})).status,
            status,
            "{starter}"
        );
    }
    // Where no key guards anything, an unknown session key is still none.
    let open = Server::with(|config| config.server.sessions_need_admin_key = false);
    let (_, key) = begin(&open, Value::Null);
    ask(&open, &key, json!({"max_tokens": 2}));
    let answer = post_as(&open, "sk-sess-nobody", CHAT, &chat(json!({"max_tokens": 2})));
    assert_eq!((answer.status, answer.error().1), (401, "invalid_api_key"));
}

#[test]
fn a_group_of_sessions_closes_with_the_last_of_them() {
    let server = guarded();
    let declared = || json!({"group": "task", "group_size": 2});
    let (_, one) = begin(&server, declared());
    let (_, two) = begin(&server, declared());
    let third = post_as(&server, "admin", "/rl/start_session", &declared());
    assert_eq!((third.status, third.error().1), (409, "group_full"));
    for (key, reward, groups) in [(&one, 0.0, 0), (&two, 1.0, 1)] {
        ask(&server, key, json!({"max_tokens": 2}));
        assert_eq!(
            post_as(&server, key, "/rl/set_reward", &json!({"reward": reward})).status,
            200
        );
        let ended = post_as(&server, key, "/rl/end_session", &Value::Null);
        assert_eq!(ended.body["group_closed"], groups == 1, "{}", ended.body);
        assert_eq!(closed(&server).len(), groups);
    }
    assert_eq!(closed(&server), [("task".to_owned(), vec![Some(0.0), Some(1.0)])]);
    begin(&server, declared());
}

#[test]
fn sessions_are_bounded_in_number_and_size() {
    let server = Server::with(|config| {
        config.server.max_sessions = 2;
        config.server.max_session_trajectories = 2;
        config.server.sessions_need_admin_key = false;
    });
    let (_, key) = begin(&server, Value::Null);
    ask(&server, &key, json!({"max_tokens": 2, "n": 2}));
    let full = post_as(&server, &key, CHAT, &chat(json!({"max_tokens": 2})));
    assert_eq!((full.status, full.error().1), (429, "session_full"));
    assert!(full.header("retry-after").is_some());
    begin(&server, Value::Null);
    let many = server.post("/rl/start_session", &Value::Null);
    assert_eq!((many.status, many.error().1), (429, "overloaded"));
}

#[test]
fn groups_that_wait_for_their_sessions_are_bounded() {
    let server = Server::with(|config| {
        config.server.max_sessions = 2;
        config.server.sessions_need_admin_key = false;
    });
    let of = |group: &str| json!({"group": group, "group_size": 2});
    for group in ["a", "b"] {
        let (_, key) = begin(&server, of(group));
        assert_eq!(post_as(&server, &key, "/rl/end_session", &Value::Null).status, 200);
    }
    for body in [of("c"), Value::Null] {
        let many = server.post("/rl/start_session", &body);
        assert_eq!((many.status, many.error().1), (429, "overloaded"), "{body}");
    }
    let (_, key) = begin(&server, of("a"));
    assert_eq!(post_as(&server, &key, "/rl/end_session", &Value::Null).status, 200);
    begin(&server, of("c"));
}

#[test]
fn a_reward_of_its_own_outlasts_the_sessions() {
    let server = Server::with(|config| config.server.sessions_need_admin_key = false);
    let (id, key) = begin(&server, Value::Null);
    let first = ask(&server, &key, json!({"max_tokens": 2}));
    ask(&server, &key, json!({"max_tokens": 2}));
    let own = server.post(
        &format!("/v1/trajectories/{first}-0-0/reward"),
        &json!({"reward": -0.5}),
    );
    assert_eq!(own.status, 200, "{}", own.body);
    post_as(&server, &key, "/rl/set_reward", &json!({"reward": 1.0}));
    post_as(&server, &key, "/rl/end_session", &Value::Null);
    assert_eq!(closed(&server), [(id, vec![Some(-0.5), Some(1.0)])]);
}

#[test]
fn a_session_that_nobody_uses_ends_as_if_it_had_been_told_to() {
    let server = Server::with(|config| {
        config.server.session_idle_seconds = 1;
        config.server.sessions_need_admin_key = false;
    });
    let deadline = Instant::now() + Duration::from_secs(120);
    let in_time = || assert!(Instant::now() < deadline, "the session never ended");
    // On a machine that is busy enough a session may end before it is used at all.
    let (id, key) = loop {
        in_time();
        let (id, key) = begin(&server, Value::Null);
        let asked = post_as(&server, &key, CHAT, &chat(json!({"max_tokens": 2})));
        let rewarded = post_as(&server, &key, "/rl/set_reward", &json!({"reward": 0.5}));
        if (asked.status, rewarded.status) == (200, 200) {
            break (id, key);
        }
    };
    while !closed(&server).iter().any(|(group, _)| *group == id) {
        in_time();
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(closed(&server).contains(&(id, vec![Some(0.5)])));
    assert_eq!(
        post_as(&server, &key, CHAT, &chat(json!({"max_tokens": 2}))).status,
        401
    );
}

#[test]
fn a_request_under_way_keeps_its_session() {
    let server = Server::slow(|config| config.server.sessions_need_admin_key = false);
    let (_, key) = begin(&server, Value::Null);
    let body = chat(json!({"max_tokens": 400, "stream": true, "ignore_eos": true}));
    let carried = format!("Bearer {key}");
    let headers = [
        ("content-type", "application/json"),
        ("authorization", carried.as_str()),
    ];
    let running = server.open_with(CHAT, &headers, body.to_string().as_bytes());
    assert_eq!(running.status(), 200);
    // However fast the machine is, it does not end by itself while the server waits for it.
    assert_eq!(server.post_raw("/pause?mode=keep", &[], b"").status, 200);
    let early = post_as(&server, &key, "/rl/end_session", &Value::Null);
    assert_eq!((early.status, early.error().1), (409, "session_busy"));
    assert_eq!(early.header("retry-after"), Some("1"));
    drop(running);
    assert_eq!(server.post_raw("/resume", &[], b"").status, 200);
    let deadline = Instant::now() + Duration::from_secs(60);
    while post_as(&server, &key, "/rl/end_session", &Value::Null).status != 200 {
        assert!(Instant::now() < deadline, "the request never ended");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn no_session_begins_whose_data_would_be_too_old() {
    let server = Server::with(|config| {
        config.server.sessions_need_admin_key = false;
        config.train.recipe = Recipe::Grpo;
        config.train.problems.source = ProblemSource::Trajectories;
        config.train.trajectories.groups_per_step = 1;
        config.train.trajectories.max_staleness = 1;
    });
    let joined = || json!({"group": "begun", "group_size": 3});
    begin(&server, joined());
    begin(&server, Value::Null);
    begin(&server, Value::Null);
    assert_eq!(server.post("/v1/train/start", &Value::Null).status, 200);
    let refused = server.post("/rl/start_session", &Value::Null);
    assert_eq!((refused.status, refused.error().1), (429, "staleness_bound"));
    assert!(refused.header("retry-after").is_some());
    // A group that has begun goes on: without its other sessions nobody could use it.
    begin(&server, joined());
    begin(&server, joined());
    server.post("/v1/train/stop", &Value::Null);
    let deadline = Instant::now() + Duration::from_secs(60);
    while server.post("/rl/start_session", &Value::Null).status != 200 {
        assert!(Instant::now() < deadline, "no run, no bound");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn refusals_name_the_field() {
    let server = Server::with(|config| config.server.sessions_need_admin_key = false);
    let long = "x".repeat(257);
    for (body, param) in [
        (json!({"task_id": ""}), "task_id"),
        (json!({"group": long}), "group"),
        (json!({"group_size": 2}), "group_size"),
        (json!({"group": "g", "group_size": 0}), "group_size"),
        (json!({"api_key": "mine"}), "api_key"),
        (json!({"name": "x"}), "name"),
    ] {
        let answer = server.post("/rl/start_session", &body);
        assert_eq!((answer.status, answer.error().0), (400, param), "{body}");
    }
    let (_, key) = begin(&server, Value::Null);
    ask(&server, &key, json!({"max_tokens": 2}));
    for (body, status, param) in [
        (json!({}), 400, "reward"),
        (json!({"reward": 1e9}), 400, "reward"),
        (json!({"reward": -1e308}), 400, "reward"),
        (
            json!({"reward": 1, "interaction_id": "chatcmpl-other"}),
            404,
            "interaction_id",
        ),
    ] {
        let answer = post_as(&server, &key, "/rl/set_reward", &body);
        assert_eq!((answer.status, answer.error().0), (status, param), "{body}");
        let message = answer.body["error"]["message"].as_str().unwrap();
        assert!(message.len() < 120, "{message}");
    }
    let ended = post_as(&server, &key, "/rl/end_session", &json!({"reward": 1}));
    assert_eq!((ended.status, ended.error()), (400, ("reward", "unknown_parameter")));
    // Who has no session is told that before anything that is wrong with the body.
    for path in ["/rl/set_reward", "/rl/end_session"] {
        for body in ["{\"reward\": 1}", "{\"reward\": \"x\"}", "{\"mood\": 1}", "{"] {
            for key in ["", "Bearer sk-sess-none", "Bearer none"] {
                let headers = [("content-type", "application/json"), ("authorization", key)];
                let nobody = server.post_raw(path, &headers, body.as_bytes());
                assert_eq!(
                    (nobody.status, nobody.error().1),
                    (401, "invalid_api_key"),
                    "{path} {body} {key}"
                );
            }
        }
    }
}
