//! Requests that are none: broken JSON, wrong types, lies about lengths, bodies without an end.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use anyhow::{Context, ensure};

/// Longest time for an answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Most bytes of a body without an end, several times what a server takes.
const ENDLESS_BYTES: usize = 64 << 20;
const JSON: &str = "Content-Type: application/json\r\n";
const GOOD: &str = r#"{"model": "any", "prompt": "Hi", "max_tokens": 2}"#;

/// What is sent and what may come of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    send: fn(&mut TcpStream) -> std::io::Result<()>,
    /// Statuses that refuse it; 0 stands for a connection that is closed without one.
    refused: &'static [u16],
}

pub(super) const KINDS: [Kind; 13] = [
    Kind {
        name: "broken JSON",
        send: |to| post(to, JSON, r#"{"model": "any", "prompt": "#),
        refused: &[400],
    },
    Kind {
        name: "wrong types",
        send: |to| post(to, JSON, r#"{"model": 3, "prompt": {"a": 1}}"#),
        refused: &[400],
    },
    Kind {
        name: "wrong values",
        send: |to| post(to, JSON, r#"{"model": "any", "prompt": "x", "n": -1}"#),
        refused: &[400],
    },
    Kind {
        name: "an unknown field",
        send: |to| post(to, JSON, r#"{"model": "any", "prompt": "x", "x": 1}"#),
        refused: &[400],
    },
    Kind {
        name: "deep nesting",
        send: |to| post(to, JSON, &"[".repeat(50_000)),
        refused: &[400],
    },
    Kind {
        name: "another content type",
        send: |to| post(to, "Content-Type: text/plain\r\n", GOOD),
        refused: &[415],
    },
    Kind {
        name: "a length too great",
        send: |to| head(to, &format!("{JSON}Content-Length: 99999999999\r\n")),
        refused: &[413],
    },
    Kind {
        name: "a length too long, then the end",
        send: too_long,
        refused: &[400, 0],
    },
    Kind {
        name: "a length too long, then silence",
        send: |to| lie(to, GOOD.len() + 9),
        refused: &[408],
    },
    Kind {
        name: "a length too short",
        send: |to| lie(to, GOOD.len() - 9),
        refused: &[400],
    },
    Kind {
        name: "a body without an end",
        send: endless,
        // A busy machine may not move it in time, or have room for so many.
        refused: &[413, 408, 429, 0],
    },
    Kind {
        name: "a chunk without a size",
        send: bad_chunk,
        refused: &[400],
    },
    Kind {
        name: "a head without an end",
        send: |to| to.write_all(b"POST /v1/completions HT"),
        refused: &[408, 0],
    },
];

/// Sends one and reads the answer, which must be a refusal.
pub(super) fn send(url: &str, kind: &Kind) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(url.trim_start_matches("http://"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // A server that refuses early may close while it is still written to.
    let _ = (kind.send)(&mut stream);
    let mut answer = [0; 512];
    let length = match stream.read(&mut answer) {
        Ok(length) => length,
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => 0,
        Err(error) => return Err(error).context("no answer"),
    };
    let head = String::from_utf8_lossy(&answer[..length]);
    let status = head
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3)?.parse().ok());
    let status = if length == 0 {
        0
    } else {
        status.with_context(|| format!("no status: {head}"))?
    };
    ensure!(kind.refused.contains(&status), "answered {head:?}");
    Ok(())
}

fn head(to: &mut TcpStream, fields: &str) -> std::io::Result<()> {
    write!(to, "POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n{fields}\r\n")
}

fn post(to: &mut TcpStream, fields: &str, body: &str) -> std::io::Result<()> {
    head(to, &format!("{fields}Content-Length: {}\r\n", body.len()))?;
    to.write_all(body.as_bytes())
}

/// A good body under a length that is not its own.
fn lie(to: &mut TcpStream, length: usize) -> std::io::Result<()> {
    head(to, &format!("{JSON}Content-Length: {length}\r\n"))?;
    to.write_all(GOOD.as_bytes())
}

fn too_long(to: &mut TcpStream) -> std::io::Result<()> {
    lie(to, GOOD.len() + 9)?;
    to.shutdown(Shutdown::Write)
}

fn bad_chunk(to: &mut TcpStream) -> std::io::Result<()> {
    head(to, &format!("{JSON}Transfer-Encoding: chunked\r\n"))?;
    write!(to, "zz\r\n{GOOD}\r\n0\r\n\r\n")
}

fn endless(to: &mut TcpStream) -> std::io::Result<()> {
    head(to, &format!("{JSON}Transfer-Encoding: chunked\r\n"))?;
    let chunk = [&b"4000\r\n"[..], &[b' '; 0x4000], b"\r\n"].concat();
    for _ in 0..ENDLESS_BYTES / 0x4000 {
        to.write_all(&chunk)?;
    }
    Ok(())
}
