//! Clients that send no more: those that wait get their answer, those that left free what they asked for.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use serde_json::{Value, json};

use super::harness::{Server, completion};

const TEXT: &str = "/v1/completions";

/// Sends a request and nothing after it.
fn send(server: &Server, head: &str, body: &Value) -> TcpStream {
    let mut stream = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).unwrap();
    let body = body.to_string();
    let request = format!(
        "{head} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    stream
}

fn long(stream: bool) -> Value {
    completion(json!({"max_tokens": 400, "ignore_eos": true, "stream": stream}))
}

#[test]
fn who_waits_is_answered() {
    let server = Server::slow(|config| config.server.half_close_seconds = 120);
    for (head, body, end) in [
        ("GET /health", Value::Null, "}"),
        ("GET /nowhere", Value::Null, "}"),
        ("POST /v1/completions", long(false), "}"),
        ("POST /v1/completions", long(true), "data: [DONE]\n\n\r\n0\r\n\r\n"),
    ] {
        let mut answer = String::new();
        // The server closes the connection behind the answer.
        send(&server, head, &body).read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 "), "{head}: {answer}");
        assert!(answer.ends_with(end), "{head}: {answer}");
    }
}

#[test]
fn who_left_is_forgotten() {
    // With a bound that no test waits for, a stream still ends with the bytes that nobody takes.
    for (seconds, stream) in [(0, false), (1, false), (1, true), (3600, true)] {
        let server = Server::slow(|config| config.server.half_close_seconds = seconds);
        let client = send(&server, &format!("POST {TEXT}"), &long(stream));
        server.wait_until("request", |stats| stats.running + stats.waiting == 1);
        // From here on it does not end of its own accord.
        server.stack.engine.set_paused(true);
        drop(client);
        server.wait_until_idle();
    }
}
