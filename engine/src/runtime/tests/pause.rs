//! Pauses, priorities and the idle check on a real model: what goes on gives the same tokens, nothing hangs.

use super::super::pause::{Flow, Pause};
use super::super::sweep::Sweep;
use super::*;

type Streams = Vec<(Generation, Collected)>;

fn requests() -> Vec<GenerateRequest> {
    let one = |at: u64| GenerateRequest {
        n: 1 + at as u32 % 3,
        ..request(&format!("a prompt of some length, number {}", at / 2), at, 30)
    };
    (0..5).map(one).collect()
}

fn tokens(streams: &Streams) -> usize {
    let choices = streams.iter().flat_map(|(_, collected)| &collected.completion.choices);
    choices.map(|choice| choice.tokens.len()).sum()
}

/// Steps as the engine's thread would; false if there was nothing to step.
fn step(engine: &mut Engine, pause: &mut Pause, streams: &mut Streams) -> bool {
    let stepped = !pause.blocks(engine) && engine.step();
    let flow = pause.settle(engine);
    pause.announce(flow);
    drain(streams);
    engine.check().expect("blocks and queues agree");
    stepped
}

#[test]
fn a_pause_changes_no_token_of_what_goes_on() {
    let requests = requests();
    let never = run(EngineConfig::default(), &requests);
    let few = EngineConfig {
        max_num_seqs: 4,
        kv_blocks: Some(24),
        ..EngineConfig::default()
    };
    for (mode, clear, config) in [
        (PauseMode::Keep, false, EngineConfig::default()),
        (PauseMode::Keep, true, EngineConfig::default()),
        (PauseMode::Keep, true, few.clone()),
        (PauseMode::Wait, false, few.clone()),
        (PauseMode::Wait, true, few),
    ] {
        let mut engine = engine(config);
        let (mut pause, observed) = Pause::new();
        let mut streams: Streams = requests[..4].iter().map(|one| submit(&mut engine, one)).collect();
        for _ in 0..9 {
            assert!(step(&mut engine, &mut pause, &mut streams));
        }
        pause.obey(1, Some(mode), clear, &mut engine);
        streams.push(submit(&mut engine, &requests[4]));
        let before = tokens(&streams);
        while step(&mut engine, &mut pause, &mut streams) {
            assert_eq!(mode, PauseMode::Wait, "a step during a pause");
        }
        assert_eq!((observed.borrow().order, observed.borrow().flow), (1, Flow::Paused));
        assert_eq!(tokens(&streams) > before, mode == PauseMode::Wait, "{mode:?}");
        assert_eq!(
            streams[4].1.completion.choices[0].tokens.len(),
            0,
            "a new request waits"
        );
        if mode == PauseMode::Wait || clear {
            assert_eq!(engine.stats().kv_blocks_used, 0, "{mode:?}");
        }
        pause.obey(2, None, false, &mut engine);
        assert_eq!(observed.borrow().flow, Flow::Running);
        while step(&mut engine, &mut pause, &mut streams) {}
        let after: Vec<Completion> = streams.into_iter().map(|(_, collected)| collected.completion).collect();
        assert_eq!(after, never, "{mode:?}");
    }
}

#[test]
fn an_aborting_pause_returns_what_there_is() {
    let requests = requests();
    let never = run(EngineConfig::default(), &requests);
    let mut engine = engine(EngineConfig {
        max_num_seqs: 2,
        ..EngineConfig::default()
    });
    let (mut pause, observed) = Pause::new();
    let mut streams: Streams = requests.iter().map(|one| submit(&mut engine, one)).collect();
    for _ in 0..9 {
        step(&mut engine, &mut pause, &mut streams);
    }
    pause.obey(1, Some(PauseMode::Abort), false, &mut engine);
    assert!(!step(&mut engine, &mut pause, &mut streams));
    assert!(engine.is_idle() && observed.borrow().flow == Flow::Paused);
    assert_eq!(engine.stats().kv_blocks_used, 0);
    let (mut partial, mut unstarted) = (0, 0);
    for ((mut generation, collected), never) in streams.into_iter().zip(never) {
        assert!(generation.try_next().is_none(), "every choice has ended");
        for (choice, never) in collected.completion.choices.iter().zip(&never.choices) {
            let count = choice.tokens.len();
            assert_eq!(choice.finish_reason, FinishReason::Abort);
            assert_eq!((count < 30, &choice.tokens[..]), (true, &never.tokens[..count]));
            assert!(never.text.starts_with(&choice.text));
            partial += usize::from(count > 0);
            unstarted += usize::from(count == 0);
        }
    }
    assert!(partial > 0 && unstarted > 0, "{partial} partial, {unstarted} unstarted");
}

#[test]
fn a_paused_engine_bounds_its_queue_forgets_callers_and_stops_in_time() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    for mode in PauseMode::ALL {
        let handle = start(EngineConfig {
            max_waiting: 4,
            ..EngineConfig::default()
        });
        let mut running = handle.submit(request("abc", 1, 200)).expect("room");
        running.blocking_next().expect("it has started");
        runtime.block_on(handle.pause(mode, false)).expect("pauses");
        assert!(handle.is_paused());
        // Under `wait` it is done, under `abort` ended, under `keep` it may be somewhere between.
        if mode != PauseMode::Keep {
            let ended = running.collect_blocking().expect("it has ended");
            let reason = ended.choices[0].finish_reason;
            assert!(matches!(reason, FinishReason::Length | FinishReason::Abort), "{mode:?}");
        }
        let mut queued: Vec<Generation> = (0..6)
            .filter_map(|seed| handle.submit(request("abc", seed, 200)).ok())
            .collect();
        assert!((3..=4).contains(&queued.len()), "{mode:?}: {} wait", queued.len());
        let last = queued.pop().expect("some wait");
        drop(queued);
        let patience = std::time::Instant::now() + Duration::from_secs(20);
        while handle.stats().waiting > 1 {
            assert!(
                std::time::Instant::now() < patience,
                "{mode:?}: callers that left are kept"
            );
            std::thread::sleep(Duration::from_millis(2));
        }
        handle.shutdown(Duration::from_secs(20));
        assert_eq!(
            last.collect_blocking().expect("it finishes").choices[0].tokens.len(),
            200
        );
        let refused = runtime.block_on(handle.pause(mode, false));
        assert!(matches!(refused, Err(EngineError::Stopped(_))), "{refused:?}");
    }
}

#[test]
fn interactive_requests_go_before_rollouts_without_changing_a_token() {
    let few = EngineConfig {
        max_num_seqs: 4,
        max_overtakes: 3,
        ..EngineConfig::default()
    };
    let prioritized = |priority, seed| GenerateRequest {
        priority,
        ..request(&format!("prompt {seed}"), seed, 40)
    };
    let mut requests: Vec<_> = (0..6).map(|seed| prioritized(10, seed)).collect();
    requests.extend((6..12).map(|seed| prioritized(0, seed)));
    let alone = run(EngineConfig::default(), &requests);
    let mut engine = engine(few);
    let mut streams: Streams = requests[..6].iter().map(|one| submit(&mut engine, one)).collect();
    for _ in 0..10 {
        engine.step();
    }
    streams.extend(requests[6..].iter().map(|one| submit(&mut engine, one)));
    for _ in 0..3 {
        engine.step();
    }
    drain(&mut streams);
    let begun = |stream: &(Generation, Collected)| !stream.1.completion.choices[0].tokens.is_empty();
    assert!(streams[6..9].iter().all(begun), "interactive requests take places");
    while engine.step() {
        drain(&mut streams);
        engine.check().expect("blocks and queues agree");
    }
    assert!(engine.stats().preemptions >= 3, "rollouts gave way");
    let completions: Vec<Completion> = streams.into_iter().map(|(_, collected)| collected.completion).collect();
    assert_eq!(completions, alone);
}

#[test]
fn an_idle_engine_is_checked_once_per_interval_and_tells_what_it_finds() {
    let mut engine = engine(EngineConfig::default());
    let mut sweep = Sweep::new(60_000);
    let counts = |engine: &mut Engine, sweep: &mut Sweep| {
        sweep.run(engine);
        (engine.stats().integrity_checks, engine.stats().integrity_failures)
    };
    assert_eq!(counts(&mut engine, &mut sweep), (0, 0), "nothing ran yet");
    for _ in 0..2 {
        let stream = submit(&mut engine, &request("abc", 1, 4));
        assert_eq!(counts(&mut engine, &mut sweep).1, 0);
        while engine.step() {}
        drop(stream);
        assert_eq!(counts(&mut engine, &mut sweep), (1, 0), "the second comes too soon");
    }
    let mut sweep = Sweep::new(1);
    let stream = submit(&mut engine, &request("abc", 1, 4));
    engine.step();
    counts(&mut engine, &mut sweep);
    // A sequence that nobody knows any more.
    engine.live.clear();
    drop(stream);
    assert_eq!(counts(&mut engine, &mut sweep), (2, 1));
    let mut never = Sweep::new(0);
    counts(&mut engine, &mut never);
    assert_eq!(counts(&mut engine, &mut never), (2, 1));
}

#[test]
fn the_thread_checks_itself_when_idle() {
    let handle = start(EngineConfig {
        integrity_interval_ms: 1,
        ..EngineConfig::default()
    });
    handle
        .submit(request("abc", 1, 4))
        .expect("room")
        .collect_blocking()
        .expect("served");
    let patience = std::time::Instant::now() + Duration::from_secs(20);
    while handle.stats().integrity_checks == 0 {
        assert!(std::time::Instant::now() < patience, "no check");
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(handle.stats().integrity_failures, 0);
}
