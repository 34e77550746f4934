//! Hand-made values, and heuristics beside the best answer of all on small instances.

mod brute;
mod graded;

use serde_json::{Value, json};

use super::*;

/// Instance, answer, objective, reference, quality; an answer that is not feasible has no objective.
type Case<'a> = (&'a Value, &'a [u32], Option<u64>, u64, f64);

fn read(instance: &Value) -> Instance {
    serde_json::from_value(instance.clone()).expect("an instance")
}

#[test]
fn objectives_and_qualities_are_those_computed_by_hand() {
    let square = json!({"task": "travelling_salesman",
        "distances": [[0, 1, 3, 1], [1, 0, 1, 3], [3, 1, 0, 1], [1, 3, 1, 0]]});
    let sack = json!({"task": "knapsack", "capacity": 10, "items": [[5, 10], [6, 12], [5, 9]]});
    let graph = |edges: Value| json!({"nodes": 3, "edges": edges});
    let triangle = || graph(json!([[0, 1], [1, 2], [0, 2]]));
    let path = || graph(json!([[0, 1], [1, 2]]));
    let of = |task: &str, graph: Value| json!({"task": task, "graph": graph});
    let sets = json!({"task": "set_cover", "elements": 4, "sets": [[0, 1], [2], [3], [2, 3]]});
    let bins = json!({"task": "bin_packing", "capacity": 10, "sizes": [6, 4, 7, 3]});
    let jobs = json!({"task": "scheduling", "machines": 2, "jobs": [3, 3, 2]});
    let cases: [Case<'_>; 30] = [
        (&square, &[0, 1, 2, 3], Some(4), 4, 1.0),
        (&square, &[0, 1, 2, 3, 0], Some(4), 4, 1.0),
        (&square, &[0, 2, 1, 3], Some(8), 4, 0.5),
        (&square, &[0, 1, 2], None, 4, 0.0),
        (&square, &[0, 1, 2, 2], None, 4, 0.0),
        (&square, &[0, 1, 2, 4], None, 4, 0.0),
        (&sack, &[0, 2], Some(19), 19, 1.0),
        (&sack, &[1], Some(12), 19, 12.0 / 19.0),
        (&sack, &[0, 1], None, 19, 0.0),
        (&sack, &[0, 0], None, 19, 0.0),
        (&sack, &[], None, 19, 0.0),
        (&of("graph_colouring", triangle()), &[1, 2, 1], None, 3, 0.0),
        (&of("graph_colouring", triangle()), &[1, 2, 3], Some(3), 3, 1.0),
        (&of("graph_colouring", path()), &[1, 2, 3], Some(3), 2, 2.0 / 3.0),
        (&of("graph_colouring", path()), &[1, 2], None, 2, 0.0),
        (&of("independent_set", path()), &[0, 2], Some(2), 2, 1.0),
        (&of("independent_set", path()), &[1], Some(1), 2, 0.5),
        (&of("independent_set", path()), &[0, 1], None, 2, 0.0),
        (&of("vertex_cover", path()), &[1], Some(1), 1, 1.0),
        (&of("vertex_cover", path()), &[0, 2], Some(2), 1, 0.5),
        (&of("vertex_cover", path()), &[0], None, 1, 0.0),
        (&of("hamiltonian_path", path()), &[2, 1, 0], Some(3), 3, 1.0),
        (&of("hamiltonian_path", path()), &[1, 0, 2], None, 3, 0.0),
        (&of("max_cut", triangle()), &[0], Some(2), 2, 1.0),
        (&of("max_cut", triangle()), &[0, 1, 2], None, 2, 0.0),
        (&sets, &[0, 3], Some(2), 2, 1.0),
        (&sets, &[0, 1, 2], Some(3), 2, 2.0 / 3.0),
        (&bins, &[0, 0, 1, 1], Some(2), 2, 1.0),
        (&bins, &[0, 1, 0, 1], None, 2, 0.0),
        (&jobs, &[0, 1, 0], Some(5), 5, 1.0),
    ];
    for (instance, answer, objective, reference, quality) in cases {
        let instance = read(instance);
        instance.check().expect("a good instance");
        let found = instance.objective(answer).ok();
        assert_eq!(found, objective, "{instance:?} {answer:?}");
        let found = found.map_or(0.0, |objective| instance.quality(objective, reference));
        assert!((found - quality).abs() < 1e-12, "{instance:?} {answer:?}: {found}");
    }
    assert_eq!(
        read(&jobs).quality(5, 6),
        1.0,
        "better than the reference is no more than 1"
    );
}

#[test]
fn instances_that_cannot_be_are_refused() {
    let cases = [
        json!({"task": "travelling_salesman", "distances": [[0, 1], [2, 0]]}),
        json!({"task": "travelling_salesman", "distances": [[0, 1]]}),
        json!({"task": "travelling_salesman", "distances": [[0, 0], [0, 0]]}),
        json!({"task": "knapsack", "capacity": 1, "items": [[2, 1]]}),
        json!({"task": "knapsack", "capacity": 1, "items": []}),
        json!({"task": "graph_colouring", "graph": {"nodes": 2, "edges": [[0, 2]]}}),
        json!({"task": "independent_set", "graph": {"nodes": 2, "edges": [[0, 0]]}}),
        json!({"task": "hamiltonian_path", "graph": {"nodes": 2, "edges": [[0, 1], [1, 0]]}}),
        json!({"task": "vertex_cover", "graph": {"nodes": 2, "edges": []}}),
        json!({"task": "max_cut", "graph": {"nodes": 2, "edges": []}}),
        json!({"task": "max_cut", "graph": {"nodes": 257, "edges": [[0, 1]]}}),
        json!({"task": "set_cover", "elements": 2, "sets": [[0]]}),
        json!({"task": "set_cover", "elements": 2, "sets": [[0, 1, 2]]}),
        json!({"task": "bin_packing", "capacity": 5, "sizes": [6]}),
        json!({"task": "scheduling", "machines": 0, "jobs": [1]}),
    ];
    for instance in cases {
        assert!(read(&instance).check().is_err(), "{instance}");
    }
}

#[test]
fn seeds_make_instances_of_every_size_that_the_heuristic_answers() {
    for task in TASKS {
        for size in [0, 5, 20, 50, 100] {
            for seed in 0..4 {
                let instance = Instance::generate(task, size, seed).expect("a task");
                assert_eq!(Instance::generate(task, size, seed).as_ref(), Some(&instance));
                assert_eq!(instance.check(), Ok(()), "{task} {size} {seed}");
                let answer = instance.reference().unwrap_or_else(|| panic!("{task} {size} {seed}"));
                let objective = instance.objective(&answer);
                assert!(
                    objective.as_ref().is_ok_and(|&objective| objective > 0),
                    "{task} {size} {seed}: {objective:?}"
                );
                assert_eq!(read(&serde_json::to_value(&instance).expect("JSON")), instance);
            }
        }
        assert_ne!(
            Instance::generate(task, 20, 0),
            Instance::generate(task, 20, 1),
            "{task}"
        );
    }
    assert_eq!(Instance::generate("chess", 8, 0), None);
}

#[test]
fn the_last_list_of_whole_numbers_is_the_answer() {
    let long = format!("{:?}", vec![1; MAX_SIZE + 2]);
    for (text, list) in [
        ("[1, 2] no, [2, 1]", Some(vec![2, 1])),
        ("Answer: [ ]", Some(vec![])),
        ("[[0, 1]]", None),
        ("[1, -2]", None),
        ("[1.5]", None),
        ("[__import__('os')]", None),
        ("1, 2", None),
        ("]1[", None),
        (r"\[ \boxed{[2, 0]} \]", Some(vec![2, 0])),
        (r"\]", None),
        ("[99999999999999999999]", None),
        ("[4294967295]", Some(vec![u32::MAX])),
        ("[1e3]", None),
        ("[0x1]", None),
        ("[1,]", None),
        ("[0, 1, 2]]", None),
        ("[0, 1, 2] [see above]", None),
        ("[0, 1, 2][0]", None),
        ("[3, [0, 1, 2]", None),
        ("so take d[3]", None),
        ("w(2)[3]", None),
        ("[1](http://x)", None),
        ("[0, 1]_5", None),
        ("[not yet\n[0, 1]", Some(vec![0, 1])),
        ("([0, 1]), as it is [shorter].", None),
        ("([0, 1]), as it is shorter.", Some(vec![0, 1])),
        ("Then [5], then:\n\n**[0, 1]**\n", Some(vec![0, 1])),
        (&long, None),
    ] {
        assert_eq!(last_list(text), list, "{text:.40}");
    }
}
