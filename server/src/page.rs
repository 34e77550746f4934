//! The built-in page: plain files, embedded, from this server alone.

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::error::ApiError;

/// Only what this server sends is loaded, run, or asked; nothing inline, no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
                      trusted-types 'none'";
const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Embeds the named files of `server/page/`.
macro_rules! files {
    ($(($file:literal, $kind:expr)),* $(,)?) => {
        &[$(($file, $kind, include_bytes!(concat!("../page/", $file)).as_slice())),*]
    };
}

/// Name, type and content.
const FILES: &[(&str, &str, &[u8])] = files![
    ("index.html", HTML),
    ("style.css", "text/css; charset=utf-8"),
    ("icon.svg", "image/svg+xml"),
    ("api.js", SCRIPT),
    ("app.js", SCRIPT),
    ("charts.js", SCRIPT),
    ("controls.js", SCRIPT),
    ("dom.js", SCRIPT),
    ("exposition.js", SCRIPT),
    ("serving.js", SCRIPT),
    ("training.js", SCRIPT),
    ("trajectories.js", SCRIPT),
];

/// `GET /`.
pub async fn index() -> Response {
    answer("index.html")
}

/// `GET /page/{file}`.
pub async fn file(name: Result<Path<String>, PathRejection>) -> Response {
    answer(&name.map_or(String::new(), |Path(name)| name))
}

fn answer(name: &str) -> Response {
    let Some((_, kind, content)) = FILES.iter().find(|(file, _, _)| *file == name) else {
        let message = "the page has no such file";
        return ApiError::refused(StatusCode::NOT_FOUND, "route_not_found", message).into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, *kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        // A newer binary brings a newer page.
        (header::CACHE_CONTROL, "no-cache"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    let headers = headers.map(|(name, value)| (name, HeaderValue::from_static(value)));
    (headers, *content).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of all files together.
    const MOST_BYTES: usize = 60_000;

    fn text(name: &str) -> &'static str {
        let found = FILES.iter().find(|(file, _, _)| *file == name).expect("embedded");
        std::str::from_utf8(found.2).expect("text")
    }

    #[test]
    fn the_page_is_small_and_whole() {
        let bytes: usize = FILES.iter().map(|(_, _, content)| content.len()).sum();
        assert!(bytes < MOST_BYTES, "{bytes}");
        for (name, _, _) in FILES {
            for line in text(name).lines() {
                let imported = line.split_once(" from \"./").and_then(|(_, rest)| rest.split_once('"'));
                let linked = line.split_once("\"/page/").and_then(|(_, rest)| rest.split_once('"'));
                for (wanted, _) in [imported, linked].into_iter().flatten() {
                    assert!(FILES.iter().any(|(file, _, _)| *file == wanted), "{name}: {wanted}");
                }
            }
        }
    }

    #[test]
    fn nothing_makes_markup_of_text_or_asks_another_host() {
        let sinks = [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "Function(",
            "srcdoc",
            "createContextualFragment",
            "DOMParser",
        ];
        for (name, _, _) in FILES {
            let text = text(name);
            for sink in sinks {
                assert!(!text.contains(sink), "{name} uses {sink}");
            }
            for address in text.split("://").skip(1) {
                assert!(address.starts_with("www.w3.org/"), "{name} names {address:.40}");
            }
        }
        let html = text("index.html");
        let handlers = html.split(" on").skip(1);
        let handlers = handlers.filter(|rest| {
            rest.trim_start_matches(|c: char| c.is_ascii_lowercase())
                .starts_with('=')
        });
        assert_eq!(
            handlers.count() + html.matches("style=").count(),
            0,
            "inline code or style"
        );
    }
}
