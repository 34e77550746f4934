//! The grammar above products: lists, unions, relations and sums. Depth is bounded.

use super::lexer::Token;
use super::syntax::{Expr, Relate, Sign};
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
    /// Passes over an equals sign, or words such as "the answer is", before a value.
    fn skip_announcement(&mut self) {
        if self.peek() == Some(&Token::Relate(Relate::Equal)) {
            self.at += 1;
            return;
        }
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

    /// The words that start here, joined.
    pub(super) fn words(&mut self) -> String {
        let mut joined = Vec::new();
        while let Some(Token::Words(word)) = self.peek() {
            joined.push(word.as_str());
            self.at += 1;
        }
        joined.join(" ")
    }
}
