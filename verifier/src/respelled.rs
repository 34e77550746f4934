//! Answers that are equal when both sides are spelled in one way: variables in one case, I for the imaginary unit, log
//! for the natural logarithm.

use crate::algebra::evaluate::evaluate;
use crate::budget::Budget;
use crate::compare::same;
use crate::text::lexer::Token;
use crate::text::parser::parse;

/// One way to spell the tokens of a side; `None` where it does not apply.
type Spelling = fn(&[Token]) -> Option<Vec<Token>>;

const SPELLINGS: [(Spelling, &str); 3] = [
    (in_lower_case, "equal_in_lower_case"),
    (with_imaginary_unit, "equal_with_capital_i"),
    (with_natural_logarithm, "equal_as_natural_logarithm"),
];

/// The rule by which both are equal once they are spelled in one way. A spelling that changes neither says nothing new.
pub(crate) fn same_respelled(
    gold: Option<&[Token]>,
    answer: Option<&[Token]>,
    budget: &mut Budget,
) -> Option<&'static str> {
    let (gold, answer) = (gold?, answer?);
    SPELLINGS.iter().find_map(|(spelled, rule)| {
        let (g, a) = (spelled(gold)?, spelled(answer)?);
        let changed = g != gold || a != answer;
        (changed && equal(&g, &a, budget)).then_some(*rule)
    })
}

fn equal(gold: &[Token], answer: &[Token], budget: &mut Budget) -> bool {
    let mut value = |tokens: &[Token]| parse(tokens, budget).and_then(|expr| evaluate(&expr, budget));
    let (Ok(gold), Ok(answer)) = (value(gold), value(answer)) else {
        return false;
    };
    same(&gold, &answer, budget).unwrap_or(false)
}

/// Upper-case variables as lower-case ones. Not where a side uses a letter in both cases, and never for E and I, which
/// would turn into constants.
fn in_lower_case(tokens: &[Token]) -> Option<Vec<Token>> {
    let letters = |upper: bool| {
        tokens.iter().filter_map(move |t| match t {
            Token::Letter { name, .. } if name.len() == 1 && name.chars().all(char::is_uppercase) == upper => {
                Some(name.to_lowercase())
            }
            _ => None,
        })
    };
    if letters(true).any(|l| l == "e" || l == "i" || letters(false).any(|other| other == l)) {
        return None;
    }
    Some(renamed(tokens, |name| (name.len() == 1).then(|| name.to_lowercase())))
}

/// I as i, where a side does not use both and is more than the letter.
fn with_imaginary_unit(tokens: &[Token]) -> Option<Vec<Token>> {
    let has = |wanted: &str| {
        tokens
            .iter()
            .any(|t| matches!(t, Token::Letter { name, .. } if name == wanted))
    };
    let alone = tokens.len() == 1 && has("I");
    let kept = alone || (has("I") && has("i"));
    (!kept).then(|| renamed(tokens, |name| (name == "I").then(|| "i".to_owned())))
}

/// `\\log` without a base as `\\ln`, where a side does not use both.
fn with_natural_logarithm(tokens: &[Token]) -> Option<Vec<Token>> {
    let is = |token: &Token, wanted: &str| matches!(token, Token::Command(name) if name == wanted);
    let based = |at: usize| tokens.get(at + 1) == Some(&Token::Symbol('_'));
    if tokens.iter().any(|t| is(t, "ln")) && tokens.iter().any(|t| is(t, "log")) {
        return None;
    }
    let spelled = tokens.iter().enumerate().map(|(at, token)| {
        if is(token, "log") && !based(at) {
            Token::Command("ln".into())
        } else {
            token.clone()
        }
    });
    Some(spelled.collect())
}

/// The tokens with the letters that `name` gives other names.
fn renamed(tokens: &[Token], name: impl Fn(&str) -> Option<String>) -> Vec<Token> {
    tokens
        .iter()
        .map(|token| match token {
            Token::Letter { name: old, spaced } => Token::Letter {
                name: name(old).unwrap_or_else(|| old.clone()),
                spaced: *spaced,
            },
            other => other.clone(),
        })
        .collect()
}
