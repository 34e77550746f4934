//! Operands: literals, brackets, variables, and what may follow an operand directly.

use num_traits::{One, ToPrimitive};

use super::lexer::Token;
use super::parser::Parser;
use super::syntax::{Expr, Relate, Sign};
use crate::budget::Stop;

impl<'a> Parser<'a> {
    /// An operand with its exponent, factorial or degree sign.
    pub(super) fn factor(&mut self) -> Result<Expr, Stop> {
        let mut value = self.nested(Self::primary)?;
        loop {
            value = match self.peek() {
                Some(Token::Symbol('^')) => {
                    self.at += 1;
                    if self.is_degree() {
                        Expr::Degrees(Box::new(value))
                    } else {
                        let exponent = self.nested(Self::exponent)?;
                        self.power_or_inverse(value, exponent)
                    }
                }
                Some(Token::Symbol(mark @ ('!' | '‼'))) => {
                    self.at += 1;
                    let name = if *mark == '!' { "factorial" } else { "double_factorial" };
                    Expr::Call(name.into(), vec![value])
                }
                Some(Token::Degree) => {
                    self.at += 1;
                    Expr::Degrees(Box::new(value))
                }
                _ => return Ok(value),
            };
        }
    }

    /// A power; `f^{-1}(` is the inverse function, a name of its own.
    fn power_or_inverse(&self, base: Expr, exponent: Expr) -> Expr {
        match &base {
            Expr::Symbol(name)
                if matches!(name.as_str(), "f" | "g" | "h")
                    && self.peek() == Some(&Token::Symbol('('))
                    && is_minus_one(&exponent) =>
            {
                Expr::Symbol(format!("{name}^-1"))
            }
            _ => Expr::Power(Box::new(base), Box::new(exponent)),
        }
    }

    /// Whether a degree sign stands in the exponent; consumed if so.
    fn is_degree(&mut self) -> bool {
        let length = match (self.peek(), self.tokens.get(self.at + 1), self.tokens.get(self.at + 2)) {
            (Some(Token::Degree), ..) => 1,
            (Some(Token::Symbol('{')), Some(Token::Degree), Some(Token::Symbol('}'))) => 3,
            _ => return false,
        };
        self.at += length;
        true
    }

    /// One token or group after `^`; powers associate to the right.
    fn exponent(&mut self) -> Result<Expr, Stop> {
        if let Some(Token::Sign(sign)) = self.peek() {
            self.at += 1;
            return Ok(Expr::Sum(vec![(*sign, self.nested(Self::exponent)?)]));
        }
        let value = self.nested(Self::primary)?;
        if self.eat('^') {
            let exponent = self.nested(Self::exponent)?;
            return Ok(Expr::Power(Box::new(value), Box::new(exponent)));
        }
        Ok(value)
    }

    pub(super) fn primary(&mut self) -> Result<Expr, Stop> {
        let token = self.peek().ok_or(Stop::Malformed)?;
        self.at += 1;
        match token {
            Token::Number {
                value,
                decimals,
                digits,
            } => {
                if self.peek() == Some(&Token::Symbol('_')) && decimals.is_none() {
                    return self.based(digits);
                }
                let value = value.clone();
                match (self.peek(), *decimals) {
                    (Some(Token::Ellipsis), Some(decimals)) => {
                        self.at += 1;
                        Ok(Expr::Unfinished { value, decimals })
                    }
                    (_, decimals) => Ok(Expr::Number { value, decimals }),
                }
            }
            Token::Letter { name, .. } => self.letter(name),
            Token::Words(_) => {
                self.at -= 1;
                Ok(Expr::Words(self.words()))
            }
            Token::Command(name) => self.command(name),
            Token::Begin(name) => self.matrix(name),
            Token::Symbol('{') => self.group(),
            Token::Symbol('|') => {
                self.bars += 1;
                let inner = self.sum();
                self.bars -= 1;
                self.expect('|')?;
                Ok(Expr::Call("abs".into(), vec![inner?]))
            }
            Token::Symbol(open @ ('(' | '[')) => match self.digits_with_base(*open) {
                Some(digits) => self.based(digits),
                None => self.bracket(*open),
            },
            Token::SetBrace('{') => {
                if let Some(condition) = self.set_builder()? {
                    return Ok(condition);
                }
                let items = if self.peek() == Some(&Token::SetBrace('}')) {
                    Vec::new()
                } else {
                    self.inner_items()?
                };
                if self.peek() != Some(&Token::SetBrace('}')) {
                    return Err(Stop::Malformed);
                }
                self.at += 1;
                Ok(Expr::Bracket {
                    open: '{',
                    close: '}',
                    items,
                })
            }
            _ => Err(Stop::Malformed),
        }
    }

    pub(super) fn inner_items(&mut self) -> Result<Vec<Expr>, Stop> {
        let bars = std::mem::take(&mut self.bars);
        let items = self.nested(Self::items);
        self.bars = bars;
        items
    }

    /// A braced group: invisible around one item, a set around several.
    fn group(&mut self) -> Result<Expr, Stop> {
        let mut items = self.inner_items()?;
        if let Some(divided) = self.infix(&mut items)? {
            return Ok(divided);
        }
        self.expect('}')?;
        if items.len() == 1 {
            return items.pop().ok_or(Stop::Malformed);
        }
        Ok(Expr::Bracket {
            open: '{',
            close: '}',
            items,
        })
    }

    /// `{a \over b}` and `{n \choose k}`, after their first operand.
    fn infix(&mut self, items: &mut Vec<Expr>) -> Result<Option<Expr>, Stop> {
        let choose = self.eat_command("choose");
        if !(choose || self.eat_command("over")) {
            return Ok(None);
        }
        let first = items.pop().filter(|_| items.is_empty()).ok_or(Stop::Malformed)?;
        let second = self.nested(Self::sum)?;
        self.expect('}')?;
        Ok(Some(if choose {
            Expr::Call("binom".into(), vec![first, second])
        } else {
            Expr::Product(vec![(false, first), (true, second)])
        }))
    }

    /// `x : condition` and `x ∈ ℝ : condition` in braces of a set, read as the condition.
    fn set_builder(&mut self) -> Result<Option<Expr>, Stop> {
        let bar = |t: Option<&Token>| matches!(t, Some(Token::Symbol(':' | '|')));
        let skipped = match self.tokens.get(self.at..).unwrap_or_default() {
            [Token::Letter { .. }, rest @ ..] if bar(rest.first()) => 2,
            [
                Token::Letter { .. },
                Token::Relate(Relate::In),
                Token::Words(line),
                rest @ ..,
            ] if line.eq_ignore_ascii_case("mathbb r") && bar(rest.first()) => 4,
            _ => return Ok(None),
        };
        self.at += skipped;
        let mut items = self.inner_items()?;
        if self.peek() != Some(&Token::SetBrace('}')) {
            return Err(Stop::Malformed);
        }
        self.at += 1;
        match items.as_slice() {
            [Expr::Relation(..)] => Ok(items.pop()),
            _ if items.iter().all(|i| matches!(i, Expr::Relation(..))) => Ok(Some(Expr::List(items))),
            _ => Err(Stop::Malformed),
        }
    }

    /// Parentheses group one item; more items, or square or mixed brackets, make a tuple or an interval.
    fn bracket(&mut self, open: char) -> Result<Expr, Stop> {
        let mut items = self.inner_items()?;
        let close = match self.peek() {
            Some(Token::Symbol(c @ (')' | ']'))) => *c,
            _ => return Err(Stop::Malformed),
        };
        self.at += 1;
        if items.len() == 1 {
            return if (open == '(') == (close == ')') {
                items.pop().ok_or(Stop::Malformed)
            } else {
                Err(Stop::Malformed)
            };
        }
        Ok(Expr::Bracket { open, close, items })
    }

    /// The digits of `(40)_9`, read up to the stroke.
    fn digits_with_base(&mut self, open: char) -> Option<&'a str> {
        let tokens: &'a [Token] = self.tokens;
        match tokens.get(self.at..self.at + 3)? {
            [
                Token::Number {
                    digits, decimals: None, ..
                },
                Token::Symbol(')'),
                Token::Symbol('_'),
            ] if open == '(' => {
                self.at += 2;
                Some(digits)
            }
            _ => None,
        }
    }

    /// `40_9`: digits with their base.
    fn based(&mut self, digits: &str) -> Result<Expr, Stop> {
        self.at += 1;
        let base = match self.nested(Self::primary)? {
            Expr::Number { value, decimals: None } => value.to_u32().filter(|b| (2..=36).contains(b)),
            _ => None,
        };
        let base = base.ok_or(Stop::Malformed)?;
        let limbs = digits.len() as u64 / 16 + 1;
        self.budget.charge(limbs * limbs)?;
        let value = num_bigint::BigInt::parse_bytes(digits.as_bytes(), base).ok_or(Stop::Malformed)?;
        Ok(Expr::Based { value, base })
    }

    /// A variable with its subscript and primes, or a constant.
    fn letter(&mut self, name: &str) -> Result<Expr, Stop> {
        let mut full = name.to_owned();
        if self.eat('_') {
            full.push('_');
            full.push_str(&self.subscript()?);
        }
        while self.eat('\'') {
            full.push('\'');
        }
        Ok(match full.as_str() {
            "e" => Expr::Euler,
            "i" => Expr::Imaginary,
            "π" => Expr::Pi,
            _ => Expr::Symbol(full),
        })
    }

    /// The text of a subscript: one token, or the plain tokens of a group.
    fn subscript(&mut self) -> Result<String, Stop> {
        let mut text = String::new();
        let grouped = self.eat('{');
        loop {
            match self.peek() {
                Some(Token::Number { digits, .. }) => text.push_str(digits),
                Some(Token::Letter { name, .. }) => text.push_str(name),
                Some(Token::Words(words)) => text.push_str(words),
                Some(Token::Sign(sign)) if grouped => text.push_str(&format!("{sign:?}")),
                Some(Token::Symbol(',')) if grouped => text.push(','),
                _ => return Err(Stop::Malformed),
            }
            self.at += 1;
            self.budget.charge(1)?;
            if !grouped || self.eat('}') {
                return Ok(text);
            }
        }
    }
}

/// Whether an exponent is the literal -1.
pub(super) fn is_minus_one(exponent: &Expr) -> bool {
    matches!(exponent, Expr::Sum(parts) if matches!(parts.as_slice(),
        [(Sign::Minus, Expr::Number { value, decimals: None })] if value.is_one()))
}
