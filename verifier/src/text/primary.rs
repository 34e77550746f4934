//! Operands: literals, brackets, fractions, roots, functions, matrices, and what may follow an operand directly.

use num_traits::ToPrimitive;

use super::lexer::Token;
use super::parser::Parser;
use super::syntax::Expr;
use crate::budget::Stop;

impl Parser<'_> {
    /// An operand with its exponent, factorial, percent or degree sign.
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
                        Expr::Power(Box::new(value), Box::new(exponent))
                    }
                }
                Some(Token::Symbol('!')) => {
                    self.at += 1;
                    if self.peek() == Some(&Token::Symbol('!')) {
                        return Err(Stop::Malformed);
                    }
                    Expr::Call("factorial".into(), vec![value])
                }
                Some(Token::Percent) => {
                    self.at += 1;
                    Expr::Percent(Box::new(value))
                }
                Some(Token::Degree) => {
                    self.at += 1;
                    Expr::Degrees(Box::new(value))
                }
                _ => return Ok(value),
            };
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

    fn primary(&mut self) -> Result<Expr, Stop> {
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
                Ok(Expr::Number {
                    value: value.clone(),
                    decimals: *decimals,
                })
            }
            Token::Letter(name) => self.letter(name),
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
            Token::Symbol(open @ ('(' | '[')) => self.bracket(*open),
            Token::SetBrace('{') => {
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

    fn inner_items(&mut self) -> Result<Vec<Expr>, Stop> {
        let bars = std::mem::take(&mut self.bars);
        let items = self.nested(Self::items);
        self.bars = bars;
        items
    }

    /// A braced group: invisible around one item, a set around several.
    fn group(&mut self) -> Result<Expr, Stop> {
        let mut items = self.inner_items()?;
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
                Some(Token::Letter(name)) => text.push_str(name),
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

    fn command(&mut self, name: &str) -> Result<Expr, Stop> {
        match name {
            "pi" => Ok(Expr::Pi),
            "infty" => Ok(Expr::Infinity),
            "frac" => {
                let (top, bottom) = (self.argument()?, self.argument()?);
                Ok(Expr::Product(vec![(false, top), (true, bottom)]))
            }
            "binom" => {
                let (n, k) = (self.argument()?, self.argument()?);
                Ok(Expr::Call("binom".into(), vec![n, k]))
            }
            "sqrt" => {
                let index = if self.eat('[') {
                    let index = self.nested(Self::sum)?;
                    self.expect(']')?;
                    index
                } else {
                    Expr::Number {
                        value: crate::algebra::rational::integer(2),
                        decimals: None,
                    }
                };
                let radicand = self.argument()?;
                Ok(Expr::Call("root".into(), vec![radicand, index]))
            }
            "emptyset" | "varnothing" => Ok(Expr::Bracket {
                open: '{',
                close: '}',
                items: Vec::new(),
            }),
            "lfloor" => self.delimited("floor", "rfloor"),
            "lceil" => self.delimited("ceil", "rceil"),
            "log" | "ln" | "lg" | "exp" | "sin" | "cos" | "tan" | "cot" | "sec" | "csc" | "arcsin" | "arccos"
            | "arctan" | "sinh" | "cosh" | "tanh" | "floor" | "ceil" | "max" | "min" | "gcd" | "lcm" => {
                self.function(name)
            }
            _ => Err(Stop::Malformed),
        }
    }

    fn delimited(&mut self, name: &str, close: &str) -> Result<Expr, Stop> {
        let inner = self.nested(Self::sum)?;
        if self.peek() != Some(&Token::Command(close.into())) {
            return Err(Stop::Malformed);
        }
        self.at += 1;
        Ok(Expr::Call(name.into(), vec![inner]))
    }

    /// A braced argument or a single token; `\frac12` takes one digit each.
    fn argument(&mut self) -> Result<Expr, Stop> {
        self.nested(|p| {
            if p.eat('{') {
                let inner = p.sum()?;
                p.expect('}')?;
                return Ok(inner);
            }
            p.primary()
        })
    }

    /// A named function with its base or power: `\log_2 8`, `\sin^2 x`, `\max(a, b)`.
    fn function(&mut self, name: &str) -> Result<Expr, Stop> {
        let base = if self.eat('_') { Some(self.argument()?) } else { None };
        let power = if self.eat('^') {
            Some(self.nested(Self::argument)?)
        } else {
            None
        };
        let mut arguments = match self.peek() {
            Some(Token::Symbol('(')) => {
                self.at += 1;
                let items = self.inner_items()?;
                self.expect(')')?;
                items
            }
            Some(Token::Symbol('{')) => vec![self.argument()?],
            _ => vec![self.open_argument()?],
        };
        arguments.extend(base);
        let call = Expr::Call(name.into(), arguments);
        Ok(match power {
            Some(power) => Expr::Power(Box::new(call), Box::new(power)),
            None => call,
        })
    }

    /// An argument without brackets: factors side by side, up to the next operator or function.
    fn open_argument(&mut self) -> Result<Expr, Stop> {
        let mut factors = vec![(false, self.nested(Self::factor)?)];
        while matches!(self.peek(), Some(Token::Letter(_))) || self.peek() == Some(&Token::Command("pi".into())) {
            factors.push((false, self.nested(Self::factor)?));
        }
        Ok(if factors.len() == 1 {
            factors.remove(0).1
        } else {
            Expr::Product(factors)
        })
    }

    fn matrix(&mut self, name: &str) -> Result<Expr, Stop> {
        let plain = name.trim_end_matches('*');
        if !matches!(
            plain,
            "pmatrix" | "bmatrix" | "Bmatrix" | "matrix" | "vmatrix" | "smallmatrix" | "array"
        ) {
            return Err(Stop::Malformed);
        }
        if plain == "array" && self.eat('{') {
            while !self.eat('}') {
                self.peek().ok_or(Stop::Malformed)?;
                self.at += 1;
            }
        }
        let mut rows = vec![Vec::new()];
        loop {
            match self.peek().ok_or(Stop::Malformed)? {
                Token::Symbol('&') => self.at += 1,
                Token::RowEnd => {
                    self.at += 1;
                    rows.push(Vec::new());
                }
                Token::End(end) if end == name => {
                    self.at += 1;
                    break;
                }
                _ => {
                    let cell = self.nested(Self::sum)?;
                    rows.last_mut().ok_or(Stop::Malformed)?.push(cell);
                }
            }
        }
        rows.retain(|row| !row.is_empty());
        Ok(Expr::Matrix {
            determinant: plain == "vmatrix",
            rows,
        })
    }
}
