//! Query strings, with refusals that name the parameter.

use axum::extract::Query;
use axum::http::Uri;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::ApiError;

mod read;

/// The query of a route that takes none.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoQuery {}

/// Reads the query of `uri`. A parameter that is a list may be given several times.
///
/// # Errors
/// 400 with code `unknown_parameter` or `invalid_value`, naming the first parameter at fault.
pub fn read_query<T: DeserializeOwned>(uri: &Uri) -> Result<T, ApiError> {
    let Query(pairs) =
        Query::try_from_uri(uri).map_err(|rejection| ApiError::invalid("", "invalid_value", rejection.body_text()))?;
    serde_path_to_error::deserialize(read::parameters(pairs)).map_err(|fault| {
        let reason = fault.inner().to_string();
        if let Some((_, rest)) = reason.split_once("unknown field `") {
            let field = rest.split('`').next().unwrap_or_default();
            let message = format!("`{field}` is not a parameter of this route");
            return ApiError::invalid(field, "unknown_parameter", message);
        }
        // Of a list the parameter is at fault, whichever of its values it is.
        let path = fault.path().to_string();
        ApiError::value(path.split(['[', '.']).next().unwrap_or_default(), reason)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct All {
        tags: Vec<String>,
        more: Option<Vec<u32>>,
        limit: Option<usize>,
        level: i64,
        share: f64,
        mode: String,
        clear: bool,
    }

    fn asked<T: DeserializeOwned>(query: &str) -> Result<T, ApiError> {
        read_query(&format!("/route{query}").parse().expect("a path"))
    }

    #[test]
    fn refusals_name_the_parameter() {
        let (unknown, value) = ("unknown_parameter", "invalid_value");
        for (query, param, code, message) in [
            ("?mood=keep", "mood", unknown, "`mood` is not a parameter of this route"),
            ("?mode=keep&mode=wait", "mode", value, "`mode`: is given twice"),
            ("?limit=1&limit=1", "limit", value, "`limit`: is given twice"),
            ("?clear=maybe", "clear", value, "`clear`: must be true or false"),
            ("?share=half", "share", value, "`share`: must be a number"),
            (
                "?limit=a",
                "limit",
                value,
                "`limit`: must be a whole number, 0 to 18446744073709551615",
            ),
            (
                "?level=1.5",
                "level",
                value,
                "`level`: must be a whole number, -9223372036854775808 to 9223372036854775807",
            ),
            (
                "?more=1&more=-1",
                "more",
                value,
                "`more`: must be a whole number, 0 to 4294967295",
            ),
        ] {
            let error = asked::<All>(query).expect_err(query);
            assert_eq!(error.param.as_deref(), Some(param), "{query}");
            assert_eq!((error.code, error.message.as_str()), (code, message), "{query}");
        }
        assert!(asked::<NoQuery>("?x=1").is_err());
        assert!(asked::<NoQuery>("?").is_ok());
    }

    #[test]
    fn lists_collect_what_is_given_several_times() {
        let read: All =
            asked("?tags=a&limit=3&tags=b%20c&level=-1&more=7&share=0.5&mode=k+w&clear=true").expect("good");
        assert_eq!(
            (read.tags, read.more),
            (vec!["a".to_owned(), "b c".into()], Some(vec![7]))
        );
        assert_eq!((read.limit, read.level, read.share), (Some(3), -1, 0.5));
        assert_eq!((read.mode.as_str(), read.clear), ("k w", true));
        let read: All = asked("").expect("good");
        assert_eq!((read.tags.len(), read.more), (0, None));
    }
}
