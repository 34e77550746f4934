//! LoRA adapters over HTTP: loaded beside the base, named by `model`, unloaded while they stream.

use std::fs;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};
use svs_engine::load::{LoadedModel, save};
use svs_engine::weights::ADAPTER_VERSIONS;

use super::harness::{Answer, Server, chat, completion, events, tiny_model};
use crate::training::process::Process;

const CHAT: &str = "/v1/chat/completions";
const TEXT: &str = "/v1/completions";
const LOAD: &str = "/v1/load_lora_adapter";
const UNLOAD: &str = "/v1/unload_lora_adapter";
const RANK: usize = 2;

/// `[rows, columns]` of a factor, different for every `salt`.
fn factor(rows: usize, columns: usize, salt: usize) -> Vec<f32> {
    let value = |at: usize| (((at + salt) * 29 % 31) as f32 - 15.0) / 32.0;
    (0..rows * columns).map(value).collect()
}

/// Query and down projections of the tiny model with their shapes.
fn targets() -> impl Iterator<Item = (String, usize, usize)> {
    (0..2).flat_map(|layer| {
        let module = |suffix| format!("model.layers.{layer}.{suffix}");
        [(module("self_attn.q_proj"), 64, 64), (module("mlp.down_proj"), 64, 96)]
    })
}

/// Writes a PEFT folder of scale 1/2.
fn write_adapter(folder: &Path, salt: usize) {
    fs::create_dir_all(folder).unwrap();
    let config = json!({
        "peft_type": "LORA", "r": RANK, "lora_alpha": 1, "bias": "none", "target_modules": ["q_proj", "down_proj"],
    });
    fs::write(folder.join("adapter_config.json"), config.to_string()).unwrap();
    let bytes = |values: Vec<f32>| -> Vec<u8> { values.iter().flat_map(|value| value.to_le_bytes()).collect() };
    let factors: Vec<_> = targets()
        .flat_map(|(module, out, width)| {
            let name = |letter| format!("base_model.model.{module}.lora_{letter}.weight");
            let (a, b) = (factor(RANK, width, salt), factor(out, RANK, salt + 1));
            [(name('A'), [RANK, width], bytes(a)), (name('B'), [out, RANK], bytes(b))]
        })
        .collect();
    let views = factors
        .iter()
        .map(|(name, shape, data)| (name, TensorView::new(Dtype::F32, shape.to_vec(), data).unwrap()));
    let file = safetensors::serialize(views, None).unwrap();
    fs::write(folder.join("adapter_model.safetensors"), file).unwrap();
}

/// The tiny model with the changes of [`write_adapter`] added by hand.
fn added_by_hand(salt: usize) -> LoadedModel {
    let mut model = tiny_model();
    for (module, out, width) in targets() {
        let (a, b) = (factor(RANK, width, salt), factor(out, RANK, salt + 1));
        let target = model.params.get_mut(&format!("{module}.weight")).unwrap();
        for (at, value) in target.iter_mut().enumerate() {
            let (row, column) = (at / width, at % width);
            *value += 0.5 * (b[RANK * row] * a[column] + b[RANK * row + 1] * a[width + column]);
        }
    }
    model
}

fn serving(lora_dir: &Path) -> Server {
    Server::with(|config| config.server.lora_dir = Some(lora_dir.to_path_buf()))
}

fn load(server: &Server, name: &str, path: &str) -> Answer {
    server.post(LOAD, &json!({"lora_name": name, "lora_path": path}))
}

fn listed(server: &Server) -> Vec<(String, Option<String>)> {
    let list = server.get("/v1/models").body;
    let models = list["data"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    models
        .map(|model| (text(&model["id"]).unwrap(), text(&model["parent"])))
        .collect()
}

/// What a request names: tokens and logprobs.
fn drawn(server: &Server, model: &str) -> Value {
    let extra = json!({
        "model": model, "seed": 11, "max_tokens": 48, "ignore_eos": true, "logprobs": 2, "return_token_ids": true, "n": 2,
    });
    let answer = server.post(TEXT, &completion(extra));
    assert_eq!(
        (answer.status, &answer.body["model"]),
        (200, &json!(model)),
        "{:?}",
        answer.body
    );
    answer.body["choices"].clone()
}

#[test]
fn an_adapter_answers_beside_the_base_as_the_merged_model_would() {
    let folder = tempfile::tempdir().unwrap();
    write_adapter(&folder.path().join("math"), 3);
    write_adapter(&folder.path().join("code"), 8);
    let server = serving(folder.path());
    let base = drawn(&server, "tiny-random");
    for (name, version) in [("math", ADAPTER_VERSIONS), ("org/code", ADAPTER_VERSIONS + 1)] {
        let answer = load(&server, name, name.trim_start_matches("org/"));
        let expected = json!({"status": "loaded", "lora_name": name, "weight_version": version});
        assert_eq!((answer.status, answer.body), (200, expected));
        let model = server.get(&format!("/v1/models/{name}")).body;
        let parts = [&model["parent"], &model["root"], &model["weight_version"]];
        assert_eq!(
            parts,
            [
                &json!("tiny-random"),
                &json!(name.trim_start_matches("org/")),
                &json!(version)
            ]
        );
    }
    let parent = Some("tiny-random".to_owned());
    let expected = [("tiny-random", None), ("math", parent.clone()), ("org/code", parent)];
    assert_eq!(
        listed(&server),
        expected.map(|(name, parent)| (name.to_owned(), parent))
    );
    let by_hand = [3, 8].map(|salt| drawn(&Server::with_model(added_by_hand(salt), |_| {}), "tiny-random"));
    assert!(base != by_hand[0] && base != by_hand[1] && by_hand[0] != by_hand[1]);
    // All at once, twice: also with the KV of all three in the prefix index.
    let expected = [("tiny-random", &base), ("math", &by_hand[0]), ("org/code", &by_hand[1])];
    std::thread::scope(|scope| {
        for (name, expected) in expected.into_iter().cycle().take(6) {
            let server = &server;
            scope.spawn(move || assert_eq!(&drawn(server, name), expected, "{name}"));
        }
    });
    assert_eq!(server.stack.engine.weights().policy().version, 0);
}

#[test]
fn chat_header_and_log_tell_which_adapter_answered() {
    let folder = tempfile::tempdir().unwrap();
    write_adapter(&folder.path().join("math"), 3);
    let server = serving(folder.path());
    assert_eq!(load(&server, "math", "math").status, 200);
    let version = ADAPTER_VERSIONS;
    for (model, version, adapter) in [("math", version, Some("math")), ("tiny-random", 0, None)] {
        let answer = server.post(
            CHAT,
            &chat(json!({"model": model, "max_tokens": 3, "return_weight_versions": true})),
        );
        assert_eq!(
            answer.header("x-svs-weight-version"),
            Some(version.to_string().as_str())
        );
        assert_eq!(answer.body["weight_version"], version);
        assert_eq!(answer.body["choices"][0]["weight_versions"][0]["version"], version);
        let group = format!("{}-0", answer.body["id"].as_str().unwrap());
        let logged = server.stack.log.group(&group).unwrap().unwrap().members;
        assert_eq!(
            (logged[0].adapter.as_deref(), logged[0].spans[0].version),
            (adapter, version)
        );
        // An answer without a sampled token too.
        let scored = completion(json!({"model": model, "max_tokens": 0, "echo": true, "logprobs": 0}));
        assert_eq!(server.post(TEXT, &scored).body["weight_version"], version);
        // Scores name their weights by the model; a version that is not the model's is refused.
        let other = if adapter.is_some() { 0 } else { ADAPTER_VERSIONS };
        for (asked, status) in [(json!(null), 200), (json!(version), 200), (json!(other), 400)] {
            let body = json!({"model": model, "prompt": "a", "response": "b", "weight_version": asked});
            let answer = server.post("/v1/score", &body);
            assert_eq!(answer.status, status, "{model} {asked}");
            match status {
                200 => assert_eq!(answer.body["data"][0]["weight_version"], version),
                _ => assert_eq!(answer.error().0, "weight_version"),
            }
        }
    }
}

#[test]
fn unloading_lets_running_requests_finish() {
    let folder = tempfile::tempdir().unwrap();
    write_adapter(&folder.path().join("math"), 3);
    let server = serving(folder.path());
    let body = |model: &str| {
        completion(
            json!({"model": model, "seed": 4, "max_tokens": 400, "ignore_eos": true, "stream": true, "return_token_ids": true}),
        )
    };
    let tokens = |events: Vec<Value>| -> Vec<Value> {
        let ids = events
            .iter()
            .filter_map(|event| event["choices"][0]["token_ids"].as_array());
        ids.flatten().cloned().collect()
    };
    assert_eq!(load(&server, "math", "math").status, 200);
    let whole = tokens(server.stream(TEXT, &body("math")));
    assert_eq!(whole.len(), 400);
    server.stack.engine.set_paused(true);
    let stream = server.open(TEXT, &body("math"));
    let answer = server.post(UNLOAD, &json!({"lora_name": "math"}));
    assert_eq!((answer.status, &answer.body["status"]), (200, &json!("unloaded")));
    assert_eq!(listed(&server).len(), 1);
    for path in [TEXT, CHAT] {
        let request = if path == TEXT {
            body("math")
        } else {
            chat(json!({"model": "math"}))
        };
        let answer = server.post(path, &request);
        assert_eq!((answer.status, answer.error()), (404, ("model", "model_not_found")));
    }
    assert_eq!(server.get("/v1/models/math").status, 404);
    let gone = server.post(UNLOAD, &json!({"lora_name": "math"}));
    assert_eq!((gone.status, gone.error()), (404, ("lora_name", "adapter_not_found")));
    // Its name is free again only when nothing runs under it.
    assert_eq!(load(&server, "math", "math").error(), ("lora_name", "invalid_value"));
    server.stack.engine.set_paused(false);
    assert_eq!(tokens(events(stream)), whole);
    server.wait_until("idle engine", |stats| stats.running == 0);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while load(&server, "math", "math").status != 200 {
        assert!(std::time::Instant::now() < deadline, "the weights are still leased");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert_eq!(tokens(server.stream(TEXT, &body("math"))), whole);
}

#[test]
fn bad_loads_are_refused_and_change_nothing() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("adapters");
    for folder in ["good", "torn", "wide"] {
        write_adapter(&root.join(folder), 3);
    }
    write_adapter(&place.path().join("secret"), 3);
    fs::write(root.join("torn/adapter_model.safetensors"), b"\x10\0\0\0\0\0\0\0{").unwrap();
    let wide = json!({"r": 4, "lora_alpha": 1, "target_modules": ["q_proj", "down_proj"]});
    fs::write(root.join("wide/adapter_config.json"), wide.to_string()).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(place.path().join("secret"), root.join("out")).unwrap();
    let server = Server::with(|config| {
        config.server.lora_dir = Some(root.clone());
        config.server.served_model_names = vec!["served".into(), "*".into()];
        config.engine.max_weight_sets = 3;
    });
    let secret = place.path().join("secret").display().to_string();
    let outside = "is not a folder inside the folder that may be loaded from";
    for (name, path, param, expected) in [
        ("x", "../secret", "lora_path", outside),
        ("x", secret.as_str(), "lora_path", outside),
        ("x", "good/../../secret", "lora_path", outside),
        ("x", "out", "lora_path", outside),
        ("x", "missing", "lora_path", outside),
        ("x", "/etc", "lora_path", outside),
        ("x", "", "lora_path", outside),
        ("x", "torn", "lora_path", "torn/adapter_model.safetensors: corrupt"),
        (
            "x",
            "wide",
            "lora_path",
            "q_proj.lora_A.weight`: shape [2, 64], but base and rank ask for [4, 64]",
        ),
        ("", "good", "lora_name", "must have 1 to 256 bytes"),
        ("a\nb", "good", "lora_name", "no control characters"),
        ("12", "good", "lora_name", "could be a weight version"),
        ("served", "good", "lora_name", "a name of the served model"),
        ("tiny-random", "good", "lora_name", "a name of the served model"),
        ("policy", "good", "lora_name", "a name of the served model"),
        ("base", "good", "lora_name", "the label of weight version 0"),
    ] {
        let answer = load(&server, name, path);
        assert_eq!(
            (answer.status, answer.error().0),
            (400, param),
            "{name} {path}: {:?}",
            answer.body
        );
        let message = answer.body["error"]["message"].as_str().unwrap();
        assert!(message.contains(expected), "{name} {path}: {message}");
        assert!(
            !message.contains(place.path().to_str().unwrap()) || path == secret,
            "{message}"
        );
    }
    for (body, field, code) in [
        (json!({"lora_name": "x"}), "lora_path", "missing_parameter"),
        (
            json!({"lora_name": 1, "lora_path": "good"}),
            "lora_name",
            "invalid_type",
        ),
        (
            json!({"lora_name": "x", "lora_path": "good", "load_inplace": true}),
            "load_inplace",
            "unsupported_parameter",
        ),
        (
            json!({"lora_name": "x", "lora_path": "good", "y": 1}),
            "y",
            "unknown_parameter",
        ),
    ] {
        let answer = server.post(LOAD, &body);
        assert_eq!((answer.status, answer.error()), (400, (field, code)), "{body}");
    }
    assert_eq!(listed(&server).len(), 1);
    assert_eq!(load(&server, "x", "good").status, 200);
    assert_eq!(load(&server, "x", "good").error(), ("lora_name", "invalid_value"));
    let full = load(&server, "y", "good");
    assert_eq!((full.status, full.error().1), (409, "no_room"));
    let message = full.body["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("2 weight sets in use + 1 for the adapter"),
        "{message}"
    );
    assert_eq!(server.post(UNLOAD, &json!({"lora_name": "x"})).status, 200);
    assert_eq!(load(&server, "y", "good").status, 200, "its place is free again");
}

#[test]
fn without_a_folder_the_routes_refuse() {
    let server = Server::start();
    for (path, body) in [
        (LOAD, json!({"lora_name": "x", "lora_path": "/"})),
        (UNLOAD, json!({"lora_name": "x"})),
    ] {
        let answer = server.post(path, &body);
        assert_eq!((answer.status, answer.error().1), (403, "lora_dir_not_set"));
        assert!(answer.body["error"]["message"].as_str().unwrap().contains("--lora-dir"));
    }
    let guarded = Server::with(|config| config.server.api_key = Some("secret".into()));
    assert_eq!(load(&guarded, "x", "x").status, 401);
}

#[test]
fn adapters_may_be_named_at_start() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name).display().to_string();
    let model = tiny_model();
    save(&place.path().join("model"), &model, &model.params).unwrap();
    write_adapter(&place.path().join("math"), 3);
    write_adapter(&place.path().join("code"), 8);
    let (model, runs, math) = (path("model"), path("runs"), format!("math={}", path("math")));
    let code = format!("code={}", path("code"));
    let both = ["--model", &model, "--runs", &runs, "--lora", &math, "--lora", &code];
    let (_process, url) = Process::serve(&both);
    let list = ureq::get(format!("{url}/v1/models"))
        .call()
        .unwrap()
        .into_body()
        .read_to_string()
        .unwrap();
    let list: Value = serde_json::from_str(&list).unwrap();
    let names: Vec<_> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| &model["id"])
        .collect();
    assert_eq!(names[1..], [&json!("code"), &json!("math")], "{list}");
    for (bad, expected) in [
        ("math", "must be NAME=FOLDER"),
        ("=x", "must be NAME=FOLDER"),
        ("x=/nowhere", "/nowhere"),
        (math.as_str(), "given twice"),
    ] {
        let arguments = [&["serve", "--port", "0", "--lora", bad][..], &both].concat();
        let output = crate::training::process::command(&arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(expected), "{bad}: {said}");
    }
}
