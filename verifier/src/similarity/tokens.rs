//! Texts cut into numbers: equal numbers for equal characters or words.

use std::collections::HashMap;

use super::stem::stem;

/// Numbers of the words seen so far.
#[derive(Debug, Default)]
pub(crate) struct Vocabulary {
    numbers: HashMap<String, u32>,
}

impl Vocabulary {
    fn number(&mut self, word: &str) -> u32 {
        // Texts are bounded far below 2^32 words.
        let next = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        match self.numbers.get(word) {
            Some(number) => *number,
            None => *self.numbers.entry(word.to_owned()).or_insert(next),
        }
    }

    /// For the number of each word so far the number of its stem.
    pub(crate) fn stems(&mut self) -> Vec<u32> {
        let mut words: Vec<(u32, String)> = self
            .numbers
            .iter()
            .map(|(word, number)| (*number, stem(word)))
            .collect();
        words.sort_unstable();
        words.iter().map(|(_, stem)| self.number(stem)).collect()
    }
}

/// The code points of a text.
pub(crate) fn characters(text: &str) -> Vec<u32> {
    text.chars().map(u32::from).collect()
}

/// Words as Python's `str.split` cuts them: it counts four separators as whitespace that Unicode does not.
pub(crate) fn words_between_spaces(text: &str, vocabulary: &mut Vocabulary) -> Vec<u32> {
    text.split(|c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c))
        .filter(|word| !word.is_empty())
        .map(|word| vocabulary.number(word))
        .collect()
}

/// Runs of ASCII letters and digits in lower case, as rouge-score cuts them without its stemmer.
pub(crate) fn words_of_ascii(text: &str, vocabulary: &mut Vocabulary) -> Vec<u32> {
    text.to_lowercase()
        .split(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit())
        .filter(|word| !word.is_empty())
        .map(|word| vocabulary.number(word))
        .collect()
}

/// Words between whitespace, in lower case.
pub(crate) fn lower_words(text: &str, vocabulary: &mut Vocabulary) -> Vec<u32> {
    words_between_spaces(&text.to_lowercase(), vocabulary)
}

/// Runs of letters and digits of any script, in lower case.
pub(crate) fn words_of_letters(text: &str, vocabulary: &mut Vocabulary) -> Vec<u32> {
    text.to_lowercase()
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| vocabulary.number(word))
        .collect()
}
