//! Order of service, displacement and sharing, each on a few sequences; the simulator has the rest.

use super::*;

fn limits(max_num_seqs: usize, max_overtakes: u32) -> Limits {
    Limits {
        max_num_seqs,
        max_num_batched_tokens: 64,
        max_scored_rows: 64,
        max_prompt_rows_beside: 64,
        max_overtakes,
    }
}

fn sequence(prompt_len: usize, priority: i32, leader: Option<SeqId>) -> NewSequence {
    NewSequence {
        tokens: vec![1; prompt_len],
        prompt_len,
        version: 1,
        salt: None,
        leader,
        scored_from: None,
        pinned: false,
        priority,
    }
}

/// Runs one step with token 2 for every draw; who had rows.
fn step(scheduler: &mut Scheduler) -> Vec<SeqId> {
    let plan = scheduler.schedule().expect("sequences wait");
    scheduler.computed(&plan);
    for id in plan.rows.iter().flat_map(|rows| &rows.draw) {
        scheduler.push(*id, 2);
    }
    scheduler.check().expect("queues and blocks agree");
    plan.rows.iter().map(|rows| rows.id).collect()
}

#[test]
fn lower_priority_values_are_served_first() {
    let table: [(&str, &[i32], &[SeqId]); 4] = [
        ("by arrival", &[0, 0, 0], &[0, 1, 2]),
        ("interactive before rollouts", &[10, 10, 0, 0], &[2, 3, 0, 1]),
        ("negative values too", &[0, -5, 3], &[1, 0, 2]),
        ("the extremes", &[i32::MAX, i32::MIN], &[1, 0]),
    ];
    for (name, priorities, expected) in table {
        let mut scheduler = Scheduler::new(limits(1, 100), KvBlocks::new(16, false));
        for (id, priority) in priorities.iter().enumerate() {
            scheduler.add(id as SeqId, sequence(4, *priority, None));
        }
        let mut served: Vec<SeqId> = Vec::new();
        while served.len() < priorities.len() {
            let ran = step(&mut scheduler);
            served.extend(&ran);
            ran.into_iter().for_each(|id| scheduler.remove(id));
        }
        assert_eq!(served, expected, "{name}");
    }
}

#[test]
fn nobody_is_passed_over_more_often_than_the_bound() {
    for bound in [0, 1, 5] {
        let mut scheduler = Scheduler::new(limits(1, bound), KvBlocks::new(16, false));
        scheduler.add(0, sequence(4, 10, None));
        let mut passed = 0;
        for id in 1..20 {
            scheduler.add(id, sequence(4, 0, None));
            let ran = step(&mut scheduler);
            if ran == [0] {
                break;
            }
            passed += 1;
            ran.into_iter().for_each(|id| scheduler.remove(id));
        }
        assert_eq!(passed, bound);
    }
}

#[test]
fn better_priority_takes_the_place_of_the_youngest_of_the_worst() {
    let table: [(&str, &[i32], i32, &[SeqId]); 4] = [
        ("the youngest of the worst gives way", &[0, 9, 9, 5], 0, &[0, 1, 3, 4]),
        ("nobody is worse", &[0, 0, 0, 0], 0, &[0, 1, 2, 3]),
        ("equals keep their places", &[3, 3, 3, 3], 3, &[0, 1, 2, 3]),
        ("the worst, not the youngest", &[7, 1, 1, 1], 0, &[1, 2, 3, 4]),
    ];
    for (name, running, arrives, expected) in table {
        let mut scheduler = Scheduler::new(limits(4, 100), KvBlocks::new(32, true));
        for (id, priority) in running.iter().enumerate() {
            scheduler.add(id as SeqId, sequence(4, *priority, None));
        }
        assert_eq!(step(&mut scheduler).len(), 4);
        scheduler.add(4, sequence(4, arrives, None));
        let mut ran = step(&mut scheduler);
        ran.sort_unstable();
        assert_eq!(ran, expected, "{name}");
    }
}

#[test]
fn blocks_are_taken_from_the_worst_priority_then_from_the_youngest() {
    for (priorities, victim) in [([0, 0, 0], 2), ([0, 5, 0], 1), ([8, 5, 8], 2)] {
        // Three sequences of one full block each; the next token of each needs a second one, and one is free.
        let mut scheduler = Scheduler::new(limits(3, 100), KvBlocks::new(5, false));
        for (id, priority) in priorities.iter().enumerate() {
            scheduler.add(id as SeqId, sequence(15, *priority, None));
        }
        assert_eq!(step(&mut scheduler).len(), 3);
        assert_eq!(step(&mut scheduler).len(), 3);
        let mut ran = step(&mut scheduler);
        ran.sort_unstable();
        ran.dedup();
        assert!(
            !ran.contains(&victim) && !scheduler.is_running(victim),
            "{priorities:?}"
        );
        assert_eq!((ran.len(), scheduler.counters().0), (2, 1), "{priorities:?}");
    }
}

#[test]
fn while_new_ones_are_held_back_only_what_has_started_goes_on() {
    let mut scheduler = Scheduler::new(limits(1, 100), KvBlocks::new(16, true));
    scheduler.add(0, sequence(20, 0, None));
    scheduler.add(1, sequence(20, 0, Some(0)));
    scheduler.add(2, sequence(4, -1, None));
    assert_eq!(step(&mut scheduler), [2]);
    scheduler.remove(2);
    assert_eq!(step(&mut scheduler), [0]);
    scheduler.hold_new(true);
    scheduler.add(3, sequence(4, -9, None));
    assert_eq!(step(&mut scheduler), [0]);
    scheduler.remove(0);
    assert_eq!(step(&mut scheduler), [1], "a sample of a request that has started");
    assert_eq!(scheduler.started(), 1);
    scheduler.remove(1);
    assert_eq!((scheduler.schedule(), scheduler.started()), (None, 0));
    scheduler.hold_new(false);
    assert_eq!(step(&mut scheduler), [3]);
}

#[test]
fn samples_of_a_request_share_the_prompt() {
    let mut scheduler = Scheduler::new(limits(8, 8), KvBlocks::new(16, true));
    for id in 0..4 {
        scheduler.add(id, sequence(20, 0, (id > 0).then_some(0)));
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

#[test]
fn prompts_of_worse_priority_come_in_small_parts_beside_a_stream() {
    let lengths = |scheduler: &mut Scheduler| {
        let plan = scheduler.schedule().expect("sequences wait");
        scheduler.computed(&plan);
        for id in plan.rows.iter().flat_map(|rows| &rows.draw) {
            scheduler.push(*id, 2);
        }
        scheduler.check().expect("queues and blocks agree");
        plan.rows.iter().map(|rows| (rows.id, rows.len)).collect::<Vec<_>>()
    };
    let few = Limits {
        max_prompt_rows_beside: 8,
        ..limits(8, 100)
    };
    let mut scheduler = Scheduler::new(few, KvBlocks::new(64, false));
    scheduler.add(0, sequence(4, 0, None));
    assert_eq!(lengths(&mut scheduler), [(0, 4)]);
    scheduler.add(1, sequence(20, 10, None));
    scheduler.add(2, sequence(6, 10, None));
    scheduler.add(3, sequence(30, 0, None));
    let steps: [&[(SeqId, usize)]; 4] = [
        // As many of the same priority as the step has room for, eight of worse ones.
        &[(0, 1), (3, 30), (1, 8)],
        &[(0, 1), (3, 1), (1, 8)],
        &[(0, 1), (3, 1), (1, 4), (2, 4)],
        &[(0, 1), (3, 1), (1, 1), (2, 2)],
    ];
    for expected in steps {
        assert_eq!(lengths(&mut scheduler), expected);
    }
    // Nothing of better priority decodes: whole prompts again.
    [0, 3].into_iter().for_each(|id| scheduler.remove(id));
    scheduler.add(4, sequence(40, 10, None));
    assert_eq!(lengths(&mut scheduler), [(1, 1), (2, 1), (4, 40)]);
}

#[test]
fn a_prompt_that_has_its_scores_is_computed_anew_like_any_other() {
    let few = Limits {
        max_scored_rows: 8,
        ..limits(8, 100)
    };
    let mut scheduler = Scheduler::new(few, KvBlocks::new(64, false));
    let scored = NewSequence {
        scored_from: Some(0),
        ..sequence(40, 0, None)
    };
    scheduler.add(0, scored);
    let rows = |scheduler: &mut Scheduler| {
        let plan = scheduler.schedule().expect("a prompt waits");
        scheduler.computed(&plan);
        plan.rows[0].len
    };
    assert_eq!([(); 5].map(|()| rows(&mut scheduler)), [8; 5]);
    scheduler.push(0, 2);
    scheduler.scored(0);
    scheduler.clear_kv();
    assert_eq!(rows(&mut scheduler), 41);
}
