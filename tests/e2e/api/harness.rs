//! A server in this process on a free port, and a client that reads its answers.

use std::io::{BufRead, BufReader};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use svs::config::ServeConfig;
use svs::http::listen::{Stopped, listen};
use svs::http::router;
use svs::stack::Stack;
use svs_engine::config::{Family, Rope};
use svs_engine::load::LoadedModel;
use svs_engine::text::Tokenizer;
use svs_engine::{ModelConfig, ParamLayout, Params};
use tokio::sync::oneshot;

/// Longest sequence of the tiny model.
pub(crate) const CONTEXT: usize = 512;
/// Tokens of the tiny model: 256 bytes, 3 control tokens.
pub(crate) const VOCAB: usize = 259;

/// Two layers of random weights over the byte tokenizer.
pub(crate) fn tiny_model() -> LoadedModel {
    random_model(64, 2)
}

/// As [`tiny_model`], but a token takes it milliseconds: a stream of hundreds can be met while it runs, however busy the
/// machine is.
pub(crate) fn slow_model() -> LoadedModel {
    random_model(512, 6)
}

/// A small one whose tokens take 16 KiB of KV each.
pub(crate) fn cached_model() -> LoadedModel {
    let small = random_config(64, 2);
    random_weights(ModelConfig {
        kv_heads: 4,
        head_dim: 256,
        ..small
    })
}

fn random_model(hidden: usize, layers: usize) -> LoadedModel {
    random_weights(random_config(hidden, layers))
}

fn random_config(hidden: usize, layers: usize) -> ModelConfig {
    ModelConfig {
        family: Family::Llama,
        vocab_size: VOCAB,
        hidden_size: hidden,
        intermediate_size: hidden * 3 / 2,
        layers,
        heads: 4,
        kv_heads: 2,
        head_dim: hidden / 4,
        max_position_embeddings: CONTEXT,
        rms_norm_eps: 1e-5,
        rope: Rope {
            theta: 10_000.0,
            scaling: None,
        },
        tie_word_embeddings: true,
        qkv_bias: false,
        qk_norm: false,
        sliding_window: None,
    }
}

fn random_weights(config: ModelConfig) -> LoadedModel {
    let mut params = Params::zeros(Arc::new(ParamLayout::of(&config)));
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let layout = Arc::clone(&params.layout);
    for entry in &layout.entries {
        for value in &mut params.values[entry.offset..entry.offset + entry.len()] {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let uniform = (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5;
            *value = if entry.decays() { 0.4 * uniform } else { 1.0 };
        }
    }
    LoadedModel {
        config,
        params,
        tokenizer: Tokenizer::bytes_only().unwrap(),
        name: "tiny-random".into(),
        extras: Vec::new(),
    }
}

/// A running server; dropping it stops it.
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) stack: Stack,
    agent: ureq::Agent,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<Stopped>>,
    runs: tempfile::TempDir,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// `error.param` and `error.code`.
    pub(crate) fn error(&self) -> (&str, &str) {
        let error = &self.body["error"];
        (
            error["param"].as_str().unwrap_or(""),
            error["code"].as_str().unwrap_or(""),
        )
    }
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::with(|_| {})
    }

    /// A server of [`slow_model`].
    pub(crate) fn slow(change: impl FnOnce(&mut ServeConfig)) -> Self {
        Self::with_model(slow_model(), change)
    }

    pub(crate) fn with(change: impl FnOnce(&mut ServeConfig)) -> Self {
        Self::with_model(tiny_model(), change)
    }

    pub(crate) fn with_model(model: LoadedModel, change: impl FnOnce(&mut ServeConfig)) -> Self {
        let runs = tempfile::tempdir().unwrap();
        let mut config = ServeConfig {
            runs: Some(runs.path().to_path_buf()),
            ..ServeConfig::default()
        };
        config.engine.kv_cache_bytes = 64 << 20;
        config.engine.threads = Some(1);
        config.engine.guide_trial = Some(env!("CARGO_BIN_EXE_svs-under-test").into());
        change(&mut config);
        let stack = Stack::with_model(model, &config).unwrap();
        let app = stack.app(&config);
        let (stop, stopped) = oneshot::channel();
        let (bound, address) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                bound.send(listener.local_addr().unwrap()).unwrap();
                let shutdown = async move { stopped.await.unwrap_or(()) };
                listen(listener, router(app), &config.server, shutdown).await
            })
        });
        let url = format!("http://{}", address.recv().unwrap());
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(120)))
            .build()
            .new_agent();
        Self {
            url,
            stack,
            agent,
            stop: Some(stop),
            thread: Some(thread),
            runs,
        }
    }

    /// The folder of its runs and its log.
    pub(crate) fn runs(&self) -> &std::path::Path {
        self.runs.path()
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[])
    }

    pub(crate) fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = self.agent.get(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request.call().unwrap())
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_raw(
            path,
            &[("content-type", "application/json")],
            body.to_string().as_bytes(),
        )
    }

    pub(crate) fn post_raw(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        answer(self.open_with(path, headers, body))
    }

    pub(crate) fn delete(&self, path: &str) -> Answer {
        answer(self.agent.delete(format!("{}{path}", self.url)).call().unwrap())
    }

    /// A response whose body is still to be read.
    pub(crate) fn open(&self, path: &str, body: &Value) -> ureq::http::Response<ureq::Body> {
        self.open_with(
            path,
            &[("content-type", "application/json")],
            body.to_string().as_bytes(),
        )
    }

    pub(crate) fn patch(&self, path: &str, body: &Value) -> Answer {
        let request = self.agent.patch(format!("{}{path}", self.url));
        answer(
            request
                .header("content-type", "application/json")
                .send(body.to_string())
                .unwrap(),
        )
    }

    /// As [`Self::open`], for a GET.
    pub(crate) fn open_get(&self, path: &str) -> ureq::http::Response<ureq::Body> {
        self.agent.get(format!("{}{path}", self.url)).call().unwrap()
    }

    pub(crate) fn open_with(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> ureq::http::Response<ureq::Body> {
        let mut request = self.agent.post(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send(body).unwrap()
    }

    /// Every event of a stream that must end with `[DONE]`.
    pub(crate) fn stream(&self, path: &str, body: &Value) -> Vec<Value> {
        events(self.open(path, body))
    }

    /// Lets the server stop and says how it did.
    pub(crate) fn stop(&mut self) -> Stopped {
        self.begin_stop();
        self.thread.take().unwrap().join().unwrap()
    }

    pub(crate) fn begin_stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }

    /// Waits until nothing runs or waits: an answer comes before the numbers of its last step.
    pub(crate) fn wait_until_idle(&self) {
        self.wait_until("idle engine", |stats| stats.running == 0 && stats.waiting == 0);
    }

    /// Waits until `ready` of the engine's numbers holds.
    pub(crate) fn wait_until(&self, what: &str, ready: impl Fn(&svs_engine::runtime::EngineStats) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !ready(&self.stack.engine.stats()) {
            assert!(Instant::now() < deadline, "no {what}: {:?}", self.stack.engine.stats());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stack.engine.set_paused(false);
        self.begin_stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.stack.engine.shutdown(Duration::from_secs(5));
    }
}

fn answer(mut response: ureq::http::Response<ureq::Body>) -> Answer {
    let headers = response
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_string()))
        .collect();
    let status = response.status().as_u16();
    let text = response.body_mut().read_to_string().unwrap();
    Answer {
        status,
        headers,
        body: serde_json::from_str(&text).unwrap_or(Value::String(text)),
    }
}

/// Events of an open stream up to `[DONE]`, which must be there.
pub(crate) fn events(response: ureq::http::Response<ureq::Body>) -> Vec<Value> {
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let lines = BufReader::new(response.into_body().into_reader())
        .lines()
        .map(Result::unwrap);
    let mut events: Vec<String> = lines
        .filter_map(|line| line.strip_prefix("data: ").map(ToString::to_string))
        .collect();
    assert_eq!(events.pop().as_deref(), Some("[DONE]"));
    events
        .iter()
        .map(|event| serde_json::from_str(event).unwrap())
        .collect()
}

/// A chat request with `extra` laid over it.
pub(crate) fn chat(extra: Value) -> Value {
    over(
        json!({"model": "tiny-random", "messages": [{"role": "user", "content": "Say something."}]}),
        extra,
    )
}

/// A completion request with `extra` laid over it.
pub(crate) fn completion(extra: Value) -> Value {
    over(json!({"model": "tiny-random", "prompt": "Once upon a time"}), extra)
}

fn over(mut body: Value, extra: Value) -> Value {
    let Value::Object(extra) = extra else {
        panic!("extra fields are an object")
    };
    for (key, value) in extra {
        body[key] = value;
    }
    body
}
