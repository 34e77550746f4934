//! Opening a run: its folder, its problems, its policy, and where it left off.

use std::path::Path;
use std::sync::Arc;

use super::claim::{CONFIG_FILE, write_config};
use super::config::{ProblemSource, Recipe};
use super::control::Control;
use super::history::History;
use super::kept::CHECKPOINTS;
use super::lock::RunLock;
use super::memory::Memory;
use super::perform::reference;
use super::provenance::{Model, Provenance};
use super::runner::{Runner, Surroundings};
use super::sampling::Sampling;
use super::supervised::Examples;
use super::tensorboard::EventFile;
use super::{TrainConfig, TrainError, changes, fork, room, source};
use crate::checkpoint::{CheckpointStore, layout_sha256};
use crate::clock::unix_s;
use crate::policy::Policy;
use crate::reward::Reward;

impl Runner {
    /// Opens a run that [`super::claim::claim`] named and locked.
    ///
    /// # Errors
    /// Any [`TrainError`]; nothing has changed then but, perhaps, a folder with nothing but its lock.
    pub(super) fn open(
        around: Arc<Surroundings>,
        control: Arc<Control>,
        config: TrainConfig,
        (run_id, mut lock): (String, RunLock),
        resume: bool,
    ) -> Result<Self, TrainError> {
        let config = TrainConfig {
            run_id: Some(run_id.clone()),
            ..config
        };
        let reward =
            Reward::new(&config.reward, config.rollout.strict_grading).map_err(|error| TrainError::Config {
                field: "reward.grader".into(),
                reason: error.to_string(),
            })?;
        let limits = source::limits(&config, &around.engine)?;
        check_choices(&config, around.engine.config().max_choices)?;
        check_states(&config, around.model.config.hidden_size, limits.1)?;
        let prompts = source::prompts(config.prompts.as_ref(), &around.model)?;
        let examples = match config.recipe {
            Recipe::Sft => Some(Arc::new(Examples::read(&config, &around.engine)?)),
            Recipe::Svs | Recipe::Grpo => None,
        };
        let mut problems = source::problems(&config)?;
        reward
            .prepare(&config.reward, &problems)
            .map_err(|reason| TrainError::Config {
                field: "reward.code".into(),
                reason,
            })?;
        let too_long = source::drop_long(&mut problems, &prompts, &around.engine, limits.0)?;
        let held_out = source::held_out(&config)?;
        let folder = around.runs.join(&run_id);
        if config.problems.source == ProblemSource::Trajectories {
            lock.take_clients(&around.runs)?;
        }
        let checkpoints = CheckpointStore::open(&folder.join(CHECKPOINTS), config.checkpoint.keep)?;
        if resume && !checkpoints.steps()?.is_empty() {
            check_lora(&folder, &config)?;
        }
        room::check(&around, &config)?;
        let storage = around.engine.config().storage();
        let mut policy = policy(&around, &config)?.serving_in(storage);
        let mut memory = Memory::new(config.clone());
        let (mut saved, mut replayed, mut rolled_back) = (None, Vec::new(), None);
        if resume {
            let entries = changes::read(&folder)?;
            rolled_back = changes::last_rollback(&entries);
            replayed = changes::of_config(entries);
        }
        if let Some((step, version)) = rolled_back {
            // Where the process died in the middle of it.
            checkpoints.discard_after(step, version)?;
        }
        if resume && let Some(restored) = checkpoints.load_latest(&mut policy)? {
            tracing::info!("run `{run_id}` goes on after step {}", restored.step);
            memory = serde_json::from_value(restored.run_state)
                .map_err(|error| TrainError::Run(format!("{}: {error}", restored.path.display())))?;
            // A change after the checkpoint of its step is not part of that.
            memory.config = changes::replayed(&memory.config, &replayed, memory.step)?;
            memory.adopt(changes::replayed(&config, &replayed, memory.step)?)?;
            replayed.retain(|(step, _)| *step > memory.step);
            saved = Some(restored.step);
            if let Some((_, version)) = rolled_back.filter(|(_, version)| *version > policy.version()) {
                // Its numbers up to this one belong to weights that were taken back.
                policy.set_version(version);
            }
        }
        if let (None, Some(origin)) = (saved, &config.fork_from) {
            memory = fork::restore(&around.runs, origin, &mut policy)?;
            memory.take_over(config.clone())?;
            if config.recipe == Recipe::Sft {
                // Whole passes over its own file, wherever the other run was in its.
                memory.drawn = 0;
            }
        }
        let begun = saved.is_some() || config.fork_from.is_some();
        memory.adopt_precision(storage.weights, storage.kv)?;
        if resume {
            if saved.is_none() {
                tracing::warn!("run `{run_id}` has no checkpoint: it starts from the beginning");
            }
            let consumed = memory.consumed_ids();
            around.log.repair_trained(&run_id, &consumed, unix_s())?;
        }
        let model = Model {
            name: &around.model.name,
            architecture: &around.model.config,
            trained_parameters: policy.masters().layout.len,
            layout_sha256: layout_sha256(&policy.masters().layout),
            base_sha256: policy.base_sha256(),
        };
        let counts = (problems.len(), held_out.len());
        // Before the configuration, which makes the folder a run.
        Provenance::of(&memory.config, (model, storage), limits, &prompts, counts).write(
            &folder,
            (memory.step, policy.version()),
            resume,
        )?;
        write_config(&folder, &memory.config)?;
        let history = History::open(&folder, memory.step)?;
        let events = match config.tensorboard {
            true => Some(EventFile::create(&folder, memory.step + 1)?),
            false => None,
        };
        let reference = (memory.config.algorithm.kl_loss_coef != 0.0).then(|| reference(&around));
        serve_start(&around, &mut policy, begun)?;
        control.update(|status| (status.step, status.version) = (memory.step, policy.version()));
        control.configured(&memory.config);
        control.consumed(memory.cursor);
        control.remembered(&run_id, &memory);
        let sampling = Sampling {
            around: Arc::clone(&around),
            control: Arc::clone(&control),
            config: memory.config.clone(),
            run_id,
            reward,
            prompts,
            problems,
            too_long,
            limits,
        };
        Ok(Self {
            around,
            control,
            sampling: Arc::new(sampling),
            ahead: None,
            replayed: replayed.into(),
            folder,
            memory,
            policy,
            reference,
            examples,
            held_out,
            checkpoints,
            saved,
            saving_s: None,
            ungraded_steps: 0,
            history,
            events,
            _lock: lock,
        })
    }
}

/// What the run trains: the model, or an adapter on it.
pub(super) fn policy(around: &Surroundings, config: &TrainConfig) -> Result<Policy, TrainError> {
    let Some(lora) = &config.lora else {
        return Ok(Policy::new(around.model.as_ref().clone(), 0));
    };
    Policy::of_adapter(Arc::clone(&around.model), lora.shape(), config.seed).map_err(|error| TrainError::Config {
        field: "lora".into(),
        reason: error.to_string(),
    })
}

/// Refuses another `lora` than the run in `folder` has: its checkpoints hold other parameters.
fn check_lora(folder: &Path, config: &TrainConfig) -> Result<(), TrainError> {
    let path = folder.join(CONFIG_FILE);
    let text = std::fs::read_to_string(&path).map_err(|error| file_error(&path, &error))?;
    let before = TrainConfig::from_toml(&text)?.lora;
    if before == config.lora {
        return Ok(());
    }
    let reason = match before {
        Some(lora) => format!(
            "the run was started with {}; a resumed run keeps it",
            serde_json::to_string(&lora).expect("plain values serialise")
        ),
        None => "the run was started without; a resumed run keeps that".into(),
    };
    let field = "lora".into();
    Err(TrainError::Config { field, reason })
}

/// Makes the engine serve the policy's weights, under a version it has not used yet. A fresh run on a fresh engine
/// starts from the very weights that are served.
fn serve_start(around: &Surroundings, policy: &mut Policy, resumed: bool) -> Result<(), TrainError> {
    let served = around.engine.weights().policy().version;
    if !resumed && served == 0 {
        return Ok(());
    }
    if policy.version() <= served {
        policy.set_version(served + 1);
    }
    let in_flight = around.engine.config().in_flight;
    around.engine.publish(policy.weight_set("start"), in_flight)?;
    Ok(())
}

pub(super) fn check_choices(config: &TrainConfig, most: usize) -> Result<(), TrainError> {
    let sizes = [
        ("rollout.n", config.rollout.n),
        ("rollout.n_hinted", config.rollout.n_hinted.unwrap_or(2)),
        ("svs.n_synthesis", config.svs.n_synthesis.unwrap_or(2)),
        ("svs.n_solve", config.svs.n_solve.unwrap_or(2)),
        ("eval.samples", config.eval.samples),
    ];
    match sizes.iter().find(|(_, n)| *n as usize > most) {
        Some((field, n)) => Err(TrainError::Config {
            field: (*field).into(),
            reason: format!("{n} samples exceed the engine's max_choices, {most}"),
        }),
        None => Ok(()),
    }
}

/// Most bytes of hidden states that wait to be measured.
const MAX_STATE_BYTES: usize = 4 << 30;

/// Refuses to keep more hidden states than [`MAX_STATE_BYTES`]: those of every group in flight, f32.
fn check_states(config: &TrainConfig, hidden: usize, longest: u32) -> Result<(), TrainError> {
    if !config.algorithm.hidden_shaping.enabled {
        return Ok(());
    }
    let (rollout, svs) = (&config.rollout, &config.svs);
    let sizes = [Some(rollout.n), rollout.n_hinted, svs.n_synthesis, svs.n_solve];
    let most = sizes.into_iter().flatten().max().unwrap_or(rollout.n);
    let choices = rollout.max_groups_in_flight * most as usize;
    let bytes = choices * longest as usize * hidden * size_of::<f32>();
    if bytes <= MAX_STATE_BYTES {
        return Ok(());
    }
    Err(TrainError::Config {
        field: "rollout.max_groups_in_flight".into(),
        reason: format!(
            "with algorithm.hidden_shaping, {choices} responses in flight of {longest} tokens may keep {bytes} bytes of hidden \
             states; at most {MAX_STATE_BYTES} are allowed"
        ),
    })
}

pub(super) fn file_error(path: &Path, error: &std::io::Error) -> TrainError {
    TrainError::Run(format!("{}: {error}", path.display()))
}
