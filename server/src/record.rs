//! Finished choices → trajectories in the log. A choice is committed before its client hears that it ended.

use svs_engine::FinishReason;
use svs_trainer::trajectory::Trajectory;

use crate::app::App;
use crate::error::ApiError;
use crate::session::Session;

/// Logs the choices in `indices` and waits for the commit. Choices without sampled tokens (scoring) and aborted ones
/// (not what the policy would have said) are not logged, nor is anything with `store: false`.
///
/// # Errors
/// 429 `trajectory_log_full`, 500 `trajectory_log_failed`.
pub async fn record(app: &App, session: &Session, indices: impl IntoIterator<Item = usize>) -> Result<(), ApiError> {
    let trajectories: Vec<Trajectory> = indices
        .into_iter()
        .filter_map(|index| trajectory(app, session, index))
        .collect();
    if trajectories.is_empty() {
        return Ok(());
    }
    let count = trajectories.len();
    let agent = session.lease.as_ref().map(|lease| lease.session());
    // Its client hears of them after this.
    let of_session: Vec<_> = trajectories
        .iter()
        .map(|row| (row.id.clone(), row.versions()))
        .collect();
    app.log.append(trajectories).await?;
    if let Some(agent) = agent {
        for (id, versions) in of_session {
            agent.logged(&session.plan.id, &id, versions.map(|(first, _)| first));
        }
    }
    app.metrics.count_trajectories(count);
    Ok(())
}

fn trajectory(app: &App, session: &Session, index: usize) -> Option<Trajectory> {
    let intent = session.plan.intent.as_ref()?;
    let choice = &session.choices[index].choice;
    if choice.tokens.is_empty() || choice.finish_reason == FinishReason::Abort {
        return None;
    }
    let prompt = session.prompt_of(index);
    let sample = index % session.plan.n as usize;
    let own_group = format!("{}-{prompt}", session.plan.id);
    let mut sampling = session.plan.sampling.clone();
    sampling.seed = Some(session.seeds[prompt]);
    sampling.max_tokens = session.plan.prompts[prompt].max_tokens;
    let approximate = app.engine.config().is_approximate();
    let agent = session.lease.as_ref().map(|lease| lease.session());
    let sampled = Trajectory::of_choice(&session.plan.prompts[prompt].tokens, choice, sampling, approximate);
    Some(Trajectory {
        id: format!("{own_group}-{sample}"),
        // What a session samples is of its group, which closes when it ends.
        group_id: agent.map_or_else(
            || intent.group.clone().unwrap_or(own_group),
            |agent| agent.group.clone(),
        ),
        group_size: if agent.is_some() { 1 } else { intent.group_size },
        session: agent.map(|agent| agent.id.clone()),
        awaits_reward: intent.awaits_reward && agent.is_none(),
        problem_id: intent
            .problem_id
            .clone()
            .or_else(|| agent.and_then(|agent| agent.task_id.clone())),
        adapter: session.plan.adapter.as_ref().map(|adapter| adapter.name.clone()),
        choice: u32::try_from(sample).expect("n fits u32"),
        reference: intent.reference.clone(),
        metadata: intent.metadata.clone(),
        ..sampled
    })
}
