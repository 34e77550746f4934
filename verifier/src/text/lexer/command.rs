//! LaTeX commands: names, escaped characters, and the text groups between them.

use super::{Lexer, Token};
use crate::budget::{Budget, Stop};
use crate::text::syntax::{Relate, Sign};
use crate::text::words;

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
                '\\' => Token::RowEnd,
                '{' | '}' => {
                    self.set_brace(next);
                    return Ok(());
                }
                '%' => Token::Percent,
                '|' => Token::Symbol('|'),
                '$' | ',' | ';' | '!' | ':' | ' ' | '>' | '(' | ')' | '[' | ']' | '\n' => return Ok(()),
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
        let token = match name {
            "left" | "right" | "big" | "Big" | "bigl" | "bigr" | "Bigl" | "Bigr" | "bigg" | "Bigg" | "mleft"
            | "mright" | "biggl" | "biggr" | "displaystyle" | "textstyle" | "limits" | "quad" | "qquad"
            | "thinspace" | "rm" | "bf" | "it" | "nonumber" | "boldsymbol" | "bm" | "tiny" | "small" | "large"
            | "underline" | "boxed" | "fbox" | "hfill" => return Ok(()),
            "text" | "textbf" | "textit" | "textrm" | "textnormal" | "textsf" | "texttt" | "mbox" | "hbox"
            | "mathrm" | "mathbf" | "mathit" | "mathsf" | "mathnormal" | "operatorname" | "emph" => {
                let content = self.group()?;
                return self.text_group(name, &content, budget);
            }
            "mathbb" | "mathcal" | "mathfrak" => Token::Words(format!("{name} {}", self.group()?.trim())),
            "begin" => {
                self.brackets += 1;
                Token::Begin(self.group()?)
            }
            "end" => {
                self.brackets = self.brackets.saturating_sub(1);
                Token::End(self.group()?)
            }
            "overline" | "bar" => return self.overlined(name.len(), budget),
            "ldots" | "dots" | "cdots" if self.after_decimal() => Token::Ellipsis,
            "dfrac" | "tfrac" | "cfrac" | "frac" => {
                self.out.push(Token::Command("frac".into()));
                return self.frac_digits(budget);
            }
            "dbinom" | "tbinom" | "binom" => Token::Command("binom".into()),
            "cdot" | "times" | "ast" => Token::Symbol('*'),
            "div" => Token::Symbol('/'),
            "pm" => Token::Sign(Sign::Both),
            "mp" => Token::Sign(Sign::BothSwapped),
            "cup" | "bigcup" => Token::Symbol('U'),
            "le" | "leq" | "leqslant" | "leqq" => Token::Relate(Relate::LessEqual),
            "ge" | "geq" | "geqslant" | "geqq" => Token::Relate(Relate::GreaterEqual),
            "lt" => Token::Relate(Relate::Less),
            "gt" => Token::Relate(Relate::Greater),
            "ne" | "neq" => Token::Relate(Relate::NotEqual),
            "in" => Token::Relate(Relate::In),
            "lbrace" | "rbrace" => {
                self.set_brace(if name == "lbrace" { '{' } else { '}' });
                return Ok(());
            }
            "lvert" | "rvert" | "vert" => Token::Symbol('|'),
            "lparen" => Token::Symbol('('),
            "rparen" => Token::Symbol(')'),
            "lbrack" => Token::Symbol('['),
            "rbrack" => Token::Symbol(']'),
            "circ" | "degree" | "degrees" => Token::Degree,
            "percent" => Token::Percent,
            "colon" => Token::Symbol(':'),
            "lor" | "vee" | "land" | "wedge" => Token::Separator,
            "alpha" | "beta" | "gamma" | "delta" | "epsilon" | "varepsilon" | "zeta" | "eta" | "theta" | "iota"
            | "kappa" | "lambda" | "mu" | "nu" | "xi" | "rho" | "sigma" | "tau" | "phi" | "varphi" | "chi" | "psi"
            | "omega" | "Gamma" | "Delta" | "Theta" | "Lambda" | "Sigma" | "Phi" | "Psi" | "Omega" | "ell" => {
                Token::Letter {
                    name: format!("\\{name}"),
                    spaced: true,
                }
            }
            "approx" | "simeq" if !self.out.is_empty() => {
                // What stands before is the answer, what follows approximates it.
                self.at = self.chars.len();
                return Ok(());
            }
            "approx" | "simeq" => return Ok(()),
            _ => match name.strip_prefix("qquad").or_else(|| name.strip_prefix("quad")) {
                Some(letters) => {
                    self.push_word(letters, true);
                    return Ok(());
                }
                None => Token::Command(name.into()),
            },
        };
        self.out.push(token);
        Ok(())
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
            _ if font
                && matches!(
                    normal.as_str(),
                    "lcm" | "gcd" | "floor" | "ceil" | "arcsin" | "sin" | "cos" | "tan"
                ) =>
            {
                self.out.push(Token::Command(normal));
            }
            "inf" | "infinity" => self.out.push(Token::Command("infty".into())),
            _ => self.out.push(Token::Words(unbracket(&normal).to_owned())),
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
