//! Stems of English words by Porter's algorithm as it was published.
//!
//! # Source
//! M. F. Porter, "An algorithm for suffix stripping", Program 14 (3), 1980, pp. 130–137.

/// What must hold of the stem that is left of a suffix.
#[derive(Clone, Copy)]
enum If {
    /// It has so many runs of vowels that a consonant follows, or more: m ≥ n.
    Measure(usize),
    /// m > 1, and it ends in s or t.
    MeasureAndSOrT,
}

/// A suffix, what it becomes, and when. Of the suffixes that fit, the longest decides.
type Rule = (&'static str, &'static str, If);

const PLURALS: &[Rule] = &[
    ("sses", "ss", If::Measure(0)),
    ("ies", "i", If::Measure(0)),
    ("ss", "ss", If::Measure(0)),
    ("s", "", If::Measure(0)),
];

const DOUBLE_SUFFIXES: &[Rule] = &[
    ("ational", "ate", If::Measure(1)),
    ("ization", "ize", If::Measure(1)),
    ("iveness", "ive", If::Measure(1)),
    ("fulness", "ful", If::Measure(1)),
    ("ousness", "ous", If::Measure(1)),
    ("tional", "tion", If::Measure(1)),
    ("biliti", "ble", If::Measure(1)),
    ("entli", "ent", If::Measure(1)),
    ("ousli", "ous", If::Measure(1)),
    ("ation", "ate", If::Measure(1)),
    ("alism", "al", If::Measure(1)),
    ("aliti", "al", If::Measure(1)),
    ("iviti", "ive", If::Measure(1)),
    ("enci", "ence", If::Measure(1)),
    ("anci", "ance", If::Measure(1)),
    ("izer", "ize", If::Measure(1)),
    ("abli", "able", If::Measure(1)),
    ("alli", "al", If::Measure(1)),
    ("ator", "ate", If::Measure(1)),
    ("eli", "e", If::Measure(1)),
];

const SUFFIXES: &[Rule] = &[
    ("icate", "ic", If::Measure(1)),
    ("ative", "", If::Measure(1)),
    ("alize", "al", If::Measure(1)),
    ("iciti", "ic", If::Measure(1)),
    ("ical", "ic", If::Measure(1)),
    ("ness", "", If::Measure(1)),
    ("ful", "", If::Measure(1)),
];

const ENDINGS: &[Rule] = &[
    ("ement", "", If::Measure(2)),
    ("ance", "", If::Measure(2)),
    ("ence", "", If::Measure(2)),
    ("able", "", If::Measure(2)),
    ("ible", "", If::Measure(2)),
    ("ment", "", If::Measure(2)),
    ("ant", "", If::Measure(2)),
    ("ent", "", If::Measure(2)),
    ("ion", "", If::MeasureAndSOrT),
    ("ism", "", If::Measure(2)),
    ("ate", "", If::Measure(2)),
    ("iti", "", If::Measure(2)),
    ("ous", "", If::Measure(2)),
    ("ive", "", If::Measure(2)),
    ("ize", "", If::Measure(2)),
    ("al", "", If::Measure(2)),
    ("er", "", If::Measure(2)),
    ("ic", "", If::Measure(2)),
    ("ou", "", If::Measure(2)),
];

/// The stem of a word in lower case.
pub(crate) fn stem(word: &str) -> String {
    let word = replaced(word.to_owned(), PLURALS);
    let word = without_past(word);
    let word = match word.strip_suffix('y') {
        Some(stem) if has_vowel(stem) => format!("{stem}i"),
        _ => word,
    };
    let word = [DOUBLE_SUFFIXES, SUFFIXES, ENDINGS].into_iter().fold(word, replaced);
    without_last(word)
}

/// The word by the first rule whose suffix it has, if what is left of it is as the rule wants.
fn replaced(word: String, rules: &[Rule]) -> String {
    let Some((stem, (_, by, wanted))) = rules.iter().find_map(|rule| Some((word.strip_suffix(rule.0)?, rule))) else {
        return word;
    };
    let holds = match wanted {
        If::Measure(least) => measure(stem) >= *least,
        If::MeasureAndSOrT => measure(stem) >= 2 && stem.ends_with(['s', 't']),
    };
    if holds { format!("{stem}{by}") } else { word }
}

/// Without `ed` and `ing`, and with what they took from the stem.
fn without_past(word: String) -> String {
    if let Some(stem) = word.strip_suffix("eed") {
        return if measure(stem) > 0 { format!("{stem}ee") } else { word };
    }
    let stems = ["ed", "ing"].map(|suffix| word.strip_suffix(suffix));
    let Some(stem) = stems.into_iter().flatten().find(|stem| has_vowel(stem)) else {
        return word;
    };
    let doubled = ends_doubled(stem);
    match stem {
        stem if ["at", "bl", "iz"].iter().any(|end| stem.ends_with(end)) => format!("{stem}e"),
        stem if doubled && !stem.ends_with(['l', 's', 'z']) => but_last(stem).to_owned(),
        stem if !doubled && measure(stem) == 1 && ends_short(stem) => format!("{stem}e"),
        stem => stem.to_owned(),
    }
}

/// Without a last `e`, and without the second of two last `l`.
fn without_last(word: String) -> String {
    let word = match word.strip_suffix('e') {
        Some(stem) if measure(stem) > 1 || (measure(stem) == 1 && !ends_short(stem)) => stem.to_owned(),
        _ => word,
    };
    match word.strip_suffix('l') {
        Some(stem) if stem.ends_with('l') && measure(stem) > 1 => stem.to_owned(),
        _ => word,
    }
}

fn but_last(word: &str) -> &str {
    word.char_indices().next_back().map_or("", |(at, _)| &word[..at])
}

/// For each letter, whether it is a consonant: none of a, e, i, o, u, and no y after a consonant.
fn consonants(word: &str) -> Vec<bool> {
    let mut found: Vec<bool> = Vec::with_capacity(word.len());
    for letter in word.chars() {
        found.push(match letter {
            'a' | 'e' | 'i' | 'o' | 'u' => false,
            'y' => !found.last().is_some_and(|before| *before),
            _ => true,
        });
    }
    found
}

/// How often a consonant follows a vowel.
fn measure(stem: &str) -> usize {
    let pairs = consonants(stem);
    pairs.windows(2).filter(|pair| !pair[0] && pair[1]).count()
}

fn has_vowel(stem: &str) -> bool {
    consonants(stem).contains(&false)
}

/// Whether it ends in twice the same consonant.
fn ends_doubled(stem: &str) -> bool {
    let mut letters = stem.chars().rev();
    let last = letters.next();
    last.is_some() && last == letters.next() && consonants(stem).last() == Some(&true)
}

/// Whether it ends in consonant, vowel, consonant, the last none of w, x, y.
fn ends_short(stem: &str) -> bool {
    consonants(stem).ends_with(&[true, false, true]) && !stem.ends_with(['w', 'x', 'y'])
}
