//! Rewards of rollouts: by the grader that the request or the problem brings, else the run's, else mathematics against
//! the reference answer. Knows how graders are chosen and what their scores are worth; how they grade is the verifier's.

mod config;
mod remote;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use svs_verifier::sandbox::Sandbox;
use svs_verifier::spec::{GraderSpec, SpecError};
use svs_verifier::{Case, Grader, MathOptions, Scored, Verdict, grade_math};

use crate::problems::Problem;
use crate::trajectory::{GraderVerdict, Trajectory};
pub use config::RewardConfig;
use remote::Endpoints;
#[cfg(test)]
pub(crate) use remote::testing;
pub use remote::{EndpointConfig, EndpointConfigs};

/// Name of mathematics against the reference answer in verdicts.
const MATH: &str = "math";
/// Most responses that are graded at once where graders wait for others.
const MAX_THREADS: usize = 32;
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
    /// The task of solving a problem: `item` is its row with `id`, `question` and `reference` as they were read; what the
    /// row of a conversation has under these names stays.
    #[must_use]
    pub fn of(problem: &Problem) -> Self {
        let mut item = problem.row.as_deref().cloned().unwrap_or_default();
        let fields = [
            ("id", &problem.id),
            ("question", &problem.question),
            ("reference", &problem.answer),
        ];
        for (key, text) in fields {
            if problem.messages.is_none() || !(text.is_empty() || item.contains_key(key)) {
                item.insert(key.to_owned(), Value::String(text.clone()));
            }
        }
        Self {
            reference: Some(problem.answer.clone()).filter(|answer| !answer.is_empty()),
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

/// Longest reason for refusing a grader, characters.
const MAX_REASON: usize = 500;

/// A grader given as a JSON object, or as the text of one; tried out, so that it can be built later, where its endpoints are
/// declared.
///
/// # Errors
/// What is wrong with it, with the field; at most 500 characters of it.
pub fn read_grader(value: &Value) -> Result<GraderSpec, String> {
    let spec = match value {
        Value::String(text) => serde_json::from_str::<GraderSpec>(text),
        object => serde_json::from_value(object.clone()),
    };
    let spec = spec.map_err(|error| bounded(&error.to_string()))?;
    spec.check().map_err(|error| bounded(&error.to_string()))?;
    Ok(spec)
}

/// The beginning of a reason, which may repeat any part of the grader.
fn bounded(reason: &str) -> String {
    match reason.char_indices().nth(MAX_REASON) {
        Some((end, _)) => format!("{}…", &reason[..end]),
        None => reason.to_owned(),
    }
}

/// As [`read_grader`], for what comes with a request: never one that runs programs, since whoever sends requests would
/// decide what this machine runs.
///
/// # Errors
/// As [`read_grader`].
pub fn read_client_grader(value: &Value) -> Result<GraderSpec, String> {
    match read_grader(value)? {
        spec if spec.runs_code() => {
            Err("`code` runs programs; only a problem's row and the configuration may name it".into())
        }
        spec => Ok(spec),
    }
}

/// Grades rollouts by one configuration.
#[derive(Debug)]
pub struct Reward {
    math: MathOptions,
    max_steps: u64,
    pass_threshold: f64,
    grader: Option<Named>,
    endpoints: Endpoints,
    /// Endpoints that clients' graders may ask.
    for_requests: BTreeSet<String>,
    sandbox: Arc<Sandbox>,
}

/// A grader and its name in verdicts.
#[derive(Debug)]
struct Named {
    name: String,
    grader: Box<dyn Grader>,
    /// It waits for others rather than computing.
    waits: bool,
}

impl Named {
    fn new(spec: &GraderSpec, endpoints: &Endpoints, sandbox: &Arc<Sandbox>) -> Result<Self, SpecError> {
        Ok(Self {
            name: spec.name().to_owned(),
            grader: spec.build_in(endpoints, sandbox)?,
            waits: !spec.endpoints().is_empty() || spec.runs_code(),
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
    /// What the run's grader cannot do, or the endpoint whose key the environment lacks.
    pub fn new(config: &RewardConfig, strict: bool) -> Result<Self, SpecError> {
        let endpoints = Endpoints::new(&config.endpoints)?;
        let open = config.endpoints.iter().filter(|(_, endpoint)| endpoint.for_requests);
        let sandbox = Arc::new(Sandbox::new(&config.code));
        Ok(Self {
            math: MathOptions {
                strict,
                max_steps: config.max_steps,
                ..MathOptions::default()
            },
            max_steps: config.max_steps,
            pass_threshold: config.pass_threshold,
            grader: match &config.grader {
                Some(spec) => Some(Named::new(spec, &endpoints, &sandbox)?),
                None => None,
            },
            endpoints,
            for_requests: open.map(|(name, _)| name.clone()).collect(),
            sandbox,
        })
    }

    /// Makes sure that the graders of `problems` can be made and, if programs are to be run, that they can be: better now
    /// than one masked rollout after the other.
    ///
    /// # Errors
    /// What is wrong, with the problem if it is one's grader.
    pub fn prepare(&self, config: &RewardConfig, problems: &[Problem]) -> Result<(), String> {
        let mut runs_code = config.grader.as_ref().is_some_and(GraderSpec::runs_code);
        for problem in problems {
            let Some(spec) = &problem.grader else { continue };
            let made = spec.fits(&self.sandbox);
            made.map_err(|error| format!("the grader of problem `{}`: {error}", problem.id))?;
            runs_code |= spec.runs_code();
        }
        if runs_code {
            let held = self.sandbox.protections().map_err(|fault| fault.to_string())?;
            tracing::info!("programs of responses are held by {held}");
        }
        Ok(())
    }

    /// Whether the run has a grader of its own, so that a rollout without a reference answer can be graded.
    #[must_use]
    pub fn has_grader(&self) -> bool {
        self.grader.is_some()
    }

    /// Judges a reward that somebody else gave by this run's threshold.
    pub fn judge_given(&self, finding: &mut GraderVerdict) {
        finding.verdict = match finding.reward {
            Some(reward) if reward >= self.pass_threshold => Verdict::Correct,
            Some(_) => Verdict::Wrong,
            None => Verdict::Infrastructure,
        };
    }

    /// The judge of responses to `task`.
    #[must_use]
    pub fn judge(&self, task: &Task) -> Judge<'_> {
        Judge {
            reward: self,
            own: task
                .grader
                .as_deref()
                .map(|spec| Named::new(spec, &self.endpoints, &self.sandbox)),
        }
    }

    /// Whether a client's grader asks only endpoints that are open to requests.
    ///
    /// # Errors
    /// The first that is not.
    pub fn admits(&self, spec: &GraderSpec) -> Result<(), String> {
        let closed = spec
            .endpoints()
            .into_iter()
            .find(|name| !self.for_requests.contains(*name));
        closed.map_or(Ok(()), |name| {
            Err(format!("endpoint `{name}` is not open to requests (`for_requests`)"))
        })
    }
}

/// The findings on responses, each by its judge and for its task, in order: at once where a grader waits for others.
#[must_use]
pub fn grade_all(cases: &[(&Judge<'_>, &str, &Task)]) -> Vec<GraderVerdict> {
    if cases.len() < 2 || !cases.iter().any(|(judge, ..)| judge.waits()) {
        return cases.iter().map(grade_one).collect();
    }
    let share = cases.len().div_ceil(MAX_THREADS);
    std::thread::scope(|scope| {
        let parts = cases.chunks(share);
        let threads: Vec<_> = parts
            .map(|part| scope.spawn(move || part.iter().map(grade_one).collect::<Vec<_>>()))
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

fn grade_one((judge, response, task): &(&Judge<'_>, &str, &Task)) -> GraderVerdict {
    judge.grade(response, task)
}

impl Judge<'_> {
    fn waits(&self) -> bool {
        match &self.own {
            Some(own) => own.as_ref().is_ok_and(|own| own.waits),
            None => self.reward.grader.as_ref().is_some_and(|named| named.waits),
        }
    }

    /// The finding on a response to the task that the judge was made for. A grader that cannot be built and a task with
    /// nothing to compare with are infrastructure faults: no reward, never 0.
    #[must_use]
    pub fn grade(&self, response: &str, task: &Task) -> GraderVerdict {
        let named = match &self.own {
            Some(Ok(own)) => Some(own),
            Some(Err(error)) => return fault(GRADER_KEY, &error.to_string()),
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
            return fault(MATH, "there is no reference answer to compare with");
        };
        let graded = grade_math(response, gold, &self.reward.math);
        let reward = graded.verdict.reward();
        GraderVerdict {
            grader: MATH.into(),
            verdict: graded.verdict,
            reward,
            explanation: reward
                .is_none()
                .then(|| format!("the reference answer cannot be read: {}", graded.rule)),
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
            explanation: scored.reward.as_ref().err().map(|fault| bounded(&fault.to_string())),
            reward: scored.reward.ok(),
        }
    }
}

fn fault(grader: &str, why: &str) -> GraderVerdict {
    GraderVerdict {
        grader: grader.into(),
        verdict: Verdict::Infrastructure,
        reward: None,
        explanation: Some(bounded(why)),
    }
}
