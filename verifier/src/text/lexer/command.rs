//! LaTeX commands: names, escaped characters, and the text groups between them.

use super::{Lexer, Token, names};
use crate::budget::{Budget, Stop};
use crate::text::syntax::Relate;
use crate::text::words;

/// Longest name of a command that is looked up after two backslashes.
const MAX_NAME: usize = 12;

impl Lexer {
    /// The text of the braced group that starts here, consumed.
    pub(super) fn group(&mut self) -> Result<String, Stop> {
        while self.peek(0).is_some_and(char::is_whitespace) {
            self.at += 1;
        }
        if self.peek(0) != Some('{') {
            return Err(Stop::Malformed);
        }
        let (mut open, start) = (0usize, self.at + 1);
        while let Some(c) = self.peek(0) {
            self.at += 1;
            match c {
                '\\' => self.at += 1,
                '{' => open += 1,
                '}' => open -= 1,
                _ => {}
            }
            if open == 0 {
                return Ok(self.chars[start..self.at - 1].iter().collect());
            }
        }
        Err(Stop::Malformed)
    }

    /// A brace of a set: inside it a comma separates.
    fn set_brace(&mut self, brace: char) {
        self.brackets = if brace == '{' {
            self.brackets + 1
        } else {
            self.brackets.saturating_sub(1)
        };
        self.out.push(Token::SetBrace(brace));
    }

    pub(super) fn command(&mut self, budget: &mut Budget) -> Result<(), Stop> {
        self.at += 1;
        let Some(next) = self.peek(0) else {
            return Err(Stop::Malformed);
        };
        if !next.is_ascii_alphabetic() {
            self.at += 1;
            let token = match next {
                '\\' if self.is_escaped_twice() => {
                    self.at -= 1;
                    return Ok(());
                }
                '\\' => Token::RowEnd,
                '{' | '}' => {
                    self.set_brace(next);
                    return Ok(());
                }
                // The second backslash of a row's end was lost.
                '-' | '0'..='9' if self.out.iter().any(|t| matches!(t, Token::Begin(_))) => {
                    self.at -= 1;
                    Token::RowEnd
                }
                '%' => Token::Percent,
                '|' => Token::Symbol('|'),
                '$' => Token::Currency("dollar"),
                ',' | ';' | '!' | ':' | ' ' | '>' | '(' | ')' | '[' | ']' | '\n' => return Ok(()),
                _ => return Err(Stop::Malformed),
            };
            self.out.push(token);
            return Ok(());
        }
        let mut name = String::new();
        while let Some(c) = self.peek(0).filter(char::is_ascii_alphabetic) {
            name.push(c);
            self.at += 1;
        }
        budget.charge(name.len() as u64)?;
        self.named(&name, budget)
    }

    pub(super) fn named(&mut self, name: &str, budget: &mut Budget) -> Result<(), Stop> {
        if names::is_layout(name) {
            return Ok(());
        }
        if let Some(token) = names::token(name) {
            self.out.push(token);
            return Ok(());
        }
        match name {
            _ if names::is_font(name) => {
                let content = self.group()?;
                return self.text_group(name, &content, budget);
            }
            "mathbb" | "mathcal" | "mathfrak" => {
                let words = format!("{name} {}", self.group()?.trim());
                self.out.push(Token::Words(words));
            }
            "begin" => {
                self.brackets += 1;
                let environment = self.group()?;
                self.out.push(Token::Begin(environment));
            }
            "end" => {
                self.brackets = self.brackets.saturating_sub(1);
                let environment = self.group()?;
                self.out.push(Token::End(environment));
            }
            "overline" | "bar" => return self.overlined(name.len(), budget),
            "ldots" | "dots" | "cdots" => self.ellipsis(),
            "dfrac" | "tfrac" | "cfrac" | "frac" => {
                self.out.push(Token::Command("frac".into()));
                return self.frac_digits(budget);
            }
            "lbrace" | "rbrace" => self.set_brace(if name == "lbrace" { '{' } else { '}' }),
            "approx" | "simeq" => self.approximation(),
            _ => match (names::function(name), names::glued(name)) {
                (None, Some((command, letters))) => {
                    self.named(command, budget)?;
                    self.push_word(letters, true);
                }
                (function, _) => self.out.push(Token::Command(function.unwrap_or(name).into())),
            },
        }
        Ok(())
    }

    /// After a name, what follows is its value. After a value, what follows approximates it and is passed over.
    pub(super) fn approximation(&mut self) {
        match self.out.as_slice() {
            [] => {}
            [Token::Letter { .. }] => self.out.push(Token::Relate(Relate::Equal)),
            _ => self.at = self.chars.len(),
        }
    }

    /// Whether a bracket opens here.
    fn argument_follows(&self) -> bool {
        ["(", "{", "\\left(", "{\\left("]
            .iter()
            .any(|open| self.starts_with(open))
    }

    /// Whether the second of two backslashes starts a command: the text was escaped twice. Within an environment two
    /// backslashes end a row, and a letter may follow them.
    fn is_escaped_twice(&self) -> bool {
        let name: String = (0..MAX_NAME)
            .map_while(|i| self.peek(i).filter(char::is_ascii_alphabetic))
            .collect();
        let known = names::is_layout(&name)
            || names::is_font(&name)
            || names::token(&name).is_some()
            || matches!(
                name.as_str(),
                "frac"
                    | "dfrac"
                    | "tfrac"
                    | "sqrt"
                    | "begin"
                    | "end"
                    | "cdots"
                    | "ldots"
                    | "pi"
                    | "sin"
                    | "cos"
                    | "tan"
                    | "log"
                    | "ln"
                    | "infty"
                    | "overline"
            );
        let inside = self.out.iter().any(|t| matches!(t, Token::Begin(_)));
        let sign = !inside && matches!(self.peek(0), Some('%' | '$'));
        sign || (known && (!inside || name.len() > 3))
    }

    /// Text without letters is mathematics; a single letter in a letter font is a variable; the rest is words.
    pub(super) fn text_group(&mut self, command: &str, content: &str, budget: &mut Budget) -> Result<(), Stop> {
        let trimmed = content.trim();
        budget.charge(1 + trimmed.len() as u64)?;
        if trimmed.is_empty() {
            return Ok(());
        }
        let letters = trimmed.chars().filter(|c| c.is_alphabetic()).count();
        let font = command.starts_with("math") || command == "operatorname";
        if letters == 0 || trimmed.contains('\\') || trimmed.starts_with(|c: char| c.is_ascii_digit()) {
            return self.splice(trimmed, budget);
        }
        if font && letters == 1 && trimmed.len() == 1 {
            return self.splice(trimmed, budget);
        }
        let normal = words::normalise(trimmed);
        match normal.as_str() {
            "or" | "and" => self.out.push(Token::Separator),
            "percent" | "pct" => self.out.push(Token::Percent),
            "degree" | "degrees" => self.out.push(Token::Degree),
            "lcm" | "gcd" | "floor" | "ceil" | "max" | "min" | "mod" if font => self.out.push(Token::Command(normal)),
            "inf" | "infinity" | "oo" => self.out.push(Token::Command("infty".into())),
            _ => self.out.push(match names::function(&normal) {
                Some(function) if font || self.argument_follows() => Token::Command(function.into()),
                _ => Token::Words(unbracket(&normal).to_owned()),
            }),
        }
        Ok(())
    }
}

/// `(c)` is `c`.
fn unbracket(text: &str) -> &str {
    text.strip_prefix('(')
        .and_then(|t| t.strip_suffix(')'))
        .filter(|t| !t.contains(['(', ')']))
        .unwrap_or(text)
}
