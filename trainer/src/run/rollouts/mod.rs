//! Rollouts through the engine that serves: sampled, graded, logged, and read back from the log.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rayon::prelude::*;
use svs_engine::request::{BACKGROUND_PRIORITY, Choice};
use svs_engine::tap::TapSource;
use svs_engine::text::ChatMessage;
use svs_engine::{Completion, EngineHandle, GenerateRequest, SamplingParams};

use super::TrainError;
use super::config::RolloutConfig;
use super::tally::Tally;
use crate::crash;
use crate::fanout;
use crate::hidden::{HiddenShaping, States};
use crate::log::{LogError, TrajectoryLog};
use crate::reward::{Reward, grade_all};
use crate::seeds::derive;
use crate::svs::{Ask, Rollouts};
use crate::trajectory::{GraderVerdict, Group, Kind, Trajectory};

/// Rows appended to the log in one go.
const LOG_BATCH_ROWS: usize = 256;
/// How long a full log is retried.
const LOG_PATIENCE: Duration = Duration::from_secs(60);

/// Rollouts of one step.
pub(super) struct EngineRollouts<'a> {
    pub(super) engine: &'a EngineHandle,
    pub(super) log: &'a TrajectoryLog,
    pub(super) config: &'a RolloutConfig,
    pub(super) reward: &'a Reward,
    /// Longest prompt and response, tokens.
    pub(super) limits: (usize, u32),
    /// Weights to sample with; `None` follows the policy.
    pub(super) version: Option<u64>,
    /// Set when nobody wants the rollouts any more.
    pub(super) abandoned: &'a AtomicBool,
    /// Measures hidden states, if it is enabled.
    pub(super) hidden: &'a HiddenShaping,
    /// Begins every group id of this attempt at this step, so that a regenerated step never meets its old rows.
    pub(super) prefix: String,
    /// Seeds derive from it: run seed and step, but neither run id nor attempt.
    pub(super) seed_name: String,
    /// Called when a stage begins or goes on: what is sampled, groups done, groups in all.
    pub(super) progress: &'a dyn Fn(Kind, usize, usize),
    /// What was sampled so far.
    pub(super) tally: Tally,
    /// A group id is in the log with other content: of an earlier attempt that sampled differently.
    pub(super) conflict: bool,
}

impl Rollouts for EngineRollouts<'_> {
    type Error = TrainError;

    fn fits(&self, messages: &[ChatMessage]) -> Result<bool, TrainError> {
        Ok(self.engine.tokenizer().encode_chat(messages, true)?.len() <= self.limits.0)
    }

    fn sample(&mut self, asks: &[Ask]) -> Result<Vec<Group>, TrainError> {
        let encode = |messages: &Vec<ChatMessage>| self.engine.tokenizer().encode_chat(messages, true);
        let prompts = asks.iter().map(|ask| encode(&ask.messages));
        let prompts: Vec<Vec<u32>> = prompts.collect::<Result<_, _>>()?;
        let trained_as = asks.iter().map(|ask| ask.trained_as.as_ref().map(encode).transpose());
        let trained_as: Vec<Option<Vec<u32>>> = trained_as.collect::<Result<_, _>>()?;
        let states: Vec<States> = asks.iter().map(|_| States::default()).collect();
        let each = asks.iter().zip(&prompts).zip(&states);
        let requests = each.map(|((ask, prompt), states)| self.request(ask, prompt, states));
        let requests: Vec<GenerateRequest> = requests.collect();
        let mut groups: Vec<Group> = Vec::with_capacity(asks.len());
        if let Some(ask) = asks.first() {
            (self.progress)(ask.kind, 0, asks.len());
        }
        let (engine, in_flight) = (self.engine, self.config.max_groups_in_flight);
        fanout::run(engine, requests.iter().cloned(), in_flight, |at, completion| {
            crash::point(crash::Point::Rollout);
            if self.abandoned.load(Ordering::Relaxed) {
                return Err(TrainError::State("the rollouts were given up".into()));
            }
            let mut members = self.trajectories(&asks[at], (&requests[at], trained_as[at].as_deref()), completion);
            if self.hidden.enabled {
                self.measure(&states[at], &mut members);
            }
            groups.push(Group {
                id: self.group_id(&asks[at]),
                members,
            });
            (self.progress)(asks[at].kind, at + 1, asks.len());
            Ok::<(), TrainError>(())
        })?;
        match asks.first() {
            Some(ask) if ask.task.is_some() => self.log_and_read(groups),
            _ => Ok(groups),
        }
    }

    fn record(&mut self, mut groups: Vec<Group>, findings: Vec<Vec<GraderVerdict>>) -> Result<Vec<Group>, TrainError> {
        let members = groups.iter_mut().flat_map(|group| &mut group.members);
        for (member, finding) in members.zip(findings.into_iter().flatten()) {
            member.verdicts.push(finding);
        }
        self.log_and_read(groups)
    }
}

impl EngineRollouts<'_> {
    fn group_id(&self, ask: &Ask) -> String {
        format!("{}/{}", self.prefix, ask.key)
    }

    fn request(&self, ask: &Ask, prompt: &[u32], states: &States) -> GenerateRequest {
        let sampling = SamplingParams {
            temperature: self.config.temperature,
            top_p: self.config.top_p,
            top_k: self.config.top_k,
            seed: Some(derive(&["rollout", &self.seed_name, ask.kind.name(), &ask.key])),
            max_tokens: self.limits.1,
            stop: self.config.stop.clone(),
            ..SamplingParams::default()
        };
        GenerateRequest {
            prompt: prompt.to_vec(),
            n: ask.n,
            sampling,
            weights: self.version.map(|version| version.to_string()),
            cache_salt: None,
            priority: BACKGROUND_PRIORITY,
            tap: self
                .hidden
                .enabled
                .then(|| Arc::new(states.clone()) as Arc<dyn TapSource>),
            ..GenerateRequest::default()
        }
    }

    /// Reduces the hidden states of a group's members.
    fn measure(&self, states: &States, members: &mut [Trajectory]) {
        members
            .par_iter_mut()
            .for_each(|member| member.hidden = Some(self.hidden.measure(&states.take(member.choice))));
    }

    fn trajectories(
        &mut self,
        ask: &Ask,
        prompts: (&GenerateRequest, Option<&[u32]>),
        completion: Completion,
    ) -> Vec<Trajectory> {
        let judge = ask.task.as_ref().map(|task| (self.reward.judge(task), task));
        let mut verdicts: Vec<Vec<GraderVerdict>> = vec![Vec::new(); completion.choices.len()];
        if let Some((judge, task)) = &judge {
            let cases = completion
                .choices
                .iter()
                .map(|choice| (judge, choice.text.as_str(), *task));
            verdicts = grade_all(&cases.collect::<Vec<_>>())
                .into_iter()
                .map(|one| vec![one])
                .collect();
        }
        let choices = completion.choices.into_iter().zip(verdicts).enumerate();
        let rows = choices.map(|(at, (choice, verdicts))| {
            let row = self.trajectory(ask, prompts, at, choice, verdicts);
            self.tally.count(&row);
            row
        });
        rows.collect()
    }

    fn trajectory(
        &self,
        ask: &Ask,
        (request, trained_prompt): (&GenerateRequest, Option<&[u32]>),
        at: usize,
        choice: Choice,
        verdicts: Vec<GraderVerdict>,
    ) -> Trajectory {
        let group_id = self.group_id(ask);
        let approximate = self.engine.config().is_approximate();
        let sampled = Trajectory::of_choice(&request.prompt, &choice, request.sampling.clone(), approximate);
        Trajectory {
            id: format!("{group_id}#{at}"),
            group_id,
            group_size: ask.n,
            problem_id: Some(ask.problem_id.clone()),
            parent: ask.parent.clone(),
            kind: ask.kind,
            trained_prompt: trained_prompt.map(<[u32]>::to_vec),
            reference: ask.task.as_ref().and_then(|task| task.reference.clone()),
            verdicts,
            ..sampled
        }
    }

    /// Commits the groups and returns them as the log holds them, members in the order of the samples.
    fn log_and_read(&mut self, groups: Vec<Group>) -> Result<Vec<Group>, TrainError> {
        crash::point(crash::Point::Verify);
        let ids: Vec<String> = groups.iter().map(|group| group.id.clone()).collect();
        let members = groups.iter().flat_map(|group| &group.members);
        let judged = members
            .filter(|member| has_reward(member))
            .map(|member| member.id.clone());
        let judged: HashSet<String> = judged.collect();
        let mut rows: Vec<Trajectory> = groups.into_iter().flat_map(|group| group.members).collect();
        while !rows.is_empty() {
            let rest = rows.split_off(rows.len().min(LOG_BATCH_ROWS));
            let outcome = append(self.log, rows);
            self.conflict |= matches!(outcome, Err(LogError::Conflict(_)));
            outcome?;
            rows = rest;
        }
        let groups: Vec<Group> = ids.iter().map(|id| self.read(id)).collect::<Result<_, _>>()?;
        // The log keeps what it has: of an attempt whose graders failed that is no reward, for good.
        let mut members = groups.iter().flat_map(|group| &group.members);
        if let Some(member) = members.find(|member| !has_reward(member) && judged.contains(&member.id)) {
            self.conflict = true;
            let reason = format!(
                "`{}` was logged when its grader failed, and can be graded now",
                member.id
            );
            return Err(TrainError::Run(reason));
        }
        Ok(groups)
    }

    fn read(&self, id: &str) -> Result<Group, TrainError> {
        let missing = || TrainError::Run(format!("group `{id}` was logged but cannot be read back"));
        let mut group = self.log.group(id)?.ok_or_else(missing)?;
        group.members.sort_by_key(|member| member.choice);
        Ok(group)
    }
}

/// Whether the last finding is a reward.
fn has_reward(member: &Trajectory) -> bool {
    member.verdicts.last().is_some_and(|finding| finding.reward.is_some())
}

/// Appends, waiting for a full queue to empty.
fn append(log: &TrajectoryLog, rows: Vec<Trajectory>) -> Result<(), LogError> {
    let since = Instant::now();
    loop {
        match log.append_blocking(rows.clone()) {
            Err(LogError::Full) if since.elapsed() < LOG_PATIENCE => std::thread::sleep(Duration::from_millis(10)),
            done => return done.map(|_| ()),
        }
    }
}

#[cfg(test)]
mod tests;
