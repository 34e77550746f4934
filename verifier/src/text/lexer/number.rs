//! Number literals: thousands separators, decimals, exponents, the one-digit arguments of fractions.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{Pow, Zero};

use super::{Lexer, Token};
use crate::budget::{Budget, Stop};

/// Digits that one literal may have.
const MAX_DIGITS: usize = 35_000;
/// Magnitude of the exponent of a literal such as `1e30`.
const MAX_SCIENTIFIC: i64 = 5_000;

impl Lexer {
    /// The length of a thousands separator at `ahead`, if three digits and no fourth follow it.
    pub(super) fn separator(&self, ahead: usize) -> Option<usize> {
        let rest = |text: &str| text.chars().enumerate().all(|(i, c)| self.peek(ahead + i) == Some(c));
        let length = [",\\!", "{,}", "\\,", ",\\ ", ",\\,"]
            .iter()
            .find(|s| rest(s))
            .map(|s| s.chars().count())
            .or_else(|| (self.brackets == 0 && rest(",")).then_some(1))
            .or_else(|| rest(" ").then_some(1))?;
        let digit = |i: usize| self.peek(ahead + length + i).is_some_and(|c| c.is_ascii_digit());
        let fraction = self.peek(ahead + length + 3) == Some('/');
        (digit(0) && digit(1) && digit(2) && !digit(3) && !fraction).then_some(length)
    }

    pub(super) fn number(&mut self, budget: &mut Budget) -> Result<(), Stop> {
        let mut digits = String::new();
        let first_group = (0..)
            .take_while(|&i| self.peek(i).is_some_and(|c| c.is_ascii_digit()))
            .take(4)
            .count();
        let groups = (1..=3).contains(&first_group) && self.peek(0) != Some('0');
        loop {
            match self.peek(0) {
                Some(c) if c.is_ascii_digit() => {
                    digits.push(c);
                    self.at += 1;
                }
                _ => match self.separator(0).filter(|_| groups) {
                    Some(length) => self.at += length,
                    None => break,
                },
            }
        }
        let mut decimals = None;
        if self.peek(0) == Some('.') && self.peek(1).is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
            let before = digits.len();
            while let Some(c) = self.peek(0).filter(char::is_ascii_digit) {
                digits.push(c);
                self.at += 1;
            }
            decimals = Some(u32::try_from(digits.len() - before).map_err(|_| Stop::OverBudget)?);
        }
        let exponent = self.scientific();
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
