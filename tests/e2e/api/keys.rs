//! The API key and the admin key: which route asks for which.

use serde_json::json;

use super::harness::Server;

/// Routes that change weights, training or memory, with a body that changes nothing.
const ADMIN: [(&str, &str); 31] = [
    ("/v1/load_lora_adapter", "{}"),
    ("/v1/unload_lora_adapter", "{}"),
    ("/pause?mode=nothing", ""),
    ("/resume", ""),
    ("/pause_generation", r#"{"mode": "nothing"}"#),
    ("/continue_generation", ""),
    ("/sleep?level=9", ""),
    ("/wake_up?tags=nothing", ""),
    ("/release_memory_occupation", ""),
    ("/resume_memory_occupation", r#"{"tags": ["nothing"]}"#),
    ("/abort_requests", ""),
    ("/abort_request", ""),
    ("/reset_prefix_cache", ""),
    ("/flush_cache", ""),
    ("/update_weights_from_disk", "{}"),
    ("/start_weight_update", ""),
    ("/update_weights", "{}"),
    ("/finish_weight_update", ""),
    ("/update_weight_version", "{}"),
    ("/weight_checker", "{}"),
    ("/v1/train/start", r#"{"config": {"steps": "many"}}"#),
    ("/v1/train/stop", ""),
    ("/v1/train/pause", ""),
    ("/v1/train/step", ""),
    ("/v1/train/checkpoint", ""),
    ("/v1/train/rollback", "{}"),
    ("/v1/files", "{}"),
    ("/v1/fine_tuning/jobs", "{}"),
    ("/v1/fine_tuning/jobs/x/cancel", ""),
    ("/v1/fine_tuning/jobs/x/pause", ""),
    ("/v1/fine_tuning/jobs/x/resume", ""),
];
const ORDINARY: [&str; 14] = [
    "/v1/models",
    "/is_paused",
    "/is_sleeping",
    "/load",
    "/weight_info",
    "/model_info",
    "/server_info",
    "/tokenizer_info",
    "/v1/train/status",
    "/v1/train/config",
    "/v1/trajectories",
    "/v1/trajectories/export",
    "/v1/files",
    "/v1/fine_tuning/jobs",
];
const OPEN: [&str; 5] = ["/health", "/ping", "/version", "/metrics", "/openapi.json"];

/// What a key opens: nothing, the ordinary routes, everything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reach {
    Nothing,
    Ordinary,
    Everything,
}

#[test]
fn keys_open_what_they_are_for() {
    use Reach::{Everything, Nothing, Ordinary};
    // API key, admin key, and what no key, a wrong one, the API key and the admin key open.
    for (api, admin, reaches) in [
        (None, None, [Everything, Everything, Everything, Everything]),
        (Some("api"), None, [Nothing, Nothing, Everything, Nothing]),
        (None, Some("admin"), [Ordinary, Ordinary, Ordinary, Everything]),
        (Some("api"), Some("admin"), [Nothing, Nothing, Ordinary, Everything]),
    ] {
        let server = Server::with(|config| {
            config.server.api_key = api.map(Into::into);
            config.server.admin_api_key = admin.map(Into::into);
        });
        for (carried, reach) in ["", "Bearer adm", "Bearer api", "Bearer admin"]
            .into_iter()
            .zip(reaches)
        {
            let mut headers = vec![("content-type", "application/json")];
            headers.extend((!carried.is_empty()).then_some(("authorization", carried)));
            let case = format!("{api:?} {admin:?} {carried:?}");
            for route in OPEN {
                assert_eq!(server.get_with(route, &headers).status, 200, "{case} {route}");
            }
            for route in ORDINARY {
                let wanted = if reach == Nothing { 401 } else { 200 };
                assert_eq!(server.get_with(route, &headers).status, wanted, "{case} {route}");
            }
            for (route, body) in ADMIN {
                let answer = server.post_raw(route, &headers, body.as_bytes());
                let code = answer.error().1;
                let refused = match (reach, api.is_some() && carried == "Bearer api") {
                    (Everything, _) => None,
                    (_, true) => Some((403, "admin_key_needed")),
                    (_, false) => Some((401, "invalid_api_key")),
                };
                match refused {
                    Some(refused) => assert_eq!((answer.status, code), refused, "{case} {route}"),
                    None => assert!(
                        !["invalid_api_key", "admin_key_needed"].contains(&code),
                        "{case} {route}"
                    ),
                }
            }
        }
    }
}

#[test]
fn pages_of_other_origins_reach_what_is_open_and_nothing_else() {
    let server = Server::start();
    let own = server.url.clone();
    for (origin, guarded) in [
        (own.as_str(), 200),
        ("https://evil.example", 403),
        ("null", 403),
        ("http://127.0.0.1", 403),
    ] {
        for (routes, status) in [(&OPEN[..], 200), (&ORDINARY, guarded), (&["/flush_cache"], guarded)] {
            for route in routes {
                let answer = server.get_with(route, &[("origin", origin)]);
                assert_eq!(answer.status, status, "{origin} {route}: {}", answer.body);
                let refused = (status == 403).then_some("foreign_origin");
                assert_eq!(refused.unwrap_or_default(), answer.error().1, "{origin} {route}");
            }
        }
    }
}

#[test]
fn keys_are_not_told() {
    let server = Server::with(|config| {
        config.server.api_key = Some("key-of-clients".into());
        config.server.admin_api_key = Some("key-of-the-operator".into());
    });
    let headers = [("authorization", "Bearer key-of-the-operator")];
    for route in ["/server_info", "/model_info", "/metrics", "/openapi.json"] {
        let text = server.get_with(route, &headers).body.to_string();
        assert!(!text.contains("key-of-"), "{route}");
    }
}

#[test]
fn keys_that_guard_nothing_are_refused() {
    let mut config = svs::config::HttpConfig::default();
    for (api, admin, field) in [
        (Some(""), None, "server.api_key"),
        (None, Some(""), "server.admin_api_key"),
        (Some("same"), Some("same"), "server.admin_api_key"),
    ] {
        config.api_key = api.map(Into::into);
        config.admin_api_key = admin.map(Into::into);
        assert!(config.validate().unwrap_err().to_string().starts_with(field));
    }
    let shown = format!("{config:?} {}", json!(config));
    assert!(!shown.contains("same"), "{shown}");
}
