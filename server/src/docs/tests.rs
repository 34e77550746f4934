#[test]
fn the_committed_document_matches_the_handlers() {
    let committed = include_str!("../../../openapi/openapi.json");
    assert!(
        committed == super::openapi_json(),
        "openapi/openapi.json is stale; run `cargo xtask openapi`"
    );
}

#[test]
fn every_route_tells_its_keys() {
    let document: serde_json::Value = serde_json::from_str(&super::openapi_json()).expect("JSON");
    let schemes = &document["components"]["securitySchemes"];
    for scheme in ["api_key", "admin_key", "session_key"] {
        assert_eq!(
            (&schemes[scheme]["type"], &schemes[scheme]["scheme"]),
            (&"http".into(), &"bearer".into())
        );
    }
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let asked = operation["security"].as_array();
            let asked = asked.unwrap_or_else(|| panic!("{method} {path} is in the table of routes"));
            let guarded = !operation["responses"]["401"].is_null();
            assert_eq!(guarded, !asked.is_empty(), "{method} {path}");
        }
    }
    let rows: [(&str, &str, &[&str]); 8] = [
        ("/health", "get", &[]),
        ("/v1/models/{id}", "get", &["api_key", "admin_key", "session_key"]),
        ("/v1/score", "post", &["api_key", "admin_key"]),
        ("/v1/files", "get", &["api_key", "admin_key"]),
        ("/v1/files", "post", &["admin_key"]),
        ("/v1/train/config", "patch", &["admin_key"]),
        ("/rl/start_session", "post", &["api_key", "admin_key"]),
        ("/rl/end_session", "post", &["session_key"]),
    ];
    for (path, method, keys) in rows {
        let wanted: Vec<_> = keys.iter().map(|key| serde_json::json!({*key: []})).collect();
        assert_eq!(
            document["paths"][path][method]["security"],
            serde_json::Value::from(wanted),
            "{method} {path}"
        );
    }
}

#[test]
fn every_route_tells_what_surrounds_it() {
    let document: serde_json::Value = serde_json::from_str(&super::openapi_json()).expect("JSON");
    let rows: [(&str, &str, &[&str], &[&str]); 5] = [
        ("/health", "get", &[], &["400", "401", "403"]),
        ("/v1/models", "get", &["401", "403"], &["400", "408"]),
        ("/v1/train/config", "get", &["400", "401", "403"], &["408"]),
        (
            "/v1/train/config",
            "patch",
            &["400", "401", "403", "408", "413", "415"],
            &[],
        ),
        (
            "/v1/completions",
            "post",
            &["400", "401", "403", "408", "413", "415", "429"],
            &[],
        ),
    ];
    for (path, method, told, not_told) in rows {
        let responses = &document["paths"][path][method]["responses"];
        for status in told {
            let schema = &responses[status]["content"]["application/json"]["schema"]["$ref"];
            assert_eq!(schema, "#/components/schemas/ErrorResponse", "{method} {path} {status}");
        }
        assert!(
            not_told.iter().all(|status| responses[status].is_null()),
            "{method} {path}"
        );
    }
}
