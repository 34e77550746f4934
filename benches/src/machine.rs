//! The machine: what it is, and how much of it others use while something is measured.

use std::fs;
use std::time::{Duration, Instant};

use serde::Serialize;

/// Instructions that decide how fast kernels can be, as Linux names them.
const INSTRUCTIONS: [&str; 10] = [
    "avx2",
    "fma",
    "f16c",
    "avx512f",
    "avx512_bf16",
    "avx512_fp16",
    "amx_bf16",
    "asimd",
    "asimdhp",
    "bf16",
];

/// What a results file says about the machine.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// Name of the processor.
    pub processor: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// Which of the instructions that matter it has.
    pub instructions: Vec<&'static str>,
}

impl Machine {
    /// Reads what the system tells.
    pub fn read() -> Self {
        let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let field = |names: [&str; 2]| {
            let mut lines = text.lines().filter_map(|line| line.split_once(':'));
            lines
                .find(|(name, _)| names.contains(&name.trim()))
                .map_or_else(String::new, |(_, value)| value.trim().to_owned())
        };
        let flags = field(["flags", "Features"]);
        let has = |name: &&str| flags.split(' ').any(|flag| flag == *name);
        Self {
            processor: field(["model name", "CPU part"]),
            cores: cores(),
            instructions: INSTRUCTIONS.into_iter().filter(has).collect(),
        }
    }
}

/// Cores that this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Clock ticks that all processors spent since the system started, and those of them that were ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticks {
    all: u64,
    busy: u64,
    ours: u64,
}

impl Ticks {
    /// Now; ours are those of this process, of its children that have ended and of `servers`. `None` where there is no
    /// such file.
    pub fn now(servers: &[u32]) -> Option<Self> {
        let total = fs::read_to_string("/proc/stat").ok()?;
        let fields: Vec<u64> = numbers(total.lines().next()?.strip_prefix("cpu ")?);
        // user, nice, system, idle, iowait, irq, softirq, steal; what guests use is part of user.
        let all: u64 = fields.iter().take(8).sum();
        let idle = fields.get(3)? + fields.get(4)?;
        let own = process("self")?;
        let ours = own.iter().sum::<u64>()
            + servers
                .iter()
                .filter_map(|id| process(&id.to_string()))
                .flatten()
                .sum::<u64>();
        Some(Self {
            all,
            busy: all - idle,
            ours,
        })
    }

    /// Share of the machine that others used since `earlier`, hypervisor included, 0..=1.
    pub fn foreign_since(&self, earlier: &Self) -> f64 {
        let all = self.all.saturating_sub(earlier.all).max(1);
        let busy = self.busy.saturating_sub(earlier.busy);
        let ours = self.ours.saturating_sub(earlier.ours);
        busy.saturating_sub(ours) as f64 / all as f64
    }
}

/// User and system ticks of a process and of its ended children.
fn process(id: &str) -> Option<Vec<u64>> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name before may hold anything but a last bracket; utime, stime, cutime, cstime are fields 14 to 17.
    let after = stat.rsplit_once(')')?.1;
    Some(numbers(after).into_iter().skip(11).take(4).collect())
}

fn numbers(text: &str) -> Vec<u64> {
    let words = text.split_whitespace();
    words.map(|word| word.parse().unwrap_or(0)).collect()
}

/// Waits until others use at most `limit` of the machine for a second, at most `patience` long.
pub fn wait_until_quiet(limit: f64, patience: Duration, servers: &[u32]) {
    let began = Instant::now();
    while began.elapsed() < patience {
        let before = Ticks::now(servers);
        std::thread::sleep(Duration::from_secs(1));
        let (Some(before), Some(after)) = (before, Ticks::now(servers)) else {
            return;
        };
        if after.foreign_since(&before) <= limit {
            return;
        }
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
