//! How each problem of a run fared is told, in pages, and survives a resume; a rollback takes back what came after.

use serde_json::{Value, json};

use super::steer::{ask, paused, server, wait_for};
use crate::api::harness::Server;

fn list(server: &Server, query: &str) -> Value {
    let answer = server.get(&format!("/v1/train/problems{query}"));
    assert_eq!(answer.status, 200, "{query}: {}", answer.body);
    answer.body
}

fn ids(list: &Value) -> Vec<String> {
    let rows = list["data"].as_array().unwrap();
    rows.iter()
        .map(|row| row["problem_id"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn every_problem_of_a_run_has_its_visits() {
    let (_folder, server) = server(|_| {});
    let answer = server.get("/v1/train/problems");
    assert_eq!((answer.status, answer.error().1), (404, "run_not_found"));
    let steps = paused(&server).max(1);
    while server.get("/v1/train/status").body["step"].as_u64().unwrap() < steps + 1 {
        ask(&server, "step", &Value::Null);
    }
    let steps = server.get("/v1/train/status").body["step"].as_u64().unwrap();

    // Eight problems, all of them in every batch: as many visits as steps.
    let all = list(&server, "?accuracies=true");
    assert_eq!((&all["run_id"], &all["total"]), (&json!("toy"), &json!(8)));
    assert_eq!(
        ids(&all),
        (1..=8).map(|line| format!("problems-{line}")).collect::<Vec<_>>()
    );
    for row in all["data"].as_array().unwrap() {
        let visits: Vec<f64> = row["accuracies"]
            .as_array()
            .unwrap()
            .iter()
            .map(|x| x.as_f64().unwrap())
            .collect();
        assert_eq!(visits.len() as u64, steps, "{row}");
        assert_eq!(row["count"].as_u64(), Some(steps));
        assert_eq!(row["last_accuracy"].as_f64(), visits.last().copied());
        assert_eq!(row["max_accuracy"].as_f64(), visits.iter().copied().reduce(f64::max));
        assert!(visits.iter().all(|visit| (0.0..=1.0).contains(visit)), "{row}");
        if let [first, second] = visits[..] {
            assert!(
                (row["slope"].as_f64().unwrap() - (second - first)).abs() < 1e-12,
                "{row}"
            );
        }
    }
    // The step's reward is the mean of what the problems had at it: the same numbers, and none missed.
    let metrics = server.get("/v1/train/metrics?keys=verifier/solve/correct").body;
    let correct = metrics["data"].as_array().unwrap().last().unwrap()["metrics"]["verifier/solve/correct"].as_f64();
    let rows = all["data"].as_array().unwrap();
    let accuracy: f64 = rows.iter().map(|row| row["last_accuracy"].as_f64().unwrap()).sum();
    let samples = server.get("/v1/train/config").body["config"]["rollout"]["n"]
        .as_f64()
        .unwrap();
    assert!(
        (accuracy * samples - correct.unwrap_or_default()).abs() < 1e-9,
        "{accuracy} {correct:?}"
    );

    // Pages follow each other without a gap, in the order that was asked for.
    for order in ["asc", "desc"] {
        let whole = ids(&list(&server, &format!("?sort=slope&order={order}")));
        let mut paged = Vec::new();
        for (size, more) in [(3, true), (3, true), (2, false)] {
            let after = paged.last().map(|id| format!("&after={id}")).unwrap_or_default();
            let page = list(&server, &format!("?sort=slope&order={order}&limit=3{after}"));
            assert_eq!((ids(&page).len(), &page["has_more"]), (size, &json!(more)));
            assert_eq!(page["data"][0].get("accuracies"), None, "nobody asked");
            paged.extend(ids(&page));
        }
        assert_eq!(paged, whole, "{order}");
    }
    for (query, param) in [
        ("?sort=best", "sort"),
        ("?order=up", "order"),
        ("?limit=0", "limit"),
        ("?limit=1001", "limit"),
        ("?after=nobody", "after"),
        ("?accuracies=maybe", "accuracies"),
        ("?page=2", "page"),
    ] {
        let answer = server.get(&format!("/v1/train/problems{query}"));
        assert_eq!((answer.status, answer.error().0), (400, param), "{query}");
    }

    // A rollback takes visits back; a run that was stopped is still the last one, and has them again when it is resumed.
    ask(&server, "checkpoint", &Value::Null);
    let before = list(&server, "?accuracies=true");
    ask(&server, "step", &Value::Null);
    assert_eq!(list(&server, "")["data"][0]["count"].as_u64(), Some(steps + 1));
    ask(&server, "rollback", &json!({ "step": steps }));
    assert_eq!(list(&server, "?accuracies=true"), before);
    ask(&server, "stop", &Value::Null);
    wait_for(&server, "finished");
    assert_eq!(list(&server, "?accuracies=true"), before);
    ask(&server, "start", &json!({"resume": true}));
    ask(&server, "pause", &Value::Null);
    let done = wait_for(&server, "paused")["step"].as_u64();
    let after = list(&server, "?accuracies=true");
    assert_eq!(after["data"][0]["count"].as_u64(), done);
    let (kept, now) = (
        &before["data"][0]["accuracies"],
        after["data"][0]["accuracies"].as_array().unwrap(),
    );
    assert_eq!(&now[..steps as usize], kept.as_array().unwrap());
}
