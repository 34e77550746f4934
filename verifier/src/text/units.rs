//! Units of measure: products of named units with exponents, and what turns one into another.

use std::collections::BTreeMap;

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{Pow, ToPrimitive};

use super::words;

/// A kind of quantity that its units measure in fixed proportion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Length,
    Mass,
    Time,
    Money(&'static str),
    Angle,
    Volume,
    /// Quantities of which this table holds one unit.
    Only(&'static str),
}

/// Kind, size as a quotient in the first unit of the kind, and spellings; the first spelling is the name.
type Row = (Kind, (i64, i64), &'static [&'static str]);

const UNITS: &[Row] = &[
    (
        Kind::Length,
        (1, 100),
        &["cm", "centimeter", "centimeters", "centimetre", "centimetres"],
    ),
    (
        Kind::Length,
        (1, 1000),
        &["mm", "millimeter", "millimeters", "millimetre", "millimetres"],
    ),
    (
        Kind::Length,
        (1000, 1),
        &["km", "kilometer", "kilometers", "kilometre", "kilometres"],
    ),
    (Kind::Length, (1, 1), &["m", "meter", "meters", "metre", "metres"]),
    (Kind::Length, (254, 10_000), &["in", "inch", "inches"]),
    (Kind::Length, (3048, 10_000), &["ft", "foot", "feet"]),
    (Kind::Length, (9144, 10_000), &["yd", "yard", "yards"]),
    (Kind::Length, (1_609_344, 1000), &["mi", "mile", "miles"]),
    (Kind::Mass, (1, 1000), &["g", "gm", "gram", "grams"]),
    (Kind::Mass, (1, 1_000_000), &["mg", "milligram", "milligrams"]),
    (Kind::Mass, (1, 1), &["kg", "kilogram", "kilograms"]),
    (Kind::Mass, (1000, 1), &["tonne", "tonnes"]),
    (Kind::Mass, (45_359_237, 100_000_000), &["lb", "lbs", "pound", "pounds"]),
    (Kind::Mass, (45_359_237, 1_600_000_000), &["oz", "ounce", "ounces"]),
    (Kind::Time, (1, 1), &["s", "sec", "secs", "second", "seconds"]),
    (Kind::Time, (1, 1000), &["ms", "millisecond", "milliseconds"]),
    (Kind::Time, (60, 1), &["min", "mins", "minute", "minutes"]),
    (Kind::Time, (3600, 1), &["h", "hr", "hrs", "hour", "hours"]),
    (Kind::Time, (86_400, 1), &["day", "days"]),
    (Kind::Time, (604_800, 1), &["week", "weeks"]),
    (Kind::Only("month"), (1, 1), &["month", "months"]),
    (Kind::Only("year"), (1, 1), &["year", "years", "yr", "yrs"]),
    (Kind::Money("dollar"), (1, 1), &["dollar", "dollars", "usd"]),
    (Kind::Money("dollar"), (1, 100), &["cent", "cents"]),
    (Kind::Money("euro"), (1, 1), &["euro", "euros", "eur"]),
    (Kind::Money("sterling"), (1, 1), &["sterling", "gbp", "pounds sterling"]),
    (Kind::Money("yen"), (1, 1), &["yen", "yuan"]),
    (Kind::Money("rupee"), (1, 1), &["rupee", "rupees"]),
    (Kind::Volume, (1, 1), &["L", "liter", "liters", "litre", "litres"]),
    (
        Kind::Volume,
        (1, 1000),
        &["mL", "ml", "milliliter", "milliliters", "millilitre", "millilitres"],
    ),
    (Kind::Only("unit"), (1, 1), &["unit", "units"]),
    (Kind::Angle, (1, 1), &["degree", "degrees", "deg"]),
    (Kind::Only("point"), (1, 1), &["point", "points"]),
];

/// Words that say which of two opposite ways a quantity goes, by pair.
const OPPOSITES: &[(&[&str], &[&str])] = &[
    (&["am", "a.m"], &["pm", "p.m"]),
    (&["north"], &["south"]),
    (&["east"], &["west"]),
    (&["left"], &["right"]),
    (
        &["up", "upward", "upwards", "upstream"],
        &["down", "downward", "downwards", "downstream"],
    ),
    (&["gain", "profit", "earned", "won"], &["loss", "lost", "spent"]),
    (
        &["increase", "increased", "rise", "more"],
        &["decrease", "decreased", "fall", "fewer", "less"],
    ),
    (&["bc", "b.c", "bce"], &["ad", "a.d", "ce"]),
    (&["above"], &["below"]),
    (&["faster"], &["slower"]),
    (&["older"], &["younger"]),
    (&["taller", "longer"], &["shorter"]),
    (&["before", "earlier"], &["after", "later"]),
    (
        &["clockwise"],
        &["counterclockwise", "counter-clockwise", "anticlockwise"],
    ),
    (&["ahead"], &["behind"]),
];

/// A product of units. The words of a unit that the table does not hold are kept as they are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Unit {
    factors: BTreeMap<String, i32>,
}

impl std::fmt::Display for Unit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, (name, exponent)) in self.factors.iter().enumerate() {
            let blank = if index == 0 { "" } else { " " };
            match exponent {
                1 => write!(f, "{blank}{name}")?,
                _ => write!(f, "{blank}{name}^{exponent}")?,
            }
        }
        Ok(())
    }
}

fn row(name: &str) -> Option<&'static Row> {
    UNITS.iter().find(|(_, _, spellings)| spellings.contains(&name))
}

/// The common name of a known unit.
pub(crate) fn known_unit(word: &str) -> Option<&'static str> {
    row(word).map(|(_, _, spellings)| spellings[0])
}

impl Unit {
    /// The unit that words name, such as `square feet` or `m/s`; `None` if they say more than a unit does.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let normal = words::normalise(text);
        if !words::may_be_unit(&normal) {
            return None;
        }
        let mut unit = Self::default();
        for (index, part) in normal.replace(" per ", "/").replace("per ", "/").split('/').enumerate() {
            if !unit.multiply_words(part, if index == 0 { 1 } else { -1 }) {
                // Words of a unit that is not known stay together.
                return Some(Self::named(&normal, 1));
            }
        }
        Some(unit)
    }

    /// One unit by its name, with an exponent.
    pub(crate) fn named(name: &str, exponent: i32) -> Self {
        let name = known_unit(name).unwrap_or(name);
        Self {
            factors: BTreeMap::from([(name.to_owned(), exponent)]),
        }
    }

    /// Multiplies by the units of one side of a stroke; `false` if a word is no known unit.
    fn multiply_words(&mut self, part: &str, sign: i32) -> bool {
        if let Some(name) = known_unit(part.trim()) {
            self.add(name, sign);
            return true;
        }
        if part == "mph" {
            self.add("mi", sign);
            self.add("h", -sign);
            return true;
        }
        let (mut next, mut last) = (1, None);
        for word in part.split(' ').filter(|w| !w.is_empty()) {
            match word {
                "square" | "sq" | "sq." => next = 2,
                "cubic" | "cu" | "cu." => next = 3,
                "squared" | "cubed" => {
                    let Some(name) = last else { return false };
                    self.add(name, if word == "squared" { sign } else { 2 * sign });
                }
                _ => {
                    let bare = word.trim_end_matches(['^', '2', '3', '.']);
                    let Some(name) = known_unit(bare) else { return false };
                    let written = word[bare.len()..].trim_matches(['^', '.']).parse().unwrap_or(1);
                    self.add(name, sign * next.max(written));
                    (next, last) = (1, Some(name));
                }
            }
        }
        last.is_some() || part.is_empty()
    }

    fn add(&mut self, name: &str, exponent: i32) {
        let total = self.factors.entry(name.to_owned()).or_default();
        *total = total.saturating_add(exponent);
        if *total == 0 {
            self.factors.remove(name);
        }
    }

    /// Multiplies by another unit, or divides for `sign` -1.
    pub(crate) fn multiply(&mut self, other: &Self, sign: i32) {
        for (name, exponent) in &other.factors {
            self.add(name, exponent.saturating_mul(sign));
        }
    }

    /// The unit to an integer power.
    pub(crate) fn power(&self, exponent: i32) -> Self {
        let raised = |(name, own): (&String, &i32)| (name.clone(), own.saturating_mul(exponent));
        Self {
            factors: self.factors.iter().map(raised).filter(|(_, e)| *e != 0).collect(),
        }
    }

    pub(crate) fn is_degree(&self) -> bool {
        self.factors.len() == 1 && self.factors.get("degree") == Some(&1)
    }

    fn is_known(&self) -> bool {
        self.factors.keys().all(|name| row(name).is_some())
    }

    /// What a number in this unit is multiplied by to be one in `other`; `None` where they measure different things.
    /// Where a side names no known unit, nothing is known to differ: 1.
    pub(crate) fn factor_to(&self, other: &Self) -> Option<BigRational> {
        let one = BigRational::from_integer(1.into());
        if self.opposes(other) {
            return None;
        }
        if self == other || !self.is_known() || !other.is_known() {
            return Some(one);
        }
        if self.factors.contains_key("unit") || other.factors.contains_key("unit") {
            return (self.total() == other.total()).then_some(one);
        }
        (self.dimension() == other.dimension()).then(|| self.size() / other.size())
    }

    /// Whether both hold words of opposite meaning.
    fn opposes(&self, other: &Self) -> bool {
        let holds = |unit: &Self, words: &[&str]| {
            let mut all = unit.factors.keys().flat_map(|name| name.split(' '));
            all.any(|word| words.contains(&word.trim_end_matches('.')))
        };
        OPPOSITES
            .iter()
            .any(|(a, b)| (holds(self, a) && holds(other, b)) || (holds(self, b) && holds(other, a)))
    }

    fn total(&self) -> i64 {
        self.factors.values().map(|e| i64::from(*e)).sum()
    }

    /// Exponents by kind; a litre is a cubic decimetre.
    fn dimension(&self) -> BTreeMap<Kind, i64> {
        let mut exponents = BTreeMap::new();
        for (name, exponent) in &self.factors {
            let exponent = i64::from(*exponent);
            match row(name).map(|row| row.0) {
                Some(Kind::Volume) => *exponents.entry(Kind::Length).or_insert(0) += 3 * exponent,
                Some(kind) => *exponents.entry(kind).or_insert(0) += exponent,
                None => {}
            }
        }
        exponents.retain(|_, exponent| *exponent != 0);
        exponents
    }

    /// The size in the first units of the kinds. Exponents are bounded so that the numbers stay small.
    fn size(&self) -> BigRational {
        let mut size = BigRational::from_integer(1.into());
        for (name, exponent) in &self.factors {
            let Some((kind, (numer, denom), _)) = row(name) else {
                continue;
            };
            let litre = if *kind == Kind::Volume { 1000 } else { 1 };
            let one = BigRational::new(BigInt::from(*numer), BigInt::from(denom * litre));
            size *= Pow::pow(one, exponent.clamp(&-MAX_EXPONENT, &MAX_EXPONENT).to_i32().unwrap_or(1));
        }
        size
    }
}

/// Largest exponent that a conversion of units counts.
const MAX_EXPONENT: i32 = 64;
