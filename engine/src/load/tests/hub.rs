//! Downloads from a small hub in the test itself: the few routes and headers that the client uses.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use safetensors::tensor::Dtype;
use serde_json::json;

use super::{tiny, write_model};
use crate::config::Family;
use crate::load::hub::Hub;
use crate::load::{LoadError, ModelSource, load};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn hub(cache: &Path, port: u16) -> Hub {
    Hub {
        cache: cache.to_path_buf(),
        endpoint: format!("http://127.0.0.1:{port}"),
        token: None,
        offline: false,
        stall: Duration::from_secs(5),
    }
}

/// Serves the files of `folder` as `org/tiny` until the test ends.
fn serve(folder: PathBuf) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            answer(&folder, stream);
        }
    });
    port
}

fn answer(folder: &Path, mut stream: TcpStream) {
    let mut lines = BufReader::new(stream.try_clone().unwrap())
        .lines()
        .map_while(Result::ok);
    let target = lines
        .next()
        .unwrap_or_default()
        .split(' ')
        .nth(1)
        .unwrap_or_default()
        .to_owned();
    let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let range = headers.iter().find_map(|line| {
        line.to_ascii_lowercase()
            .strip_prefix("range: bytes=")
            .map(str::to_owned)
    });
    let (status, body, more) = if target == "/api/models/org/tiny/revision/main" {
        let names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        let siblings: Vec<_> = names.iter().map(|name| json!({"rfilename": name.to_str()})).collect();
        (
            "200 OK",
            json!({"sha": COMMIT, "siblings": siblings}).to_string().into_bytes(),
            String::new(),
        )
    } else if let Some(name) = target.strip_prefix(&format!("/org/tiny/resolve/{COMMIT}/")) {
        let whole = fs::read(folder.join(name)).unwrap();
        let range = range.unwrap();
        let (start, end) = range.split_once('-').unwrap();
        let start: usize = start.parse().unwrap();
        let end = end.parse::<usize>().map_or(whole.len(), |end| end + 1);
        let more = format!(
            "Content-Range: bytes {start}-{}/{}\r\nETag: \"{name}\"\r\nX-Repo-Commit: {COMMIT}\r\n",
            end - 1,
            whole.len()
        );
        ("206 Partial Content", whole[start..end].to_vec(), more)
    } else {
        ("404 Not Found", Vec::new(), String::new())
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{more}\r\n",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
}

#[test]
fn a_model_is_downloaded_once_and_found_offline() {
    for shards in [1, 2] {
        let (folder, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let expected = write_model(folder.path(), &tiny(Family::Llama, true), Dtype::BF16, shards);
        let port = serve(folder.path().to_path_buf());
        let downloaded = hub(cache.path(), port).fetch("org/tiny").unwrap();
        let model = load(&ModelSource::Folder(downloaded.clone())).unwrap();
        assert_eq!(model.params, expected);
        assert!(model.extra("svs.json").is_some() && model.extra("generation_config.json").is_some());
        let offline = Hub {
            offline: true,
            ..hub(cache.path(), port)
        };
        assert_eq!(offline.fetch("org/tiny").unwrap(), downloaded);
        // The hub is gone: the cached copy serves.
        assert_eq!(hub(cache.path(), 1).fetch("org/tiny").unwrap(), downloaded);
    }
}

#[test]
fn what_cannot_be_had_is_said_within_the_bound() {
    let cache = tempfile::tempdir().unwrap();
    let empty = tempfile::tempdir().unwrap();
    let serving = serve(empty.path().to_path_buf());
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let stalled = silent.local_addr().unwrap().port();
    let quick = |port| Hub {
        stall: Duration::from_millis(300),
        ..hub(cache.path(), port)
    };
    for (hub, id, named) in [
        (hub(cache.path(), serving), "org/other", "404"),
        (hub(cache.path(), 1), "org/tiny", "not in the cache"),
        (
            Hub {
                offline: true,
                ..hub(cache.path(), serving)
            },
            "org/tiny",
            "HF_HUB_OFFLINE",
        ),
        (quick(stalled), "org/tiny", "no answer for 0.3 s"),
        (quick(serving), "org/tiny name", "org/name"),
        (quick(serving), "../tiny", "org/name"),
        (quick(serving), "org/tiny@../x", "org/name"),
        (quick(serving), "", "org/name"),
    ] {
        let error = hub.fetch(id).unwrap_err();
        assert!(error.contains(named), "{id}: {error}");
    }
    let error = load(&ModelSource::Hub("not a model".into())).unwrap_err();
    assert!(
        matches!(&error, LoadError::Hub { .. }) && error.to_string().contains("local folder"),
        "{error}"
    );
}
