//! Number literals: thousands separators, decimals, exponents, the one-digit arguments of fractions.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{Pow, Zero};

use super::{Commas, Lexer, Token};
use crate::budget::{Budget, Stop};

/// Digits that one literal may have.
const MAX_DIGITS: usize = 35_000;
/// Magnitude of the exponent of a literal such as `1e30`.
const MAX_SCIENTIFIC: i64 = 5_000;

impl Lexer {
    /// The length of a thousands separator here, if three digits and no fourth follow it.
    fn separator(&mut self) -> Option<usize> {
        let found = |all: &[&str]| all.iter().find(|s| self.starts_with(s)).map(|s| s.len());
        let (length, ambiguous) = match found(&[",\\! ", ",\\!", "{,}", "{, }", " {,}", " {, }", "\\,", " "]) {
            Some(length) => (length, false),
            None => (found(&[",\\ ", ",\\,", ","])?, true),
        };
        let digit = |i: usize| self.peek(length + i).is_some_and(|c| c.is_ascii_digit());
        let fraction = self.peek(length + 3) == Some('/');
        let groups = digit(0) && digit(1) && digit(2) && !digit(3) && !fraction;
        // Inside brackets a bare comma always separates.
        if !groups || (ambiguous && self.brackets > 0) {
            return None;
        }
        self.ambiguous |= ambiguous;
        (!ambiguous || self.commas == Commas::Group).then_some(length)
    }

    /// A literal of another notation such as `0x1F` or `0b10`: text, so that it is never read as 0 times something.
    fn prefixed(&mut self) -> bool {
        let radix = match (self.peek(0), self.peek(1)) {
            (Some('0'), Some('x' | 'X')) => 16,
            (Some('0'), Some('b' | 'B' | 'o' | 'O')) => 10,
            _ => return false,
        };
        let after_digit = self.at > 0 && self.chars[self.at - 1].is_ascii_alphanumeric();
        if after_digit || !self.peek(2).is_some_and(|c| c.is_digit(radix)) {
            return false;
        }
        let word: String = (0..64)
            .map_while(|i| self.peek(i).filter(char::is_ascii_alphanumeric))
            .collect();
        self.at += word.len();
        self.out.push(Token::Words(word.to_ascii_lowercase()));
        true
    }

    /// Whether digits start here in several groups of three with dots, such as `1.234.567`.
    fn is_dotted(&self) -> bool {
        let digits = |at: usize| {
            (0..4)
                .take_while(|i| self.peek(at + i).is_some_and(|c| c.is_ascii_digit()))
                .count()
        };
        let first = digits(0);
        let group = |at: usize| self.peek(at) == Some('.') && digits(at + 1) == 3;
        (1..=3).contains(&first) && self.peek(0) != Some('0') && group(first) && group(first + 4)
    }

    /// The ending of an ordinal directly after its digits, as in `7th`: passed over.
    fn ordinal(&mut self) {
        let ending: String = (0..3)
            .map_while(|i| self.peek(i).filter(char::is_ascii_alphabetic))
            .collect();
        if matches!(ending.as_str(), "st" | "nd" | "rd" | "th") {
            self.at += 2;
        }
    }

    pub(super) fn number(&mut self, budget: &mut Budget) -> Result<(), Stop> {
        if self.prefixed() {
            return Ok(());
        }
        let dotted = self.is_dotted();
        let mut digits = String::new();
        let first_group = (0..)
            .take_while(|&i| self.peek(i).is_some_and(|c| c.is_ascii_digit()))
            .take(4)
            .count();
        // What follows a subscript is another number: `\log_7 216`.
        let below = self.out.last() == Some(&Token::Symbol('_'));
        let groups = (1..=3).contains(&first_group) && self.peek(0) != Some('0') && !below;
        loop {
            match self.peek(0) {
                Some(c) if c.is_ascii_digit() => {
                    digits.push(c);
                    self.at += 1;
                }
                Some('.') if dotted => self.at += 1,
                _ => match if groups { self.separator() } else { None } {
                    Some(length) => self.at += length,
                    None => break,
                },
            }
        }
        let mut decimals = None;
        if self.peek(0) == Some('.') && self.fraction_follows() {
            self.at += 1;
            let before = digits.len();
            while let Some(c) = self.peek(0).filter(char::is_ascii_digit) {
                digits.push(c);
                self.at += 1;
            }
            let plain = digits.len() - before;
            if let Some(block) = self.repeating(plain)? {
                return self.push_repeating(&digits, plain, &block, budget);
            }
            decimals = Some(u32::try_from(plain).map_err(|_| Stop::OverBudget)?);
        }
        let exponent = self.scientific();
        if decimals.is_none() && exponent.is_none() {
            self.ordinal();
        }
        self.push_literal(digits, decimals, exponent, budget)
    }

    pub(super) fn push_literal(
        &mut self,
        digits: String,
        decimals: Option<u32>,
        exponent: Option<i64>,
        budget: &mut Budget,
    ) -> Result<(), Stop> {
        if digits.len() > MAX_DIGITS {
            return Err(Stop::OverBudget);
        }
        let words = digits.len() as u64 / 16 + 1;
        budget.charge(words * words / 64 + 1)?;
        let integer = BigInt::parse_bytes(digits.as_bytes(), 10).ok_or(Stop::Malformed)?;
        let mut value = match decimals {
            None => BigRational::from_integer(integer),
            Some(count) => {
                budget.charge(words * words / 4)?;
                BigRational::new(integer, Pow::pow(BigInt::from(10), count))
            }
        };
        if let Some(exponent) = exponent {
            if exponent.abs() > MAX_SCIENTIFIC {
                return if value.is_zero() {
                    Err(Stop::Malformed)
                } else {
                    Err(Stop::OverBudget)
                };
            }
            let power = Pow::pow(BigInt::from(10), exponent.unsigned_abs());
            budget.charge(1 + exponent.unsigned_abs() / 4 + words)?;
            value = if exponent < 0 {
                value / BigRational::from_integer(power)
            } else {
                value * BigRational::from_integer(power)
            };
        }
        self.out.push(Token::Number {
            value,
            decimals,
            digits,
        });
        Ok(())
    }

    /// The exponent of a literal such as `1.5e4`, consumed; an `e` without digits after it is left alone.
    pub(super) fn scientific(&mut self) -> Option<i64> {
        if !matches!(self.peek(0), Some('e' | 'E')) {
            return None;
        }
        let signed = usize::from(matches!(self.peek(1), Some('+' | '-')));
        let start = 1 + signed;
        let count = (start..)
            .take_while(|&i| self.peek(i).is_some_and(|c| c.is_ascii_digit()))
            .count();
        if count == 0 {
            return None;
        }
        let digits: String = (start..start + count.min(12)).filter_map(|i| self.peek(i)).collect();
        let magnitude: i64 = digits.parse().ok()?;
        let negative = self.peek(1) == Some('-');
        self.at += start + count;
        Some(if negative { -magnitude } else { magnitude })
    }

    /// The one-digit arguments of `\frac12` and `\frac1{72}`.
    pub(super) fn frac_digits(&mut self, budget: &mut Budget) -> Result<(), Stop> {
        for _ in 0..2 {
            while self.peek(0).is_some_and(char::is_whitespace) {
                self.at += 1;
            }
            let Some(digit) = self.peek(0).filter(char::is_ascii_digit) else {
                return Ok(());
            };
            self.at += 1;
            self.push_literal(digit.to_string(), None, None, budget)?;
        }
        Ok(())
    }
}
