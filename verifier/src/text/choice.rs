//! Letters of multiple choice.

/// The letter of a choice written as `B`, `(B)`, `B.`, `B) text` or `\textbf{(B)} text`.
pub(crate) fn choice(answer: &str) -> Option<String> {
    let answer = without_font(answer.trim());
    let inner = answer.trim_start_matches(['(', '*', '$']);
    let letter = inner.get(..1).filter(|l| l.chars().all(|c| c.is_ascii_alphabetic()))?;
    let rest = inner[1..].trim_start_matches(['*', '$']);
    (rest.is_empty() || names_option(letter, rest)).then(|| letter.to_owned())
}

/// Whether text after a letter is the words of its option, not the rest of a formula such as `(x)*(y)` or `(A) + 1`.
fn names_option(letter: &str, rest: &str) -> bool {
    let Some(text) = rest.strip_prefix([')', '.', ':']) else {
        return false;
    };
    let text = text.strip_prefix("**").unwrap_or(text);
    let apart = text.is_empty() || text.starts_with(|c: char| c.is_whitespace() || matches!(c, '\\' | '$'));
    let words = text.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '$' | '\\'));
    let operator = words.starts_with(['+', '-', '*', '/', '^', '=', '<', '>', '(', '[', '!', '_', '|', ',']);
    let option = is_option(letter) || text.is_empty();
    option && apart && !operator && !hedges(rest)
}

/// The letter of a choice that a font command sets apart from its text.
pub(crate) fn set_choice(answer: &str) -> Option<String> {
    choice(answer).filter(|_| without_font(answer.trim()) != answer.trim())
}

/// The text with the font command that it starts with taken off, if the braces hold no further ones.
fn without_font(text: &str) -> String {
    let fonts = [
        "\\textbf{",
        "\\text{",
        "\\textrm{",
        "\\mathrm{",
        "\\mathbf{",
        "\\textit{",
    ];
    let font = fonts
        .into_iter()
        .find_map(|font| text.strip_prefix(font)?.split_once('}'));
    match font {
        Some((inner, rest)) if !inner.contains('{') => format!("{inner}{rest}"),
        _ => text.to_owned(),
    }
}

/// Letters that name the options of a question.
fn is_option(word: &str) -> bool {
    matches!(word.as_bytes(), [b'A'..=b'J'])
}

/// The letter that an announced clause chooses, where it says of all other letters that they are not it:
/// `D, it can't be A or B`.
pub(crate) fn chosen(clause: &str) -> Option<String> {
    let mut letter: Option<&str> = None;
    for part in clause.split([',', '.', ';', '。', '，']) {
        let words: Vec<&str> = part
            .split(|c: char| !(c.is_alphanumeric() || matches!(c, '\'' | '’')))
            .filter(|w| !w.is_empty())
            .collect();
        if letter.is_some() && words.iter().any(|w| is_negation(w)) {
            continue;
        }
        for (at, word) in words.iter().enumerate().filter(|(_, w)| is_option(w)) {
            let article = *word == "A" && words.get(at + 1).is_some_and(|w| w.starts_with(char::is_lowercase));
            if article || letter == Some(word) {
                continue;
            }
            if letter.is_some() || words[..at].iter().any(|w| is_negation(w)) {
                return None;
            }
            letter = Some(word);
        }
    }
    letter.map(str::to_owned)
}

fn is_negation(word: &str) -> bool {
    let lower = word.to_lowercase().replace('’', "'");
    lower.ends_with("n't")
        || matches!(
            lower.as_str(),
            "not" | "cannot" | "neither" | "nor" | "wrong" | "incorrect" | "non" | "never"
        )
}

/// The letter of the option that a gold text names with its words, at its start or after "answer is": `C Cecile`.
pub(crate) fn option_of(gold: &str) -> Option<&str> {
    let lower = gold.to_ascii_lowercase();
    let start = lower.rfind("answer is").map_or(0, |at| at + "answer is".len());
    let text = gold[start..].trim_start_matches(|c: char| c.is_whitespace() || matches!(c, ':' | '('));
    let letter = text.get(..1).filter(|l| is_option(l))?;
    let rest = text[1..].trim_start_matches([')', '.', ':']);
    let named = rest.trim_start();
    // "A man" is an article and its noun.
    let noun = letter == "A" && rest.len() == text.len() - 1 && named.starts_with(char::is_lowercase);
    (rest.len() > named.len() && !named.is_empty() && !noun).then_some(letter)
}

/// Whether text after a choice letter names a second one or takes it back.
fn hedges(rest: &str) -> bool {
    rest.split(|c: char| !c.is_alphabetic()).any(|w| {
        matches!(w.to_ascii_lowercase().as_str(), "or" | "not" | "either")
            || (w.len() == 1 && !matches!(w, "a" | "x" | "y"))
    })
}
