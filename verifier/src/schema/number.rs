//! Numbers of JSON, compared by value: 1 and 1.0 are the same.

use std::cmp::Ordering;

use serde_json::{Number, Value};

use crate::budget::Budget;
use crate::grader::Stopped;

/// Which of two numbers is greater, exactly.
pub(super) fn compare(a: &Number, b: &Number) -> Ordering {
    let ((whole_a, part_a), (whole_b, part_b)) = (parts(a), parts(b));
    let far = |whole: i128| whole == i128::MAX || whole == i128::MIN;
    if far(whole_a) && whole_a == whole_b {
        let value = |number: &Number| number.as_f64().unwrap_or_default();
        return value(a).total_cmp(&value(b));
    }
    whole_a.cmp(&whole_b).then(part_a.total_cmp(&part_b))
}

/// The next whole number down and what is left; the ends of `i128` stand for everything beyond them.
fn parts(number: &Number) -> (i128, f64) {
    if let Some(whole) = number.as_i128() {
        return (whole, 0.0);
    }
    let value = number.as_f64().unwrap_or_default();
    // Casts from f64 saturate. `+ 0.0` makes the 0 positive that is left of -0.0.
    (value.floor() as i128, value - value.floor() + 0.0)
}

pub(super) fn is_whole(number: &Number) -> bool {
    !number.is_f64() || number.as_f64().is_some_and(|value| value.fract() == 0.0)
}

pub(super) fn is_multiple(number: &Number, of: u64) -> bool {
    match number.as_i128() {
        Some(whole) => whole % i128::from(of) == 0,
        // Exact: remainders of f64 are, and `of` is below 2^53.
        None => number.as_f64().is_some_and(|value| value % of as f64 == 0.0),
    }
}

/// Whether two values are the same, paying a step for each pair that is compared.
pub(super) fn equal(a: &Value, b: &Value, budget: &mut Budget) -> Result<bool, Stopped> {
    budget.charge(1).map_err(|_| Stopped::OVER_BUDGET)?;
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => Ok(compare(a, b) == Ordering::Equal),
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (a, b) in a.iter().zip(b) {
                if !equal(a, b, budget)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Value::Object(a), Value::Object(b)) if a.len() == b.len() => {
            for (name, a) in a {
                match b.get(name) {
                    Some(b) if equal(a, b, budget)? => {}
                    _ => return Ok(false),
                }
            }
            Ok(true)
        }
        (Value::Array(_), Value::Array(_)) | (Value::Object(_), Value::Object(_)) => Ok(false),
        (a, b) => Ok(a == b),
    }
}
