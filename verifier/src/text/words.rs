//! Words inside answers: number words, and words that are never units.

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

/// The words of a text without the commands that set it: `\text{a cat}` is `a cat`.
pub(crate) fn bare_text(text: &str) -> String {
    let mut bare = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bare.push_str(&rest[..at]);
        let name = rest[at + 1..].chars().take_while(char::is_ascii_alphabetic).count();
        let command = &rest[at + 1..at + 1 + name];
        if name > 0 && !(command.starts_with("text") || matches!(command, "mbox" | "hbox" | "mathrm" | "operatorname"))
        {
            bare.push_str(&rest[at..at + 1 + name]);
        }
        rest = &rest[at + 1 + name..];
        if !rest.starts_with('{') {
            bare.push(' ');
        }
    }
    bare.push_str(rest);
    bare.retain(|c| !matches!(c, '{' | '}' | '$'));
    bare.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether words after a number can be the name of what it counts or measures.
pub(crate) fn may_be_unit(normal: &str) -> bool {
    normal.split(' ').count() <= 4 && !normal.split(' ').any(|w| NOT_UNITS.contains(&w))
}

/// The number below a hundred that words spell: `twelve`, `twenty-one`.
pub(crate) fn spelled(text: &str) -> Option<u32> {
    const SMALL: [&str; 20] = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
    ];
    const TENS: [&str; 8] = [
        "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
    ];
    let small = |word: &str| SMALL.iter().position(|w| *w == word);
    let tens = |word: &str| TENS.iter().position(|w| *w == word).map(|at| 10 * at + 20);
    let normal = normalise(&bare_text(text));
    let value = match normal.split_once(['-', ' ']) {
        None => small(&normal).or_else(|| tens(&normal)),
        Some((first, second)) => Some(tens(first)? + small(second).filter(|n| (1..10).contains(n))?),
    };
    value.and_then(|value| u32::try_from(value).ok())
}

/// What a number word multiplies by, as a quotient: `million`, `tenths`.
pub(crate) fn magnitude(word: &str) -> Option<(i64, i64)> {
    Some(match word {
        "hundred" => (100, 1),
        "thousand" => (1000, 1),
        "million" => (1_000_000, 1),
        "billion" => (1_000_000_000, 1),
        "trillion" => (1_000_000_000_000, 1),
        "dozen" => (12, 1),
        "half" | "halves" => (1, 2),
        "third" | "thirds" => (1, 3),
        "fourth" | "fourths" => (1, 4),
        "fifth" | "fifths" => (1, 5),
        "sixth" | "sixths" => (1, 6),
        "seventh" | "sevenths" => (1, 7),
        "eighth" | "eighths" => (1, 8),
        "ninth" | "ninths" => (1, 9),
        "tenth" | "tenths" => (1, 10),
        "twelfth" | "twelfths" => (1, 12),
        "hundredth" | "hundredths" => (1, 100),
        "thousandth" | "thousandths" => (1, 1000),
        "millionth" | "millionths" => (1, 1_000_000),
        _ => return None,
    })
}

/// Whether quarters are counted, which may be parts of a whole or things.
pub(crate) fn is_quarters(word: &str) -> bool {
    matches!(word, "quarter" | "quarters")
}
