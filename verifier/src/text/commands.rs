//! Commands as operands: fractions, roots, functions, matrices.

use super::lexer::Token;
use super::parser::Parser;
use super::primary::is_minus_one;
use super::syntax::{Binder, Expr};
use crate::budget::Stop;

/// Tokens of the numerator of a derivative.
const MAX_DIFFERENTIAL: usize = 8;

impl Parser<'_> {
    pub(super) fn command(&mut self, name: &str) -> Result<Expr, Stop> {
        match name {
            "pi" => Ok(Expr::Pi),
            "infty" => Ok(Expr::Infinity),
            "frac" if self.operator_of_derivative() => self.derivative_of(),
            "frac" if self.differential() => self.derivative(),
            "det" => match self.primary()? {
                Expr::Matrix { rows, .. } => Ok(Expr::Matrix {
                    determinant: true,
                    rows,
                }),
                _ => Err(Stop::Malformed),
            },
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
            "sum" => self.bound(Binder::Sum),
            "prod" => self.bound(Binder::Product),
            "int" => self.bound(Binder::Integral),
            "lim" => self.bound(Binder::Limit),
            "log" | "ln" | "lg" | "exp" | "sin" | "cos" | "tan" | "cot" | "sec" | "csc" | "arcsin" | "arccos"
            | "arctan" | "arccot" | "arcsec" | "arccsc" | "sinh" | "cosh" | "tanh" | "arcsinh" | "arccosh"
            | "arctanh" | "floor" | "ceil" | "max" | "min" | "gcd" | "lcm" => self.function(name),
            _ => Err(Stop::Malformed),
        }
    }

    /// Whether the fraction here is a derivative: `d` before a letter in the denominator, and first in the numerator.
    fn differential(&self) -> bool {
        let d = |at: usize| matches!(self.tokens.get(at), Some(Token::Letter { name, .. }) if name == "d");
        let opens = |at: usize| self.tokens.get(at) == Some(&Token::Symbol('{'));
        let close = self.tokens.iter().skip(self.at).take(MAX_DIFFERENTIAL);
        let Some(length) = close.clone().position(|t| *t == Token::Symbol('}')) else {
            return false;
        };
        let bottom = self.at + length + 1;
        let differential = matches!(self.tokens.get(bottom + 2), Some(Token::Letter { .. }));
        opens(self.at) && d(self.at + 1) && opens(bottom) && d(bottom + 1) && differential
    }

    /// `\frac{dy}{dx}` as one variable. The bare operator `\frac{d}{dx}` has no value.
    fn derivative(&mut self) -> Result<Expr, Stop> {
        let mut name = String::new();
        for _ in 0..2 {
            self.expect('{')?;
            let start = self.at;
            while !self.eat('}') {
                match self.peek() {
                    Some(Token::Letter { name: letter, .. }) => name.push_str(letter),
                    Some(Token::Number { digits, .. }) => name.push_str(digits),
                    Some(Token::Symbol('^')) => name.push('^'),
                    _ => return Err(Stop::Malformed),
                }
                self.at += 1;
                self.budget.charge(1)?;
            }
            if !matches!(self.tokens.get(self.at - 2), Some(Token::Letter { .. })) || self.at - start < 3 {
                return Err(Stop::Malformed);
            }
            name.push('/');
        }
        Ok(Expr::Symbol(name))
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
    pub(super) fn argument(&mut self) -> Result<Expr, Stop> {
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
            Some(Token::SetBrace('{')) if matches!(name, "max" | "min" | "gcd" | "lcm") => {
                self.at += 1;
                let items = self.inner_items()?;
                if self.peek() != Some(&Token::SetBrace('}')) {
                    return Err(Stop::Malformed);
                }
                self.at += 1;
                items
            }
            Some(Token::Symbol('{')) => vec![self.argument()?],
            _ => vec![self.open_argument()?],
        };
        arguments.extend(base);
        if power.as_ref().is_some_and(is_minus_one) {
            return inverse_function(name, arguments);
        }
        let call = Expr::Call(name.into(), arguments);
        Ok(match power {
            Some(power) => Expr::Power(Box::new(call), Box::new(power)),
            None => call,
        })
    }

    /// An argument without brackets: factors side by side, up to the next operator or function.
    fn open_argument(&mut self) -> Result<Expr, Stop> {
        let mut factors = vec![(false, self.nested(Self::factor)?)];
        while matches!(self.peek(), Some(Token::Letter { .. })) || self.peek() == Some(&Token::Command("pi".into())) {
            factors.push((false, self.nested(Self::factor)?));
        }
        Ok(if factors.len() == 1 {
            factors.remove(0).1
        } else {
            Expr::Product(factors)
        })
    }

    /// The equations of a system, as a list.
    fn system(&mut self, name: &str) -> Result<Expr, Stop> {
        let mut items = Vec::new();
        loop {
            match self.peek().ok_or(Stop::Malformed)? {
                Token::RowEnd | Token::Symbol(',') => self.at += 1,
                Token::End(end) if end == name => break,
                _ => items.push(self.nested(Self::relation)?),
            }
        }
        self.at += 1;
        let related = items.iter().all(|i| matches!(i, Expr::Relation(..)));
        if items.is_empty() || !related {
            Err(Stop::Malformed)
        } else {
            Ok(Expr::List(items))
        }
    }

    pub(super) fn matrix(&mut self, name: &str) -> Result<Expr, Stop> {
        let plain = name.trim_end_matches('*');
        if matches!(plain, "cases" | "aligned" | "gathered") {
            return self.system(name);
        }
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

/// `\sin^{-1} x` is arcsin x, not 1/sin x. Of other functions it may mean either: it is not read.
fn inverse_function(name: &str, arguments: Vec<Expr>) -> Result<Expr, Stop> {
    match name {
        "sin" | "cos" | "tan" | "cot" | "sec" | "csc" | "sinh" | "cosh" | "tanh" => {
            Ok(Expr::Call(format!("arc{name}"), arguments))
        }
        _ => Err(Stop::Malformed),
    }
}
