//! Words inside answers: units that are dropped or compared, and words that are never units.

/// Unit spellings; the first of a row is the name that the others are read as.
const UNITS: &[&[&str]] = &[
    &["cm", "centimeter", "centimeters", "centimetre", "centimetres"],
    &["mm", "millimeter", "millimeters"],
    &["km", "kilometer", "kilometers", "kilometre", "kilometres"],
    &["m", "meter", "meters", "metre", "metres"],
    &["in", "inch", "inches"],
    &["ft", "foot", "feet"],
    &["yd", "yard", "yards"],
    &["mi", "mile", "miles"],
    &["g", "gm", "gram", "grams"],
    &["kg", "kilogram", "kilograms"],
    &["lb", "lbs", "pound", "pounds"],
    &["oz", "ounce", "ounces"],
    &["s", "sec", "secs", "second", "seconds"],
    &["min", "mins", "minute", "minutes"],
    &["h", "hr", "hrs", "hour", "hours"],
    &["day", "days"],
    &["week", "weeks"],
    &["month", "months"],
    &["year", "years"],
    &["dollar", "dollars", "usd"],
    &["cent", "cents"],
    &["mph", "miles per hour"],
    &["L", "liter", "liters", "litre", "litres"],
    &["mL", "ml", "milliliter", "milliliters"],
    &["unit", "units"],
    &["degree", "degrees", "deg"],
    &["square units", "sq units", "units squared"],
    &["square feet", "sq ft"],
    &["point", "points"],
];

/// Words that make a phrase more than a unit.
const NOT_UNITS: &[&str] = &[
    "or",
    "and",
    "not",
    "no",
    "isn't",
    "either",
    "maybe",
    "perhaps",
    "than",
    "if",
    "but",
    "nor",
    "versus",
    "vs",
    "between",
    "approximately",
    "about",
    "million",
    "billion",
    "trillion",
    "thousand",
    "hundred",
    "dozen",
    "base",
];

/// Lower case, single spaces, no punctuation around.
pub(crate) fn normalise(text: &str) -> String {
    let lower = text.to_lowercase();
    let joined = lower.split_whitespace().collect::<Vec<_>>().join(" ");
    joined
        .trim_matches(|c: char| matches!(c, '.' | ',' | ';' | ':' | '!' | '?' | '"' | '\'' | '*' | '`'))
        .to_owned()
}

/// The name a unit is compared by, if the words can be one: a known spelling, else the words themselves.
pub(crate) fn unit_name(words: &str) -> Option<String> {
    let normal = normalise(words);
    if normal.split(' ').count() > 4 || normal.split(' ').any(|w| NOT_UNITS.contains(&w)) {
        return None;
    }
    Some(known_unit(&normal).map_or(normal, str::to_owned))
}

/// The common name of a known unit.
pub(crate) fn known_unit(word: &str) -> Option<&'static str> {
    UNITS.iter().find(|row| row.contains(&word)).map(|row| row[0])
}

/// Whether both name known units, and different ones.
pub(crate) fn units_conflict(a: &str, b: &str) -> bool {
    a != b && known_unit(a).is_some() && known_unit(b).is_some() && a != "unit" && b != "unit"
}

/// The multiplier that a number word stands for.
pub(crate) fn magnitude(word: &str) -> Option<i64> {
    Some(match word {
        "hundred" => 100,
        "thousand" => 1000,
        "million" => 1_000_000,
        "billion" => 1_000_000_000,
        "trillion" => 1_000_000_000_000,
        _ => return None,
    })
}
