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
fn a_team_that_lends_all_cores_takes_no_pieces_and_all_its_threads_go_on() {
    const PIECES: usize = 4000;
    let team = Team::new(Some(3)).expect("threads");
    let (done, workers) = (AtomicU32::new(0), Mutex::new(std::collections::HashSet::new()));
    let count = || done.load(Ordering::Relaxed);
    let rest = || std::thread::sleep(Duration::from_millis(5));
    std::thread::scope(|scope| {
        let begun = team.lend(3);
        let call = scope.spawn(|| {
            team.install(|| {
                each(PIECES, &|_| {
                    std::thread::sleep(Duration::from_micros(50));
                    workers.lock().unwrap().insert(std::thread::current().id());
                    done.fetch_add(1, Ordering::Relaxed);
                })
            });
        });
        rest();
        assert_eq!(count(), 0, "a call begins");
        drop(begun);
        for _ in 0..5 {
            let before = count();
            while count() < before + 20 && !call.is_finished() {
                std::thread::yield_now();
            }
            let (one, other) = (team.lend(3), team.lend(3));
            let at = count();
            rest();
            drop(one);
            rest();
            assert!(count() <= at + 3, "more than the pieces at hand");
            workers.lock().unwrap().clear();
            drop(other);
        }
    });
    assert_eq!(count() as usize, PIECES);
    assert!(
        workers.into_inner().unwrap().len() > 1,
        "helpers take the call up again"
    );
}

#[test]
fn a_team_goes_on_with_the_cores_it_has_left() {
    for (threads, lent) in [(2, 1), (3, 1), (3, 2), (4, 2)] {
        let team = Team::new(Some(threads)).expect("threads");
        let workers = || {
            let seen = Mutex::new(std::collections::HashSet::new());
            team.install(|| {
                each(400, &|_| {
                    std::thread::sleep(Duration::from_micros(100));
                    seen.lock().unwrap().insert(std::thread::current().id());
                })
            });
            seen.into_inner().unwrap()
        };
        let few = {
            let _lent = team.lend(lent);
            workers()
        };
        assert!(few.len() <= threads - lent, "{threads} threads, {lent} lent");
        assert!(few.contains(&std::thread::current().id()), "the caller rests last");
        let all: std::collections::HashSet<_> = (0..100).flat_map(|_| workers()).collect();
        assert_eq!(all.len(), threads, "cores come back");
    }
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
