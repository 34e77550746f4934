use std::time::{Duration, Instant};

use axum::http::{HeaderMap, Method};
use svs_trainer::run::{RunState, TrainStatus};

use super::config::{OtlpConfig, endpoint, header_list};
use super::queue::Queue;
use super::request::RequestSpan;
use super::span::{Kind, Span};
use super::training::Steps;
use super::*;
use crate::metrics::Metrics;

#[test]
fn an_endpoint_is_an_address_that_can_be_posted_to() {
    for (given, expected) in [
        (
            "http://localhost:4318/v1/traces",
            Some("http://localhost:4318/v1/traces"),
        ),
        ("http://localhost:4318", Some("http://localhost:4318/v1/traces")),
        ("http://localhost:4318/", Some("http://localhost:4318/")),
        (
            "https://collector.example/otlp?x=1",
            Some("https://collector.example/otlp?x=1"),
        ),
        ("grpc://localhost:4317", None),
        ("localhost:4317", None),
        ("/v1/traces", None),
        ("", None),
        ("http://me:secret@collector.example/", None),
    ] {
        let found = endpoint(given);
        assert_eq!(found.as_deref().ok(), expected, "{given}: {found:?}");
        if let Err(reason) = found {
            assert!(reason.starts_with("must ") && !reason.contains("secret"), "{reason}");
        }
    }
}

#[test]
fn headers_are_read_from_a_list_or_refused_without_their_values() {
    for (given, expected) in [
        ("Api-Key=abc", Some(vec![("api-key", "abc")])),
        ("a=1, b = x%20y ,", Some(vec![("a", "1"), ("b", "x y")])),
        (
            "authorization=Basic%20dTpw%3D",
            Some(vec![("authorization", "Basic dTpw=")]),
        ),
        ("", Some(vec![])),
        ("a", None),
        ("a=%2", None),
        ("a=%zz", None),
        ("a=%ff", None),
    ] {
        let found = header_list(given);
        let read = found.as_ref().ok().map(|headers| {
            let pairs = headers.iter().map(|(name, value)| (name.as_str(), value.reveal()));
            pairs.collect::<Vec<_>>()
        });
        assert_eq!(read, expected, "{given}");
        assert!(!format!("{found:?}").contains("abc"));
    }
    for (name, value, fits) in [
        ("x-key", "fine", true),
        ("x key", "fine", false),
        ("x-key", "two\nlines", false),
    ] {
        let headers = [(name.to_owned(), value.into())].into();
        let config = OtlpConfig {
            headers,
            ..OtlpConfig::default()
        };
        let said = config.bad_header();
        assert_eq!(said.is_none(), fits, "{name}: {said:?}");
        assert!(!said.unwrap_or_default().contains("two"));
    }
}

fn queue(max_queued_spans: usize, batch_delay_ms: u64) -> (Metrics, Arc<Queue>) {
    let metrics = Metrics::new("tiny", "vllm:");
    let config = OtlpConfig {
        max_queued_spans,
        max_batch_spans: 3,
        batch_delay_ms,
        ..OtlpConfig::default()
    };
    let queue = Arc::new(Queue::new(&config, metrics.spans.clone()));
    (metrics, queue)
}

fn dropped(metrics: &Metrics, reason: &str) -> u64 {
    let text = metrics.render(&svs_engine::runtime::EngineStats::default(), None);
    let line = text
        .lines()
        .find(|line| line.starts_with("svs_otlp_spans_dropped_total{") && line.contains(reason));
    line.map_or(0, |line| {
        let (_, count) = line.rsplit_once(' ').expect("a value");
        count.parse().expect("a count")
    })
}

fn span() -> Span {
    Span::begin("x", Kind::Internal).ended()
}

#[test]
fn a_queue_holds_its_bound_and_gives_batches_of_theirs() {
    let (metrics, queue) = queue(7, 3_600_000);
    (0..9).for_each(|_| queue.push(span()));
    assert_eq!(dropped(&metrics, "queue_full"), 2);
    let sizes = [(); 2].map(|()| queue.batch().map(|batch| batch.len()));
    assert_eq!(sizes, [Some(3), Some(3)], "enough for a batch wait for nothing");
    // The rest would wait for others, but the queue closes; nobody sends, so nobody says that it is done.
    queue.push(span());
    let closing = Arc::clone(&queue);
    let closed = std::thread::spawn(move || closing.close(Duration::from_secs(3600)));
    assert_eq!(queue.batch().map(|batch| batch.len()), Some(2));
    assert_eq!(queue.batch().map(|batch| batch.len()), None);
    queue.done();
    closed.join().expect("it ends when the sender has ended");
    queue.push(span());
    assert_eq!(dropped(&metrics, "shutdown"), 1);
}

#[test]
fn a_span_waits_no_longer_than_its_delay_and_a_close_no_longer_than_told() {
    let (metrics, queue) = queue(7, 20);
    let began = Instant::now();
    queue.push(span());
    assert_eq!(queue.batch().map(|batch| batch.len()), Some(1));
    assert!(began.elapsed() >= Duration::from_millis(20), "{:?}", began.elapsed());
    (0..2).for_each(|_| queue.push(span()));
    queue.close(Duration::from_millis(20));
    assert_eq!(dropped(&metrics, "shutdown"), 2);
    assert_eq!(queue.batch(), None);
    assert!(queue.pause(Duration::from_secs(3600)), "no pause outlasts the queue");
}

#[test]
fn a_request_ends_once_with_its_last_holder_whatever_its_method_is() {
    let (_metrics, queue) = queue(7, 1);
    let invented = Method::from_bytes(b"X-MADE-UP").expect("a token");
    let first = RequestSpan::begin(Arc::clone(&queue), None, &invented, Some("/v1/models"));
    let second = first.clone();
    first.answered(axum::http::StatusCode::OK);
    drop(first);
    second.failed("engine_stopped");
    drop(second);
    let batch = queue.batch().expect("a span");
    assert_eq!(
        (batch.len(), batch[0].name.as_ref(), batch[0].failed),
        (1, "_OTHER /v1/models", true)
    );
    assert!(
        Tracer::default()
            .request(&Method::GET, None, &HeaderMap::new())
            .is_empty()
    );
}

/// What each status of a run ends, as `name` or `step/name`.
#[test]
fn statuses_of_a_run_become_steps_with_phases() {
    use RunState::{Failed, Finished, Paused, Running, Stopping};
    let mut steps = Steps::default();
    let mut spans: Vec<Span> = Vec::new();
    for (state, step, phase, done, ended) in [
        (Running, 0, "start", 0, &[][..]),
        (Running, 0, "rollout", 0, &[]),
        (Running, 0, "rollout", 8, &[]),
        (Running, 0, "synthesize", 0, &["rollout"]),
        (Running, 0, "update", 0, &["synthesize"]),
        (Running, 0, "publish", 0, &["update"]),
        (Running, 1, "publish", 0, &["publish", "train_step"]),
        // What a status repeats of a phase that has ended is none.
        (Running, 1, "publish", 0, &[]),
        (Running, 1, "rollout", 0, &[]),
        (Running, 1, "update", 0, &["rollout"]),
        (Running, 1, "update", 3, &[]),
        // Every group was useless: the next step begins in the phase that the last one ended in.
        (Running, 2, "update", 3, &["update", "train_step"]),
        (Running, 2, "rollout", 8, &[]),
        (Running, 3, "rollout", 8, &["rollout", "train_step"]),
        (Running, 3, "rollout", 0, &[]),
        (Paused, 3, "rollout", 2, &["rollout", "train_step"]),
        (Running, 3, "wait", 0, &[]),
        (Paused, 3, "wait", 0, &["wait", "train_step"]),
        (Running, 3, "wait", 0, &[]),
        (Stopping, 3, "update", 0, &["wait"]),
        (Stopping, 4, "update", 0, &["update", "train_step"]),
        // Behind the last step, and of none.
        (Stopping, 4, "checkpoint", 0, &[]),
        (Stopping, 4, "save", 0, &["checkpoint"]),
        (Finished, 4, "", 0, &["save"]),
        (Running, 0, "start", 0, &[]),
        (Running, 0, "wait", 0, &[]),
        (Failed, 0, "", 0, &["wait", "train_step"]),
    ] {
        let status = TrainStatus {
            state,
            step,
            phase: phase.into(),
            phase_done: done,
            phase_total: 8,
            run_id: Some("r".into()),
            version: 5,
            metrics: [("training/rows".to_owned(), 6.0)].into(),
            ..TrainStatus::default()
        };
        let seen = steps.see(&status);
        let names: Vec<&str> = seen.iter().map(|span| span.name.as_ref()).collect();
        assert_eq!(names, ended, "{state:?} {step} {phase} {done}");
        assert!(seen.iter().all(|span| span.failed == (state == Failed)), "{seen:?}");
        spans.extend(seen);
    }
    let whole: Vec<&Span> = spans.iter().filter(|span| span.name == "train_step").collect();
    assert_eq!(whole.len(), 7);
    for part in spans.iter().filter(|span| span.name != "train_step") {
        let step = whole.iter().find(|step| Some(step.id) == part.parent);
        let alone = ["checkpoint", "save"].contains(&part.name.as_ref());
        assert_eq!(step.is_none(), alone, "{}", part.name);
        assert!(step.is_none_or(|step| step.trace == part.trace));
    }
    let said = |step: &Span, name: &str| {
        let found = step.attributes.iter().find(|(have, _)| *have == name);
        found.map(|(_, value)| value.clone())
    };
    let number = super::span::Value::Whole;
    assert_eq!(said(whole[0], "svs.run.step"), Some(number(1)));
    assert_eq!(said(whole[1], "svs.run.step"), Some(number(2)));
    assert_eq!(said(whole[0], "svs.weight_version"), Some(number(5)));
    assert_eq!(said(whole[0], "training/rows"), Some(super::span::Value::Real(6.0)));
}
