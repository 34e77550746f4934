//! Which trajectories a listing or an export is about, as a condition on the log's rows.

use rusqlite::types::Value;

use crate::trajectory::Kind;

/// Which trajectories to read; what is `None` or empty asks for nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    /// Only these kinds.
    pub kinds: Vec<Kind>,
    /// Only what this run sampled or was trained on.
    pub run: Option<String>,
    /// Only this session's.
    pub session: Option<String>,
    /// Only groups of this id.
    pub group: Option<String>,
    /// Only with a token of this weight version or a newer one.
    pub min_version: Option<u64>,
    /// Only with a token of this weight version or an older one.
    pub max_version: Option<u64>,
    /// Only with this reward or a higher one.
    pub min_reward: Option<f64>,
    /// Only with this reward or a lower one.
    pub max_reward: Option<f64>,
    /// Only sampled at this time or later, seconds since the epoch.
    pub created_after: Option<f64>,
    /// Only sampled before this time, seconds since the epoch.
    pub created_before: Option<f64>,
}

/// Rows between two numbers that a filter lets through, in SQL.
pub(super) struct Condition {
    /// Table and index, behind `FROM`.
    pub(super) table: &'static str,
    /// Behind `WHERE`.
    pub(super) sql: String,
    /// Values of its parameters.
    pub(super) values: Vec<Value>,
}

impl Filter {
    /// The condition on rows with numbers above `after`, up to `until`.
    pub(super) fn condition(&self, after: i64, until: i64) -> Condition {
        let mut sql = String::from("seq > ? AND seq <= ?");
        let mut values: Vec<Value> = vec![after.into(), until.into()];
        if !self.kinds.is_empty() {
            sql += &format!(" AND kind IN ({})", vec!["?"; self.kinds.len()].join(", "));
            values.extend(self.kinds.iter().map(|kind| Value::Text(kind.name().into())));
        }
        let texts = [
            (" AND run = ?", &self.run),
            (" AND session = ?", &self.session),
            (
                " AND group_key IN (SELECT key FROM groups WHERE group_id = ?)",
                &self.group,
            ),
        ];
        for (part, text) in texts {
            if let Some(text) = text {
                sql += part;
                values.push(Value::Text(text.clone()));
            }
        }
        let version = |version: u64| Value::Integer(i64::try_from(version).unwrap_or(i64::MAX));
        let numbers = [
            (" AND version_max >= ?", self.min_version.map(version)),
            (" AND version_min <= ?", self.max_version.map(version)),
            (" AND reward >= ?", self.min_reward.map(Value::Real)),
            (" AND reward <= ?", self.max_reward.map(Value::Real)),
            (" AND created_at >= ?", self.created_after.map(Value::Real)),
            (" AND created_at < ?", self.created_before.map(Value::Real)),
        ];
        for (part, number) in numbers {
            if let Some(number) = number {
                sql += part;
                values.push(number);
            }
        }
        // A session or a group has few rows and an index of its own. For all else the narrow index is searched in order,
        // whatever the planner may think of it: rows with their long columns are read only once they are found.
        let table = match (&self.session, &self.group) {
            (None, None) => "trajectories INDEXED BY trajectories_listed",
            _ => "trajectories",
        };
        Condition { table, sql, values }
    }
}
