//! The span of the client that a request belongs to: headers `traceparent` and `tracestate` (W3C Trace Context).

use axum::http::{HeaderMap, HeaderValue};

/// Most bytes of `tracestate` that are passed on; a longer one is left out.
const MAX_STATE_BYTES: usize = 512;

/// The client's span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parent {
    /// Its trace.
    pub(super) trace: [u8; 16],
    /// Its own id.
    pub(super) span: [u8; 8],
    /// Whether the trace is recorded.
    pub(super) sampled: bool,
    /// What other tracers said.
    pub(super) state: Option<String>,
}

impl Parent {
    /// The one that the headers name; headers that are not as they should be name none.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut given = headers.get_all("traceparent").iter();
        let (first, None) = (given.next()?, given.next()) else {
            return None;
        };
        let parent = read(first.as_bytes())?;
        let states = headers.get_all("tracestate").iter().map(HeaderValue::to_str);
        let state = states.collect::<Result<Vec<_>, _>>().unwrap_or_default().join(",");
        let state = Some(state).filter(|state| !state.is_empty() && state.len() <= MAX_STATE_BYTES);
        Some(Self { state, ..parent })
    }
}

/// `version-trace-span-flags`, in lowercase hexadecimal; later versions may have more behind.
fn read(text: &[u8]) -> Option<Parent> {
    let dashes = text.len() >= 55 && [2, 35, 52].iter().all(|at| text[*at] == b'-');
    if !dashes {
        return None;
    }
    let version = hex::<1>(&text[..2])?[0];
    let ends = match version {
        0 => text.len() == 55,
        0xff => false,
        _ => text.len() == 55 || text[55] == b'-',
    };
    let (trace, span) = (hex::<16>(&text[3..35])?, hex::<8>(&text[36..52])?);
    let flags = hex::<1>(&text[53..55])?[0];
    let parent = Parent {
        trace,
        span,
        sampled: flags & 1 == 1,
        state: None,
    };
    (ends && trace != [0; 16] && span != [0; 8]).then_some(parent)
}

fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = 16 * digit(pair[0])? + digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    fn headers(rows: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (
                axum::http::HeaderName::from_static(name),
                HeaderValue::from_str(value).expect("a value"),
            )
        };
        rows.iter().map(pair).collect()
    }

    #[test]
    fn a_parent_is_read_or_there_is_none() {
        let of = |version: &str, trace: &str, span: &str, rest: &str| format!("{version}-{trace}-{span}-{rest}");
        for (given, sampled) in [
            (of("00", TRACE, SPAN, "01"), Some(true)),
            (of("00", TRACE, SPAN, "00"), Some(false)),
            (of("00", TRACE, SPAN, "03"), Some(true)),
            (of("cc", TRACE, SPAN, "01-what-comes"), Some(true)),
            (of("cc", TRACE, SPAN, "01"), Some(true)),
            (of("cc", TRACE, SPAN, "01.x"), None),
            (of("00", TRACE, SPAN, "01-more"), None),
            (of("ff", TRACE, SPAN, "01"), None),
            (of("00", &TRACE.to_uppercase(), SPAN, "01"), None),
            (of("00", &"0".repeat(32), SPAN, "01"), None),
            (of("00", TRACE, &"0".repeat(16), "01"), None),
            (of("0", TRACE, SPAN, "01"), None),
            (of("00", TRACE, SPAN, "0x"), None),
            (of("00", TRACE, SPAN, "1"), None),
            ("é".repeat(55), None),
            (String::new(), None),
        ] {
            let found = Parent::of(&headers(&[("traceparent", &given)]));
            assert_eq!(found.as_ref().map(|parent| parent.sampled), sampled, "{given}");
            if let Some(parent) = found {
                assert_eq!(parent.trace[..2], [0x0a, 0xf7]);
                assert_eq!(parent.span[6..], [0x33, 0x31]);
            }
        }
    }

    #[test]
    fn two_parents_are_none_and_states_are_joined_within_their_bound() {
        let given = format!("00-{TRACE}-{SPAN}-01");
        let twice = headers(&[("traceparent", &given), ("traceparent", &given)]);
        assert_eq!(Parent::of(&twice), None);
        let long = "k=".to_owned() + &"v".repeat(MAX_STATE_BYTES);
        for (states, expected) in [
            (vec!["a=1", "b=2"], Some("a=1,b=2")),
            (vec![], None),
            (vec![&long[..]], None),
        ] {
            let mut all = headers(&[("traceparent", &given)]);
            for state in states {
                all.append("tracestate", HeaderValue::from_str(state).expect("a value"));
            }
            let parent = Parent::of(&all).expect("a parent");
            assert_eq!(parent.state.as_deref(), expected);
        }
    }
}
