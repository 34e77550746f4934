//! Rewards of rollouts: by the grader that the request or the problem brings, else the run's, else mathematics against
//! the reference answer. Knows how graders are chosen and what their scores are worth; how they grade is the verifier's.

mod config;
#[cfg(test)]
mod tests;

use serde_json::Value;
use svs_verifier::spec::{GraderSpec, SpecError};
use svs_verifier::{Case, Grader, MathOptions, Scored, Verdict, grade_math};

use crate::problems::Problem;
use crate::trajectory::{GraderVerdict, Trajectory};
pub use config::RewardConfig;

/// Name of mathematics against the reference answer in verdicts.
const MATH: &str = "math";
/// The key of a row or of metadata that holds a grader.
pub const GRADER_KEY: &str = "grader";

/// What grading takes besides the response.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Reference answer; without one only a grader can judge.
    pub reference: Option<String>,
    /// The grader that problem or request brings.
    pub grader: Option<Box<GraderSpec>>,
    /// What templates call `item`.
    pub item: Value,
}

impl Task {
    /// The task of solving a problem: `item` is its row with `id`, `question` and `reference` as they were read.
    #[must_use]
    pub fn of(problem: &Problem) -> Self {
        let mut item = problem.row.as_deref().cloned().unwrap_or_default();
        let fields = [
            ("id", &problem.id),
            ("question", &problem.question),
            ("reference", &problem.answer),
        ];
        item.extend(fields.map(|(key, text)| (key.to_owned(), Value::String(text.clone()))));
        Self {
            reference: Some(problem.answer.clone()),
            grader: problem.grader.clone(),
            item: Value::Object(item),
        }
    }

    /// The task of a client's trajectory: `item` is its metadata with `reference`, if there is one.
    #[must_use]
    pub fn of_client(member: &Trajectory, grader: Option<Box<GraderSpec>>, reference: Option<String>) -> Self {
        let mut item = member.metadata.as_object().cloned().unwrap_or_default();
        if let Some(reference) = &reference {
            item.insert("reference".into(), Value::String(reference.clone()));
        }
        Self {
            reference,
            grader,
            item: Value::Object(item),
        }
    }
}

/// A grader given as a JSON object, or as the text of one; tried out, so that it can be built later.
///
/// # Errors
/// What is wrong with it, with the field.
pub fn read_grader(value: &Value) -> Result<GraderSpec, String> {
    let spec = match value {
        Value::String(text) => serde_json::from_str::<GraderSpec>(text),
        object => serde_json::from_value(object.clone()),
    };
    let spec = spec.map_err(|error| error.to_string())?;
    spec.build().map_err(|error| error.to_string())?;
    Ok(spec)
}

/// Grades rollouts by one configuration.
#[derive(Debug)]
pub struct Reward {
    math: MathOptions,
    max_steps: u64,
    pass_threshold: f64,
    grader: Option<Named>,
}

/// A grader and its name in verdicts.
#[derive(Debug)]
struct Named {
    name: String,
    grader: Box<dyn Grader>,
}

impl Named {
    fn new(spec: &GraderSpec) -> Result<Self, SpecError> {
        Ok(Self {
            name: spec.name().to_owned(),
            grader: spec.build()?,
        })
    }
}

/// The grader of one task, made once for all of its responses.
#[derive(Debug)]
pub struct Judge<'a> {
    reward: &'a Reward,
    own: Option<Result<Named, SpecError>>,
}

impl Reward {
    /// Graders by `config`; with `strict`, mathematics wants exactly one boxed answer.
    ///
    /// # Errors
    /// What the run's grader cannot do.
    pub fn new(config: &RewardConfig, strict: bool) -> Result<Self, SpecError> {
        Ok(Self {
            math: MathOptions {
                strict,
                max_steps: config.max_steps,
                ..MathOptions::default()
            },
            max_steps: config.max_steps,
            pass_threshold: config.pass_threshold,
            grader: config.grader.as_ref().map(Named::new).transpose()?,
        })
    }

    /// Whether the run has a grader of its own, so that a rollout without a reference answer can be graded.
    #[must_use]
    pub fn has_grader(&self) -> bool {
        self.grader.is_some()
    }

    /// The judge of responses to `task`.
    #[must_use]
    pub fn judge(&self, task: &Task) -> Judge<'_> {
        Judge {
            reward: self,
            own: task.grader.as_deref().map(Named::new),
        }
    }
}

impl Judge<'_> {
    /// The finding on a response to the task that the judge was made for. A grader that cannot be built and a task with
    /// nothing to compare with are infrastructure faults: no reward, never 0.
    #[must_use]
    pub fn grade(&self, response: &str, task: &Task) -> GraderVerdict {
        let named = match &self.own {
            Some(Ok(own)) => Some(own),
            Some(Err(_)) => return fault(GRADER_KEY),
            None => self.reward.grader.as_ref(),
        };
        if let Some(named) = named {
            let case = Case {
                response,
                item: &task.item,
                max_steps: self.reward.max_steps,
            };
            return self.finding(&named.name, named.grader.grade(&case));
        }
        let Some(gold) = &task.reference else {
            return fault(MATH);
        };
        let verdict = grade_math(response, gold, &self.reward.math).verdict;
        GraderVerdict {
            grader: MATH.into(),
            verdict,
            reward: verdict.reward(),
        }
    }

    fn finding(&self, name: &str, scored: Scored) -> GraderVerdict {
        let passed = scored
            .reward
            .as_ref()
            .is_ok_and(|reward| *reward >= self.reward.pass_threshold);
        GraderVerdict {
            grader: name.to_owned(),
            verdict: if passed { Verdict::Correct } else { scored.verdict },
            reward: scored.reward.ok(),
        }
    }
}

fn fault(grader: &str) -> GraderVerdict {
    GraderVerdict {
        grader: grader.into(),
        verdict: Verdict::Infrastructure,
        reward: None,
    }
}
