//! The grammar above products: lists, unions, relations and sums. Depth is bounded.

use super::lexer::Token;
use super::syntax::{Expr, Relate, Sign};
use crate::budget::{Budget, Stop};

/// How deep an expression may nest.
const MAX_DEPTH: u32 = 60;

/// Reads a whole answer from its tokens.
pub(crate) fn parse(tokens: &[Token], budget: &mut Budget) -> Result<Expr, Stop> {
    match parse_with(tokens, false, budget) {
        Err(Stop::Malformed) if tokens.iter().filter(|t| **t == Token::Symbol('|')).count() > 3 => {
            parse_with(tokens, true, budget)
        }
        other => other,
    }
}

fn parse_with(tokens: &[Token], nested_bars: bool, budget: &mut Budget) -> Result<Expr, Stop> {
    let mut parser = Parser {
        tokens,
        at: 0,
        depth: 0,
        bars: 0,
        nested_bars,
        congruence: false,
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
    /// Whether a bar that could close opens, if enough bars are left to close all.
    pub(super) nested_bars: bool,
    /// Whether the relation read last is `≡`.
    pub(super) congruence: bool,
    pub(super) budget: &'a mut Budget,
}

impl<'a> Parser<'a> {
    /// Passes over an equals sign, or words such as "the answer is", before a value.
    fn skip_announcement(&mut self) {
        if self.peek() == Some(&Token::Relate(Relate::Equal)) {
            self.at += 1;
            return;
        }
        if self.skip_figure() {
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

    /// Passes over a figure that is given a value: `m\angle ABC = `.
    fn skip_figure(&mut self) -> bool {
        let is_m = |t: &Token| matches!(t, Token::Letter { name, .. } if name == "m");
        let start = usize::from(self.tokens.first().is_some_and(is_m));
        let figure = matches!(self.tokens.get(start), Some(Token::Command(name)) if matches!(name.as_str(), "angle" | "measuredangle"));
        let letters = self
            .tokens
            .iter()
            .skip(start + 1)
            .take_while(|t| matches!(t, Token::Letter { .. }))
            .count();
        let end = start + 1 + letters;
        if !figure || letters == 0 || self.tokens.get(end) != Some(&Token::Relate(Relate::Equal)) {
            return false;
        }
        self.at = end + 1;
        true
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

    /// The items of a list. Semicolons between items with commas make tuples of them: `1,2;3,4`.
    pub(super) fn items(&mut self) -> Result<Vec<Expr>, Stop> {
        let mut groups = vec![vec![self.relation()?]];
        let mut semicolons = false;
        while separates(self.peek()) {
            let mut new_group = false;
            while let Some(token) = self.peek().filter(|t| separates(Some(t))) {
                semicolons |= *token == Token::Symbol(';');
                new_group |= *token != Token::Symbol(',');
                self.at += 1;
            }
            if self.peek().is_none() {
                break;
            }
            if new_group {
                groups.push(Vec::new());
            }
            let item = self.relation()?;
            groups.last_mut().ok_or(Stop::Malformed)?.push(item);
        }
        let length = groups[0].len();
        let tuples = groups.len() > 1 && length > 1 && groups.iter().all(|g| g.len() == length);
        let related = || groups.iter().flatten().all(|i| matches!(i, Expr::Relation(..)));
        if !(tuples && (semicolons || related())) {
            return Ok(groups.into_iter().flatten().collect());
        }
        Ok(groups
            .into_iter()
            .map(|items| Expr::Bracket {
                open: '(',
                close: ')',
                items,
            })
            .collect())
    }

    pub(super) fn relation(&mut self) -> Result<Expr, Stop> {
        let outer = std::mem::take(&mut self.congruence);
        let first = self.union()?;
        let mut rest = Vec::new();
        while let Some(Token::Relate(relate)) = self.peek() {
            self.at += 1;
            self.congruence = *relate == Relate::Congruent;
            let relate = if self.congruence { Relate::Equal } else { *relate };
            rest.push((relate, self.union()?));
        }
        self.congruence = outer;
        Ok(if rest.is_empty() {
            first
        } else {
            Expr::Relation(Box::new(first), rest)
        })
    }

    /// Sets joined from left to right.
    fn union(&mut self) -> Result<Expr, Stop> {
        let mut parts = vec![self.ratio()?];
        while let Some(Token::Symbol(operator @ ('U' | '∩' | '∖'))) = self.peek() {
            self.at += 1;
            let right = self.ratio()?;
            if *operator == 'U' {
                parts.push(right);
                continue;
            }
            let left = joined(parts)?;
            parts = vec![Expr::SetOperation(*operator, Box::new(left), Box::new(right))];
        }
        joined(parts)
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
                let term = p.product()?;
                let term = p.remainder(&mut sign, term)?;
                parts.push((sign, term));
                match p.peek() {
                    Some(Token::Sign(next)) => sign = *next,
                    _ => break,
                }
                p.at += 1;
            }
            let sum = match parts.as_slice() {
                [(Sign::Plus, _)] => parts.pop().ok_or(Stop::Malformed)?.1,
                _ => Expr::Sum(parts),
            };
            p.residue(sum)
        })
    }

    /// `a \bmod n`: the sign before `a` belongs to it.
    fn remainder(&mut self, sign: &mut Sign, term: Expr) -> Result<Expr, Stop> {
        if self.congruence || !self.eat_command("mod") {
            return Ok(term);
        }
        let modulus = self.product()?;
        let signed = match std::mem::replace(sign, Sign::Plus) {
            Sign::Plus => term,
            other => Expr::Sum(vec![(other, term)]),
        };
        Ok(Expr::Remainder(Box::new(signed), Box::new(modulus)))
    }

    /// `a \pmod n`, and `\mod` after `≡`.
    fn residue(&mut self, sum: Expr) -> Result<Expr, Stop> {
        if !(self.eat_command("pmod") || self.congruence && self.eat_command("mod")) {
            return Ok(sum);
        }
        let modulus = self.product()?;
        Ok(Expr::Residue(Box::new(sum), Box::new(modulus)))
    }

    pub(super) fn eat_command(&mut self, name: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Command(command)) if command == name);
        self.at += usize::from(found);
        found
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

fn separates(token: Option<&Token>) -> bool {
    matches!(token, Some(Token::Symbol(',' | ';') | Token::Separator))
}

/// The only part, or the union of several.
fn joined(mut parts: Vec<Expr>) -> Result<Expr, Stop> {
    if parts.len() == 1 {
        parts.pop().ok_or(Stop::Malformed)
    } else {
        Ok(Expr::Union(parts))
    }
}
