//! Query strings, with refusals that name the parameter.

use axum::extract::Query;
use axum::http::Uri;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::ApiError;

/// The query of a route that takes none.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoQuery {}

/// Reads the query of `uri`.
///
/// # Errors
/// 400 with code `unknown_parameter` or `invalid_value`, naming the first parameter at fault.
pub fn read_query<T: DeserializeOwned>(uri: &Uri) -> Result<T, ApiError> {
    Query::try_from_uri(uri).map(|Query(query)| query).map_err(|rejection| {
        let text = rejection.body_text();
        let fault = text
            .rsplit_once("query string: ")
            .map_or(text.as_str(), |(_, fault)| fault);
        if let Some((_, rest)) = fault.split_once("unknown field `") {
            let field = rest.split('`').next().unwrap_or_default();
            let message = format!("`{field}` is not a parameter of this route");
            return ApiError::invalid(field, "unknown_parameter", message);
        }
        if let Some((_, rest)) = fault.split_once("duplicate field `") {
            let field = rest.split('`').next().unwrap_or_default();
            return ApiError::value(field, "is given twice");
        }
        match fault.split_once(": ") {
            Some((field, reason)) if field.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') => {
                ApiError::value(field, reason)
            }
            _ => ApiError::invalid("", "invalid_value", fault),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::pause::PauseQuery;

    #[test]
    fn refusals_name_the_parameter() {
        let table = [
            ("/pause", "", ""),
            ("/pause?mode=keep&clear_cache=true", "", ""),
            ("/pause?mood=keep", "mood", "unknown_parameter"),
            ("/pause?clear_cache=maybe", "clear_cache", "invalid_value"),
            ("/pause?mode=keep&mode=wait", "mode", "invalid_value"),
        ];
        for (uri, param, code) in table {
            let found = read_query::<PauseQuery>(&uri.parse().expect("a path")).map(drop);
            let found = found.err().map(|error| (error.param.unwrap_or_default(), error.code));
            let wanted = (!code.is_empty()).then(|| (param.to_owned(), code));
            assert_eq!(found, wanted, "{uri}");
        }
        assert!(read_query::<NoQuery>(&"/resume?x=1".parse().expect("a path")).is_err());
    }
}
