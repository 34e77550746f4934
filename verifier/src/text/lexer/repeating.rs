//! Decimals with a repeating block: `0.1\overline{6}`, `0.\dot{1}2\dot{3}`, `0.(6)`; and what else stands under a bar.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Pow};

use super::{Lexer, Token};
use crate::budget::{Budget, Stop};

/// Digits that a repeating decimal may have.
const MAX_REPEATING: usize = 400;

impl Lexer {
    pub(super) fn starts_with(&self, text: &str) -> bool {
        text.chars().enumerate().all(|(i, c)| self.peek(i) == Some(c))
    }

    /// Whether the point here starts decimals: digits, or a repeating block.
    pub(super) fn fraction_follows(&self) -> bool {
        self.peek(1).is_some_and(|d| d.is_ascii_digit())
            || self.marked(1, &["\\overline", "\\bar", "\\dot"]).is_some()
            || self.bracketed(1).is_some()
    }

    /// Dots: digits left out after a decimal, items left out after a comma or an operator, else the end of a sentence.
    pub(super) fn ellipsis(&mut self) {
        let token = match self.out.last() {
            Some(Token::Number { decimals: Some(_), .. }) => Token::Ellipsis,
            Some(Token::Symbol(',' | '*') | Token::Separator | Token::Sign(_)) => Token::Words("…".into()),
            _ => return,
        };
        self.out.push(token);
    }

    /// Digits under one of the marks at `ahead`, and where they end.
    fn marked(&self, ahead: usize, marks: &[&str]) -> Option<(String, usize)> {
        let starts = |m: &&&str| m.chars().enumerate().all(|(i, c)| self.peek(ahead + i) == Some(c));
        let mut at = ahead + marks.iter().find(starts)?.len();
        while self.peek(at) == Some(' ') {
            at += 1;
        }
        match self.peek(at)? {
            '{' => self.digits_until(at + 1, '}'),
            c if c.is_ascii_digit() => Some((c.to_string(), at + 1)),
            _ => None,
        }
    }

    /// Digits in parentheses at `ahead`, and where they end.
    fn bracketed(&self, ahead: usize) -> Option<(String, usize)> {
        (self.peek(ahead) == Some('(')).then(|| self.digits_until(ahead + 1, ')'))?
    }

    fn digits_until(&self, start: usize, close: char) -> Option<(String, usize)> {
        let digits: String = (start..start + MAX_REPEATING)
            .map_while(|i| self.peek(i).filter(char::is_ascii_digit))
            .collect();
        let end = start + digits.len();
        (!digits.is_empty() && self.peek(end) == Some(close)).then_some((digits, end + 1))
    }

    /// The repeating block after `decimals` plain digits, consumed. `0.1(6)` may be a product: it is not read.
    pub(super) fn repeating(&mut self, decimals: usize) -> Result<Option<String>, Stop> {
        if let Some((block, end)) = self.bracketed(0) {
            self.at += end;
            return if decimals == 0 {
                Ok(Some(block))
            } else {
                Err(Stop::Malformed)
            };
        }
        if let Some((block, end)) = self.marked(0, &["\\overline", "\\bar"]) {
            self.at += end;
            return Ok(Some(block));
        }
        let Some((mut block, mut end)) = self.marked(0, &["\\dot"]) else {
            return Ok(None);
        };
        if block.len() > 1 {
            return Err(Stop::Malformed);
        }
        self.at += end;
        let inner: String = (0..MAX_REPEATING)
            .map_while(|i| self.peek(i).filter(char::is_ascii_digit))
            .collect();
        match self.marked(inner.len(), &["\\dot"]) {
            Some((last, after)) if last.len() == 1 => {
                block = block + &inner + &last;
                end = after;
            }
            None if inner.is_empty() => end = 0,
            _ => return Err(Stop::Malformed),
        }
        self.at += end;
        Ok(Some(block))
    }

    /// Pushes the rational number of `digits`, the last `decimals` of them after the point, and a repeating block.
    pub(super) fn push_repeating(
        &mut self,
        digits: &str,
        decimals: usize,
        block: &str,
        budget: &mut Budget,
    ) -> Result<(), Stop> {
        let length = digits.len() + block.len();
        if length > MAX_REPEATING || self.peek(0).is_some_and(|c| c.is_ascii_digit()) {
            return Err(Stop::Malformed);
        }
        budget.charge(1 + (length * length / 16) as u64)?;
        let read = |text: &str| BigInt::parse_bytes(format!("0{text}").as_bytes(), 10).ok_or(Stop::Malformed);
        let whole = format!("{digits}{block}");
        let nines = Pow::pow(BigInt::from(10), block.len()) - BigInt::one();
        let scale: BigInt = Pow::pow(BigInt::from(10), decimals);
        self.out.push(Token::Number {
            value: BigRational::new(read(&whole)? - read(digits)?, nines * scale),
            decimals: None,
            digits: format!("{digits}({block})"),
        });
        Ok(())
    }

    /// A bar over letters: over one it makes another variable (a mean, a conjugate), over several it names a segment.
    /// A bar over digits, decimals or a formula is not read. `name` is the length of the command just read.
    pub(super) fn overlined(&mut self, name: usize, budget: &mut Budget) -> Result<(), Stop> {
        if self.at >= name + 2 && self.chars[self.at - name - 2] == '.' {
            return Err(Stop::Malformed);
        }
        let after_number = matches!(self.out.last(), Some(Token::Number { .. }));
        while self.peek(0) == Some(' ') {
            self.at += 1;
        }
        let content = match self.peek(0) {
            Some('{') => self.group()?,
            Some(c) => {
                self.at += 1;
                c.to_string()
            }
            None => return Err(Stop::Malformed),
        };
        let letters = content.trim();
        if letters.is_empty() || !letters.chars().all(|c| c.is_ascii_alphabetic()) {
            return Err(Stop::Malformed);
        }
        if letters.len() > 1 && !after_number {
            return self.splice(letters, budget);
        }
        self.out.push(Token::Letter {
            name: format!("\\bar {letters}"),
            spaced: true,
        });
        Ok(())
    }
}
