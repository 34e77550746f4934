//! An OpenTelemetry collector over a real socket: it decodes what it is sent, or behaves as a broken one does.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

/// What a collector does with an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Takes it.
    Take,
    /// Reads it and never answers.
    Silent,
    /// Answers with this, head and body, again and again until the other side has had enough.
    Say(&'static str),
    /// Answers with a head and then a body without end.
    Endless,
}

/// An export as it came.
#[derive(Debug, Clone)]
pub(crate) struct Export {
    /// First line and headers, names in lower case.
    pub(crate) target: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

/// A span with its attributes by name.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    /// As OTLP has it.
    pub(crate) span: Value,
    pub(crate) attributes: BTreeMap<String, Value>,
}

impl Received {
    pub(crate) fn text(&self, field: &str) -> &str {
        self.span[field].as_str().unwrap_or_default()
    }

    /// Start and end, ns.
    pub(crate) fn times(&self) -> (u64, u64) {
        let of = |field: &str| self.text(field).parse::<u64>().unwrap();
        (of("startTimeUnixNano"), of("endTimeUnixNano"))
    }
}

/// A collector that listens until the test ends.
pub(crate) struct Collector {
    pub(crate) url: String,
    exports: Arc<Mutex<Vec<Export>>>,
}

impl Collector {
    pub(crate) fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
        let exports = Arc::<Mutex<Vec<Export>>>::default();
        let heard = Arc::clone(&exports);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let heard = Arc::clone(&heard);
                std::thread::spawn(move || serve(&stream, manner, &heard));
            }
        });
        Self { url, exports }
    }

    pub(crate) fn exports(&self) -> Vec<Export> {
        self.exports.lock().unwrap().clone()
    }

    /// Every span so far; each export must be as the specification has it.
    pub(crate) fn spans(&self) -> Vec<Received> {
        self.exports().iter().flat_map(spans).collect()
    }

    /// Waits for the spans that `wanted` says are enough.
    pub(crate) fn wait(&self, what: &str, wanted: impl Fn(&[Received]) -> bool) -> Vec<Received> {
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            let spans = self.spans();
            if wanted(&spans) {
                return spans;
            }
            assert!(Instant::now() < deadline, "no {what} in {spans:#?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Answers what comes over one connection until it ends.
fn serve(stream: &TcpStream, manner: Manner, heard: &Mutex<Vec<Export>>) {
    let mut reader = BufReader::new(stream);
    while let Some(export) = read(&mut reader) {
        heard.lock().unwrap().push(export);
        let mut out = stream;
        let said = match manner {
            Manner::Take => "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}",
            Manner::Silent => {
                std::thread::sleep(Duration::from_secs(3600));
                return;
            }
            Manner::Say(answer) => answer,
            Manner::Endless => {
                let _ = out.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n");
                while out.write_all(&[b'['; 65536]).is_ok() {}
                return;
            }
        };
        if out.write_all(said.as_bytes()).is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<&TcpStream>) -> Option<Export> {
    let mut target = String::new();
    (reader.read_line(&mut target).ok()? > 0).then_some(())?;
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some(Export {
        target: target.trim_end().to_owned(),
        headers,
        body: String::from_utf8(body).unwrap(),
    })
}

/// The spans of an export.
fn spans(export: &Export) -> Vec<Received> {
    assert_eq!(export.target, "POST /v1/traces HTTP/1.1");
    assert_eq!(export.headers["content-type"], "application/json");
    let body: Value = serde_json::from_str(&export.body).unwrap();
    let resource = &body["resourceSpans"][0];
    let service = &resource["resource"]["attributes"][0];
    assert_eq!(
        (&service["key"], &service["value"]["stringValue"]),
        (&"service.name".into(), &"tested".into())
    );
    let spans = resource["scopeSpans"][0]["spans"].as_array().unwrap();
    spans.iter().map(received).collect()
}

fn received(span: &Value) -> Received {
    let hex = |field: &str, digits: usize| {
        let id = span[field].as_str().unwrap();
        let right = id.len() == digits
            && id
                .bytes()
                .all(|digit| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit));
        assert!(right && id.bytes().any(|digit| digit != b'0'), "{field}: {id}");
    };
    hex("traceId", 32);
    hex("spanId", 16);
    if span.get("parentSpanId").is_some() {
        hex("parentSpanId", 16);
    }
    let attributes = span["attributes"].as_array().unwrap().iter().map(|attribute| {
        let value = attribute["value"].as_object().unwrap();
        assert_eq!(value.len(), 1, "{attribute}");
        let (kind, value) = value.iter().next().unwrap();
        let value = match kind.as_str() {
            // 64-bit integers are strings in the JSON of protocol buffers.
            "intValue" => value.as_str().unwrap().parse::<i64>().unwrap().into(),
            "stringValue" | "doubleValue" => value.clone(),
            "arrayValue" => {
                let values = value["values"].as_array().unwrap();
                values.iter().map(|value| value["stringValue"].clone()).collect()
            }
            other => panic!("{other} is no kind of value"),
        };
        (attribute["key"].as_str().unwrap().to_owned(), value)
    });
    let read = Received {
        span: span.clone(),
        attributes: attributes.collect(),
    };
    let (start, end) = read.times();
    assert!(start > 1_700_000_000_000_000_000 && end >= start, "{span}");
    read
}
