//! Spans as a collector gets them: of requests, of training, when the server stops, and when the collector fails.

use std::io::BufRead;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use svs::config::ServeConfig;
use svs_trainer::run::config::Recipe;

use super::collector::{Collector, Manner, Received};
use super::harness::{Server, chat, completion};
use crate::training::process::{Process, post};
use crate::training::{steer, toy};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
/// Stands in every prompt here.
const PRIVATE: &str = "wombat";
const KEY: &str = "sk-of-the-server";

/// A change of the configuration that sends spans to `url` at once.
fn traced(url: &str) -> impl FnOnce(&mut ServeConfig) + '_ {
    move |config| {
        config.server.otlp_traces_endpoint = Some(url.to_owned());
        config.server.otlp.service_name = "tested".into();
        config.server.otlp.batch_delay_ms = 1;
    }
}

fn post_as(server: &Server, path: &str, traceparent: &str, body: &Value) -> Value {
    let carried = format!("Bearer {KEY}");
    let headers = [
        ("content-type", "application/json"),
        ("authorization", carried.as_str()),
        ("traceparent", traceparent),
        ("tracestate", "other=1"),
    ];
    let mut answer = server.open_with(path, &headers, body.to_string().as_bytes());
    if answer.headers()["content-type"] != "text/event-stream" {
        return serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
    }
    let lines = std::io::BufReader::new(answer.into_body().into_reader()).lines();
    let events = lines.map(Result::unwrap).filter(|line| line.contains("\"usage\":{"));
    let last = events.last().unwrap();
    serde_json::from_str(last.strip_prefix("data: ").unwrap()).unwrap()
}

#[test]
fn a_request_is_one_span_with_the_numbers_of_its_answer() {
    let collector = Collector::start(Manner::Take);
    let server = Server::with(|config| {
        traced(&collector.url)(config);
        config.server.api_key = Some(KEY.into());
        config.server.otlp.headers = [("x-collector-key".into(), "sk-of-the-collector".into())].into();
    });
    let asked = json!({"messages": [{"role": "user", "content": PRIVATE}], "max_tokens": 5, "ignore_eos": true});
    let with = |extra: Value| {
        let mut body = asked.clone();
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        body
    };
    let streams = json!({"stream": true, "stream_options": {"include_usage": true}});
    // Route, request, and of the span: max_tokens, temperature, top_p, n, sequences.
    let rows = [
        ("/v1/chat/completions", chat(with(json!({}))), (5, 1.0, 1.0, 1, 1)),
        ("/v1/chat/completions", chat(with(streams.clone())), (5, 1.0, 1.0, 1, 1)),
        (
            "/v1/completions",
            completion(json!({"prompt": [PRIVATE, "b"], "n": 2, "max_tokens": 3, "temperature": 0.7, "top_p": 0.9})),
            (3, 0.7, 0.9, 2, 4),
        ),
    ];
    for (at, (path, body, expected)) in rows.iter().enumerate() {
        let parent = format!("00-{TRACE}-{:016x}-01", at + 1);
        let answer = post_as(&server, path, &parent, body);
        let spans = collector.wait("span", |spans| spans.len() > at);
        assert_eq!(spans.len(), at + 1, "one span each");
        let (span, of) = (&spans[at], |name: &str| spans[at].attributes[name].clone());
        assert_eq!((span.text("name"), &span.span["kind"]), ("llm_request", &json!(2)));
        assert_eq!(
            (span.text("traceId"), span.text("parentSpanId")),
            (TRACE, &parent[36..52])
        );
        assert_eq!(span.text("traceState"), "other=1");
        assert_eq!(span.span.get("status"), None, "{span:?}");
        assert_eq!(of("gen_ai.request.id"), answer["id"]);
        assert_eq!(of("gen_ai.response.model"), answer["model"]);
        for count in ["prompt_tokens", "completion_tokens"] {
            assert_eq!(of(&format!("gen_ai.usage.{count}")), answer["usage"][count], "{path}");
        }
        let (max_tokens, temperature, top_p, n, sequences) = expected;
        assert_eq!(of("gen_ai.request.max_tokens"), json!(max_tokens));
        assert_eq!(of("gen_ai.request.temperature"), json!(temperature));
        assert_eq!(of("gen_ai.request.top_p"), json!(top_p));
        assert_eq!(of("gen_ai.request.n"), json!(n));
        assert_eq!(of("gen_ai.usage.num_sequences"), json!(sequences));
        assert_eq!(of("svs.weight_version"), 0);
        assert_eq!(
            (of("http.route"), of("http.request.method")),
            (json!(path), json!("POST"))
        );
        assert_eq!(of("http.response.status_code"), 200);
        adds_up(span);
    }
    for export in collector.exports() {
        assert_eq!(export.headers["x-collector-key"], "sk-of-the-collector");
        for private in [PRIVATE, KEY, "sk-of-the-collector", "Bearer"] {
            assert!(!export.body.contains(private), "an export tells {private}");
        }
    }
}

/// The parts of a request's time are parts of it.
fn adds_up(span: &Received) {
    let of = |name: &str| span.attributes[&format!("gen_ai.latency.{name}")].as_f64().unwrap();
    let near = |a: f64, b: f64| (a - b).abs() < 1e-6;
    let (queue, first) = (of("time_in_queue"), of("time_to_first_token"));
    let (prefill, decode) = (of("time_in_model_prefill"), of("time_in_model_decode"));
    assert!(queue >= 0.0 && prefill > 0.0 && decode >= 0.0, "{span:?}");
    assert!(near(queue + prefill, first), "{span:?}");
    assert!(near(prefill + decode, of("time_in_model_inference")), "{span:?}");
    let (start, end) = span.times();
    let length = (end - start) as f64 / 1e9;
    assert!(first + decode <= of("e2e") && of("e2e") <= length, "{span:?}");
}

#[test]
fn refusals_leavers_and_what_is_not_traced() {
    let collector = Collector::start(Manner::Take);
    let server = Server::slow(traced(&collector.url));
    let json = [("content-type", "application/json")];
    // Nothing comes of these: the client's trace is not recorded, or a machine asks how the server is.
    let unsampled = [
        json[0],
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"),
    ];
    let body = completion(json!({"max_tokens": 1})).to_string();
    assert_eq!(
        server.post_raw("/v1/completions", &unsampled, body.as_bytes()).status,
        200
    );
    for path in ["/health", "/metrics", "/load"] {
        assert_eq!(server.get(path).status, 200);
    }
    let long = format!("/{}", "x".repeat(2000));
    for (path, headers, status, name) in [
        (
            "/v1/completions",
            vec![json[0], ("traceparent", "nonsense")],
            400,
            "POST /v1/completions",
        ),
        (long.as_str(), vec![json[0]], 404, "POST"),
    ] {
        assert_eq!(server.post_raw(path, &headers, b"{\"model\": 1}").status, status);
        let spans = collector.wait("refusal", |spans| spans.iter().any(|span| span.text("name") == name));
        let span = spans.iter().find(|span| span.text("name") == name).unwrap();
        assert_eq!(span.attributes["http.response.status_code"], status);
        assert!(
            span.span.get("parentSpanId").is_none() && span.span.get("status").is_none(),
            "{span:?}"
        );
        assert!(
            !span.attributes.keys().any(|name| name.starts_with("gen_ai.")),
            "{span:?}"
        );
    }

    // A client that leaves in the middle of a stream of hundreds of tokens.
    let body = completion(json!({"max_tokens": 400, "ignore_eos": true, "stream": true}));
    let mut lines = std::io::BufReader::new(server.open("/v1/completions", &body).into_body().into_reader()).lines();
    assert!(lines.next().unwrap().unwrap().starts_with("data: "));
    drop(lines);
    let spans = collector.wait("leaver", |spans| {
        spans.iter().any(|span| span.text("name") == "llm_request")
    });
    let left = spans.iter().find(|span| span.text("name") == "llm_request").unwrap();
    let tokens = left.attributes["gen_ai.usage.completion_tokens"].as_u64().unwrap();
    assert!((1..400).contains(&tokens), "{left:?}");
    assert_eq!(left.attributes["gen_ai.response.finish_reasons"], json!([]));
    assert_eq!(spans.len(), 3, "and no others: {spans:#?}");
}

/// The value of a metric, by name and what its labels contain; 0 if it is not there.
fn metric(server: &Server, name: &str, label: &str) -> u64 {
    let text = server.get("/metrics").body;
    let mut lines = text.as_str().unwrap().lines();
    let line = lines.find(|line| line.starts_with(&format!("{name}{{")) && line.contains(label));
    line.map_or(0, |line| line.rsplit_once(' ').unwrap().1.parse().unwrap())
}

const DROPPED: &str = "svs_otlp_spans_dropped_total";

#[test]
fn a_collector_that_never_answers_fills_no_memory_and_holds_nobody_up() {
    let collector = Collector::start(Manner::Silent);
    let server = Server::with(|config| {
        traced(&collector.url)(config);
        config.server.otlp.timeout_seconds = 3600;
        config.server.otlp.max_queued_spans = 4;
        config.server.otlp.max_batch_spans = 1;
    });
    let body = completion(json!({"max_tokens": 2, "ignore_eos": true}));
    let answers = (0..40).map(|_| server.post("/v1/completions", &body));
    assert!(answers.into_iter().all(|answer| answer.status == 200));
    // One is being sent, four wait, and every other is counted.
    let deadline = Instant::now() + Duration::from_secs(60);
    while metric(&server, DROPPED, "queue_full") < 35 || collector.exports().is_empty() {
        assert!(Instant::now() < deadline, "{}", metric(&server, DROPPED, "queue_full"));
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(metric(&server, DROPPED, "queue_full") <= 36);
    assert_eq!(metric(&server, "svs_otlp_spans_sent_total", ""), 0);
    assert_eq!(collector.exports().len(), 1);
}

#[test]
fn what_a_broken_collector_does_not_take_is_counted_by_reason() {
    let nobody = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}/v1/traces", listener.local_addr().unwrap())
    };
    let sent = "svs_otlp_spans_sent_total";
    let said = r#"{"partialSuccess": {"rejectedSpans": "99999999999"}}"#;
    let partial = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{said}", said.len());
    // A redirect that leads to a collector which would take it, if anybody asked there.
    let elsewhere = Collector::start(Manner::Take);
    let moved = format!(
        "HTTP/1.1 307 Moved\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n",
        elsewhere.url
    );
    let endless_head: &'static str = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(1 << 20)).leak();
    for (manner, name, label) in [
        (None, DROPPED, "not_sent"),
        (
            Some(Manner::Say("HTTP/1.1 400 No\r\ncontent-length: 0\r\n\r\n")),
            DROPPED,
            "refused",
        ),
        (Some(Manner::Say(moved.leak())), DROPPED, "refused"),
        (
            Some(Manner::Say(
                "HTTP/1.1 503 No\r\nretry-after: 99999999999999\r\ncontent-length: 0\r\n\r\n",
            )),
            DROPPED,
            "not_sent",
        ),
        (Some(Manner::Say("SSH-2.0-nothing\r\n\r\n")), DROPPED, "not_sent"),
        (Some(Manner::Say(endless_head)), DROPPED, "not_sent"),
        (Some(Manner::Say(partial.leak())), DROPPED, "refused"),
        // It said 200; what else it says is read to a bound.
        (Some(Manner::Endless), sent, ""),
    ] {
        let collector = manner.map(Collector::start);
        let url = collector.as_ref().map_or(nobody.as_str(), |collector| &collector.url);
        let server = Server::with(|config| {
            traced(url)(config);
            config.server.otlp.max_attempts = 1;
        });
        let body = completion(json!({"max_tokens": 2}));
        assert_eq!(server.post("/v1/completions", &body).status, 200);
        let deadline = Instant::now() + Duration::from_secs(60);
        while metric(&server, name, label) != 1 {
            assert!(Instant::now() < deadline, "{manner:?}: no {name} {label}");
            std::thread::sleep(Duration::from_millis(10));
        }
        let all = metric(&server, sent, "")
            + ["queue_full", "not_sent", "refused", "shutdown"]
                .map(|why| metric(&server, DROPPED, why))
                .iter()
                .sum::<u64>();
        assert_eq!(all, 1, "{manner:?}: counted once");
    }
    assert!(elsewhere.exports().is_empty());
}

#[test]
fn an_export_is_tried_again_where_that_may_help() {
    let collector = Collector::start(Manner::Say(
        "HTTP/1.1 503 No\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n",
    ));
    let server = Server::with(|config| {
        traced(&collector.url)(config);
        config.server.otlp.max_attempts = 3;
    });
    assert_eq!(server.get("/v1/models").status, 200);
    let deadline = Instant::now() + Duration::from_secs(60);
    while metric(&server, DROPPED, "not_sent") != 1 {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(10));
    }
    let bodies: Vec<String> = collector.exports().into_iter().map(|export| export.body).collect();
    assert_eq!(bodies.len(), 3);
    assert!(bodies.iter().all(|body| *body == bodies[0]));
}

#[test]
fn steps_of_a_run_are_traces_of_their_phases() {
    let collector = Collector::start(Manner::Take);
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_model(toy::model(), |config| {
        traced(&collector.url)(config);
        config.train = toy::config(folder.path(), Recipe::Svs, 3);
    });
    steer::ask(&server, "start", &Value::Null);
    let status = steer::wait_for(&server, "finished");
    let spans = collector.wait("save", |spans| spans.iter().any(|span| span.text("name") == "save"));
    let steps: Vec<&Received> = spans.iter().filter(|span| span.text("name") == "train_step").collect();
    let numbers: Vec<&Value> = steps.iter().map(|step| &step.attributes["svs.run.step"]).collect();
    assert_eq!(numbers, [1, 2, 3]);
    for step in &steps {
        assert_eq!(step.attributes["svs.run.id"], "toy");
        let parts: Vec<&Received> = spans
            .iter()
            .filter(|span| span.text("parentSpanId") == step.text("spanId"))
            .collect();
        let names: Vec<&str> = parts.iter().map(|part| part.text("name")).collect();
        for phase in ["rollout", "update", "publish"] {
            assert!(names.contains(&phase), "{names:?}");
        }
        assert!(parts.iter().all(|part| part.text("traceId") == step.text("traceId")));
        let (start, end) = step.times();
        let spent: u64 = parts.iter().map(|part| part.times().1 - part.times().0).sum();
        assert!(
            spent <= end - start,
            "phases follow one another: {spent} of {}",
            end - start
        );
    }
    let last = steps[2];
    assert_eq!(last.attributes["svs.weight_version"], status["weight_version"]);
    assert_eq!(last.attributes["training/rows"], status["metrics"]["training/rows"]);
    // Requests of this test itself: traced, and not in the traces of training.
    let polls = spans.iter().filter(|span| span.text("name") == "GET /v1/train/status");
    assert!(
        polls.clone().count() > 0
            && polls
                .into_iter()
                .all(|poll| poll.text("traceId") != last.text("traceId"))
    );
}

#[test]
fn a_server_that_stops_sends_what_waits_but_not_for_ever() {
    for (manner, flush_seconds) in [(Manner::Take, 60), (Manner::Silent, 1)] {
        let collector = Collector::start(manner);
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("svs.toml");
        // Nothing is sent before the server stops: spans wait for an hour.
        let text = format!(
            "[server.otlp]\nbatch_delay_ms = 3600000\ntimeout_seconds = 3600\nflush_seconds = {flush_seconds}\n\
             headers = {{ x-a = \"b\" }}\n"
        );
        std::fs::write(&config, text).unwrap();
        let (config, runs) = (config.to_str().unwrap(), folder.path().join("runs"));
        let arguments = ["--config", config, "--runs", runs.to_str().unwrap()];
        let environment = [
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", collector.url.as_str()),
            ("OTEL_SERVICE_NAME", "tested"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x-b=c%20d"),
        ];
        let (process, url) = Process::serve_in(&environment, &arguments);
        let body = json!({"model": "embedded", "prompt": "2 + 2 =", "max_tokens": 2, "ignore_eos": true});
        let answer = post(&url, "/v1/completions", &body);
        assert!(collector.exports().is_empty());
        process.terminate();
        assert!(process.end().success(), "{manner:?}");
        let exports = collector.exports();
        assert_eq!(exports.len(), 1, "{manner:?}");
        assert_eq!(
            (exports[0].headers["x-a"].as_str(), exports[0].headers["x-b"].as_str()),
            ("b", "c d")
        );
        let spans = collector.spans();
        assert_eq!(spans[0].attributes["gen_ai.request.id"], answer["id"]);
    }
}
