//! Training end to end: the reward rises, runs resume bit for bit, nothing is trained on twice, clients teach the policy.

mod agents;
mod clients;
mod dry_run;
mod jobs;
mod jobs_and_runs;
mod jobs_refused;
mod kill;
mod learn;
mod modes;
mod problems;
pub(crate) mod process;
mod resume;
mod rollback;
pub(crate) mod steer;
mod supervised;
mod swap;
pub(crate) mod toy;
mod trouble;
