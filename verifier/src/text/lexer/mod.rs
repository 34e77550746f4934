//! Tokens of LaTeX, plain and Unicode mathematics. Sizing and spacing commands vanish here.

mod command;
mod names;
mod number;
mod repeating;
mod token;
mod word;

pub(crate) use token::Token;

use super::syntax::{Relate, Sign};
use super::words;
use crate::budget::{Budget, Stop};

/// How deep text groups may nest.
const MAX_TEXT_DEPTH: u32 = 8;

/// What a comma directly before three digits does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Commas {
    /// It groups digits: `1,234` is a number.
    Group,
    /// It separates: `1,234` is a list.
    Separate,
}

/// Cuts `text` into tokens; also tells whether the other reading of commas would cut it differently.
pub(crate) fn tokens(text: &str, commas: Commas, budget: &mut Budget) -> Result<(Vec<Token>, bool), Stop> {
    let mut lexer = Lexer::new(text.chars().collect(), commas);
    budget.charge(lexer.chars.len() as u64)?;
    lexer.run(budget)?;
    Ok((lexer.out, lexer.ambiguous))
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    out: Vec<Token>,
    /// Open brackets: a comma inside them separates items, outside it may group digits.
    brackets: u32,
    depth: u32,
    commas: Commas,
    /// Whether a comma was met that may group or separate.
    ambiguous: bool,
}

impl Lexer {
    fn new(chars: Vec<char>, commas: Commas) -> Self {
        Self {
            chars,
            at: 0,
            out: Vec::new(),
            brackets: 0,
            depth: 0,
            commas,
            ambiguous: false,
        }
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn run(&mut self, budget: &mut Budget) -> Result<(), Stop> {
        while let Some(c) = self.peek(0) {
            budget.charge(1)?;
            if c.is_ascii_digit() || (c == '.' && self.fraction_follows()) {
                self.number(budget)?;
            } else if c.is_ascii_alphabetic() {
                self.letters(budget)?;
            } else if c == '\\' {
                self.command(budget)?;
            } else {
                self.at += 1;
                self.other(c, budget)?;
            }
        }
        Ok(())
    }

    fn other(&mut self, c: char, budget: &mut Budget) -> Result<(), Stop> {
        let token = match c {
            '(' | '[' => {
                self.brackets += 1;
                Token::Symbol(c)
            }
            ')' | ']' => {
                self.brackets = self.brackets.saturating_sub(1);
                Token::Symbol(c)
            }
            '!' if self.peek(0) == Some('=') => {
                self.at += 1;
                Token::Relate(Relate::NotEqual)
            }
            // `n!!` is not `(n!)!`, which is written with a gap.
            '!' if self.peek(0) == Some('!') => {
                self.at += 1;
                Token::Symbol('‼')
            }
            '/' | '^' | '_' | '{' | '}' | '|' | '!' | '&' | ':' | ',' | ';' | '\'' => Token::Symbol(c),
            '+' => Token::Sign(Sign::Plus),
            '-' | '−' | '–' | '‐' | '‑' => Token::Sign(Sign::Minus),
            '±' => Token::Sign(Sign::Both),
            // As programs write powers.
            '*' if self.peek(0) == Some('*') => {
                self.at += 1;
                Token::Symbol('^')
            }
            '*' | '×' | '·' | '⋅' => Token::Symbol('*'),
            '÷' => Token::Symbol('/'),
            '=' => Token::Relate(Relate::Equal),
            '≡' => Token::Relate(Relate::Congruent),
            '<' => Token::Relate(self.or_equal(Relate::Less, Relate::LessEqual)),
            '>' => Token::Relate(self.or_equal(Relate::Greater, Relate::GreaterEqual)),
            '≤' | '⩽' => Token::Relate(Relate::LessEqual),
            '≥' | '⩾' => Token::Relate(Relate::GreaterEqual),
            '≠' => Token::Relate(Relate::NotEqual),
            '∈' => Token::Relate(Relate::In),
            '∪' => Token::Symbol('U'),
            '∩' | '∖' => Token::Symbol(c),
            '∞' => Token::Command("infty".into()),
            '∅' => Token::Command("emptyset".into()),
            'π' => Token::Command("pi".into()),
            '√' => Token::Command("sqrt".into()),
            '°' | '˚' | 'º' => Token::Degree,
            '%' | '％' => Token::Percent,
            'θ' | 'α' | 'β' | 'γ' | 'λ' | 'μ' | 'φ' | 'ω' => Token::Letter {
                name: c.to_string(),
                spaced: true,
            },
            '≈' => {
                self.approximation();
                return Ok(());
            }
            '→' => Token::Command("to".into()),
            '…' => {
                self.ellipsis();
                return Ok(());
            }
            '.' if self.starts_with("..") => {
                self.at += 2;
                self.ellipsis();
                return Ok(());
            }
            '€' => Token::Currency("euro"),
            '£' => Token::Currency("sterling"),
            '¥' => Token::Currency("yen"),
            '₹' => Token::Currency("rupee"),
            '¢' => Token::Currency("cent"),
            '$' | '~' | '.' | '\u{200b}' => return Ok(()),
            _ if c.is_whitespace() => return Ok(()),
            _ => return self.composed(c, budget),
        };
        self.out.push(token);
        Ok(())
    }

    /// Vulgar fractions and raised digits; any other letter is a word of its own.
    fn composed(&mut self, c: char, budget: &mut Budget) -> Result<(), Stop> {
        let fraction = match c {
            '½' => Some("\\frac12"),
            '⅓' => Some("\\frac13"),
            '⅔' => Some("\\frac23"),
            '¼' => Some("\\frac14"),
            '¾' => Some("\\frac34"),
            '⅕' => Some("\\frac15"),
            '⅖' => Some("\\frac25"),
            '⅗' => Some("\\frac35"),
            '⅘' => Some("\\frac45"),
            '⅙' => Some("\\frac16"),
            '⅛' => Some("\\frac18"),
            '⅜' => Some("\\frac38"),
            '⅝' => Some("\\frac58"),
            '⅞' => Some("\\frac78"),
            '⁰' => Some("^0"),
            '¹' => Some("^1"),
            '²' => Some("^2"),
            '³' => Some("^3"),
            '⁴' => Some("^4"),
            '⁵' => Some("^5"),
            '⁶' => Some("^6"),
            '⁷' => Some("^7"),
            '⁸' => Some("^8"),
            '⁹' => Some("^9"),
            _ => None,
        };
        match fraction {
            Some(text) => self.splice(text, budget),
            None if c.is_alphabetic() => {
                let mut word = c.to_string();
                while let Some(next) = self.peek(0).filter(|n| n.is_alphabetic()) {
                    word.push(next);
                    self.at += 1;
                }
                self.out.push(Token::Words(words::normalise(&word)));
                Ok(())
            }
            None => Err(Stop::Malformed),
        }
    }

    fn or_equal(&mut self, strict: Relate, loose: Relate) -> Relate {
        if self.peek(0) == Some('=') {
            self.at += 1;
            return loose;
        }
        strict
    }

    /// Lexes `text` in place.
    fn splice(&mut self, text: &str, budget: &mut Budget) -> Result<(), Stop> {
        if self.depth >= MAX_TEXT_DEPTH {
            return Err(Stop::Malformed);
        }
        let chars: Vec<char> = text.chars().collect();
        budget.charge(chars.len() as u64)?;
        let mut inner = Self {
            brackets: self.brackets,
            depth: self.depth + 1,
            ..Self::new(chars, self.commas)
        };
        inner.run(budget)?;
        self.ambiguous |= inner.ambiguous;
        self.out.append(&mut inner.out);
        Ok(())
    }
}
