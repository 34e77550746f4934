//! Values that carry names, such as `x = 5, y = 3` and `(x, y) = (5, 3)`.

use super::relation::name;
use super::{same_in_order, same_unordered};
use crate::algebra::value::Value;
use crate::budget::{Budget, Stop};
use crate::text::syntax::Relate;

/// Items of which some are `name = value`.
struct Assignments {
    items: Vec<Value>,
    names: Vec<Option<Vec<String>>>,
}

/// Decides where a side gives values to several names: by name if both name the same, else in the order written.
/// `None` where names decide nothing.
pub(super) fn same_named(gold: &Value, prediction: &Value, budget: &mut Budget) -> Result<Option<bool>, Stop> {
    let (g, p) = (assignments(gold, budget)?, assignments(prediction, budget)?);
    if !g.as_ref().is_some_and(Assignments::several) && !p.as_ref().is_some_and(Assignments::several) {
        return Ok(None);
    }
    let same = match (&g, &p) {
        (Some(g), Some(p)) if g.sorted_names() == p.sorted_names() => same_unordered(&g.items, &p.items, budget)?,
        (Some(g), Some(p)) => same_in_order(&g.items, &p.items, budget)?,
        (Some(named), None) => match in_order(prediction).filter(|_| named.ascending()) {
            Some(items) => same_in_order(&named.items, items, budget)?,
            None => false,
        },
        (None, Some(named)) => match in_order(gold).filter(|_| named.ascending()) {
            Some(items) => same_in_order(items, &named.items, budget)?,
            None => false,
        },
        (None, None) => false,
    };
    Ok(Some(same))
}

/// Items whose order is as written: not those of a set, unless it holds one tuple.
fn in_order(value: &Value) -> Option<&[Value]> {
    match value {
        Value::List(items) | Value::Tuple { items, .. } => Some(items),
        Value::Set(items) if matches!(items.as_slice(), [Value::Tuple { .. }]) => in_order(&items[0]),
        _ => None,
    }
}

fn assignments(value: &Value, budget: &mut Budget) -> Result<Option<Assignments>, Stop> {
    let items = match value {
        Value::List(items) | Value::Set(items) if items.iter().any(|i| matches!(i, Value::Relation(..))) => {
            items.clone()
        }
        Value::Relation(first, rest) => match (first.as_ref(), rest.as_slice()) {
            (Value::Tuple { items: names, .. }, [(Relate::Equal, Value::Tuple { items, .. })])
                if names.len() == items.len() =>
            {
                let pair = |(name, item): (&Value, &Value)| {
                    Value::Relation(Box::new(name.clone()), vec![(Relate::Equal, item.clone())])
                };
                names.iter().zip(items).map(pair).collect()
            }
            _ => return Ok(None),
        },
        _ => return Ok(None),
    };
    budget.charge(items.len() as u64)?;
    let names = items.iter().map(assigned).collect();
    Ok(Some(Assignments { items, names }))
}

/// The name in `name = value`.
fn assigned(item: &Value) -> Option<Vec<String>> {
    match item {
        Value::Relation(first, rest) if rest.iter().all(|(relate, _)| *relate == Relate::Equal) => name(first),
        _ => None,
    }
}

impl Assignments {
    /// Whether two different names are given values.
    fn several(&self) -> bool {
        let mut named = self.names.iter().flatten();
        let first = named.next();
        named.any(|other| Some(other) != first)
    }

    fn sorted_names(&self) -> Vec<&Option<Vec<String>>> {
        let mut names: Vec<_> = self.names.iter().collect();
        names.sort();
        names
    }

    /// Whether the order written may be the order meant: not y before x, nor x_2 before x_1.
    fn ascending(&self) -> bool {
        let single: Vec<&String> = self
            .names
            .iter()
            .flatten()
            .filter_map(|n| if let [one] = n.as_slice() { Some(one) } else { None })
            .collect();
        single.windows(2).all(|pair| {
            let (a, b) = (pair[0].as_bytes(), pair[1].as_bytes());
            match (a.first(), b.first()) {
                (Some(x), Some(y)) if x == y => (a.len(), a) <= (b.len(), b),
                (Some(x), Some(y)) => x < y || x - y > 2,
                _ => true,
            }
        })
    }
}
