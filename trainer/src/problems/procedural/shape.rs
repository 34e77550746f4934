//! Shapes of computation: which operations on how many operands, told apart from any wording.

/// One of the four operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    /// Sum.
    Add,
    /// Difference.
    Sub,
    /// Product.
    Mul,
    /// Quotient without remainder.
    Div,
}

impl Op {
    /// The sign used in solutions.
    #[must_use]
    pub fn sign(self) -> char {
        match self {
            Self::Add => '+',
            Self::Sub => '-',
            Self::Mul => '*',
            Self::Div => '/',
        }
    }

    /// The value, or `None` if it is not a whole number.
    #[must_use]
    pub fn apply(self, left: i64, right: i64) -> Option<i64> {
        match self {
            Self::Add => left.checked_add(right),
            Self::Sub => left.checked_sub(right),
            Self::Mul => left.checked_mul(right),
            Self::Div => (right != 0 && left % right == 0).then(|| left / right),
        }
    }

    fn binds(self) -> u8 {
        match self {
            Self::Add | Self::Sub => 1,
            Self::Mul | Self::Div => 2,
        }
    }
}

/// A side of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Term {
    /// Operand by index: `{a}` is 0.
    Operand(usize),
    /// Result of an earlier step by index.
    Step(usize),
}

/// A computation without its numbers.
#[derive(Debug, PartialEq, Eq)]
pub struct Shape {
    /// Its formula, which is also its name.
    pub name: &'static str,
    /// Smallest and largest value of each operand.
    pub ranges: &'static [(i64, i64)],
    /// Operations in the order of working.
    pub steps: &'static [(Op, Term, Term)],
}

use Op::{Add, Div, Mul, Sub};
use Term::{Operand as O, Step as S};

const FACTOR: (i64, i64) = (2, 9);
const SMALL: (i64, i64) = (2, 12);
const MEDIUM: (i64, i64) = (3, 40);
const LARGE: (i64, i64) = (20, 90);

macro_rules! shapes {
    ($($name:literal [$($range:expr),*] [$($step:expr),*];)*) => {
        /// Every shape, by number of steps.
        pub const SHAPES: &[Shape] = &[$(Shape { name: $name, ranges: &[$($range),*], steps: &[$($step),*] }),*];
    };
}

shapes! {
    "a+b" [MEDIUM, MEDIUM] [(Add, O(0), O(1))];
    "a-b" [LARGE, MEDIUM] [(Sub, O(0), O(1))];
    "a*b" [SMALL, FACTOR] [(Mul, O(0), O(1))];
    "a/b" [(6, 90), FACTOR] [(Div, O(0), O(1))];
    "a+b+c" [MEDIUM, (2, 30), (2, 30)] [(Add, O(0), O(1)), (Add, S(0), O(2))];
    "a+b-c" [MEDIUM, MEDIUM, (2, 30)] [(Add, O(0), O(1)), (Sub, S(0), O(2))];
    "a-b-c" [LARGE, (2, 30), (2, 30)] [(Sub, O(0), O(1)), (Sub, S(0), O(2))];
    "a*b+c" [SMALL, FACTOR, MEDIUM] [(Mul, O(0), O(1)), (Add, S(0), O(2))];
    "a*b-c" [SMALL, FACTOR, MEDIUM] [(Mul, O(0), O(1)), (Sub, S(0), O(2))];
    "a-b*c" [LARGE, SMALL, FACTOR] [(Mul, O(1), O(2)), (Sub, O(0), S(0))];
    "(a+b)*c" [SMALL, SMALL, FACTOR] [(Add, O(0), O(1)), (Mul, S(0), O(2))];
    "(a-b)*c" [(5, 30), (2, 20), FACTOR] [(Sub, O(0), O(1)), (Mul, S(0), O(2))];
    "(a+b)/c" [MEDIUM, MEDIUM, FACTOR] [(Add, O(0), O(1)), (Div, S(0), O(2))];
    "(a-b)/c" [LARGE, MEDIUM, FACTOR] [(Sub, O(0), O(1)), (Div, S(0), O(2))];
    "a/b+c" [(6, 90), FACTOR, MEDIUM] [(Div, O(0), O(1)), (Add, S(0), O(2))];
    "a*b+c*d" [FACTOR, FACTOR, FACTOR, FACTOR] [(Mul, O(0), O(1)), (Mul, O(2), O(3)), (Add, S(0), S(1))];
    "(a+b)*c-d" [SMALL, SMALL, FACTOR, (2, 30)] [(Add, O(0), O(1)), (Mul, S(0), O(2)), (Sub, S(1), O(3))];
    "a*b+c-d" [SMALL, FACTOR, (2, 30), (2, 30)] [(Mul, O(0), O(1)), (Add, S(0), O(2)), (Sub, S(1), O(3))];
}

/// The shape called `name`.
#[must_use]
pub fn shape(name: &str) -> Option<&'static Shape> {
    SHAPES.iter().find(|shape| shape.name == name)
}

/// A shape with its numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Computation {
    /// What is computed.
    pub shape: &'static Shape,
    /// The numbers, `{a}` first.
    pub operands: Vec<i64>,
    /// Result of each step.
    pub results: Vec<i64>,
}

impl Computation {
    /// Works the steps out; `None` if a quotient is not whole or the number of operands is not the shape's.
    #[must_use]
    pub fn new(shape: &'static Shape, operands: Vec<i64>) -> Option<Self> {
        if operands.len() != shape.ranges.len() {
            return None;
        }
        let mut worked = Self {
            shape,
            operands,
            results: Vec::with_capacity(shape.steps.len()),
        };
        for (op, left, right) in shape.steps {
            let result = op.apply(worked.value(*left), worked.value(*right))?;
            worked.results.push(result);
        }
        Some(worked)
    }

    /// The final result.
    #[must_use]
    pub fn answer(&self) -> i64 {
        self.results.last().copied().unwrap_or(0)
    }

    /// The value of a side of a step that has been worked out.
    #[must_use]
    pub fn value(&self, term: Term) -> i64 {
        match term {
            Term::Operand(index) => self.operands[index],
            Term::Step(index) => self.results[index],
        }
    }

    /// The steps one a line, then the boxed answer.
    #[must_use]
    pub fn worked_solution(&self) -> String {
        let mut text = String::new();
        for ((op, left, right), result) in self.shape.steps.iter().zip(&self.results) {
            text += &format!("{}{}{}={result}\n", self.value(*left), op.sign(), self.value(*right));
        }
        text + &format!("\\boxed{{{}}}", self.answer())
    }

    /// The whole computation as one expression, brackets where needed.
    #[must_use]
    pub fn expression(&self) -> String {
        self.expression_of(self.shape.steps.len() - 1).0
    }

    fn expression_of(&self, step: usize) -> (String, u8) {
        let (op, left, right) = self.shape.steps[step];
        let side = |term: Term, least: u8| match term {
            Term::Operand(index) => self.operands[index].to_string(),
            Term::Step(index) => {
                let (text, binds) = self.expression_of(index);
                if binds < least { format!("({text})") } else { text }
            }
        };
        let text = format!("{}{}{}", side(left, op.binds()), op.sign(), side(right, op.binds() + 1));
        (text, op.binds())
    }
}
