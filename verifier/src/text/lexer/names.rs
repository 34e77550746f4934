//! Names of commands: which vanish, which set text, and which stand for one token.

use super::Token;
use crate::text::syntax::{Relate, Sign};

/// Commands that only place or size what stands around them.
const LAYOUT: &[&str] = &[
    "left",
    "right",
    "big",
    "Big",
    "bigl",
    "bigr",
    "Bigl",
    "Bigr",
    "bigg",
    "Bigg",
    "mleft",
    "mright",
    "biggl",
    "biggr",
    "displaystyle",
    "textstyle",
    "limits",
    "nolimits",
    "quad",
    "qquad",
    "thinspace",
    "rm",
    "bf",
    "it",
    "nonumber",
    "boldsymbol",
    "bm",
    "tiny",
    "small",
    "large",
    "underline",
    "boxed",
    "fbox",
    "hfill",
];

/// Commands that set their argument as text or in a font of letters.
const FONTS: &[&str] = &[
    "text",
    "textbf",
    "textit",
    "textrm",
    "textnormal",
    "textsf",
    "texttt",
    "mbox",
    "hbox",
    "mathrm",
    "mathbf",
    "mathit",
    "mathsf",
    "mathnormal",
    "operatorname",
    "emph",
];

/// Commands of which the letter after them may be part of the name as written: `\vertx`.
const GLUED: &[&str] = &[
    "lvert", "rvert", "vert", "qquad", "quad", "cdot", "times", "infty", "pi", "arcsin", "arccos", "arctan", "sin",
    "cos", "tan", "cot", "sec", "csc", "ln", "log",
];

/// Functions of one argument that a word may name, and other names for them.
const FUNCTIONS: &[(&str, &[&str])] = &[
    ("sin", &[]),
    ("cos", &[]),
    ("tan", &[]),
    ("cot", &[]),
    ("sec", &[]),
    ("csc", &["cosec"]),
    ("log", &[]),
    ("ln", &[]),
    ("arcsin", &["asin"]),
    ("arccos", &["acos"]),
    ("arctan", &["atan"]),
    ("arccot", &["acot"]),
    ("arcsec", &["asec"]),
    ("arccsc", &["acsc"]),
    ("sinh", &[]),
    ("cosh", &[]),
    ("tanh", &[]),
    ("arcsinh", &["arsinh", "asinh"]),
    ("arccosh", &["arcosh", "acosh"]),
    ("arctanh", &["artanh", "atanh"]),
];

/// The function that a word names.
pub(super) fn function(word: &str) -> Option<&'static str> {
    let named = |(name, others): &&(&'static str, &[&str])| *name == word || others.contains(&word);
    FUNCTIONS.iter().find(named).map(|(name, _)| *name)
}

pub(super) fn is_layout(name: &str) -> bool {
    LAYOUT.contains(&name)
}

pub(super) fn is_font(name: &str) -> bool {
    FONTS.contains(&name)
}

/// A known command and the letter written directly after it; after a space any letters.
pub(super) fn glued(name: &str) -> Option<(&'static str, &str)> {
    GLUED.iter().find_map(|command| {
        let letters = name.strip_prefix(command)?;
        // `\sinh` is a name of its own.
        ((letters.len() == 1 && letters != "h") || command.ends_with("quad")).then_some((*command, letters))
    })
}

/// The token that a command stands for on its own.
pub(super) fn token(name: &str) -> Option<Token> {
    let command = |name: &str| Token::Command(name.into());
    let letter = |name: &str| Token::Letter {
        name: name.into(),
        spaced: true,
    };
    Some(match name {
        "dbinom" | "tbinom" | "binom" => command("binom"),
        "ulcorner" => command("lceil"),
        "urcorner" => command("rceil"),
        "llcorner" => command("lfloor"),
        "lrcorner" => command("rfloor"),
        "exponentialE" => letter("e"),
        "imaginaryI" | "imaginaryJ" => letter("i"),
        "differentialD" => letter("d"),
        "to" | "rightarrow" | "longrightarrow" | "Rightarrow" | "Longrightarrow" => command("to"),
        "bmod" | "mod" => command("mod"),
        "pmod" | "pod" => command("pmod"),
        "cdot" | "times" | "ast" => Token::Symbol('*'),
        "div" => Token::Symbol('/'),
        "pm" => Token::Sign(Sign::Both),
        "mp" => Token::Sign(Sign::BothSwapped),
        "cup" | "bigcup" => Token::Symbol('U'),
        "cap" | "bigcap" => Token::Symbol('∩'),
        "setminus" | "smallsetminus" | "backslash" => Token::Symbol('∖'),
        "le" | "leq" | "leqslant" | "leqq" => Token::Relate(Relate::LessEqual),
        "ge" | "geq" | "geqslant" | "geqq" => Token::Relate(Relate::GreaterEqual),
        "lt" => Token::Relate(Relate::Less),
        "gt" => Token::Relate(Relate::Greater),
        "ne" | "neq" => Token::Relate(Relate::NotEqual),
        "equiv" => Token::Relate(Relate::Congruent),
        "in" => Token::Relate(Relate::In),
        "lvert" | "rvert" | "vert" | "lVert" | "rVert" | "Vert" => Token::Symbol('|'),
        "langle" => Token::Symbol('('),
        "rangle" => Token::Symbol(')'),
        "mid" => Token::Symbol(':'),
        "lparen" => Token::Symbol('('),
        "rparen" => Token::Symbol(')'),
        "lbrack" => Token::Symbol('['),
        "rbrack" => Token::Symbol(']'),
        "circ" | "degree" | "degrees" => Token::Degree,
        "percent" => Token::Percent,
        "euro" | "EUR" => Token::Currency("euro"),
        "pounds" => Token::Currency("sterling"),
        "yen" => Token::Currency("yen"),
        "colon" => Token::Symbol(':'),
        "lor" | "vee" | "land" | "wedge" => Token::Separator,
        "alpha" | "beta" | "gamma" | "delta" | "epsilon" | "varepsilon" | "zeta" | "eta" | "theta" | "vartheta"
        | "iota" | "kappa" | "lambda" | "mu" | "nu" | "xi" | "rho" | "sigma" | "tau" | "phi" | "varphi" | "chi"
        | "psi" | "omega" | "Gamma" | "Delta" | "Theta" | "Lambda" | "Sigma" | "Phi" | "Psi" | "Omega" | "ell" => {
            letter(&format!("\\{name}"))
        }
        _ => return None,
    })
}
