//! `/v1/files`: forms, refusals, pages, restarts, and uploads that are cut off.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::harness::{Answer, Server};

pub(crate) const LINE: &str = r#"{"messages": [{"role": "user", "content": "What is 2 + 3?"}], "answer": "5"}"#;
pub(crate) const FORM: [(&str, &str); 1] = [("content-type", "multipart/form-data; boundary=cut")];

/// A part of a form: its name, the name of the file if it is one, its content.
pub(crate) type Part<'a> = (&'a str, Option<&'a str>, &'a str);

pub(crate) fn form(parts: &[Part<'_>]) -> String {
    let part = |(name, file, content): &Part<'_>| {
        let file = file.map_or(String::new(), |file| format!("; filename=\"{file}\""));
        format!("--cut\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n{content}\r\n")
    };
    parts.iter().map(part).collect::<String>() + "--cut--\r\n"
}

/// Uploads `content`; the answer's id is that of the file.
pub(crate) fn upload(server: &Server, content: &str) -> String {
    let parts = [("purpose", None, "fine-tune"), ("file", Some("train.jsonl"), content)];
    let answer = server.post_raw("/v1/files", &FORM, form(&parts).as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body["id"].as_str().unwrap().to_owned()
}

fn ids(answer: &Answer) -> Vec<&str> {
    let files = answer.body["data"].as_array().unwrap();
    files.iter().map(|file| file["id"].as_str().unwrap()).collect()
}

fn entries(runs: &Path) -> usize {
    std::fs::read_dir(runs.join(".api/files")).unwrap().count()
}

#[test]
fn a_file_lives_until_it_is_deleted_also_over_a_restart() {
    let runs = tempfile::tempdir().unwrap();
    let open = || Server::with(|config| config.runs = Some(runs.path().to_path_buf()));
    let server = open();
    let content = format!("{LINE}\n\n{LINE}");
    let kept: Vec<String> = (0..3).map(|_| upload(&server, &content)).collect();
    let file = server.get(&format!("/v1/files/{}", kept[0])).body;
    let created = file["created_at"].as_u64().unwrap();
    let wanted = json!({
        "id": kept[0], "object": "file", "bytes": content.len(), "created_at": created, "filename": "train.jsonl",
        "purpose": "fine-tune", "status": "processed", "expires_at": null, "status_details": null,
    });
    assert_eq!(file, wanted);
    drop(server);

    let server = open();
    let newest = server.get("/v1/files?limit=2");
    assert_eq!(
        (ids(&newest), &newest.body["has_more"]),
        (vec![&*kept[2], &kept[1]], &json!(true))
    );
    assert_eq!(newest.body["last_id"], json!(kept[1]));
    let rest = server.get(&format!("/v1/files?limit=2&after={}", kept[1]));
    assert_eq!((ids(&rest), &rest.body["has_more"]), (vec![&*kept[0]], &json!(false)));
    assert_eq!(ids(&server.get("/v1/files?order=asc&purpose=fine-tune")), kept);
    assert!(ids(&server.get("/v1/files?purpose=batch")).is_empty());
    let read = server.get(&format!("/v1/files/{}/content", kept[0]));
    assert_eq!((read.status, read.body), (200, Value::String(content.clone())));
    let delete = |id: &str| server.delete(&format!("/v1/files/{id}"));
    let gone = delete(&kept[0]);
    assert_eq!(gone.body, json!({"id": kept[0], "object": "file", "deleted": true}));
    assert_eq!(ids(&server.get("/v1/files?order=asc")), kept[1..]);
    assert_eq!(entries(runs.path()), 2);
    for path in [kept[0].as_str(), "file-none", "..%2F..%2Fjob", "%2E%2E"] {
        for answer in [
            delete(path),
            server.get(&format!("/v1/files/{path}")),
            server.get(&format!("/v1/files/{path}/content")),
        ] {
            assert_eq!(
                (answer.status, answer.error()),
                (404, ("id", "file_not_found")),
                "{path}"
            );
        }
    }
}

#[test]
fn a_refused_upload_names_what_is_wrong_and_leaves_nothing() {
    let runs = tempfile::tempdir().unwrap();
    let server = Server::with(|config| {
        config.runs = Some(runs.path().to_path_buf());
        config.server.files.max_file_bytes = 4096;
        config.server.files.max_files = 2;
    });
    let purpose = ("purpose", None, "fine-tune");
    let file = ("file", Some("a.jsonl"), LINE);
    let bad = format!("{LINE}\n{{\"messages\": [{{\"role\": \"user\"}}]}}");
    let long = LINE.repeat(80);
    let rows: [(&[Part<'_>], u16, &str, &str, &str); 12] = [
        (&[purpose], 400, "file", "missing_parameter", "`file` is required"),
        (&[file], 400, "purpose", "missing_parameter", "`purpose` is required"),
        (
            &[file, ("purpose", None, "batch")],
            400,
            "purpose",
            "invalid_value",
            "`fine-tune` only",
        ),
        (&[purpose, purpose, file], 400, "purpose", "invalid_value", "twice"),
        (&[file, file, purpose], 400, "file", "invalid_value", "twice"),
        (
            &[purpose, ("file", None, LINE)],
            400,
            "file",
            "invalid_value",
            "filename",
        ),
        (
            &[purpose, ("surprise", None, "1"), file],
            400,
            "surprise",
            "unknown_parameter",
            "not a parameter",
        ),
        (
            &[purpose, ("expires_after[seconds]", None, "3600"), file],
            400,
            "expires_after[seconds]",
            "unsupported_parameter",
            "until they are deleted",
        ),
        (
            &[purpose, ("file", Some("a"), "")],
            400,
            "file",
            "invalid_file",
            "no line",
        ),
        (
            &[purpose, ("file", Some("a"), &bad)],
            400,
            "file",
            "invalid_file",
            "line 2: `messages[0].content`: is missing",
        ),
        (
            &[purpose, ("file", Some("a"), "{")],
            400,
            "file",
            "invalid_file",
            "line 1: is not valid JSON",
        ),
        (
            &[purpose, ("file", Some("a"), &long)],
            413,
            "",
            "request_too_large",
            "4096 bytes",
        ),
    ];
    for (parts, status, param, code, said) in rows {
        let answer = server.post_raw("/v1/files", &FORM, form(parts).as_bytes());
        assert_eq!(
            (answer.status, answer.error()),
            (status, (param, code)),
            "{}",
            answer.body
        );
        let message = answer.body["error"]["message"].as_str().unwrap();
        assert!(message.contains(said), "{message}");
        assert_eq!(entries(runs.path()), 0, "{said}");
    }
    for (kind, body, status, code) in [
        ("application/json", "{}".to_owned(), 415, "unsupported_media_type"),
        (
            "multipart/form-data",
            form(&[purpose, file]),
            415,
            "unsupported_media_type",
        ),
        (FORM[0].1, "--cut\r\nContent-Dispo".into(), 400, "incomplete_body"),
        (
            FORM[0].1,
            form(&[purpose, file]).replace("--cut--", ""),
            400,
            "incomplete_body",
        ),
    ] {
        let answer = server.post_raw("/v1/files", &[("content-type", kind)], body.as_bytes());
        assert_eq!(
            (answer.status, answer.error().1),
            (status, code),
            "{body}: {}",
            answer.body
        );
    }
    for _ in 0..2 {
        upload(&server, LINE);
    }
    let full = server.post_raw("/v1/files", &FORM, form(&[file, purpose]).as_bytes());
    assert_eq!((full.status, full.error().1), (409, "files_full"), "{}", full.body);
    for (query, param) in [
        ("limit=0", "limit"),
        ("after=x", "after"),
        ("order=up", "order"),
        ("x=1", "x"),
    ] {
        let answer = server.get(&format!("/v1/files?{query}"));
        assert_eq!((answer.status, answer.error().0), (400, param));
    }
}

#[test]
fn an_upload_that_is_cut_off_leaves_nothing() {
    let runs = tempfile::tempdir().unwrap();
    let server = Server::with(|config| {
        config.runs = Some(runs.path().to_path_buf());
        config.server.files.max_uploads = 1;
    });
    let body = form(&[("file", Some("a.jsonl"), &LINE.repeat(5000))]);
    let host = server.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    let head = format!(
        "POST /v1/files HTTP/1.1\r\nHost: {host}\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n",
        FORM[0].1,
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&body.as_bytes()[..body.len() / 2]).unwrap();
    let wait_for = |wanted: usize| {
        let deadline = Instant::now() + Duration::from_secs(60);
        while entries(runs.path()) != wanted {
            assert!(Instant::now() < deadline, "{} entries", entries(runs.path()));
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    wait_for(1);
    assert!(ids(&server.get("/v1/files")).is_empty(), "half a file is none");
    let second = server.post_raw("/v1/files", &FORM, form(&[("file", Some("b"), LINE)]).as_bytes());
    assert_eq!((second.status, second.error().1), (429, "overloaded"));
    stream.shutdown(std::net::Shutdown::Both).unwrap();
    let _ = stream.read(&mut [0; 64]);
    wait_for(0);
    upload(&server, LINE);
}

#[test]
fn what_belongs_to_no_field_of_a_form_is_not_gathered_without_end() {
    let server = Server::start();
    let host = server.url.strip_prefix("http://").unwrap();
    let begun = "--cut\r\nContent-Disposition: form-data; name=\"file\"; filename=\"";
    for begun in ["", begun] {
        let mut stream = TcpStream::connect(host).unwrap();
        let head = format!(
            "POST /v1/files HTTP/1.1\r\nHost: {host}\r\nContent-Type: {}\r\nContent-Length: 60000000\r\n\r\n{begun}",
            FORM[0].1
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&vec![b'a'; (1 << 20) + 1]).unwrap();
        // What was declared does not come, and is not waited for.
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        assert!(
            answer.starts_with("HTTP/1.1 400") && answer.contains("invalid_form"),
            "{begun:?}: {answer}"
        );
    }
}

#[test]
fn a_second_server_in_the_same_folder_keeps_no_files() {
    let runs = tempfile::tempdir().unwrap();
    let open = || Server::with(|config| config.runs = Some(runs.path().to_path_buf()));
    let _first = open();
    let second = open();
    let answer = second.get("/v1/files");
    assert_eq!(
        (answer.status, answer.error().1),
        (503, "files_unavailable"),
        "{}",
        answer.body
    );
    assert_eq!(second.get("/health").status, 200);
}
