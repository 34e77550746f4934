//! A seeded simulator: scheduler and block keeping under random arrivals, aborts, swaps, pauses, failing allocations and
//! steering, with a hash for a model. After every step nothing may be leaked, freed twice or starved, and every token
//! must be the one that its request would have drawn alone.
//!
//! A failure names its seed. `cargo xtask simulate --seed SEED` runs that seed again.

mod events;
mod fairness;
mod oracle;
mod plans;
mod random;
mod scores;
mod slots;
mod steering;
mod tally;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::kv::planted::{Defect, plant};
use tally::Tally;
use world::World;

/// Events of the test, all seeds together.
const EVENTS: usize = 100_000;
/// Events of one seed; each seed draws other bounds.
const EVENTS_PER_SEED: usize = 1000;
/// Seeds within which a planted defect must be found.
const SEEDS_PER_DEFECT: u64 = 40;

/// Runs one seed.
fn simulate(seed: u64, events: usize) -> Result<Tally, String> {
    let mut world = World::new(seed);
    let outcome = catch_unwind(AssertUnwindSafe(|| world.run(events)));
    let at = world.tally.events;
    let outcome = match outcome {
        Ok(Ok(())) => return Ok(world.tally),
        Ok(Err(fault)) => fault,
        Err(_) => "a panic; it is printed above".into(),
    };
    // What is broken may panic again where its blocks are dropped.
    std::mem::forget(world);
    Err(format!(
        "seed {seed}, event {at}: {outcome}\nagain: cargo xtask simulate --seed {seed}"
    ))
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn random_events_keep_every_invariant() {
    let events = number("SVS_SIMULATE_EVENTS").map_or(EVENTS, |events| events as usize);
    let seeds = match number("SVS_SIMULATE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..events.div_ceil(EVENTS_PER_SEED) as u64,
    };
    let mut total = Tally::default();
    for seed in seeds {
        match simulate(seed, EVENTS_PER_SEED) {
            Ok(tally) => total.add(&tally),
            Err(fault) => panic!("{fault}"),
        }
    }
    println!("{total:#?}");
    if number("SVS_SIMULATE_SEED").is_none() {
        assert!(total.covers_everything(), "the events miss something: {total:#?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in [3, 77] {
        assert_eq!(simulate(seed, 300), simulate(seed, 300));
    }
}

#[test]
fn planted_defects_are_found() {
    let defects = [
        Defect::SkippedReference,
        Defect::SkippedRelease,
        Defect::DoubleRelease,
        Defect::ForgottenCopy,
        Defect::MixedIndexed,
        Defect::VersionlessIndex,
        Defect::SaltlessIndex,
        Defect::StaleKv,
        Defect::LostHeir,
        Defect::ForgottenOvertakes,
        Defect::ForkedWithoutBlocks,
        Defect::ForkedPastCursor,
        Defect::CachedTail,
        Defect::ForkedScores,
        Defect::PinnedIndexed,
        Defect::PinnedMoved,
    ];
    for defect in defects {
        plant(Some(defect));
        let found = (0..SEEDS_PER_DEFECT).find_map(|seed| simulate(seed, EVENTS_PER_SEED).err());
        plant(None);
        let fault = found.unwrap_or_else(|| panic!("{defect:?} is not found"));
        println!("{defect:?}: {fault}");
    }
}
