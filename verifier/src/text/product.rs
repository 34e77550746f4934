//! Products: factors side by side, mixed numbers, percent signs, units, and letters that may be a word.

use super::lexer::Token;
use super::parser::Parser;
use super::syntax::{Expr, Sign};
use super::units::Unit;
use super::words;
use crate::algebra::rational;
use crate::budget::Stop;

impl Parser<'_> {
    /// Factors joined by `·`, `/` or nothing, with the unit words that may follow.
    pub(super) fn product(&mut self) -> Result<Expr, Stop> {
        if let Some(run) = self.run() {
            return Ok(Expr::Run(run));
        }
        if let Some(Token::Currency(name)) = self.peek() {
            self.at += 1;
            return self.nested(|p| p.product()).map(|amount| in_currency(amount, name));
        }
        let mut factors = vec![(false, self.signed_factor()?)];
        let mut unit = None;
        loop {
            self.budget.charge(1)?;
            match self.peek() {
                Some(Token::Symbol('*')) => {
                    self.at += 1;
                    factors.push((false, self.signed_factor()?));
                }
                Some(Token::Symbol('/')) => {
                    if self.is_derivative() {
                        return Err(Stop::Malformed);
                    }
                    if let Some((unit, end)) = self.per_unit() {
                        self.at = end;
                        return Ok(Expr::Measured(Box::new(joined(factors)?), unit));
                    }
                    self.at += 1;
                    factors.push((true, self.signed_factor()?));
                }
                Some(Token::Currency(_)) => return self.measured(factors),
                Some(Token::Words(word)) if !matches!(factors.last(), Some((_, Expr::Words(_)))) => {
                    if let Some((numer, denom)) = words::magnitude(word) {
                        self.at += 1;
                        let value = rational::div(&rational::integer(numer), &rational::integer(denom), self.budget)?;
                        factors.push((false, Expr::Number { value, decimals: None }));
                        continue;
                    }
                    if words::is_quarters(word) {
                        self.at += 1;
                        unit = Some((Unit::named(word, 1), self.at, factors.len()));
                        let value = rational::div(&rational::integer(1), &rational::integer(4), self.budget)?;
                        factors.push((false, Expr::Number { value, decimals: None }));
                        continue;
                    }
                    return self.measured(factors);
                }
                Some(Token::Percent) => {
                    self.at += 1;
                    unit = None;
                    percent(&mut factors)?;
                }
                Some(token) if self.starts_operand(token) => {
                    let start = self.at;
                    let factor = self.factor()?;
                    let before = factors.len();
                    self.push_adjacent(&mut factors, factor, start)?;
                    if let Some((name, end)) = self.spaced_unit(start) {
                        unit = Some((name, end, before));
                    }
                }
                _ => break,
            }
        }
        let Some((unit, _, length)) = unit.filter(|(_, end, length)| *end == self.at && *length > 0) else {
            return joined(factors);
        };
        let product = Box::new(Expr::Product(factors.clone()));
        factors.truncate(length);
        Ok(Expr::UnitOrVariable {
            product,
            value: Box::new(joined(factors)?),
            unit,
        })
    }

    /// The letters that start here, consumed, if they stand directly side by side and are all of the operand.
    fn run(&mut self) -> Option<String> {
        let mut run = String::new();
        for token in &self.tokens[self.at..] {
            match token {
                Token::Letter { name, spaced } if name.len() == 1 && (run.is_empty() || !spaced) => run.push_str(name),
                _ => break,
            }
        }
        let ended = match self.tokens.get(self.at + run.len()) {
            None | Some(Token::Relate(_) | Token::Sign(_) | Token::Separator | Token::RowEnd | Token::End(_)) => true,
            Some(Token::Symbol(c)) => matches!(c, ',' | ';' | ')' | ']' | '}' | ':' | '&' | 'U' | '∩' | '∖'),
            Some(token) => *token == Token::SetBrace('}'),
        };
        if run.len() < 2 || !ended || self.budget.charge(run.len() as u64).is_err() {
            return None;
        }
        self.at += run.len();
        Some(run)
    }

    /// Whether the stroke here stands in `dy/dx`, which is no quotient of products.
    fn is_derivative(&self) -> bool {
        let differential = |at: usize| match self.tokens.get(at..at + 2) {
            Some([Token::Letter { name, .. }, Token::Letter { spaced: false, .. }]) => name == "d",
            _ => false,
        };
        self.at >= 2 && differential(self.at - 2) && differential(self.at + 1)
    }

    /// A factor after `·` or `/`, where a sign may stand.
    fn signed_factor(&mut self) -> Result<Expr, Stop> {
        if let Some(Token::Sign(sign @ (Sign::Plus | Sign::Minus))) = self.peek() {
            self.at += 1;
            let factor = self.nested(Self::signed_factor)?;
            return Ok(Expr::Sum(vec![(*sign, factor)]));
        }
        self.factor()
    }

    pub(super) fn starts_operand(&self, token: &Token) -> bool {
        match token {
            Token::Command(name) => !matches!(
                name.as_str(),
                "rfloor" | "rceil" | "mod" | "pmod" | "to" | "over" | "choose"
            ),
            Token::Number { .. } | Token::Letter { .. } | Token::Begin(_) => true,
            Token::Symbol('(' | '[' | '{') | Token::SetBrace('{') => true,
            Token::Symbol('|') => self.bars == 0 || (self.nested_bars && self.opens_bar()),
            _ => false,
        }
    }

    /// Whether a bar may open here: an operand follows, and more bars are left than close those that are open.
    fn opens_bar(&self) -> bool {
        let left = self.tokens[self.at..]
            .iter()
            .filter(|t| **t == Token::Symbol('|'))
            .count();
        let follows = self.tokens.get(self.at + 1);
        let operand = matches!(
            follows,
            Some(Token::Number { .. } | Token::Letter { .. } | Token::Command(_))
        );
        operand && left > self.bars as usize + 1
    }

    /// Appends a factor written directly after another: a mixed number if both are numbers, else a product.
    fn push_adjacent(&mut self, factors: &mut Vec<(bool, Expr)>, factor: Expr, start: usize) -> Result<(), Stop> {
        let after_number = start > 0 && matches!(self.tokens[start - 1], Token::Number { .. });
        let Some((inverse, Expr::Number { value, decimals: None })) = factors.last().filter(|_| after_number) else {
            factors.push((false, factor));
            return Ok(());
        };
        let fraction = match self.tokens[start] {
            Token::Command(ref name) if name == "frac" => proper_fraction(&factor),
            Token::Number { .. } if !inverse => {
                // "7 3/4": only a fraction may follow a number.
                self.expect('/')?;
                proper_fraction(&Expr::Product(vec![(false, factor.clone()), (true, self.factor()?)]))
            }
            _ => None,
        };
        match (fraction, &self.tokens[start]) {
            (Some(fraction), _) if value.is_integer() && !inverse => {
                let whole = Expr::Number {
                    value: value.clone(),
                    decimals: None,
                };
                factors.pop();
                factors.push((false, Expr::Sum(vec![(Sign::Plus, whole), (Sign::Plus, fraction)])));
            }
            (None, Token::Number { .. }) => return Err(Stop::Malformed),
            _ => factors.push((false, factor)),
        }
        Ok(())
    }
}

/// The expression itself, if it is a quotient of literals p/q with 0 < p < q.
fn proper_fraction(expr: &Expr) -> Option<Expr> {
    let Expr::Product(factors) = expr else { return None };
    match factors.as_slice() {
        [
            (
                false,
                Expr::Number {
                    value: p,
                    decimals: None,
                },
            ),
            (
                true,
                Expr::Number {
                    value: q,
                    decimals: None,
                },
            ),
        ] => (p < q && p.is_integer() && q.is_integer()).then(|| expr.clone()),
        _ => None,
    }
}

/// A percent sign is for the whole of a literal, a mixed number or a quotient of literals, else for the last factor.
fn percent(factors: &mut Vec<(bool, Expr)>) -> Result<(), Stop> {
    let literal = |e: &Expr| matches!(e, Expr::Number { .. });
    let quotient = factors
        .iter()
        .enumerate()
        .all(|(i, (inverse, e))| literal(e) && *inverse == (i > 0));
    if quotient {
        let whole = joined(std::mem::take(factors))?;
        factors.push((false, Expr::Percent(Box::new(whole))));
        return Ok(());
    }
    let (inverse, last) = factors.pop().ok_or(Stop::Malformed)?;
    factors.push((inverse, Expr::Percent(Box::new(last))));
    Ok(())
}

/// An amount with a sign of currency before it.
fn in_currency(amount: Expr, name: &str) -> Expr {
    let mut unit = Unit::named(name, 1);
    match amount {
        Expr::Measured(value, other) if other == unit => Expr::Measured(value, unit),
        Expr::Measured(value, other) => {
            unit.multiply(&other, 1);
            Expr::Measured(value, unit)
        }
        other => Expr::Measured(Box::new(other), unit),
    }
}

pub(super) fn joined(mut factors: Vec<(bool, Expr)>) -> Result<Expr, Stop> {
    match factors.as_slice() {
        [(false, _)] => Ok(factors.pop().ok_or(Stop::Malformed)?.1),
        _ => Ok(Expr::Product(factors)),
    }
}
