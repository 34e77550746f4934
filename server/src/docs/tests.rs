#[test]
fn the_committed_document_matches_the_handlers() {
    let committed = include_str!("../../../openapi/openapi.json");
    assert!(
        committed == super::openapi_json(),
        "openapi/openapi.json is stale; run `cargo xtask openapi`"
    );
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
