//! Pages of lists in OpenAI's way: `after` names the last item of the page before.

use crate::error::ApiError;

/// A bound on the items of a page, with its default.
#[derive(Debug, Clone, Copy)]
pub struct Bound {
    /// Without `limit`.
    pub default: usize,
    /// Most.
    pub most: usize,
}

impl Bound {
    /// The items of a page that asks for `limit`.
    ///
    /// # Errors
    /// 400 naming `limit`.
    pub fn of(self, limit: Option<usize>) -> Result<usize, ApiError> {
        let limit = limit.unwrap_or(self.default);
        if (1..=self.most).contains(&limit) {
            return Ok(limit);
        }
        let message = format!("{limit} is out of range; allowed is 1 to {}", self.most);
        Err(ApiError::value("limit", message))
    }
}

/// The page of `items` (in the order of the list) behind the item called `after`, and whether there are more.
///
/// # Errors
/// 400 naming `limit` or `after`.
pub fn page<T>(
    items: Vec<T>,
    id: impl Fn(&T) -> &str,
    (after, limit): (Option<&str>, Option<usize>),
    bound: Bound,
) -> Result<(Vec<T>, bool), ApiError> {
    let limit = bound.of(limit)?;
    let first = match after {
        None => 0,
        Some(after) => match items.iter().position(|item| id(item) == after) {
            Some(at) => at + 1,
            None => return Err(ApiError::value("after", format!("the list has no `{after}`"))),
        },
    };
    let has_more = items.len() - first > limit;
    Ok((items.into_iter().skip(first).take(limit).collect(), has_more))
}

/// Whether `order` asks for the oldest first.
///
/// # Errors
/// 400 naming `order`.
pub fn oldest_first(order: Option<&str>) -> Result<bool, ApiError> {
    match order {
        None | Some("desc") => Ok(false),
        Some("asc") => Ok(true),
        Some(other) => Err(ApiError::value(
            "order",
            format!("`{other}` is neither `asc` nor `desc`"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_one_another() {
        let bound = Bound { default: 2, most: 3 };
        for (after, limit, wanted) in [
            (None, None, Ok(("ab", true))),
            (Some("b"), None, Ok(("cd", false))),
            (Some("b"), Some(1), Ok(("c", true))),
            (Some("d"), None, Ok(("", false))),
            (None, Some(3), Ok(("abc", true))),
            (None, Some(0), Err("limit")),
            (None, Some(4), Err("limit")),
            (Some("x"), None, Err("after")),
        ] {
            let found = page(vec!["a", "b", "c", "d"], |item| item, (after, limit), bound);
            let found = found.map(|(items, more)| (items.concat(), more));
            let found = found.map_err(|error| error.param.unwrap_or_default());
            let wanted = wanted.map(|(items, more)| (items.to_owned(), more));
            assert_eq!(found, wanted.map_err(str::to_owned), "{after:?} {limit:?}");
        }
    }
}
