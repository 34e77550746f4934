//! Where tokens start in a text, in characters.

use svs_engine::text::{DecodeStream, Tokenizer};

/// Counts the characters of a growing text. A token that continues a character starts where that character does; one that
/// the text leaves out takes no room.
#[derive(Debug, Clone)]
pub struct Offsets {
    stream: DecodeStream,
    chars: usize,
}

impl Offsets {
    /// Those of a sampled text that goes on from a prompt, after `before`.
    #[must_use]
    pub fn sampled(tokenizer: &Tokenizer, before: &str) -> Self {
        Self {
            stream: tokenizer.stream().verbatim(),
            chars: before.chars().count(),
        }
    }

    /// Those of `tokens` in the prompt `text`, which may lack control tokens that encoding it put in.
    #[must_use]
    pub fn prompt(tokenizer: &Tokenizer, text: &str, tokens: impl Iterator<Item = u32>) -> Vec<usize> {
        let mut rest = text;
        let mut offsets = Self {
            stream: tokenizer.stream_with(false),
            chars: 0,
        };
        let place = |token: u32| {
            let (spelled, _) = tokenizer.token_text(token);
            if tokenizer.is_special(token) && !rest.starts_with(&spelled) {
                return offsets.chars;
            }
            let before = offsets.chars;
            let at = offsets.next(token);
            let mut ahead = rest.chars();
            ahead.by_ref().take(offsets.chars - before).for_each(drop);
            rest = ahead.as_str();
            at
        };
        tokens.map(place).collect()
    }

    /// Where `token`, the next one, starts.
    pub fn next(&mut self, token: u32) -> usize {
        let at = self.chars + usize::from(self.stream.is_broken_by(token));
        self.chars += self.stream.push(token).chars().count();
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_breaks_off_a_character_starts_after_it() {
        let tokenizer = Tokenizer::bytes_only().expect("built in");
        let bytes = [0xC3, b'z', 0xF0, 0x9F, b'a', 0xE6];
        let tokens = bytes.map(u32::from);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert_eq!(text, "\u{fffd}z\u{fffd}a\u{fffd}");
        assert_eq!(
            Offsets::prompt(&tokenizer, &text, tokens.into_iter()),
            [0, 1, 2, 2, 3, 4]
        );
    }

    #[test]
    fn tokens_of_one_character_start_at_it() {
        let tokenizer = Tokenizer::bytes_only().expect("built in");
        let end = tokenizer.eos_ids()[0];
        let table: [(&str, &[usize]); 4] = [
            ("aé🦀b", &[0, 1, 1, 2, 2, 2, 2, 3]),
            ("ab", &[0, 1]),
            ("", &[]),
            ("日", &[0, 0, 0]),
        ];
        for (text, expected) in table {
            let tokens: Vec<u32> = text.bytes().map(u32::from).collect();
            assert_eq!(
                Offsets::prompt(&tokenizer, text, tokens.iter().copied()),
                expected,
                "{text}"
            );
            // A control token in front that the text lacks moves nothing; in a sampled text none takes room.
            let with_end = std::iter::once(end).chain(tokens.iter().copied());
            assert_eq!(
                Offsets::prompt(&tokenizer, text, with_end.clone())[1..],
                *expected,
                "{text}"
            );
            let mut sampled = Offsets::sampled(&tokenizer, "🦀x");
            let places: Vec<usize> = with_end.map(|token| sampled.next(token)).collect();
            assert_eq!(
                places[1..],
                expected.iter().map(|at| at + 2).collect::<Vec<_>>(),
                "{text}"
            );
        }
    }
}
