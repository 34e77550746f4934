//! Spans → the JSON of OTLP's `ExportTraceServiceRequest`: ids in hexadecimal, 64-bit integers as strings, enumerations as
//! numbers.
//!
//! # Source
//! <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use super::span::{Kind, Span, Value};

/// Flags of a span: its trace is recorded; it is known whether its parent is remote; it is.
const SAMPLED: u32 = 1;
const KNOWS_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;
/// `STATUS_CODE_ERROR`.
const FAILED: u32 = 2;

/// The body of an export.
pub(super) fn export(service_name: &str, spans: &[Span]) -> Json {
    let version = env!("CARGO_PKG_VERSION");
    let resource = [
        attribute("service.name", &Value::Text(service_name.into())),
        attribute("service.version", &Value::Text(version.into())),
    ];
    json!({"resourceSpans": [{
        "resource": {"attributes": resource},
        "scopeSpans": [{
            "scope": {"name": "svs", "version": version},
            "spans": spans.iter().map(span).collect::<Vec<_>>(),
        }],
    }]})
}

fn span(span: &Span) -> Json {
    let remote = if span.remote_parent { IS_REMOTE } else { 0 };
    let mut said = json!({
        "traceId": hex(&span.trace),
        "spanId": hex(&span.id),
        "flags": SAMPLED | KNOWS_REMOTE | remote,
        "name": span.name,
        "kind": match span.kind { Kind::Internal => 1, Kind::Server => 2 },
        "startTimeUnixNano": span.start_ns.to_string(),
        "endTimeUnixNano": span.end_ns.to_string(),
        "attributes": span.attributes.iter().map(|(name, value)| attribute(name, value)).collect::<Vec<_>>(),
    });
    if let Some(parent) = &span.parent {
        said["parentSpanId"] = hex(parent).into();
    }
    if let Some(state) = &span.trace_state {
        said["traceState"] = state.as_str().into();
    }
    if span.failed {
        said["status"] = json!({"code": FAILED});
    }
    said
}

fn attribute(name: &str, value: &Value) -> Json {
    let value = match value {
        Value::Text(text) => json!({"stringValue": text}),
        Value::Texts(texts) => {
            let values: Vec<Json> = texts.iter().map(|text| json!({"stringValue": text})).collect();
            json!({"arrayValue": {"values": values}})
        }
        Value::Whole(number) => json!({"intValue": number.to_string()}),
        Value::Real(number) => json!({"doubleValue": number}),
    };
    json!({"key": name, "value": value})
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            // Writing into a string does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_worded_as_the_specification_has_it() {
        let mut one = Span::begin("POST /v1/completions", Kind::Server);
        (one.trace, one.id) = ([0xab; 16], [1; 8]);
        (one.start_ns, one.end_ns) = (1_544_712_660_000_000_000, 1_544_712_661_000_000_000);
        one.set("a", "x");
        one.set("b", 7_u64);
        one.set("c", 0.5);
        one.set("d", vec!["stop", "length"]);
        let mut two = one.part("rollout");
        (two.id, two.start_ns, two.end_ns, two.failed) = ([2; 8], 1, 2, true);
        two.trace_state = Some("k=v".into());
        two.remote_parent = true;
        let body = export("mine", &[one, two]);
        let scope = &body["resourceSpans"][0];
        assert_eq!(
            scope["resource"]["attributes"][0],
            json!({"key": "service.name", "value": {"stringValue": "mine"}})
        );
        assert_eq!(
            scope["scopeSpans"][0]["spans"],
            json!([
                {
                    "traceId": "abababababababababababababababab", "spanId": "0101010101010101", "flags": 0x101,
                    "name": "POST /v1/completions", "kind": 2,
                    "startTimeUnixNano": "1544712660000000000", "endTimeUnixNano": "1544712661000000000",
                    "attributes": [
                        {"key": "a", "value": {"stringValue": "x"}},
                        {"key": "b", "value": {"intValue": "7"}},
                        {"key": "c", "value": {"doubleValue": 0.5}},
                        {"key": "d", "value": {"arrayValue": {"values": [{"stringValue": "stop"}, {"stringValue": "length"}]}}},
                    ],
                },
                {
                    "traceId": "abababababababababababababababab", "spanId": "0202020202020202", "flags": 0x301,
                    "name": "rollout", "kind": 1, "startTimeUnixNano": "1", "endTimeUnixNano": "2", "attributes": [],
                    "parentSpanId": "0101010101010101", "traceState": "k=v", "status": {"code": 2},
                },
            ])
        );
    }
}
