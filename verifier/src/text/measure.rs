//! Units after a number: words, letters set apart, exponents, strokes.

use num_traits::ToPrimitive;

use super::lexer::Token;
use super::parser::Parser;
use super::product::joined;
use super::syntax::{Expr, Sign};
use super::units::{Unit, known_unit};
use crate::budget::Stop;

impl Parser<'_> {
    /// The factors with the unit that starts here.
    pub(super) fn measured(&mut self, factors: Vec<(bool, Expr)>) -> Result<Expr, Stop> {
        let (unit, end) = self.unit_run(self.at).ok_or(Stop::Malformed)?;
        self.at = end;
        Ok(Expr::Measured(Box::new(joined(factors)?), unit))
    }

    /// The unit that divides, if the stroke here stands before words: "5 / hour".
    pub(super) fn per_unit(&self) -> Option<(Unit, usize)> {
        let words = matches!(self.tokens.get(self.at + 1), Some(Token::Words(_)));
        let (unit, end) = self.unit_run(self.at + 1).filter(|_| words)?;
        Some((unit.power(-1), end))
    }

    /// The unit that the factor read since `start` begins: one letter set apart from what stands before it.
    pub(super) fn spaced_unit(&self, start: usize) -> Option<(Unit, usize)> {
        match self.tokens.get(start)? {
            Token::Letter { spaced: true, .. } => self.unit_run(start),
            _ => None,
        }
    }

    /// The product of units from token `start` on, and where it ends.
    fn unit_run(&self, start: usize) -> Option<(Unit, usize)> {
        let (mut unit, mut at) = self.unit_factor(start)?;
        loop {
            let (next, sign) = match self.tokens.get(at) {
                Some(Token::Symbol('/')) => (at + 1, -1),
                Some(Token::Symbol('*')) => (at + 1, 1),
                Some(Token::Words(_)) => (at, 1),
                _ => return Some((unit, at)),
            };
            let Some((factor, end)) = self.unit_factor(next) else {
                return Some((unit, at));
            };
            unit.multiply(&factor, sign);
            at = end;
        }
    }

    /// One unit with its exponent.
    fn unit_factor(&self, start: usize) -> Option<(Unit, usize)> {
        let (unit, at) = match self.tokens.get(start)? {
            Token::Currency(name) => (Unit::named(name, 1), start + 1),
            Token::Letter { name, .. } => (Unit::named(known_unit(name)?, 1), start + 1),
            Token::Words(_) => {
                let mut words: Vec<&str> = self.tokens[start..]
                    .iter()
                    .map_while(|t| {
                        if let Token::Words(w) = t {
                            Some(w.as_str())
                        } else {
                            None
                        }
                    })
                    .collect();
                if words.iter().all(|word| known_unit(word).is_some()) {
                    // Units side by side: an exponent belongs to the last one before it.
                    words.truncate(1);
                }
                (Unit::read(&words.join(" "))?, start + words.len())
            }
            _ => return None,
        };
        match self.unit_exponent(at) {
            Some((exponent, end)) => Some((unit.power(exponent), end)),
            None => Some((unit, at)),
        }
    }

    /// A literal exponent such as `^2` or `^{-1}`.
    fn unit_exponent(&self, at: usize) -> Option<(i32, usize)> {
        let integer = |t: &Token| match t {
            Token::Number {
                value, decimals: None, ..
            } if value.is_integer() => value.to_i32(),
            _ => None,
        };
        match self.tokens.get(at..)? {
            [Token::Symbol('^'), number @ Token::Number { .. }, ..] => Some((integer(number)?, at + 2)),
            [Token::Symbol('^'), Token::Sign(Sign::Minus), number, ..] => Some((-integer(number)?, at + 3)),
            [Token::Symbol('^'), Token::Symbol('{'), number, Token::Symbol('}'), ..] => {
                Some((integer(number)?, at + 4))
            }
            [
                Token::Symbol('^'),
                Token::Symbol('{'),
                Token::Sign(Sign::Minus),
                number,
                Token::Symbol('}'),
                ..,
            ] => Some((-integer(number)?, at + 5)),
            _ => None,
        }
    }
}
