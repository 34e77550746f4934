//! One SvS iteration: solve, select, write, filter, solve the new problems, reward, keep.
//!
//! An iteration is never given up: what a stage could not deliver is missing from the update, and the funnel says why.

use svs_engine::text::ChatMessage;

use super::band::Score;
use super::filter::ProblemFilter;
use super::funnel::{Funnel, Stage};
use super::reward::{Outcome, judge};
use super::solve::{GroupFilter, Solved, solve};
use super::{Prompts, RejectReason, SvsConfig, extract_problem, keep, select};
use crate::Problem;
use crate::reward::Task;
use crate::seeds::choose;
use crate::trajectory::{GraderVerdict, Group, Kind};

/// A group to sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    /// Unique within the iteration and independent of arrival: problem, `/c` context, `/s` sample. Seeds come from it.
    pub key: String,
    /// What for.
    pub kind: Kind,
    /// The original problem.
    pub problem_id: String,
    /// Id of the trajectory this one descends from.
    pub parent: Option<String>,
    /// The conversation to continue.
    pub messages: Vec<ChatMessage>,
    /// The conversation that the loss puts before the responses instead, if it is another.
    pub trained_as: Option<Vec<ChatMessage>>,
    /// What grading takes; `None` for synthesis, which is judged later.
    pub task: Option<Task>,
    /// Samples.
    pub n: u32,
}

/// Where groups come from: the engine with the trajectory log behind it, or a script.
pub trait Rollouts {
    /// What can stop an iteration.
    type Error;

    /// Whether the conversation's prompt is within the limit on prompt tokens.
    ///
    /// # Errors
    /// What the tokenizer or template refuses.
    fn fits(&self, messages: &[ChatMessage]) -> Result<bool, Self::Error>;

    /// Samples one group per ask; in the order of the asks, members in the order of the samples. Groups with a task
    /// are graded, logged and read back from the log; the others are logged by [`Self::record`].
    ///
    /// # Errors
    /// What the engine or the log refuses.
    fn sample(&mut self, asks: &[Ask]) -> Result<Vec<Group>, Self::Error>;

    /// Adds one finding to each member of `groups`, logs them and reads them back from the log.
    ///
    /// # Errors
    /// What the log refuses.
    fn record(&mut self, groups: Vec<Group>, findings: Vec<Vec<GraderVerdict>>) -> Result<Vec<Group>, Self::Error>;
}

/// What does not change during an iteration.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    /// Templates.
    pub prompts: &'a Prompts,
    /// Bands, filters and caps; `None` turns synthesis off (plain GRPO).
    pub svs: Option<&'a SvsConfig>,
    /// Problems, and groups that the solving stage is to yield.
    pub batch: usize,
    /// Most waves of problems that are solved for that.
    pub max_batches: u32,
    /// Drops solving groups; `None` keeps all.
    pub filter: Option<GroupFilter>,
    /// Samples per problem.
    pub n: u32,
    /// Samples with the problem's hint, if there is one, where all of those failed; `None` gives no hints.
    pub n_hinted: Option<u32>,
    /// Most rows of the update.
    pub max_rows: usize,
    /// Seed of every choice in this iteration.
    pub seed: u64,
}

/// What an iteration yields.
#[derive(Debug, Clone, PartialEq)]
pub struct Iteration {
    /// Groups to train on: original, synthesis, synthetic solving.
    pub groups: Vec<Group>,
    /// Score on each problem that was used, in the order drawn.
    pub scores: Vec<(String, Score)>,
    /// Counts.
    pub funnel: Funnel,
}

/// Runs the stages on the problems that `draw` gives when asked for so many. It may be asked for more than are used: the
/// first `scores.len()` are.
///
/// # Errors
/// Only those of `rollouts`.
pub fn iterate<R: Rollouts>(
    draw: &mut dyn FnMut(usize) -> Vec<Problem>,
    plan: Plan<'_>,
    rollouts: &mut R,
) -> Result<Iteration, R::Error> {
    let mut funnel = Funnel::default();
    let solved = solve(draw, plan, rollouts, &mut funnel)?;
    let ids = solved.problems.iter().map(|problem| problem.id.clone());
    let scores = ids.zip(solved.groups.iter().map(Score::of)).collect();
    funnel.solve = Stage::sampled(&solved.groups);

    let mut new = Synthesis::default();
    if let Some(svs) = plan.svs {
        let contexts = synthesis_asks(&solved, plan, svs, rollouts, &mut funnel)?;
        new = synthesize(&solved.problems, &contexts, plan, svs, rollouts, &mut funnel)?;
    }

    let mut groups = solved.to_train(plan.filter);
    funnel.solve.kept(&groups);
    groups.extend(new.written);
    groups.extend(new.solved);
    let (groups, capped) = keep::within(groups, plan.max_rows, plan.seed);
    funnel.rows_capped = capped;
    Ok(Iteration { groups, scores, funnel })
}

/// Kept groups of the two synthetic kinds.
#[derive(Default)]
struct Synthesis {
    written: Vec<Group>,
    solved: Vec<Group>,
}

/// One ask per context of the under-performing problems, with the index of its problem.
fn synthesis_asks<R: Rollouts>(
    solved: &Solved,
    plan: Plan<'_>,
    svs: &SvsConfig,
    rollouts: &R,
    funnel: &mut Funnel,
) -> Result<Vec<(usize, Ask)>, R::Error> {
    let (seeds, capped) = select::seeds(&solved.groups, svs, plan.seed);
    (funnel.seed_prompts, funnel.seed_prompts_capped) = (seeds.len(), capped);
    let mut asks = Vec::new();
    for at in seeds {
        let contexts = select::contexts(&solved.groups[at], svs, plan.seed);
        funnel.contexts_repeated += contexts.repeated;
        funnel.contexts_capped += contexts.capped;
        for member in contexts.used {
            let context = &solved.groups[at].members[member];
            let messages = plan.prompts.synthesis_messages(&context.text);
            if !rollouts.fits(&messages)? {
                funnel.contexts_too_long += 1;
                continue;
            }
            let ask = Ask {
                key: format!("{}/c{member}", solved.asks[at].key),
                kind: Kind::Synthesize,
                problem_id: solved.problems[at].id.clone(),
                parent: Some(context.id.clone()),
                messages,
                trained_as: None,
                task: None,
                n: svs.n_synthesis.unwrap_or(plan.n),
            };
            asks.push((at, ask));
        }
    }
    funnel.contexts = asks.len();
    Ok(asks)
}

/// Writes problems, solves the valid ones, rewards the writers; returns the groups worth training on.
fn synthesize<R: Rollouts>(
    problems: &[Problem],
    asks: &[(usize, Ask)],
    plan: Plan<'_>,
    svs: &SvsConfig,
    rollouts: &mut R,
    funnel: &mut Funnel,
) -> Result<Synthesis, R::Error> {
    let requests: Vec<Ask> = asks.iter().map(|(_, ask)| ask.clone()).collect();
    let written = rollouts.sample(&requests)?;
    let mut outcomes: Vec<Vec<Outcome>> = Vec::with_capacity(written.len());
    let mut filter = ProblemFilter::new(svs);
    // Candidates: (group, member, ask for its solutions).
    let mut candidates: Vec<(usize, usize, Ask)> = Vec::new();
    for (at, (group, (problem, ask))) in written.iter().zip(asks).enumerate() {
        let mut row = Vec::with_capacity(group.members.len());
        for (sample, member) in group.members.iter().enumerate() {
            let found = admit(&member.text, &problems[*problem], plan, &mut filter, rollouts, funnel)?;
            row.push(Outcome::Rejected(
                found.as_ref().err().copied().unwrap_or(RejectReason::Capped),
            ));
            if let Ok(messages) = found {
                let key = format!("{}/s{sample}", ask.key);
                let parent = Some(member.id.clone());
                let task = Some(Task::of(&problems[*problem]));
                let (problem_id, n) = (ask.problem_id.clone(), svs.n_solve.unwrap_or(plan.n));
                let kind = Kind::SolveSynthetic;
                candidates.push((
                    at,
                    sample,
                    Ask {
                        key,
                        kind,
                        problem_id,
                        parent,
                        messages,
                        trained_as: None,
                        task,
                        n,
                    },
                ));
            }
        }
        outcomes.push(row);
    }
    let chosen = choose(candidates.len(), svs.max_synthetic_problems, plan.seed);
    let requests: Vec<Ask> = chosen.iter().map(|&at| candidates[at].2.clone()).collect();
    funnel.problems = requests.len();
    let solved = rollouts.sample(&requests)?;
    funnel.solve_synthetic = Stage::sampled(&solved);
    for (&at, group) in chosen.iter().zip(&solved) {
        let (group_at, sample, _) = candidates[at];
        outcomes[group_at][sample] = Outcome::Solved(Score::of(group));
    }
    for outcome in outcomes.iter().flatten() {
        if let Outcome::Rejected(reason) = outcome {
            *funnel.rejected.entry(*reason).or_default() += 1;
        }
    }
    let findings = outcomes
        .iter()
        .map(|row| row.iter().map(|&outcome| judge(outcome, svs)).collect())
        .collect();
    let written = rollouts.record(written, findings)?;
    funnel.synthesize = Stage::sampled(&written);
    let kept = Synthesis {
        written: keep::synthesis(written, svs, plan.seed),
        solved: keep::mixed(solved),
    };
    funnel.synthesize.kept(&kept.written);
    funnel.solve_synthetic.kept(&kept.solved);
    Ok(kept)
}

/// The conversation that asks for a solution of the problem in `output`, or why there is none.
fn admit<R: Rollouts>(
    output: &str,
    original: &Problem,
    plan: Plan<'_>,
    filter: &mut ProblemFilter<'_>,
    rollouts: &R,
    funnel: &mut Funnel,
) -> Result<Result<Vec<ChatMessage>, RejectReason>, R::Error> {
    let problem = match extract_problem(output) {
        Ok(problem) => problem,
        Err(reason) => return Ok(Err(reason)),
    };
    funnel.extracted += 1;
    let messages = plan.prompts.solve_messages(problem);
    if !rollouts.fits(&messages)? {
        return Ok(Err(RejectReason::TooLong));
    }
    Ok(filter
        .check(problem, &original.question, &original.answer)
        .map(|()| messages))
}
