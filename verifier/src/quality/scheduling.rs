//! Scheduling on equal machines: the longest job first to the machine that is free first.

use serde::{Deserialize, Serialize};

use super::random::Random;
use super::{Goal, Task, size_fits, weights_fit};

/// Jobs that machines do one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scheduling {
    /// Number of machines.
    pub machines: usize,
    /// How long each job takes.
    pub jobs: Vec<u32>,
}

impl Scheduling {
    fn end(&self, answer: &[u32]) -> u64 {
        let mut loads = vec![0u64; self.machines];
        for (&machine, &job) in answer.iter().zip(&self.jobs) {
            loads[machine as usize] += u64::from(job);
        }
        loads.into_iter().max().unwrap_or(0)
    }
}

impl Task for Scheduling {
    const GOAL: Goal = Goal::Least;

    fn generate(size: usize, random: &mut Random) -> Self {
        Self {
            machines: (size / 4).clamp(2, 16),
            jobs: (0..size).map(|_| random.between(1, 99)).collect(),
        }
    }

    fn check(&self) -> Result<(), &'static str> {
        size_fits(self.jobs.len())?;
        size_fits(self.machines)?;
        weights_fit(self.jobs.iter().copied())
    }

    fn objective(&self, answer: &[u32]) -> Result<u64, &'static str> {
        if answer.len() != self.jobs.len() {
            return Err("a job has no machine, or there are more machines than jobs");
        }
        if answer.iter().any(|&machine| machine as usize >= self.machines) {
            return Err("there is no such machine");
        }
        Ok(self.end(answer))
    }

    /// # Source
    /// Graham: Bounds on multiprocessing timing anomalies, SIAM Journal on Applied Mathematics 1969.
    fn reference(&self) -> Option<Vec<u32>> {
        let mut order: Vec<usize> = (0..self.jobs.len()).collect();
        order.sort_by_key(|&job| std::cmp::Reverse(self.jobs[job]));
        let (mut loads, mut machines) = (vec![0u64; self.machines], vec![0; self.jobs.len()]);
        for job in order {
            let (machine, _) = loads.iter().enumerate().min_by_key(|(at, load)| (**load, *at))?;
            loads[machine] += u64::from(self.jobs[job]);
            machines[job] = machine as u32;
        }
        Some(machines)
    }

    fn question(&self) -> String {
        format!(
            "{} equal machines do jobs that take {:?}, each on one machine, one after the other. All shall be done as early as you \
             can. Give the machine of each job in order, as numbers from 0.",
            self.machines, self.jobs
        )
    }
}
