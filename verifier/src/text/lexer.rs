//! Tokens of LaTeX, plain and Unicode mathematics. Sizing and spacing commands vanish here.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{Pow, Zero};

use super::syntax::{Relate, Sign};
use super::words;
use crate::budget::{Budget, Stop};

/// Digits that one literal may have.
const MAX_DIGITS: usize = 35_000;
/// Magnitude of the exponent of a literal such as `1e30`.
const MAX_SCIENTIFIC: i64 = 5_000;
/// How deep text groups may nest.
const MAX_TEXT_DEPTH: u32 = 8;

/// One token.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    /// A literal; `digits` as written without separators.
    Number {
        value: BigRational,
        decimals: Option<u32>,
        digits: String,
    },
    /// A variable or constant letter.
    Letter(String),
    /// A known or unknown command or function, without its backslash.
    Command(String),
    /// Words.
    Words(String),
    /// `+ * / ^ _ ( ) [ ] { } | ! & : ,` and `∪` as 'U'.
    Symbol(char),
    /// `+`, `-`, `±`, `∓`
    Sign(Sign),
    /// `\{` or `\}`
    SetBrace(char),
    /// `= < ≤ …`
    Relate(Relate),
    /// `or`, `and`, `;`
    Separator,
    /// `\\`
    RowEnd,
    /// `\begin{name}`
    Begin(String),
    /// `\end{name}`
    End(String),
    /// A percent sign or word.
    Percent,
    /// A degree sign or command.
    Degree,
}

/// Cuts `text` into tokens.
pub(crate) fn tokens(text: &str, budget: &mut Budget) -> Result<Vec<Token>, Stop> {
    let mut lexer = Lexer {
        chars: text.chars().collect(),
        at: 0,
        out: Vec::new(),
        brackets: 0,
        depth: 0,
    };
    budget.charge(lexer.chars.len() as u64)?;
    lexer.run(budget)?;
    Ok(lexer.out)
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    out: Vec<Token>,
    /// Open brackets: a comma inside them separates items, outside it may group digits.
    brackets: u32,
    depth: u32,
}

impl Lexer {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn run(&mut self, budget: &mut Budget) -> Result<(), Stop> {
        while let Some(c) = self.peek(0) {
            budget.charge(1)?;
            if c.is_ascii_digit() || (c == '.' && self.peek(1).is_some_and(|d| d.is_ascii_digit())) {
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
            '/' | '^' | '_' | '{' | '}' | '|' | '!' | '&' | ':' | ',' | '\'' => Token::Symbol(c),
            '+' => Token::Sign(Sign::Plus),
            '-' | '−' | '–' | '‐' | '‑' => Token::Sign(Sign::Minus),
            '±' => Token::Sign(Sign::Both),
            '*' | '×' | '·' | '⋅' => Token::Symbol('*'),
            '÷' => Token::Symbol('/'),
            '=' => Token::Relate(Relate::Equal),
            '<' => Token::Relate(self.or_equal(Relate::Less, Relate::LessEqual)),
            '>' => Token::Relate(self.or_equal(Relate::Greater, Relate::GreaterEqual)),
            '≤' | '⩽' => Token::Relate(Relate::LessEqual),
            '≥' | '⩾' => Token::Relate(Relate::GreaterEqual),
            '≠' => Token::Relate(Relate::NotEqual),
            '∈' => Token::Relate(Relate::In),
            '∪' => Token::Symbol('U'),
            '∞' => Token::Command("infty".into()),
            'π' => Token::Command("pi".into()),
            '√' => Token::Command("sqrt".into()),
            '°' | '˚' | 'º' => Token::Degree,
            '%' | '％' => Token::Percent,
            ';' => Token::Separator,
            'θ' | 'α' | 'β' | 'γ' | 'λ' | 'μ' | 'φ' | 'ω' => Token::Letter(c.to_string()),
            '$' | '~' | '.' | '€' | '£' | '\u{200b}' => return Ok(()),
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
        let mut inner = Lexer {
            chars,
            at: 0,
            out: Vec::new(),
            brackets: self.brackets,
            depth: self.depth + 1,
        };
        inner.run(budget)?;
        self.out.append(&mut inner.out);
        Ok(())
    }

    /// The length of a thousands separator at `ahead`, if three digits and no fourth follow it.
    fn separator(&self, ahead: usize) -> Option<usize> {
        let rest = |text: &str| text.chars().enumerate().all(|(i, c)| self.peek(ahead + i) == Some(c));
        let length = [",\\!", "{,}", "\\,", ",\\ ", ",\\,"]
            .iter()
            .find(|s| rest(s))
            .map(|s| s.chars().count())
            .or_else(|| (self.brackets == 0 && rest(",")).then_some(1))
            .or_else(|| rest(" ").then_some(1))?;
        let digit = |i: usize| self.peek(ahead + length + i).is_some_and(|c| c.is_ascii_digit());
        let fraction = self.peek(ahead + length + 3) == Some('/');
        (digit(0) && digit(1) && digit(2) && !digit(3) && !fraction).then_some(length)
    }

    fn number(&mut self, budget: &mut Budget) -> Result<(), Stop> {
        let mut digits = String::new();
        let first_group = (0..)
            .take_while(|&i| self.peek(i).is_some_and(|c| c.is_ascii_digit()))
            .take(4)
            .count();
        let groups = (1..=3).contains(&first_group) && self.peek(0) != Some('0');
        loop {
            match self.peek(0) {
                Some(c) if c.is_ascii_digit() => {
                    digits.push(c);
                    self.at += 1;
                }
                _ => match self.separator(0).filter(|_| groups) {
                    Some(length) => self.at += length,
                    None => break,
                },
            }
        }
        let mut decimals = None;
        if self.peek(0) == Some('.') && self.peek(1).is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
            let before = digits.len();
            while let Some(c) = self.peek(0).filter(char::is_ascii_digit) {
                digits.push(c);
                self.at += 1;
            }
            decimals = Some(u32::try_from(digits.len() - before).map_err(|_| Stop::OverBudget)?);
        }
        let exponent = self.scientific();
        self.push_literal(digits, decimals, exponent, budget)
    }

    fn push_literal(
        &mut self,
        digits: String,
        decimals: Option<u32>,
        exponent: Option<i64>,
        budget: &mut Budget,
    ) -> Result<(), Stop> {
        if digits.len() > MAX_DIGITS {
            return Err(Stop::OverBudget);
        }
        let words = digits.len() as u64 / 16 + 1;
        budget.charge(words * words / 64 + 1)?;
        let integer = BigInt::parse_bytes(digits.as_bytes(), 10).ok_or(Stop::Malformed)?;
        let mut value = match decimals {
            None => BigRational::from_integer(integer),
            Some(count) => {
                budget.charge(words * words / 4)?;
                BigRational::new(integer, Pow::pow(BigInt::from(10), count))
            }
        };
        if let Some(exponent) = exponent {
            if exponent.abs() > MAX_SCIENTIFIC {
                return if value.is_zero() {
                    Err(Stop::Malformed)
                } else {
                    Err(Stop::OverBudget)
                };
            }
            let power = Pow::pow(BigInt::from(10), exponent.unsigned_abs());
            budget.charge(1 + exponent.unsigned_abs() / 4 + words)?;
            value = if exponent < 0 {
                value / BigRational::from_integer(power)
            } else {
                value * BigRational::from_integer(power)
            };
        }
        self.out.push(Token::Number {
            value,
            decimals,
            digits,
        });
        Ok(())
    }

    /// The exponent of a literal such as `1.5e4`, consumed; an `e` without digits after it is left alone.
    fn scientific(&mut self) -> Option<i64> {
        if !matches!(self.peek(0), Some('e' | 'E')) {
            return None;
        }
        let signed = usize::from(matches!(self.peek(1), Some('+' | '-')));
        let start = 1 + signed;
        let count = (start..)
            .take_while(|&i| self.peek(i).is_some_and(|c| c.is_ascii_digit()))
            .count();
        if count == 0 {
            return None;
        }
        let digits: String = (start..start + count.min(12)).filter_map(|i| self.peek(i)).collect();
        let magnitude: i64 = digits.parse().ok()?;
        let negative = self.peek(1) == Some('-');
        self.at += start + count;
        Some(if negative { -magnitude } else { magnitude })
    }

    /// A run of letters: a function, a word, or variables side by side.
    fn letters(&mut self, budget: &mut Budget) -> Result<(), Stop> {
        let mut run = String::new();
        while let Some(c) = self.peek(0).filter(char::is_ascii_alphabetic) {
            run.push(c);
            self.at += 1;
        }
        budget.charge(run.len() as u64)?;
        self.push_word(&run);
        Ok(())
    }

    fn push_word(&mut self, run: &str) {
        let lower = run.to_ascii_lowercase();
        let after_value = matches!(self.out.last(), Some(Token::Number { .. } | Token::Symbol(')' | '}')));
        let prose = |w: &str| {
            matches!(
                w,
                "yes" | "no" | "am" | "pm" | "is" | "the" | "nan" | "none" | "if" | "to"
            )
        };
        match lower.as_str() {
            "or" | "and" => self.out.push(Token::Separator),
            "percent" | "pct" => self.out.push(Token::Percent),
            "degrees" | "degree" => self.out.push(Token::Degree),
            "sin" | "cos" | "tan" | "cot" | "sec" | "csc" | "log" | "ln" | "exp" | "sqrt" | "pi" | "gcd" | "lcm"
            | "max" | "min" | "arcsin" | "arccos" | "arctan" => self.out.push(Token::Command(lower)),
            "inf" | "infinity" => self.out.push(Token::Command("infty".into())),
            w if w.len() > 3 || prose(w) => self.out.push(Token::Words(lower)),
            w if after_value && w.len() > 1 && words::known_unit(w).is_some() => self.out.push(Token::Words(lower)),
            _ => self.out.extend(run.chars().map(|c| Token::Letter(c.to_string()))),
        }
    }

    /// The text of the braced group that starts here, consumed.
    fn group(&mut self) -> Result<String, Stop> {
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

    fn command(&mut self, budget: &mut Budget) -> Result<(), Stop> {
        self.at += 1;
        let Some(next) = self.peek(0) else {
            return Err(Stop::Malformed);
        };
        if !next.is_ascii_alphabetic() {
            self.at += 1;
            let token = match next {
                '\\' => Token::RowEnd,
                '{' | '}' => Token::SetBrace(next),
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

    fn named(&mut self, name: &str, budget: &mut Budget) -> Result<(), Stop> {
        let token = match name {
            "left" | "right" | "big" | "Big" | "bigl" | "bigr" | "Bigl" | "Bigr" | "bigg" | "Bigg" | "mleft"
            | "mright" | "biggl" | "biggr" | "displaystyle" | "textstyle" | "limits" | "quad" | "qquad"
            | "thinspace" | "rm" | "bf" | "it" | "nonumber" | "boldsymbol" | "bm" | "tiny" | "small" | "large"
            | "overline" | "bar" | "underline" | "boxed" | "fbox" | "hfill" => return Ok(()),
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
            "lbrace" => Token::SetBrace('{'),
            "rbrace" => Token::SetBrace('}'),
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
                Token::Letter(format!("\\{name}"))
            }
            "approx" | "simeq" if !self.out.is_empty() => {
                // What stands before is the answer, what follows approximates it.
                self.at = self.chars.len();
                return Ok(());
            }
            "approx" | "simeq" => return Ok(()),
            _ => match name.strip_prefix("qquad").or_else(|| name.strip_prefix("quad")) {
                Some(letters) => {
                    self.push_word(letters);
                    return Ok(());
                }
                None => Token::Command(name.into()),
            },
        };
        self.out.push(token);
        Ok(())
    }

    /// The one-digit arguments of `\frac12` and `\frac1{72}`.
    fn frac_digits(&mut self, budget: &mut Budget) -> Result<(), Stop> {
        for _ in 0..2 {
            while self.peek(0).is_some_and(char::is_whitespace) {
                self.at += 1;
            }
            let Some(digit) = self.peek(0).filter(char::is_ascii_digit) else {
                return Ok(());
            };
            self.at += 1;
            self.push_literal(digit.to_string(), None, None, budget)?;
        }
        Ok(())
    }

    /// Text without letters is mathematics; a single letter in a letter font is a variable; the rest is words.
    fn text_group(&mut self, command: &str, content: &str, budget: &mut Budget) -> Result<(), Stop> {
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
            _ if font && matches!(normal.as_str(), "lcm" | "gcd" | "arcsin" | "sin" | "cos" | "tan") => {
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
