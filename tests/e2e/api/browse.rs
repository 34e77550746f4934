//! `/v1/trajectories`: what clients sampled, found again; rewards that come later; exports.

use serde_json::{Value, json};
use svs_trainer::log::GroupQuery;
use svs_trainer::trajectory::Kind;

use super::harness::{Server, chat, completion};

const CHAT: &str = "/v1/chat/completions";
const LIST: &str = "/v1/trajectories";

/// A server with five trajectories of clients; the first two are of one group that awaits its rewards.
fn filled() -> (Server, Vec<String>) {
    let server = Server::start();
    let metadata = json!({"group": "g", "group_size": "2", "await_reward": "true", "problem_id": "p"});
    let body = chat(json!({"n": 2, "max_tokens": 5, "metadata": metadata}));
    assert_eq!(server.post(CHAT, &body).status, 200);
    for seed in 0..3 {
        let body = completion(json!({"max_tokens": 3, "seed": seed, "metadata": {"reference": "4"}}));
        assert_eq!(server.post("/v1/completions", &body).status, 200);
    }
    let ids = ids(&server.get(LIST).body);
    assert_eq!(ids.len(), 5);
    (server, ids)
}

fn ids(list: &Value) -> Vec<String> {
    let data = list["data"].as_array().unwrap_or_else(|| panic!("{list}"));
    data.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

fn closed(server: &Server) -> Vec<String> {
    let groups = server.stack.log.closed_groups(&GroupQuery::default()).unwrap();
    groups.into_iter().map(|closed| closed.group.id).collect()
}

#[test]
fn pages_cover_everything_once_in_either_order() {
    let (server, newest_first) = filled();
    for (order, wanted) in [
        ("desc", newest_first.clone()),
        ("asc", newest_first.into_iter().rev().collect()),
    ] {
        let (mut seen, mut after) = (Vec::<String>::new(), String::new());
        loop {
            let page = server.get(&format!("{LIST}?limit=2&order={order}{after}")).body;
            assert_eq!(page["object"], "list");
            let found = ids(&page);
            assert_eq!(page["first_id"], found[0].as_str());
            assert_eq!(page["last_id"], found[found.len() - 1].as_str());
            seen.extend(found);
            assert_eq!(page["has_more"], seen.len() < 5);
            after = format!("&after={}", seen[seen.len() - 1]);
            if page["has_more"] == false {
                break;
            }
        }
        assert_eq!(seen, wanted);
    }
}

#[test]
fn a_trajectory_has_what_its_answer_had() {
    let server = Server::start();
    let extra = json!({"max_tokens": 6, "logprobs": true, "return_token_ids": true, "return_weight_versions": true,
        "metadata": {"problem_id": "p-1", "reference": "42", "note": "x"}});
    let answer = server.post(CHAT, &chat(extra)).body;
    let summary = &server.get(LIST).body["data"][0];
    let id = summary["id"].as_str().unwrap();
    let whole = server.get(&format!("{LIST}/{id}")).body;
    for (key, value) in summary.as_object().unwrap() {
        assert_eq!(&whole[key], value, "{key}");
    }
    let choice = &answer["choices"][0];
    assert_eq!(whole["prompt_token_ids"], answer["prompt_token_ids"]);
    assert_eq!(whole["response_token_ids"], choice["token_ids"]);
    assert_eq!(whole["response"], choice["message"]["content"]);
    assert_eq!(whole["weight_versions"], choice["weight_versions"]);
    let numbers = |list: &Value, of: &dyn Fn(&Value) -> Option<f64>| -> Vec<f32> {
        list.as_array()
            .unwrap()
            .iter()
            .map(|item| of(item).unwrap() as f32)
            .collect()
    };
    assert_eq!(
        numbers(&whole["logprobs"], &Value::as_f64),
        numbers(&choice["logprobs"]["content"], &|token| token["logprob"].as_f64()),
    );
    let texts = whole["response_token_texts"].as_array().unwrap();
    assert_eq!(texts.len(), choice["token_ids"].as_array().unwrap().len());
    let text: String = texts.iter().map(|text| text.as_str().unwrap()).collect();
    assert_eq!(whole["response"], text.as_str());
    assert!(whole["prompt"].as_str().unwrap().contains("Say something."));
    assert!(summary["problem_excerpt"].as_str().unwrap().contains("Say something."));
    for (key, wanted) in [
        ("object", json!("trajectory")),
        ("kind", json!("client")),
        ("run", Value::Null),
        ("step", Value::Null),
        ("session", Value::Null),
        ("reward", Value::Null),
        ("verdict", Value::Null),
        ("weight_version_min", json!(0)),
        ("response_tokens", json!(texts.len())),
        ("problem_id", json!("p-1")),
        ("reference", json!("42")),
        ("metadata", json!({"problem_id": "p-1", "reference": "42", "note": "x"})),
        ("origin", Value::Null),
        ("findings", json!([])),
        ("trained_at", Value::Null),
    ] {
        assert_eq!(whole[key], wanted, "{key}");
    }
    assert_eq!(whole["segments"][1]["role"], "sampled");
}

#[test]
fn a_synthetic_problem_is_shown_beside_its_origin() {
    let server = Server::start();
    server.post(CHAT, &chat(json!({"max_tokens": 4})));
    let id = server.get(LIST).body["data"][0]["id"].as_str().unwrap().to_owned();
    let client = server.stack.log.get(&id).unwrap().unwrap().trajectory;
    let own = |id: &str, kind, parent: Option<&str>, text: &str| {
        let mut row = client.clone();
        (row.id, row.kind, row.text) = (format!("run/7v1/{id}#0"), kind, text.into());
        row.group_id = format!("run/7v1/{id}");
        row.parent = parent.map(|parent| format!("run/7v1/{parent}#0"));
        row
    };
    let rows = vec![
        own("p", Kind::Solve, None, "a solution"),
        own("c", Kind::Synthesize, Some("p"), "a new problem"),
        own("s", Kind::SolveSynthetic, Some("c"), "an answer"),
    ];
    server.stack.log.append_blocking(rows).unwrap();
    let found = server.get(&format!("{LIST}/run%2F7v1%2Fs%230")).body;
    assert_eq!(
        (&found["kind"], &found["run"], &found["step"]),
        (&json!("synthetic"), &json!("run"), &json!(7))
    );
    let origin = &found["origin"];
    assert_eq!(origin["synthesis"], "run/7v1/c#0");
    assert_eq!(origin["synthesis_response"], "a new problem");
    assert_eq!(
        (&origin["solution"], &origin["solution_response"]),
        (&json!("run/7v1/p#0"), &json!("a solution"))
    );
    assert!(origin["problem"].as_str().unwrap().contains("Say something."));
    for (filter, wanted) in [
        ("kind=rollout", vec!["run/7v1/p#0"]),
        ("kind=synthesis", vec!["run/7v1/c#0"]),
        ("run=run&kind=synthetic", vec!["run/7v1/s#0"]),
        ("run=run&kind=client", vec![]),
        ("group=run/7v1/c", vec!["run/7v1/c#0"]),
    ] {
        assert_eq!(ids(&server.get(&format!("{LIST}?{filter}")).body), wanted, "{filter}");
    }
    let refused = server.post(&format!("{LIST}/run%2F7v1%2Fp%230/reward"), &json!({"reward": 1.0}));
    assert_eq!((refused.status, refused.error().1), (409, "own_rollout"));
}

#[test]
fn later_rewards_close_their_group_until_it_is_trained_on() {
    let (server, ids) = filled();
    let reward = |id: &str, body: Value| server.post(&format!("{LIST}/{id}/reward"), &body);
    assert!(!closed(&server).contains(&"g".into()), "it waits for its rewards");
    let waiting = &server.get(&format!("{LIST}?group=g")).body["data"];
    assert_eq!(waiting.as_array().unwrap().len(), 2);
    for (at, value) in [(4, 0.0), (3, 1.0)] {
        let answer = reward(&ids[at], json!({"reward": value, "explanation": "as it was used"}));
        assert_eq!((answer.status, &answer.body["reward"]), (200, &json!(value)));
    }
    assert!(closed(&server).contains(&"g".into()));
    let whole = server.get(&format!("{LIST}/{}", ids[3])).body;
    assert_eq!((&whole["reward"], &whole["verdict"]), (&json!(1.0), &json!("correct")));
    assert_eq!(whole["findings"][0]["explanation"], "as it was used");
    assert_eq!(whole["awaits_reward"], false);
    let rewarded = server.get(&format!("{LIST}?min_reward=0.5")).body;
    assert_eq!(rewarded["data"].as_array().unwrap().len(), 1);
    server.stack.log.mark_trained("r", &[ids[3].clone()], 7.0).unwrap();
    let late = reward(&ids[3], json!({"reward": 0.0}));
    assert_eq!((late.status, late.error().1), (409, "already_trained"));
    assert_eq!(
        server.get(&format!("{LIST}?run=r")).body["data"][0]["id"],
        ids[3].as_str()
    );
    let long = "x".repeat(2001);
    for (id, body, status, param, code) in [
        ("nobody", json!({"reward": 1}), 404, "", "trajectory_not_found"),
        (ids[0].as_str(), json!({}), 400, "reward", "missing_parameter"),
        (&ids[0], json!({"reward": "much"}), 400, "reward", "invalid_type"),
        (&ids[0], json!({"reward": 1e7}), 400, "reward", "invalid_value"),
        (
            &ids[0],
            json!({"reward": 1, "explanation": long}),
            400,
            "explanation",
            "invalid_value",
        ),
        (
            &ids[0],
            json!({"reward": 1, "grader": "x"}),
            400,
            "grader",
            "unknown_parameter",
        ),
    ] {
        let answer = reward(id, body.clone());
        assert_eq!((answer.status, answer.error()), (status, (param, code)), "{body}");
    }
}

#[test]
fn refusals_name_the_parameter() {
    let server = Server::start();
    for (query, param) in [
        ("?limit=0", "limit"),
        ("?limit=101", "limit"),
        ("?limit=many", "limit"),
        ("?order=up", "order"),
        ("?after=nobody", "after"),
        ("?kind=rollouts", "kind"),
        ("?min_reward=x", "min_reward"),
        ("?min_reward=NaN", "min_reward"),
        ("?min_weight_version=-1", "min_weight_version"),
        ("?colour=red", "colour"),
        ("/export?format=csv", "format"),
        ("/export?limit=3", "limit"),
    ] {
        let answer = server.get(&format!("{LIST}{query}"));
        assert_eq!((answer.status, answer.error().0), (400, param), "{query}");
    }
    assert_eq!(server.get(&format!("{LIST}/nobody")).error().1, "trajectory_not_found");
    let body = completion(json!({"metadata": {"await_reward": "perhaps"}}));
    assert_eq!(server.post("/v1/completions", &body).error().0, "metadata.await_reward");
    assert_eq!(server.get(LIST).body["data"], json!([]));
}

#[test]
fn an_export_holds_every_row() {
    let (server, ids) = filled();
    let lines = |query: &str| -> Vec<Value> {
        let answer = server.get(&format!("{LIST}/export{query}"));
        assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
        let text = match answer.body {
            Value::String(text) => text,
            one => one.to_string(),
        };
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let rows = lines("");
    let found: Vec<&str> = rows.iter().rev().map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!(found, ids);
    let whole = server.get(&format!("{LIST}/{}", ids[0])).body;
    assert_eq!(rows[4], whole);
    assert_eq!(lines("?format=jsonl&group=g").len(), 2);
    assert_eq!(lines("?run=nobody"), Vec::<Value>::new());
    let mut table = server.open_get(&format!("{LIST}/export?format=parquet"));
    assert_eq!(table.headers()["content-type"], "application/vnd.apache.parquet");
    let bytes = table.body_mut().read_to_vec().unwrap();
    assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"), "a whole file");
}

#[test]
fn one_export_too_many_is_refused_and_the_place_comes_back() {
    let server = Server::with(|config| config.server.max_exports = 1);
    // More than what the connection and the channel hold, so that the export waits for its reader.
    let body = completion(json!({"max_tokens": 400, "ignore_eos": true}));
    server.post("/v1/completions", &body);
    let id = server.get(LIST).body["data"][0]["id"].as_str().unwrap().to_owned();
    let row = server.stack.log.get(&id).unwrap().unwrap().trajectory;
    let copies = (0..40).map(|at| {
        let (id, text) = (format!("copy-{at}"), "x".repeat(500_000));
        svs_trainer::Trajectory {
            group_id: id.clone(),
            id,
            text,
            ..row.clone()
        }
    });
    server.stack.log.append_blocking(copies.collect()).unwrap();
    let slow = server.open_get(&format!("{LIST}/export"));
    assert_eq!(slow.status(), 200);
    let refused = server.get(&format!("{LIST}/export"));
    assert_eq!((refused.status, refused.error().1), (429, "overloaded"));
    assert!(refused.header("retry-after").is_some());
    drop(slow);
    // The writer notices within the next chunk that nobody reads.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while server.get(&format!("{LIST}/export?run=nobody")).status != 200 {
        assert!(std::time::Instant::now() < deadline, "the place never came back");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
