//! A seeded simulation: few blocks, two token ids, random arrivals, ends and aborts; every invariant after every step.

use std::collections::{HashMap, HashSet};

use super::*;
use crate::kv::{BLOCK_TOKENS, blocks_for};

struct Lcg(u64);

impl Lcg {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

/// Stands for the model: what is written in each row of each block, as (token, position, version).
struct Memory(HashMap<(u32, usize), (u32, usize, u64)>);

impl Memory {
    /// Applies a plan as the model would and checks that every earlier position reads back as it must.
    fn run(&mut self, scheduler: &Scheduler, plan: &StepPlan, keep: bool) {
        for copy in &plan.copies {
            for row in 0..copy.rows {
                let value = self.0[&(copy.from, row)];
                self.0.insert((copy.to, row), value);
            }
        }
        let mut written = HashSet::new();
        for rows in &plan.rows {
            let (tokens, blocks) = (scheduler.tokens(rows.id), scheduler.block_table(rows.id));
            assert!(blocks.len() >= blocks_for(rows.start + rows.len));
            for position in rows.start..rows.start + rows.len {
                let slot = (blocks[position / BLOCK_TOKENS], position % BLOCK_TOKENS);
                assert!(written.insert(slot), "two sequences write one slot");
                self.0.insert(slot, (tokens[position], position, plan.version));
            }
        }
        for rows in &plan.rows {
            let (tokens, blocks) = (scheduler.tokens(rows.id), scheduler.block_table(rows.id));
            for position in 0..rows.start + rows.len {
                let (token, at, version) = self.0[&(blocks[position / BLOCK_TOKENS], position % BLOCK_TOKENS)];
                assert_eq!((token, at), (tokens[position], position), "a row was overwritten");
                assert!(keep || version == plan.version, "a row of another version");
            }
        }
    }
}

#[test]
fn random_schedules_keep_every_invariant() {
    for seed in 0..60u64 {
        simulate(seed);
    }
}

fn simulate(seed: u64) {
    let mut random = Lcg(seed);
    let blocks = 8 + random.below(24);
    let limits = Limits {
        max_num_seqs: 1 + random.below(6),
        max_num_batched_tokens: 4 + random.below(40),
    };
    let mut scheduler = Scheduler::new(limits, KvBlocks::new(blocks, !seed.is_multiple_of(4)));
    let mut memory = Memory(HashMap::new());
    let mut left: HashMap<SeqId, usize> = HashMap::new();
    let (mut next, mut version, mut steps) = (0, 1, 0);
    let keep = seed.is_multiple_of(3);
    while next < 120 || !left.is_empty() {
        if next < 120 && random.below(3) == 0 {
            let prompt_len = 1 + random.below(60);
            let tokens: Vec<u32> = (0..prompt_len).map(|_| random.below(8) as u32 / 7).collect();
            let leader = next;
            for _ in 0..1 + random.below(4) {
                let new = NewSequence {
                    tokens: tokens.clone(),
                    prompt_len,
                    version,
                    salt: None,
                    leader: (next != leader).then_some(leader),
                    whole_prompt: random.below(8) == 0,
                };
                scheduler.add(next, new);
                left.insert(next, 1 + random.below(60));
                next += 1;
            }
        }
        if random.below(25) == 0 {
            let victim = left.keys().copied().min_by_key(|id| id.wrapping_mul(0x9E37_79B9) % 97);
            if let Some(victim) = victim {
                scheduler.remove(victim);
                left.remove(&victim);
            }
        }
        if random.below(40) == 0 {
            version += 1;
            // Otherwise drain: only new sequences see it.
            if random.below(2) == 0 {
                scheduler.set_version(version - 1, version, !keep);
            }
        }
        let Some(plan) = scheduler.schedule() else {
            assert!(
                left.is_empty() || !scheduler.versions().any(|_| true),
                "sequences wait but nothing is planned"
            );
            continue;
        };
        assert!(plan.rows.iter().map(|rows| rows.len).sum::<usize>() <= limits.max_num_batched_tokens);
        memory.run(&scheduler, &plan, keep);
        scheduler.computed(&plan);
        for id in plan.rows.iter().flat_map(|rows| rows.draw.clone()) {
            let remaining = left.get_mut(&id).expect("only live sequences draw");
            *remaining -= 1;
            if *remaining == 0 {
                left.remove(&id);
                scheduler.remove(id);
            } else {
                scheduler.push(id, random.below(2) as u32);
            }
        }
        scheduler.check().unwrap_or_else(|fault| panic!("seed {seed}: {fault}"));
        steps += 1;
        assert!(steps < 200_000, "seed {seed} does not end");
    }
    scheduler.clear_cached();
    assert_eq!(
        (scheduler.kv().in_use(), scheduler.kv().cached()),
        (0, 0),
        "seed {seed}: blocks leaked"
    );
}

#[test]
fn samples_of_a_request_share_the_prompt() {
    let limits = Limits {
        max_num_seqs: 8,
        max_num_batched_tokens: 64,
    };
    let mut scheduler = Scheduler::new(limits, KvBlocks::new(16, true));
    for id in 0..4 {
        let tokens = vec![1; 20];
        let leader = (id > 0).then_some(0);
        scheduler.add(
            id,
            NewSequence {
                tokens,
                prompt_len: 20,
                version: 1,
                salt: None,
                leader,
                whole_prompt: false,
            },
        );
    }
    let plan = scheduler.schedule().expect("a prompt waits");
    assert_eq!(
        plan.rows,
        [PlannedRows {
            id: 0,
            start: 0,
            len: 20,
            draw: vec![0, 1, 2, 3]
        }]
    );
    scheduler.computed(&plan);
    (0..4).for_each(|id| scheduler.push(id, id as u32));
    let plan = scheduler.schedule().expect("four sequences decode");
    assert_eq!(plan.rows.len(), 4);
    assert!(plan.rows.iter().all(|rows| (rows.start, rows.len) == (20, 1)));
    // All but the last reader of the shared tail copy its four rows.
    assert_eq!(plan.copies.len(), 3);
    assert!(plan.copies.iter().all(|copy| copy.rows == 4));
    assert_eq!(scheduler.kv().in_use(), 5);
}
