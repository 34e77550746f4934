//! Unions, intersections and differences: of finite sets as sets, of others kept as written.

use super::value::Value;
use crate::budget::{Budget, Stop};

/// A union: one set where all parts are finite sets.
pub(super) fn union(parts: Vec<Value>, budget: &mut Budget) -> Result<Value, Stop> {
    budget.charge(parts.len() as u64)?;
    if !parts.iter().all(|part| matches!(part, Value::Set(_))) {
        return Ok(Value::Union(parts));
    }
    Ok(Value::Set(
        parts.iter().filter_map(members).flatten().cloned().collect(),
    ))
}

/// `left ∩ right` or `left ∖ right`.
pub(super) fn operation(operator: char, left: Value, right: Value, budget: &mut Budget) -> Result<Value, Stop> {
    let (left, right) = (as_set(left), as_set(right));
    let kept = match (members(&left), members(&right)) {
        (Some(left), Some(right)) => {
            budget.charge((left.len() * right.len()) as u64)?;
            let shared = |item: &&Value| right.contains(item) == (operator == '∩');
            Some(left.iter().filter(shared).cloned().collect())
        }
        _ => None,
    };
    Ok(kept.map_or_else(
        || Value::SetOperation(operator, Box::new(left), Box::new(right)),
        Value::Set,
    ))
}

fn members(value: &Value) -> Option<&[Value]> {
    match value {
        Value::Set(items) => Some(items),
        _ => None,
    }
}

/// A number in plain braces is a set here.
fn as_set(value: Value) -> Value {
    match value {
        Value::Scalar(_) => Value::Set(vec![value]),
        other => other,
    }
}
