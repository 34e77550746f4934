use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

#[test]
fn every_piece_runs_once() {
    for threads in [1, 2, 3, 8] {
        let team = Team::new(Some(threads)).expect("threads");
        assert_eq!(team.threads(), threads);
        team.install(|| {
            for count in [0, 1, 2, 7, 1000] {
                for _ in 0..50 {
                    let hits: Vec<AtomicU32> = (0..count).map(|_| AtomicU32::new(0)).collect();
                    each(count, &|i| _ = hits[i].fetch_add(1, Ordering::Relaxed));
                    assert!(
                        hits.iter().all(|hits| hits.load(Ordering::Relaxed) == 1),
                        "{threads} threads, {count}"
                    );
                }
            }
        });
    }
}

#[test]
fn lent_cores_take_no_pieces() {
    let team = Team::new(Some(3)).expect("threads");
    let caller = std::thread::current().id();
    team.install(|| {
        for lent in [2, 1, 0] {
            let leases: Vec<_> = (0..lent).map(|_| team.lend()).collect();
            let others = Mutex::new(std::collections::HashSet::new());
            let sum = AtomicU32::new(0);
            // Pieces long enough for every helper to come; how many do is not promised, who must not is.
            for _ in 0..20 {
                each(64, &|i| {
                    sum.fetch_add(i as u32, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_micros(20));
                    others.lock().unwrap().insert(std::thread::current().id());
                });
            }
            let mut others = others.into_inner().unwrap();
            assert!(others.remove(&caller));
            assert!(others.len() <= 2 - lent, "{lent} lent, {} helped", others.len());
            assert!(lent > 0 || !others.is_empty(), "nobody helped");
            assert_eq!(sum.into_inner(), 20 * 2016);
            drop(leases);
        }
    });
}

#[test]
fn sleeping_threads_come_back() {
    let team = Team::new(Some(3)).expect("threads");
    team.install(|| {
        for pause in [0, 50, 150, 2000] {
            std::thread::sleep(Duration::from_micros(pause));
            let sum = AtomicU32::new(0);
            each(100, &|i| _ = sum.fetch_add(i as u32, Ordering::Relaxed));
            assert_eq!(sum.into_inner(), 4950);
        }
    });
}

#[test]
fn a_call_within_a_call_and_a_second_caller_stay_serial() {
    let team = Team::new(Some(2)).expect("threads");
    let sum = AtomicU32::new(0);
    let add = |_| _ = sum.fetch_add(1, Ordering::Relaxed);
    team.install(|| {
        each(4, &|_| {
            assert_eq!(threads(), 1);
            each(5, &add);
        });
        each(3, &|_| {
            // Another caller meets a busy team.
            std::thread::scope(|scope| {
                let team = &team;
                scope.spawn(move || team.install(|| each(7, &add)));
            });
        });
    });
    assert_eq!(sum.into_inner(), 4 * 5 + 3 * 7);
}

#[test]
fn a_panic_reaches_the_caller_and_the_team_goes_on() {
    let team = Team::new(Some(3)).expect("threads");
    for at in [0, 17, 63] {
        let failed = catch_unwind(AssertUnwindSafe(|| {
            team.install(|| each(64, &|i| assert!(i != at, "piece {i}")));
        }));
        let panic = failed.expect_err("a piece panicked");
        assert_eq!(
            panic.downcast_ref::<String>().map(String::as_str),
            Some(format!("piece {at}").as_str())
        );
        let count = AtomicU32::new(0);
        team.install(|| each(64, &|_| _ = count.fetch_add(1, Ordering::Relaxed)));
        assert_eq!(count.into_inner(), 64);
    }
}
