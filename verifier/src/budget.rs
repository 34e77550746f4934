//! The step budget: every loop of the grader pays here, so its cost is counted and never clocked.

/// Why a reading or a comparison stopped early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Stop {
    /// The step budget, or a bound on the size of a number or expression, was reached.
    #[error("over budget")]
    OverBudget,
    /// The text is not a well-formed answer.
    #[error("malformed")]
    Malformed,
    /// The expression has no value, such as a division by zero.
    #[error("undefined value")]
    Undefined,
}

/// Steps taken so far and how many may be.
#[derive(Debug)]
pub(crate) struct Budget {
    used: u64,
    max: u64,
    numeric: bool,
}

impl Budget {
    /// A budget of at least one step.
    pub(crate) fn new(max: u64) -> Self {
        Self {
            used: 0,
            max: max.max(1),
            numeric: false,
        }
    }

    /// Pays `steps`, or refuses without ever counting past the maximum.
    pub(crate) fn charge(&mut self, steps: u64) -> Result<(), Stop> {
        match self.used.checked_add(steps) {
            Some(used) if used <= self.max => {
                self.used = used;
                Ok(())
            }
            _ => {
                self.used = self.max;
                Err(Stop::OverBudget)
            }
        }
    }

    /// Notes that an equality was decided by value at points.
    pub(crate) fn note_numeric(&mut self) {
        self.numeric = true;
    }

    /// Whether an equality was decided by value at points since this was asked last.
    pub(crate) fn take_numeric(&mut self) -> bool {
        std::mem::take(&mut self.numeric)
    }

    pub(crate) fn used(&self) -> u64 {
        self.used
    }
}
