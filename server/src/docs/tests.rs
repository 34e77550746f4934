#[test]
fn the_committed_document_matches_the_handlers() {
    let committed = include_str!("../../../openapi/openapi.json");
    assert!(
        committed == super::openapi_json(),
        "openapi/openapi.json is stale; run `cargo xtask openapi`"
    );
}
