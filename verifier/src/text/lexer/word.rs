//! Runs of letters: a function, a word, or variables side by side.

use super::{Lexer, Token, names};
use crate::budget::{Budget, Stop};
use crate::text::units;

impl Lexer {
    /// A run of letters: a function, a word, or variables side by side.
    pub(super) fn letters(&mut self, budget: &mut Budget) -> Result<(), Stop> {
        let mut run = String::new();
        while let Some(c) = self.peek(0).filter(char::is_ascii_alphabetic) {
            run.push(c);
            self.at += 1;
        }
        budget.charge(run.len() as u64)?;
        if matches!(run.as_str(), "a" | "p") && self.starts_with(".m") {
            // "3:45 p.m."
            run.push('m');
            self.at += 2;
        }
        let before = (self.at - run.len()).checked_sub(1).map(|at| self.chars[at]);
        let spaced = before.is_none_or(|c| c.is_whitespace() || matches!(c, ',' | ';' | '~' | '!'));
        self.push_word(&run, spaced);
        Ok(())
    }

    pub(super) fn push_word(&mut self, run: &str, spaced: bool) {
        let lower = run.to_ascii_lowercase();
        let after_value = matches!(self.out.last(), Some(Token::Number { .. } | Token::Symbol(')' | '}')));
        // `\\frac{NO}{BO}`: the ends of a segment.
        let segment = run == "NO" && matches!(self.out.last(), Some(Token::Symbol('{' | '/')));
        let prose = |w: &str| {
            !segment
                && matches!(
                    w,
                    "yes" | "no" | "am" | "pm" | "is" | "the" | "nan" | "none" | "if" | "to"
                )
        };
        if let Some(function) = names::function(&lower) {
            self.out.push(Token::Command(function.into()));
            return;
        }
        match lower.as_str() {
            "or" | "and" => self.out.push(Token::Separator),
            "percent" | "pct" => self.out.push(Token::Percent),
            "degrees" | "degree" => self.out.push(Token::Degree),
            "exp" | "sqrt" | "pi" | "gcd" | "lcm" | "max" | "min" | "mod" => self.out.push(Token::Command(lower)),
            "inf" | "infinity" | "oo" => self.out.push(Token::Command("infty".into())),
            w if w.len() > 3 || prose(w) => self.out.push(Token::Words(lower)),
            "per" if matches!(self.out.last(), Some(Token::Words(unit)) if units::known_unit(unit).is_some()) => {
                self.out.push(Token::Words(lower));
            }
            "mph" if after_value => self.out.push(Token::Words(lower)),
            w if after_value && w.len() > 1 && units::known_unit(w).is_some() => self.out.push(Token::Words(lower)),
            _ => self.out.extend(run.chars().enumerate().map(|(i, c)| Token::Letter {
                name: c.to_string(),
                spaced: spaced && i == 0,
            })),
        }
    }
}
