//! Formulas over rewards: read once, proved to have a value for all rewards in [0, 1], then computed without recursion.

mod parse;
pub(crate) mod range;

use crate::spec::SpecError;
use range::{Function, Range};

/// A formula as operations on a stack.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Formula {
    operations: Vec<Operation>,
}

/// One operation: operands come before it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Operation {
    Number(f64),
    Reward(usize),
    Apply(Function),
}

impl Formula {
    /// Reads a formula over `names`. Each of them must occur in it, and it must have a value whatever their rewards are.
    pub(crate) fn parse(text: &str, names: &[&str]) -> Result<Self, SpecError> {
        let formula = Self {
            operations: parse::parse(text, names).map_err(SpecError::Formula)?,
        };
        for (at, name) in names.iter().enumerate() {
            if !formula.operations.contains(&Operation::Reward(at)) {
                return Err(SpecError::Formula(format!("grader `{name}` is not used")));
            }
        }
        let all = vec![Range::of_rewards(); names.len()];
        if formula.range(&all).is_none() {
            return Err(SpecError::Formula(
                "it may have no value for some rewards in [0, 1]: bound divisors and logarithms, as in `a / max(b, 0.1)`"
                    .to_owned(),
            ));
        }
        Ok(formula)
    }

    /// The value for given rewards.
    pub(crate) fn value(&self, rewards: &[Range]) -> Option<f64> {
        self.range(rewards).map(Range::low)
    }

    /// The values that it may take, `None` where it may have none.
    fn range(&self, rewards: &[Range]) -> Option<Range> {
        let mut stack: Vec<Range> = Vec::new();
        for operation in &self.operations {
            let value = match operation {
                Operation::Number(number) => Range::point(*number),
                Operation::Reward(at) => *rewards.get(*at)?,
                Operation::Apply(function) => {
                    let operands = stack.len().checked_sub(function.operands())?;
                    let value = function.apply(&stack[operands..])?;
                    stack.truncate(operands);
                    value
                }
            };
            stack.push(value);
        }
        stack.pop()
    }
}
