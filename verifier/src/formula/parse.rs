//! Reads formulas: `+ - * / ^`, parentheses, numbers, names of graders and functions; `^` binds to the right and
//! before a sign.

use super::Operation;
use super::range::Function;

/// Most bytes of a formula, and how deep it may nest.
const MAX_BYTES: usize = 2000;
const MAX_DEPTH: usize = 32;
/// How tightly a sign binds: below powers, above products.
const SIGN: u8 = 3;

struct Parser<'a> {
    rest: &'a str,
    names: &'a [&'a str],
    operations: Vec<Operation>,
}

/// The operations of a formula, operands first.
pub(super) fn parse(text: &str, names: &[&str]) -> Result<Vec<Operation>, String> {
    if text.len() > MAX_BYTES {
        return Err(format!("longer than {MAX_BYTES} bytes"));
    }
    if let Some(name) = names
        .iter()
        .find(|name| !is_name(name) || Function::named(name).is_some())
    {
        return Err(format!(
            "`{name}` cannot name a grader: letters, digits and `_`, and no function"
        ));
    }
    let mut parser = Parser {
        rest: text,
        names,
        operations: Vec::new(),
    };
    parser.expression(0, 0)?;
    match parser.peek() {
        None => Ok(parser.operations),
        Some(c) => Err(format!("unexpected `{c}`")),
    }
}

fn is_name(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit())
}

impl<'a> Parser<'a> {
    fn peek(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start();
        self.rest.chars().next()
    }

    fn take(&mut self, wanted: char) -> Result<(), String> {
        match self.peek() {
            Some(c) if c == wanted => {
                self.rest = &self.rest[c.len_utf8()..];
                Ok(())
            }
            Some(c) => Err(format!("`{wanted}` expected, not `{c}`")),
            None => Err(format!("`{wanted}` expected at the end")),
        }
    }

    /// Operators that bind at least as tightly as `least`.
    fn expression(&mut self, least: u8, depth: usize) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err(format!("nested deeper than {MAX_DEPTH}"));
        }
        self.operand(depth)?;
        while let Some((function, _, right)) = self.peek().and_then(operator).filter(|(_, b, _)| *b >= least) {
            self.rest = &self.rest[1..];
            self.expression(right, depth + 1)?;
            self.operations.push(Operation::Apply(function));
        }
        Ok(())
    }

    fn operand(&mut self, depth: usize) -> Result<(), String> {
        match self.peek() {
            Some('(') => {
                self.take('(')?;
                self.expression(0, depth + 1)?;
                self.take(')')
            }
            Some('-') => {
                self.take('-')?;
                self.expression(SIGN, depth + 1)?;
                self.operations.push(Operation::Apply(Function::Negate));
                Ok(())
            }
            Some('+') => {
                self.take('+')?;
                self.expression(SIGN, depth + 1)
            }
            Some(c) if c.is_ascii_digit() || c == '.' => self.number(),
            Some(c) if c.is_ascii_alphabetic() || c == '_' => self.name(depth),
            Some(c) => Err(format!("unexpected `{c}`")),
            None => Err("it ends where a value is expected".to_owned()),
        }
    }

    /// The characters from here on that belong together.
    fn run(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        let (run, rest) = self.rest.split_at(end);
        self.rest = rest;
        run
    }

    fn number(&mut self) -> Result<(), String> {
        let digits = self.run(|c| c.is_ascii_digit() || c == '.');
        let number: f64 = digits.parse().map_err(|_| format!("`{digits}` is no number"))?;
        if !number.is_finite() {
            return Err(format!("`{digits}` is too large"));
        }
        self.operations.push(Operation::Number(number));
        Ok(())
    }

    fn name(&mut self, depth: usize) -> Result<(), String> {
        let name = self.run(|c| c.is_ascii_alphanumeric() || c == '_');
        let Some(function) = Function::named(name) else {
            let at = self.names.iter().position(|known| *known == name);
            let at = at.ok_or_else(|| format!("`{name}` is neither a grader nor a function"))?;
            self.operations.push(Operation::Reward(at));
            return Ok(());
        };
        self.take('(')?;
        self.expression(0, depth + 1)?;
        for _ in 1..function.operands() {
            self.take(',')?;
            self.expression(0, depth + 1)?;
        }
        // `min` and `max` take any number: each further one is a call on what is there.
        while matches!(function, Function::Min | Function::Max) && self.peek() == Some(',') {
            self.operations.push(Operation::Apply(function));
            self.take(',')?;
            self.expression(0, depth + 1)?;
        }
        self.take(')')?;
        self.operations.push(Operation::Apply(function));
        Ok(())
    }
}

/// The function of an operator, how tightly it binds, and what its right side must bind by.
fn operator(symbol: char) -> Option<(Function, u8, u8)> {
    Some(match symbol {
        '+' => (Function::Add, 1, 2),
        '-' => (Function::Subtract, 1, 2),
        '*' => (Function::Multiply, 2, 3),
        '/' => (Function::Divide, 2, 3),
        '^' => (Function::Power, 4, 4),
        _ => return None,
    })
}
