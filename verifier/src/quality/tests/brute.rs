//! The best answer of all, by trying every one.

use super::super::{Goal, Instance, Knapsack, TASKS};

/// Lists of `length` numbers below `base`, in order.
fn assignments(length: usize, base: u32) -> impl Iterator<Item = Vec<u32>> {
    let total = u64::from(base).pow(length as u32);
    (0..total).map(move |mut code| {
        let mut digit = || {
            let digit = (code % u64::from(base)) as u32;
            code /= u64::from(base);
            digit
        };
        (0..length).map(|_| digit()).collect()
    })
}

fn subsets(count: usize) -> impl Iterator<Item = Vec<u32>> {
    (0..1u32 << count).map(move |code| (0..count as u32).filter(|at| code >> at & 1 == 1).collect())
}

/// Every answer that may be feasible.
fn answers(instance: &Instance) -> Box<dyn Iterator<Item = Vec<u32>>> {
    match instance {
        Instance::TravellingSalesman(tour) => {
            let count = tour.distances.len();
            Box::new(assignments(count, count as u32))
        }
        Instance::HamiltonianPath(task) => Box::new(assignments(task.graph.nodes, task.graph.nodes as u32)),
        Instance::GraphColouring(task) => Box::new(assignments(task.graph.nodes, task.graph.nodes as u32)),
        Instance::BinPacking(task) => Box::new(assignments(task.sizes.len(), task.sizes.len() as u32)),
        Instance::Scheduling(task) => Box::new(assignments(task.jobs.len(), task.machines as u32)),
        Instance::Knapsack(task) => Box::new(subsets(task.items.len())),
        Instance::IndependentSet(task) => Box::new(subsets(task.graph.nodes)),
        Instance::VertexCover(task) => Box::new(subsets(task.graph.nodes)),
        Instance::MaxCut(task) => Box::new(subsets(task.graph.nodes)),
        Instance::SetCover(task) => Box::new(subsets(task.sets.len())),
    }
}

#[test]
fn references_are_close_to_the_best_answer_and_never_better() {
    // The least and the mean quality that a heuristic may have over these instances. Proofs: exact for knapsack, half of all
    // edges for max cut, 4/3 for longest job first, every Hamiltonian path alike; for the others what was measured, less a
    // margin.
    let bounds = [
        ("travelling_salesman", 0.95, 0.99),
        ("knapsack", 1.0, 1.0),
        ("graph_colouring", 0.75, 0.98),
        ("independent_set", 0.66, 0.98),
        ("set_cover", 0.5, 0.95),
        ("bin_packing", 0.66, 0.95),
        ("hamiltonian_path", 1.0, 1.0),
        ("max_cut", 0.9, 0.99),
        ("vertex_cover", 0.66, 0.98),
        ("scheduling", 0.75, 0.95),
    ];
    assert_eq!(bounds.map(|(task, ..)| task), TASKS);
    for (task, least, mean) in bounds {
        let (mut sum, mut count) = (0.0, 0);
        for seed in 0..24 {
            let size = 4 + seed as usize % 3;
            let instance = Instance::generate(task, size, seed).expect("a task");
            let objectives = answers(&instance).filter_map(|answer| instance.objective(&answer).ok());
            let best = match instance.goal() {
                Goal::Least => objectives.min(),
                Goal::Most => objectives.max(),
            };
            let best = best.expect("a feasible answer");
            let reference = instance
                .objective(&instance.reference().expect("an answer"))
                .expect("feasible");
            let better = match instance.goal() {
                Goal::Least => reference < best,
                Goal::Most => reference > best,
            };
            assert!(!better, "{task} {seed}: {reference} beats {best}");
            let quality = instance.quality(reference, best);
            assert!(quality >= least, "{task} {seed}: {reference} beside {best}");
            (sum, count) = (sum + quality, count + 1);
        }
        assert!(
            sum / f64::from(count) >= mean,
            "{task}: mean {}",
            sum / f64::from(count)
        );
    }
}

#[test]
fn a_knapsack_too_large_for_the_exact_answer_gets_at_least_half_of_it() {
    // The same items with weights times 20,000: the best answer is the same, and no table of weights holds it.
    let mut worst = 1.0f64;
    for seed in 0..32 {
        let Some(Instance::Knapsack(small)) = Instance::generate("knapsack", 10, seed) else {
            panic!("a knapsack");
        };
        let large = Knapsack {
            capacity: small.capacity * 20_000,
            items: small
                .items
                .iter()
                .map(|&(weight, value)| (weight * 20_000, value))
                .collect(),
        };
        let of = |sack: Knapsack| {
            let instance = Instance::Knapsack(sack);
            assert_eq!(instance.check(), Ok(()));
            instance
                .objective(&instance.reference().expect("an answer"))
                .expect("feasible")
        };
        let (best, greedy) = (of(small), of(large));
        assert!(greedy <= best, "{seed}: {greedy} beats {best}");
        worst = worst.min(greedy as f64 / best as f64);
    }
    assert!((0.5..1.0).contains(&worst), "{worst}");
    // One heavy item of great value, and a light one that is better for its weight.
    let trap = Instance::Knapsack(Knapsack {
        capacity: 1_000_000,
        items: vec![(1, 2), (1_000_000, 1000)],
    });
    assert_eq!(trap.objective(&trap.reference().expect("an answer")), Ok(1000));
}
