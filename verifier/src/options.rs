//! Options of the mathematics grader.

use serde::{Deserialize, Serialize};

use crate::text::extract::ExtractRules;

/// Options of the mathematics grader.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self", default, deny_unknown_fields)]
pub struct MathOptions {
    /// Only a boxed answer counts, and exactly one distinct candidate.
    pub strict: bool,
    /// Steps that one grading may take, at least 1.
    #[serde(deserialize_with = "positive")]
    pub max_steps: u64,
    /// Which rules may find the answer in the response.
    pub extract: ExtractRules,
    /// Whose verdicts are given.
    pub profile: Profile,
    /// What a unit counts for.
    pub units: Units,
    /// Relative error allowed between real numbers, in millionths; none by default.
    pub tolerance_ppm: u32,
    /// Texts of the options A, B, …, if the question has any: a letter then stands for its text and the other way round.
    pub choices: Vec<String>,
}

/// Whose verdicts are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// Ours.
    #[default]
    Exact,
    /// Those of the scorer that SvS was published with, to compare with its numbers. It can be fooled: not for training.
    SvsParity,
}

/// What a unit counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Units {
    /// A unit on one side only is ignored; two known units must measure the same, and are converted.
    #[default]
    Compare,
    /// Units are ignored.
    Ignore,
    /// As `Compare`, and a gold with a unit wants one.
    Require,
}

crate::objects_only! { MathOptions: "`options`" }

/// A number of steps that is not 0: with none, every gold would be an infrastructure fault.
fn positive<'de, D: serde::Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    std::num::NonZeroU64::deserialize(from).map(std::num::NonZeroU64::get)
}

impl Default for MathOptions {
    fn default() -> Self {
        Self {
            strict: false,
            max_steps: 200_000,
            extract: ExtractRules::default(),
            profile: Profile::default(),
            units: Units::default(),
            tolerance_ppm: 0,
            choices: Vec::new(),
        }
    }
}
