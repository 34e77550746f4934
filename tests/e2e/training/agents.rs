//! Outside agents in sessions: whole groups of them are trained on, each answer with the reward that its session was given.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use svs_trainer::run::config::{ProblemSource, Recipe};

use super::toy::{self, question};
use crate::api::harness::{Answer, Server};

/// Less than the versions that a trajectory may be behind, so that none is masked however slowly the run goes.
const STEPS: u64 = 6;
const SESSIONS: usize = 8;

fn post_as(server: &Server, key: &str, path: &str, body: &Value) -> Answer {
    let carried = format!("Bearer {key}");
    let headers = [
        ("content-type", "application/json"),
        ("authorization", carried.as_str()),
    ];
    let answer = server.post_raw(path, &headers, body.to_string().as_bytes());
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer
}

/// One attempt at the question in a session of its own; returns the id of the session and its reward.
fn attempt(server: &Server, group: &str, seed: usize) -> (String, f64) {
    let deadline = Instant::now() + Duration::from_secs(120);
    let started = loop {
        let body = json!({"task_id": "seven", "group": group, "group_size": SESSIONS});
        let started = server.post("/rl/start_session", &body);
        if started.status == 200 {
            break started.body;
        }
        // The run has as many groups as it can use for now.
        assert_eq!(started.error().1, "staleness_bound", "{}", started.body);
        assert!(Instant::now() < deadline, "the run takes no groups");
        std::thread::sleep(Duration::from_millis(10));
    };
    let key = started["api_key"].as_str().unwrap();
    let asked = json!({
        "model": "toy", "max_tokens": 24, "temperature": 1.0, "seed": seed,
        "messages": [{"role": "user", "content": question(7, 0)}],
    });
    let answer = post_as(server, key, "/v1/chat/completions", &asked).body;
    let said = answer["choices"][0]["message"]["content"].as_str().unwrap();
    let reward = f64::from(u8::from(said.contains("\\boxed{7}")));
    post_as(server, key, "/rl/set_reward", &json!({"reward": reward}));
    post_as(server, key, "/rl/end_session", &Value::Null);
    (started["session_id"].as_str().unwrap().to_owned(), reward)
}

/// Logprob of the right answer under the weights that are served, nats.
fn right(server: &Server) -> f64 {
    let messages = json!([{"role": "user", "content": question(7, 0)}]);
    let prompt = server.post("/tokenize", &json!({"messages": messages})).body["tokens"].clone();
    let body = json!({"model": "toy", "prompt": prompt, "response": "\\boxed{7}"});
    let scored = server.post("/v1/score", &body).body;
    let logprobs = scored["data"][0]["logprobs"].as_array().unwrap();
    logprobs.iter().filter_map(Value::as_f64).sum()
}

#[test]
fn a_run_trains_on_groups_of_sessions_by_their_rewards() {
    let server = Server::with_model(toy::model(), |config| {
        config.server.sessions_need_admin_key = false;
        config.train.recipe = Recipe::Grpo;
        config.train.steps = STEPS;
        config.train.run_id = Some("agents".into());
        config.train.problems.source = ProblemSource::Trajectories;
        config.train.trajectories.groups_per_step = 1;
        config.train.trajectories.poll_ms = 5;
        // So small that the policy goes on guessing: it never comes to answer all of a group rightly, with which the run
        // could do nothing.
        config.train.optim.lr = 3e-4;
        config.train.optim.weight_decay = 0.0;
    });
    let before = right(&server);
    assert_eq!(server.post("/v1/train/start", &Value::Null).status, 200);
    let mut groups: BTreeMap<String, BTreeMap<String, f64>> = BTreeMap::new();
    let status = loop {
        let status = server.get("/v1/train/status").body;
        if status["state"] != "running" {
            break status;
        }
        let at = groups.len();
        assert!(at < 200, "{status}");
        let group = format!("seven-{at:03}");
        let attempts = (0..SESSIONS).map(|each| attempt(&server, &group, at * SESSIONS + each));
        let attempts = attempts.collect();
        groups.insert(group, attempts);
    };
    assert_eq!(
        (&status["state"], &status["error"], status["step"].as_u64()),
        (&json!("finished"), &Value::Null, Some(STEPS))
    );
    assert!(right(&server) > before, "the right answer has become likelier");

    let mut trained = 0;
    for (group, attempts) in &groups {
        let listed = server.get(&format!("/v1/trajectories?group={group}")).body;
        let rows = listed["data"].as_array().unwrap();
        let found: BTreeMap<String, f64> = rows
            .iter()
            .map(|row| {
                (
                    row["session"].as_str().unwrap().to_owned(),
                    row["reward"].as_f64().unwrap(),
                )
            })
            .collect();
        assert_eq!(found, *attempts, "{group}");
        let mixed = attempts
            .values()
            .any(|reward| *reward != found.values().copied().sum::<f64>() / SESSIONS as f64);
        let by_run = rows.iter().filter(|row| row["run"] == "agents").count();
        assert!(
            by_run == 0 || (mixed && by_run == SESSIONS),
            "{group}: {by_run} rows of {attempts:?}"
        );
        trained += by_run;
    }
    assert_eq!(trained, SESSIONS * STEPS as usize, "whole groups, each once");
}
