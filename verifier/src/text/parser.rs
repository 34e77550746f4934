//! The grammar above single operands: lists, unions, relations, sums and products. Depth is bounded.

use super::lexer::Token;
use super::syntax::{Expr, Sign};
use super::words;
use crate::budget::{Budget, Stop};

/// How deep an expression may nest.
const MAX_DEPTH: u32 = 60;

/// Reads a whole answer from its tokens.
pub(crate) fn parse(tokens: &[Token], budget: &mut Budget) -> Result<Expr, Stop> {
    let mut parser = Parser {
        tokens,
        at: 0,
        depth: 0,
        bars: 0,
        budget,
    };
    parser.skip_announcement();
    let answer = parser.list()?;
    if parser.at < tokens.len() {
        Err(Stop::Malformed)
    } else {
        Ok(answer)
    }
}

pub(super) struct Parser<'a> {
    pub(super) tokens: &'a [Token],
    pub(super) at: usize,
    pub(super) depth: u32,
    /// Open absolute-value bars: inside them a bar closes.
    pub(super) bars: u32,
    pub(super) budget: &'a mut Budget,
}

impl<'a> Parser<'a> {
    /// Passes over words such as "the answer is" before a value.
    fn skip_announcement(&mut self) {
        let words = self.words();
        let announces = words.ends_with(" is") || words.ends_with("answer") || words == "is";
        if !announces || self.peek().is_none() {
            self.at = 0;
        } else if self.peek() == Some(&Token::Symbol(':')) {
            self.at += 1;
        }
    }

    pub(super) fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at)
    }

    pub(super) fn eat(&mut self, symbol: char) -> bool {
        let found = self.peek() == Some(&Token::Symbol(symbol));
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, symbol: char) -> Result<(), Stop> {
        if self.eat(symbol) { Ok(()) } else { Err(Stop::Malformed) }
    }

    /// Runs `read` one level deeper.
    pub(super) fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Stop>) -> Result<T, Stop> {
        self.budget.charge(1)?;
        if self.depth >= MAX_DEPTH {
            return Err(Stop::OverBudget);
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    /// Items separated by commas, semicolons, "or", "and".
    pub(super) fn list(&mut self) -> Result<Expr, Stop> {
        let mut items = self.items()?;
        if items.len() == 1 {
            items.pop().ok_or(Stop::Malformed)
        } else {
            Ok(Expr::List(items))
        }
    }

    pub(super) fn items(&mut self) -> Result<Vec<Expr>, Stop> {
        let mut items = vec![self.relation()?];
        while matches!(self.peek(), Some(Token::Symbol(',') | Token::Separator)) {
            while matches!(self.peek(), Some(Token::Symbol(',') | Token::Separator)) {
                self.at += 1;
            }
            if self.peek().is_none() {
                break;
            }
            items.push(self.relation()?);
        }
        Ok(items)
    }

    fn relation(&mut self) -> Result<Expr, Stop> {
        let first = self.union()?;
        let mut rest = Vec::new();
        while let Some(Token::Relate(relate)) = self.peek() {
            self.at += 1;
            rest.push((*relate, self.union()?));
        }
        Ok(if rest.is_empty() {
            first
        } else {
            Expr::Relation(Box::new(first), rest)
        })
    }

    fn union(&mut self) -> Result<Expr, Stop> {
        let mut parts = vec![self.ratio()?];
        while self.eat('U') {
            parts.push(self.ratio()?);
        }
        if parts.len() == 1 {
            parts.pop().ok_or(Stop::Malformed)
        } else {
            Ok(Expr::Union(parts))
        }
    }

    fn ratio(&mut self) -> Result<Expr, Stop> {
        let mut parts = vec![self.sum()?];
        while self.eat(':') {
            parts.push(self.sum()?);
        }
        if parts.len() == 1 {
            parts.pop().ok_or(Stop::Malformed)
        } else {
            Ok(Expr::Ratio(parts))
        }
    }

    pub(super) fn sum(&mut self) -> Result<Expr, Stop> {
        self.nested(|p| {
            let mut parts = Vec::new();
            let mut sign = Sign::Plus;
            if let Some(Token::Sign(leading)) = p.peek() {
                sign = *leading;
                p.at += 1;
            }
            loop {
                parts.push((sign, p.product()?));
                match p.peek() {
                    Some(Token::Sign(next)) => sign = *next,
                    _ => break,
                }
                p.at += 1;
            }
            Ok(match parts.as_slice() {
                [(Sign::Plus, _)] => parts.pop().ok_or(Stop::Malformed)?.1,
                _ => Expr::Sum(parts),
            })
        })
    }

    /// Factors joined by `·`, `/` or nothing, with the unit words that may follow.
    fn product(&mut self) -> Result<Expr, Stop> {
        let mut factors = vec![(false, self.signed_factor()?)];
        loop {
            self.budget.charge(1)?;
            match self.peek() {
                Some(Token::Symbol('*')) => {
                    self.at += 1;
                    factors.push((false, self.signed_factor()?));
                }
                Some(Token::Symbol('/')) => {
                    self.at += 1;
                    if let Some(Token::Words(unit)) = self.peek() {
                        // "5 miles / hour"
                        let unit = unit.clone();
                        self.at += 1;
                        return self.measured(factors, &format!("per {unit}"));
                    }
                    factors.push((true, self.signed_factor()?));
                }
                Some(Token::Words(_)) if !matches!(factors.last(), Some((_, Expr::Words(_)))) => {
                    let unit = self.words();
                    if let Some(multiplier) = words::magnitude(&unit) {
                        let value = crate::algebra::rational::integer(multiplier);
                        factors.push((false, Expr::Number { value, decimals: None }));
                        continue;
                    }
                    return self.measured(factors, &unit);
                }
                Some(token) if self.starts_operand(token) => {
                    let mixed = self.at;
                    let factor = self.factor()?;
                    self.push_adjacent(&mut factors, factor, mixed)?;
                }
                _ => break,
            }
        }
        Ok(match factors.as_slice() {
            [(false, _)] => factors.pop().ok_or(Stop::Malformed)?.1,
            _ => Expr::Product(factors),
        })
    }

    fn measured(&mut self, mut factors: Vec<(bool, Expr)>, unit: &str) -> Result<Expr, Stop> {
        let unit = words::unit_name(unit).ok_or(Stop::Malformed)?;
        if self.eat('^') {
            self.factor()?;
        }
        let value = match factors.len() {
            1 => factors.pop().ok_or(Stop::Malformed)?.1,
            _ => Expr::Product(factors),
        };
        Ok(Expr::Measured(Box::new(value), unit))
    }

    /// The words that start here, joined.
    pub(super) fn words(&mut self) -> String {
        let mut joined = Vec::new();
        while let Some(Token::Words(word)) = self.peek() {
            joined.push(word.as_str());
            self.at += 1;
        }
        joined.join(" ")
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

    fn starts_operand(&self, token: &Token) -> bool {
        match token {
            Token::Command(name) => !matches!(name.as_str(), "rfloor" | "rceil"),
            Token::Number { .. } | Token::Letter(_) | Token::Begin(_) => true,
            Token::Symbol('(' | '[' | '{') | Token::SetBrace('{') => true,
            Token::Symbol('|') => self.bars == 0,
            _ => false,
        }
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
