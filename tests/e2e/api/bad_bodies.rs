//! Bodies, routes and methods that no handler sees are refused as fields are: by an OpenAI error object.

use serde_json::json;

use super::bad_input::CHAT;
use super::harness::{Server, chat};

#[test]
fn bad_bodies_routes_and_methods_are_refused() {
    let server = Server::with(|config| config.server.max_body_bytes = 4096);
    let json = [("content-type", "application/json")];
    let large = chat(json!({"user": "x".repeat(5000)})).to_string();
    for (path, headers, body, status, code) in [
        (CHAT, &json[..], "{", 400, "invalid_json"),
        (CHAT, &json[..], "\"text\"", 400, "invalid_type"),
        (CHAT, &json[..], "", 400, "missing_body"),
        (CHAT, &json[..], "{\"model\": \"\u{1}\"}", 400, "invalid_json"),
        (CHAT, &json[..], large.as_str(), 413, "request_too_large"),
        (
            CHAT,
            &[("content-type", "text/plain")][..],
            "{}",
            415,
            "unsupported_media_type",
        ),
        (
            CHAT,
            &[("content-type", "application/json"), ("content-encoding", "gzip")][..],
            "{}",
            415,
            "unsupported_media_type",
        ),
        (
            "/v1/train/start",
            &[
                ("content-type", "application/json"),
                ("content-encoding", "identity, br"),
            ][..],
            "{}",
            415,
            "unsupported_media_type",
        ),
        (
            CHAT,
            &[("content-type", "application/json"), ("content-encoding", "Identity")][..],
            "",
            400,
            "missing_body",
        ),
        (
            CHAT,
            &[("content-type", "application/json"), ("origin", "http://evil.example")][..],
            "{}",
            403,
            "foreign_origin",
        ),
        (
            CHAT,
            &[("content-type", "application/json"), ("host", "evil.example")][..],
            "{}",
            403,
            "foreign_host",
        ),
        ("/v1/nothing", &json[..], "{}", 404, "route_not_found"),
        ("/v1/models", &json[..], "{}", 405, "method_not_allowed"),
        ("/v1/train/start", &json[..], "{\"config\": 3}", 400, "invalid_type"),
        (
            "/v1/train/start",
            &json[..],
            "{\"config\": {\"recipie\": \"svs\"}}",
            400,
            "unknown_parameter",
        ),
        (
            "/v1/train/start",
            &json[..],
            "{\"config\": {\"steps\": \"many\"}}",
            400,
            "invalid_type",
        ),
        (
            "/v1/train/start",
            &json[..],
            "{\"config\": {\"problems\": []}}",
            400,
            "invalid_type",
        ),
        (
            "/v1/train/start",
            &json[..],
            "{\"config\": {\"prompts\": [\"{question}\"]}}",
            400,
            "invalid_type",
        ),
        (
            "/v1/train/start",
            &json[..],
            "{\"config\": {\"rollout\": {\"stop\": [\"\"]}}}",
            400,
            "invalid_value",
        ),
        (
            "/v1/train/start",
            &json[..],
            "{\"config\": {\"reward\": {\"endpoints\": {\"x\": {\"url\": \"http://127.0.0.1:1\", \"key_env\": \"HOME\"}}}}}",
            400,
            "invalid_value",
        ),
        ("/v1/train/pause", &json[..], "", 409, "wrong_state"),
    ] {
        let answer = server.post_raw(path, headers, body.as_bytes());
        assert_eq!(
            (answer.status, answer.error().1),
            (status, code),
            "{path} {body:.40}: {:?}",
            answer.body
        );
    }
    for (path, status, code) in [
        (CHAT, 405, "method_not_allowed"),
        ("/v1/models/other", 404, "model_not_found"),
        ("/v1/models/org/other", 404, "model_not_found"),
        ("/v1/models/%ff", 400, "invalid_value"),
        ("/nowhere", 404, "route_not_found"),
    ] {
        let answer = server.get(path);
        assert_eq!(
            (answer.status, answer.error().1),
            (status, code),
            "{path}: {:?}",
            answer.body
        );
    }
}
