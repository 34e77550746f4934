//! Sets of real numbers by their ends, however they are written: intervals, inequalities, unions, differences.

use std::cmp::Ordering;

use super::relation::name;
use crate::algebra::approximate;
use crate::algebra::fraction::Fraction;
use crate::algebra::poly::Atom;
use crate::algebra::value::Value;
use crate::budget::{Budget, Stop};
use crate::text::syntax::Relate;

/// Pieces that a set may have.
const MAX_PIECES: usize = 64;
/// How deep sets of sets are followed.
const MAX_DEPTH: u32 = 8;
/// Relative distance below which two ends are the same number, whatever they look like.
const SAME_END: f64 = 1e-12;

/// A place on the line directly below a number, or directly above it.
#[derive(Debug, Clone)]
struct Cut {
    /// The number; `None` at infinity.
    exact: Option<Fraction>,
    approximate: f64,
    above: bool,
}

/// Pieces between two cuts, in order and apart; and the name of the variable, where one is written.
#[derive(Debug, Clone)]
struct RealSet {
    name: Option<Vec<String>>,
    pieces: Vec<(Cut, Cut)>,
}

/// Whether both are the same set of real numbers; `None` where a side is no such set, or neither needs this reading.
pub(super) fn same_set(gold: &Value, prediction: &Value, budget: &mut Budget) -> Result<Option<bool>, Stop> {
    if !(is_described(gold) || is_described(prediction)) {
        return Ok(None);
    }
    budget.charge(16)?;
    let (Some(g), Some(p)) = (read(gold, 0, budget)?, read(prediction, 0, budget)?) else {
        return Ok(None);
    };
    let same_name = g.name.is_none() || p.name.is_none() || g.name == p.name;
    let same_cut = |a: &Cut, b: &Cut| a.order(b) == Ordering::Equal;
    let same_pieces = g.pieces.len() == p.pieces.len()
        && g.pieces
            .iter()
            .zip(&p.pieces)
            .all(|(a, b)| same_cut(&a.0, &b.0) && same_cut(&a.1, &b.1));
    Ok(Some(same_name && same_pieces))
}

/// Whether a value says which numbers it holds by more than listing them or by one interval.
fn is_described(value: &Value) -> bool {
    match value {
        Value::Union(_) | Value::SetOperation(..) => true,
        Value::Relation(_, rest) => rest.iter().any(|(relate, _)| *relate != Relate::Equal),
        Value::List(items) => items.iter().any(is_described),
        Value::Words(words) => is_line(words),
        _ => false,
    }
}

fn is_line(words: &str) -> bool {
    matches!(
        words,
        "mathbb R" | "mathbb r" | "ℝ" | "all real numbers" | "all reals" | "real numbers" | "all real"
    )
}

impl Cut {
    fn infinite(negative: bool) -> Self {
        Self {
            exact: None,
            approximate: if negative { f64::NEG_INFINITY } else { f64::INFINITY },
            above: false,
        }
    }

    fn at(value: &Value, above: bool) -> Option<Self> {
        match value {
            Value::Infinity { negative } => Some(Self::infinite(*negative)),
            Value::Scalar(scalar) if !scalar.unfinished => Some(Self {
                exact: Some(scalar.value.clone()),
                approximate: approximate::real(&scalar.value)?,
                above,
            }),
            _ => None,
        }
    }

    /// The place across zero.
    fn turned(&self, budget: &mut Budget) -> Result<Self, Stop> {
        Ok(match &self.exact {
            None => Self::infinite(self.approximate > 0.0),
            Some(exact) => Self {
                exact: Some(exact.neg(budget)?),
                approximate: -self.approximate,
                above: !self.above,
            },
        })
    }

    fn order(&self, other: &Self) -> Ordering {
        let gap = (self.approximate - other.approximate).abs();
        let near = gap.is_finite() && gap <= self.approximate.abs() * SAME_END;
        let same = self.approximate == other.approximate
            || (near && self.exact.as_ref().and_then(Fraction::as_rational).is_none())
            || (self.exact.is_some() && self.exact == other.exact);
        if same && self.rational_order(other).is_none_or(Ordering::is_eq) {
            return self.above.cmp(&other.above);
        }
        self.rational_order(other)
            .unwrap_or_else(|| self.approximate.total_cmp(&other.approximate))
    }

    /// The exact order of two rational ends.
    fn rational_order(&self, other: &Self) -> Option<Ordering> {
        let rational = |cut: &Self| cut.exact.as_ref().and_then(Fraction::as_rational);
        Some(rational(self)?.cmp(&rational(other)?))
    }
}

/// The set that a value describes.
fn read(value: &Value, depth: u32, budget: &mut Budget) -> Result<Option<RealSet>, Stop> {
    budget.charge(4)?;
    if depth > MAX_DEPTH {
        return Ok(None);
    }
    Ok(match value {
        Value::Words(words) if is_line(words) => Some(line()),
        Value::Tuple { open, close, items } => match items.as_slice() {
            [low, high] => interval(*open, *close, low, high),
            _ => None,
        },
        Value::Set(items) if items.len() <= MAX_PIECES => {
            let points: Option<Vec<_>> = items.iter().map(point).collect();
            points.map(RealSet::new)
        }
        Value::Union(parts) => several(parts, depth, budget)?.map(|sets| union(&sets)),
        Value::List(parts) if parts.iter().all(is_described) => several(parts, depth, budget)?.and_then(|s| listed(&s)),
        Value::SetOperation(operator, left, right) => {
            let (left, right) = (read(left, depth + 1, budget)?, read(right, depth + 1, budget)?);
            left.zip(right).map(|(left, right)| match operator {
                '∩' => intersection(&left, &right),
                _ => intersection(&left, &complement(&right)),
            })
        }
        Value::Relation(first, rest) => relation(first, rest, depth, budget)?,
        _ => None,
    })
}

impl RealSet {
    /// Sorts pieces and joins those that touch.
    fn new(mut pieces: Vec<(Cut, Cut)>) -> Self {
        pieces.retain(|(low, high)| low.order(high) == Ordering::Less);
        pieces.sort_by(|a, b| a.0.order(&b.0));
        let mut joined: Vec<(Cut, Cut)> = Vec::new();
        for piece in pieces {
            match joined.last_mut() {
                Some(last) if piece.0.order(&last.1) != Ordering::Greater => {
                    if piece.1.order(&last.1) == Ordering::Greater {
                        last.1 = piece.1;
                    }
                }
                _ => joined.push(piece),
            }
        }
        Self {
            name: None,
            pieces: joined,
        }
    }

    fn named(self, name: Option<Vec<String>>) -> Self {
        Self { name, ..self }
    }
}

fn line() -> RealSet {
    RealSet::new(vec![(Cut::infinite(true), Cut::infinite(false))])
}

fn interval(open: char, close: char, low: &Value, high: &Value) -> Option<RealSet> {
    // No set of reals holds infinity.
    let infinite = |end: &Value| matches!(end, Value::Infinity { .. });
    if (open == '[' && infinite(low)) || (close == ']' && infinite(high)) {
        return None;
    }
    let (low, high) = (Cut::at(low, open == '(')?, Cut::at(high, close == ']')?);
    (low.order(&high) == Ordering::Less).then(|| RealSet::new(vec![(low, high)]))
}

fn point(value: &Value) -> Option<(Cut, Cut)> {
    match value {
        Value::Scalar(_) => Some((Cut::at(value, false)?, Cut::at(value, true)?)),
        _ => None,
    }
}

fn several(parts: &[Value], depth: u32, budget: &mut Budget) -> Result<Option<Vec<RealSet>>, Stop> {
    if parts.len() > MAX_PIECES {
        return Ok(None);
    }
    parts.iter().map(|part| read(part, depth + 1, budget)).collect()
}

fn union(sets: &[RealSet]) -> RealSet {
    let name = sets.iter().find_map(|set| set.name.clone());
    RealSet::new(sets.iter().flat_map(|set| set.pieces.clone()).collect()).named(name)
}

fn complement(set: &RealSet) -> RealSet {
    let mut pieces = Vec::new();
    let mut low = Cut::infinite(true);
    for (start, end) in &set.pieces {
        pieces.push((low, start.clone()));
        low = end.clone();
    }
    pieces.push((low, Cut::infinite(false)));
    RealSet::new(pieces).named(set.name.clone())
}

fn intersection(a: &RealSet, b: &RealSet) -> RealSet {
    let name = a.name.clone().or_else(|| b.name.clone());
    complement(&union(&[complement(a), complement(b)])).named(name)
}

/// `x < 1 or x > 3`: the union of all, unless that is the whole line: then "and" was meant.
fn listed(sets: &[RealSet]) -> Option<RealSet> {
    let first = sets.first()?;
    if sets.iter().any(|set| set.name != first.name) {
        return None;
    }
    let joined = union(sets);
    if !complement(&joined).pieces.is_empty() {
        return Some(joined);
    }
    Some(
        sets.iter()
            .skip(1)
            .fold(first.clone(), |kept, set| intersection(&kept, set)),
    )
}

/// A chain such as `1 < x ≤ 3`, or `x ∈ S`.
fn relation(first: &Value, rest: &[(Relate, Value)], depth: u32, budget: &mut Budget) -> Result<Option<RealSet>, Stop> {
    if let ([(Relate::In, set)], Some(variable)) = (rest, name(first)) {
        return Ok(read(set, depth + 1, budget)?.map(|set| set.named(Some(variable))));
    }
    let mut magnitude = false;
    let mut variable_of = |side: &Value| {
        let inner = magnitude_of(side);
        magnitude |= inner.is_some();
        inner.or_else(|| name(side))
    };
    let (mut left, mut kept) = (first, line());
    for (relate, right) in rest {
        let sides = match (variable_of(left), variable_of(right)) {
            (Some(variable), None) => beside(*relate, right, false).zip(Some(variable)),
            (None, Some(variable)) => beside(*relate, left, true).zip(Some(variable)),
            _ => None,
        };
        let Some((set, variable)) = sides else { return Ok(None) };
        if kept.name.as_ref().is_some_and(|other| *other != variable) {
            return Ok(None);
        }
        kept = intersection(&kept, &set).named(Some(variable));
        left = right;
    }
    if magnitude {
        mirrored(&kept, budget).map(Some)
    } else {
        Ok(Some(kept))
    }
}

/// The variable x of `|x|`.
fn magnitude_of(side: &Value) -> Option<Vec<String>> {
    let Value::Scalar(scalar) = side else { return None };
    match scalar.value.as_atom()? {
        Atom::Function(call) if call.0 == "abs" && call.1.len() == 1 => {
            name(&Value::from(call.1[0].clone())).filter(|parts| parts.len() == 1)
        }
        _ => None,
    }
}

/// The numbers whose magnitudes are in a set.
fn mirrored(magnitudes: &RealSet, budget: &mut Budget) -> Result<RealSet, Stop> {
    let zero = Cut {
        exact: Some(Fraction::from(0)),
        approximate: 0.0,
        above: false,
    };
    let upper = intersection(magnitudes, &RealSet::new(vec![(zero, Cut::infinite(false))]));
    let mut pieces = upper.pieces.clone();
    for (low, high) in &upper.pieces {
        pieces.push((high.turned(budget)?, low.turned(budget)?));
    }
    Ok(RealSet::new(pieces).named(upper.name))
}

/// The numbers in a relation to a bound: `x < bound`, or `bound < x` if `turned`.
fn beside(relate: Relate, bound: &Value, turned: bool) -> Option<RealSet> {
    let relate = match relate {
        Relate::Less if turned => Relate::Greater,
        Relate::LessEqual if turned => Relate::GreaterEqual,
        Relate::Greater if turned => Relate::Less,
        Relate::GreaterEqual if turned => Relate::LessEqual,
        other => other,
    };
    let piece = match relate {
        Relate::Less => (Cut::infinite(true), Cut::at(bound, false)?),
        Relate::LessEqual => (Cut::infinite(true), Cut::at(bound, true)?),
        Relate::Greater => (Cut::at(bound, true)?, Cut::infinite(false)),
        Relate::GreaterEqual => (Cut::at(bound, false)?, Cut::infinite(false)),
        Relate::Equal => point(bound)?,
        Relate::NotEqual => return Some(complement(&RealSet::new(vec![point(bound)?]))),
        Relate::In | Relate::Congruent => return None,
    };
    Some(RealSet::new(vec![piece]))
}
