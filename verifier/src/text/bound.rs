//! Operators that bind a variable: sums, products, integrals, limits.

use super::lexer::Token;
use super::parser::Parser;
use super::syntax::{Binder, Bound, Expr, Relate, Sign};
use crate::algebra::rational;
use crate::budget::Stop;

/// Tokens of an integral that are searched for its differential.
const MAX_INTEGRAL: usize = 400;

impl Parser<'_> {
    pub(super) fn bound(&mut self, binder: Binder) -> Result<Expr, Stop> {
        self.nested(|p| match binder {
            Binder::Integral => p.integral(),
            _ => p.indexed(binder),
        })
    }

    /// `\sum_{k=1}^n f`, `\lim_{x \to a} f`: the body is one product.
    fn indexed(&mut self, binder: Binder) -> Result<Expr, Stop> {
        let (mut index, mut to) = (None, None);
        loop {
            if self.eat('_') {
                index = Some(self.index()?);
            } else if self.eat('^') {
                to = Some(self.limit()?);
            } else {
                break;
            }
        }
        let (variable, from, below) = index.ok_or(Stop::Malformed)?;
        if (binder == Binder::Limit) != to.is_none() || (below && binder != Binder::Limit) {
            return Err(Stop::Malformed);
        }
        if below {
            to = Some(Expr::Symbol("below".into()));
        }
        let body = self.product()?;
        Ok(Expr::Bound(Box::new(Bound {
            binder,
            variable,
            from: Some(from),
            to,
            body,
        })))
    }

    /// `{k=1}` or `{x \to a}`, and whether the limit is from below.
    fn index(&mut self) -> Result<(String, Expr, bool), Stop> {
        self.expect('{')?;
        let Some(Token::Letter { name, .. }) = self.peek() else {
            return Err(Stop::Malformed);
        };
        self.at += 1;
        match self.peek() {
            Some(Token::Relate(Relate::Equal)) => self.at += 1,
            _ if self.eat_command("to") => {
                let (from, below) = self.point()?;
                return Ok((name.clone(), from, below));
            }
            _ => return Err(Stop::Malformed),
        }
        let from = self.sum()?;
        self.expect('}')?;
        Ok((name.clone(), from, false))
    }

    /// Where a limit is taken, up to its brace, and whether from below (`3^-`). From above is where nothing is said.
    fn point(&mut self) -> Result<(Expr, bool), Stop> {
        let rest = &self.tokens[self.at..];
        let mut groups = 0usize;
        for at in 0..rest.len().min(MAX_INTEGRAL) {
            let (sign, length) = match &rest[at..] {
                [Token::Symbol('^'), Token::Sign(sign), Token::Symbol('}'), ..] => (sign, 3),
                [
                    Token::Symbol('^'),
                    Token::Symbol('{'),
                    Token::Sign(sign),
                    Token::Symbol('}'),
                    Token::Symbol('}'),
                    ..,
                ] => (sign, 5),
                [Token::Symbol('}'), ..] if groups == 0 => break,
                [Token::Symbol('{'), ..] => {
                    groups += 1;
                    continue;
                }
                [Token::Symbol('}'), ..] => {
                    groups -= 1;
                    continue;
                }
                _ => continue,
            };
            let from = self.within(&rest[..at])?;
            self.at += at + length;
            return Ok((from, *sign == Sign::Minus));
        }
        let from = self.sum()?;
        self.expect('}')?;
        Ok((from, false))
    }

    /// One token or a group: a subscript after it is the other limit.
    fn limit(&mut self) -> Result<Expr, Stop> {
        let alone = matches!(self.tokens.get(self.at + 1), Some(Token::Symbol('_')));
        match self.peek() {
            Some(Token::Number { .. } | Token::Letter { .. }) if alone => {
                let expr = self.within(&self.tokens[self.at..=self.at])?;
                self.at += 1;
                Ok(expr)
            }
            _ => self.argument(),
        }
    }

    /// Whether the fraction here is `\frac{d}{dx}` before an operand.
    pub(super) fn operator_of_derivative(&self) -> bool {
        let letter = |t: &Token, wanted: Option<&str>| matches!(t, Token::Letter { name, .. } if wanted.is_none_or(|w| name == w));
        match self.tokens.get(self.at..self.at + 8) {
            Some(
                [
                    Token::Symbol('{'),
                    d,
                    Token::Symbol('}'),
                    Token::Symbol('{'),
                    e,
                    variable,
                    Token::Symbol('}'),
                    next,
                ],
            ) => letter(d, Some("d")) && letter(e, Some("d")) && letter(variable, None) && self.starts_operand(next),
            _ => false,
        }
    }

    pub(super) fn derivative_of(&mut self) -> Result<Expr, Stop> {
        let Some(Token::Letter { name, .. }) = self.tokens.get(self.at + 5) else {
            return Err(Stop::Malformed);
        };
        self.at += 7;
        let body = self.nested(Self::product)?;
        Ok(Expr::Bound(Box::new(Bound {
            binder: Binder::Derivative,
            variable: name.clone(),
            from: None,
            to: None,
            body,
        })))
    }

    fn integral(&mut self) -> Result<Expr, Stop> {
        let (mut from, mut to) = (None, None);
        loop {
            let side = if self.eat('_') {
                &mut from
            } else if self.eat('^') {
                &mut to
            } else {
                break;
            };
            *side = if self.tokens[self.at..].starts_with(&[Token::Symbol('{'), Token::Symbol('}')]) {
                self.at += 2;
                None
            } else {
                Some(self.limit()?)
            };
        }
        if from.is_some() != to.is_some() {
            return Err(Stop::Malformed);
        }
        let (differential, variable, end) = self.find_differential().ok_or(Stop::Malformed)?;
        self.budget.charge((end - self.at) as u64)?;
        let mut tokens = self.tokens[self.at..end].to_vec();
        let mut gap = differential - self.at;
        tokens.drain(gap..gap + 2);
        if gap > 0 && tokens[gap - 1] == Token::Symbol('*') {
            // `3 \cdot dz`: nothing is left to multiply by.
            gap -= 1;
            tokens.remove(gap);
        }
        let opened = gap == 0 || matches!(tokens[gap - 1], Token::Symbol('{' | '('));
        let closed = matches!(tokens.get(gap), None | Some(Token::Symbol('}' | ')')));
        if opened && closed {
            // The differential stood alone: it is multiplied by 1.
            let value = rational::integer(1);
            tokens.insert(
                gap,
                Token::Number {
                    value,
                    decimals: None,
                    digits: "1".into(),
                },
            );
        }
        let body = self.within(&tokens)?;
        self.at = end;
        Ok(Expr::Bound(Box::new(Bound {
            binder: Binder::Integral,
            variable,
            from,
            to,
            body,
        })))
    }

    /// Reads all of `tokens` as a sum, at this depth and budget.
    fn within(&mut self, tokens: &[Token]) -> Result<Expr, Stop> {
        let mut inner = Parser {
            tokens,
            at: 0,
            depth: self.depth,
            bars: 0,
            nested_bars: self.nested_bars,
            congruence: false,
            budget: &mut *self.budget,
        };
        let body = inner.sum()?;
        if inner.at < tokens.len() {
            Err(Stop::Malformed)
        } else {
            Ok(body)
        }
    }

    /// Where the differential of the integral read last stands, its variable, and where the integral ends: after the
    /// differential, or after the group that holds it.
    fn find_differential(&self) -> Option<(usize, String, usize)> {
        let (mut level, mut groups) = (0usize, 0usize);
        let mut found: Option<(usize, String)> = None;
        for (at, token) in self.tokens.iter().enumerate().skip(self.at).take(MAX_INTEGRAL) {
            match token {
                Token::Command(name) if name == "int" => level += 1,
                Token::Symbol('{' | '(' | '[') => groups += 1,
                Token::Symbol('}' | ')' | ']') => groups = groups.checked_sub(1)?,
                Token::Letter { name, .. } if name == "d" && found.is_none() => {
                    if let Some(Token::Letter { name: variable, .. }) = self.tokens.get(at + 1) {
                        if level == 0 {
                            found = Some((at, variable.clone()));
                        }
                        level = level.saturating_sub(1);
                    }
                }
                _ => {}
            }
            if let Some((start, variable)) = &found
                && at > *start
                && groups == 0
                && !matches!(self.tokens.get(at + 1), Some(Token::Symbol('{')))
            {
                return Some((*start, variable.clone(), at + 1));
            }
        }
        None
    }
}
