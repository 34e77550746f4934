use super::*;

fn tokens(seed: u32, count: usize) -> Vec<u32> {
    (0..count as u32).map(|at| seed * 1000 + at).collect()
}

/// A table over `tokens`, all computed under `version`.
fn computed(kv: &mut KvBlocks, version: u64, salt: Option<&Arc<str>>, tokens: &[u32]) -> BlockTable {
    let mut table = kv.attach(version, salt, tokens);
    table.reserve(tokens.len(), kv).expect("enough blocks");
    table.advance(tokens.len() - table.len(), version);
    kv.register(&mut table, salt, tokens);
    table
}

#[test]
fn dropping_the_last_handle_frees_a_block() {
    let mut kv = KvBlocks::new(3, false);
    let first = kv.take().expect("free");
    let shared = first.clone();
    assert!(first.is_shared());
    drop(first);
    assert_eq!(kv.in_use(), 1);
    assert!(!shared.is_shared());
    drop(shared);
    assert_eq!((kv.in_use(), kv.available()), (0, 3));
    let all: Vec<_> = (0..3).map(|_| kv.take().expect("free")).collect();
    assert_eq!(kv.take().err(), Some(OutOfBlocks));
    drop(all);
    kv.check([].into_iter()).expect("consistent");
}

#[test]
fn a_prefix_is_found_only_under_its_version_salt_and_tokens() {
    let mut kv = KvBlocks::new(32, true);
    let salt: Arc<str> = "tenant".into();
    let prompt = tokens(1, 40);
    drop(computed(&mut kv, 7, None, &prompt));
    let mut other = prompt.clone();
    other[3] = 9;
    let mut diverging = prompt.clone();
    diverging[20] = 9;
    for (what, version, salt, tokens, reused) in [
        ("the same", 7, None, &prompt, 32),
        ("another version", 8, None, &prompt, 0),
        ("another salt", 7, Some(&salt), &prompt, 0),
        ("another first block", 7, None, &other, 0),
        ("another second block", 7, None, &diverging, 16),
        (
            "exactly two blocks: one token must be computed",
            7,
            None,
            &prompt[..32].to_vec(),
            16,
        ),
        ("two blocks and a token", 7, None, &prompt[..33].to_vec(), 32),
    ] {
        assert_eq!(kv.attach(version, salt, tokens).len(), reused, "{what}");
    }
    kv.check([].into_iter()).expect("consistent");
}

#[test]
fn eviction_takes_the_least_recently_used_idle_leaf_first() {
    let mut kv = KvBlocks::new(4, true);
    let (old, new) = (tokens(1, 33), tokens(2, 33));
    drop(computed(&mut kv, 1, None, &old[..32]));
    drop(computed(&mut kv, 1, None, &new[..32]));
    assert_eq!((kv.cached(), kv.available()), (4, 4));
    assert_eq!(
        kv.attach(1, None, &old).len(),
        32,
        "using the old one makes the other one older"
    );
    let taken = kv.take().expect("evicts");
    assert_eq!(kv.attach(1, None, &new).len(), 16, "its leaf went");
    assert_eq!(kv.attach(1, None, &old).len(), 32);
    let held = kv.attach(1, None, &old);
    let _more = kv.take().expect("evicts the rest of the other one");
    assert_eq!(
        kv.take().err(),
        Some(OutOfBlocks),
        "referenced blocks are never evicted"
    );
    drop((held, taken));
    assert_eq!(kv.clear_cached(), 2);
    kv.check([].into_iter())
        .expect_err("a block is still held outside of a table");
}

#[test]
fn the_same_prompt_computed_twice_is_stored_once() {
    let mut kv = KvBlocks::new(8, true);
    let prompt = tokens(1, 32);
    let mut pair = [BlockTable::default(), BlockTable::default()];
    for table in &mut pair {
        table.reserve(32, &mut kv).expect("enough blocks");
        table.advance(32, 1);
    }
    assert_eq!(kv.in_use(), 4);
    for table in &mut pair {
        kv.register(table, None, &prompt);
    }
    assert_eq!(kv.in_use(), 2);
    assert!(pair[0].ids().eq(pair[1].ids()));
    kv.check(pair.iter()).expect("consistent");
}

#[test]
fn a_table_of_two_versions_enters_nothing_more() {
    let mut kv = KvBlocks::new(8, true);
    let sequence = tokens(1, 49);
    let mut table = computed(&mut kv, 1, None, &sequence[..24]);
    assert!(!table.is_mixed(1));
    assert!(table.is_mixed(2));
    table.reserve(48, &mut kv).expect("enough blocks");
    table.advance(24, 2);
    kv.register(&mut table, None, &sequence);
    assert_eq!(kv.cached(), 1, "the block completed before the swap");
    assert!(table.is_mixed(1) && table.is_mixed(2));
    drop(table);
    assert_eq!(kv.attach(1, None, &sequence).len(), 16);
    assert_eq!(kv.attach(2, None, &sequence).len(), 0);
}

#[test]
fn a_fork_shares_full_blocks_and_copies_the_tail_on_write() {
    for (prompt, shared, copied) in [(20, 1, Some(4)), (16, 1, None), (3, 0, Some(3)), (32, 2, None)] {
        let mut kv = KvBlocks::new(16, false);
        let mut leader = BlockTable::default();
        leader.reserve(prompt, &mut kv).expect("enough blocks");
        leader.advance(prompt, 1);
        let mut forks = [leader.fork(), leader.fork()];
        assert_eq!(kv.in_use(), blocks_for(prompt), "forking takes nothing");
        let mut copies = Vec::new();
        for table in forks.iter_mut().chain([&mut leader]) {
            let missing = table.missing(prompt + 1);
            let before = kv.in_use();
            copies.extend(table.reserve(prompt + 1, &mut kv).expect("enough blocks"));
            assert_eq!(kv.in_use() - before, missing);
            table.advance(1, 1);
        }
        assert_eq!(copies.first().map(|copy| copy.rows), copied, "{prompt} tokens");
        assert_eq!(
            copies.len(),
            if copied.is_some() { 2 } else { 0 },
            "the last writer keeps the original"
        );
        let ids: Vec<Vec<u32>> = forks
            .iter()
            .chain([&leader])
            .map(|table| table.ids().collect())
            .collect();
        assert!(ids.iter().all(|other| other[..shared] == ids[0][..shared]));
        assert!(ids[0][shared] != ids[1][shared] && ids[1][shared] != ids[2][shared]);
        kv.check(forks.iter().chain([&leader])).expect("consistent");
        drop((forks, leader));
        assert_eq!(kv.available(), 16);
    }
}

#[test]
fn a_reservation_that_cannot_be_met_changes_nothing() {
    let mut kv = KvBlocks::new(2, true);
    let mut table = BlockTable::default();
    table.reserve(20, &mut kv).expect("two blocks");
    table.advance(20, 1);
    let mut fork = table.fork();
    assert_eq!(fork.reserve(21, &mut kv), Err(OutOfBlocks));
    assert_eq!(table.reserve(33, &mut kv), Err(OutOfBlocks));
    kv.check([&table, &fork].into_iter()).expect("consistent");
    drop(table);
    assert_eq!(
        fork.reserve(21, &mut kv),
        Ok(None),
        "nobody else reads the tail any more"
    );
}
