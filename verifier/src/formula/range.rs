//! Ranges of numbers and the functions of formulas on them. A single number is a range with equal ends.

/// The numbers from one end to the other, both finite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Range {
    low: f64,
    high: f64,
}

/// What a formula may apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Add,
    Subtract,
    Multiply,
    Divide,
    Power,
    Negate,
    Min,
    Max,
    Abs,
    Floor,
    Ceil,
    Exp,
    Sqrt,
    Log,
}

impl Range {
    pub(crate) fn point(value: f64) -> Self {
        Self {
            low: value,
            high: value,
        }
    }

    /// All rewards.
    pub(super) fn of_rewards() -> Self {
        Self { low: 0.0, high: 1.0 }
    }

    pub(super) fn low(self) -> f64 {
        self.low
    }

    /// From the least to the greatest of some values, if all are finite.
    fn around(values: &[f64]) -> Option<Self> {
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        values
            .iter()
            .all(|value| value.is_finite())
            .then_some(Self { low, high })
    }

    /// A function that never turns around, at both ends.
    fn map(self, function: impl Fn(f64) -> f64) -> Option<Self> {
        Self::around(&[function(self.low), function(self.high)])
    }

    /// A function of two numbers that never turns around in either, at the four corners.
    fn corners(self, other: Self, function: impl Fn(f64, f64) -> f64) -> Option<Self> {
        Self::around(&[
            function(self.low, other.low),
            function(self.low, other.high),
            function(self.high, other.low),
            function(self.high, other.high),
        ])
    }

    fn contains_zero(self) -> bool {
        self.low <= 0.0 && self.high >= 0.0
    }

    /// Powers with a value: of what is never negative, or to a whole number that is not negative.
    fn power(self, exponent: Self) -> Option<Self> {
        let whole = exponent.low == exponent.high && exponent.low >= 0.0 && exponent.low.fract() == 0.0;
        if self.low < 0.0 && !whole {
            return None;
        }
        let mut ends = self.corners(exponent, f64::powf)?;
        // Even powers turn around at 0.
        if self.low < 0.0 && self.high > 0.0 {
            ends.low = ends.low.min(0.0);
        }
        Some(ends)
    }
}

impl Function {
    /// The function of a name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "min" => Self::Min,
            "max" => Self::Max,
            "abs" => Self::Abs,
            "floor" => Self::Floor,
            "ceil" => Self::Ceil,
            "exp" => Self::Exp,
            "sqrt" => Self::Sqrt,
            "log" => Self::Log,
            _ => return None,
        })
    }

    pub(super) fn operands(self) -> usize {
        match self {
            Self::Add | Self::Subtract | Self::Multiply | Self::Divide | Self::Power | Self::Min | Self::Max => 2,
            Self::Negate | Self::Abs | Self::Floor | Self::Ceil | Self::Exp | Self::Sqrt | Self::Log => 1,
        }
    }

    /// The values for operands in these ranges, `None` where there may be none.
    pub(super) fn apply(self, operands: &[Range]) -> Option<Range> {
        let first = *operands.first()?;
        let second = operands.get(1).copied().unwrap_or(first);
        match self {
            Self::Add => first.corners(second, |a, b| a + b),
            Self::Subtract => first.corners(second, |a, b| a - b),
            Self::Multiply => first.corners(second, |a, b| a * b),
            Self::Divide if second.contains_zero() => None,
            Self::Divide => first.corners(second, |a, b| a / b),
            Self::Power => first.power(second),
            Self::Negate => first.map(|a| -a),
            Self::Min => first.corners(second, f64::min),
            Self::Max => first.corners(second, f64::max),
            Self::Abs if first.low < 0.0 && first.high > 0.0 => {
                Range::around(&[0.0, first.low.abs(), first.high.abs()])
            }
            Self::Abs => first.map(f64::abs),
            Self::Floor => first.map(f64::floor),
            Self::Ceil => first.map(f64::ceil),
            Self::Exp => first.map(f64::exp),
            Self::Sqrt if first.low < 0.0 => None,
            Self::Sqrt => first.map(f64::sqrt),
            Self::Log if first.low <= 0.0 => None,
            Self::Log => first.map(f64::ln),
        }
    }
}
