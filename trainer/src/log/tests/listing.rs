//! Listings by filter, older layouts, and rows that cannot be read.

use super::*;

/// Twelve trajectories: own rollouts of runs `a` and `b` in turns, every third a client's, with growing versions.
fn filled() -> (tempfile::TempDir, TrajectoryLog) {
    let (folder, log) = open(LogConfig::default());
    let rows = (0..12u64).map(|at| {
        let client = at.is_multiple_of(3);
        let run = if at.is_multiple_of(2) { "a" } else { "b" };
        let mut row = trajectory(&format!("t{at}"), &format!("{run}/{at}v1/p"), 1);
        row.kind = if client { Kind::Client } else { Kind::SolveSynthetic };
        row.session = (at == 9).then(|| "s".into());
        row.spans[0].version = 10 + at;
        row.verdicts[0].reward = (at != 5).then_some(at as f64 / 10.0);
        row.created_at = 1000.0 + at as f64;
        row
    });
    let _ = log.append_blocking(rows.collect()).expect("appends");
    assert_eq!(log.mark_trained("c", &["t3".into()], 5.0).expect("marks"), 1);
    (folder, log)
}

fn ids(page: &Page) -> Vec<&str> {
    page.rows.iter().map(|row| row.trajectory.id.as_str()).collect()
}

#[test]
fn filters_let_through_what_they_say() {
    let (_folder, log) = filled();
    let text = |text: &str| Some(text.to_owned());
    let none = Filter::default;
    #[rustfmt::skip]
    let cases: Vec<(Filter, &[&str])> = vec![
        (Filter { run: text("a"), ..none() }, &["t10", "t8", "t4", "t2"]),
        (Filter { run: text("c"), ..none() }, &["t3"]),
        (Filter { run: text("nobody"), ..none() }, &[]),
        (Filter { kinds: vec![Kind::Client, Kind::Solve], ..none() }, &["t9", "t6", "t3", "t0"]),
        (Filter { session: text("s"), ..none() }, &["t9"]),
        (Filter { session: text("s"), min_version: Some(20), ..none() }, &[]),
        (Filter { group: text("a/4v1/p"), ..none() }, &["t4"]),
        (Filter { min_version: Some(20), ..none() }, &["t11", "t10"]),
        (Filter { max_version: Some(11), ..none() }, &["t1", "t0"]),
        (Filter { max_version: Some(u64::MAX), min_version: Some(21), ..none() }, &["t11"]),
        (Filter { min_reward: Some(1.0), ..none() }, &["t11", "t10"]),
        (Filter { min_reward: Some(0.4), max_reward: Some(0.6), ..none() }, &["t6", "t4"]),
        (Filter { created_after: Some(1009.0), created_before: Some(1011.0), ..none() }, &["t10", "t9"]),
    ];
    let reader = log.reader().expect("opens");
    for (filter, wanted) in cases {
        let page = reader.list(&filter, None, Order::Newest, 20).expect("lists");
        assert_eq!((ids(&page), page.has_more), (wanted.to_vec(), false), "{filter:?}");
        assert_eq!(
            reader.count(&filter).expect("counts"),
            wanted.len() as u64,
            "{filter:?}"
        );
    }
}

#[test]
fn pages_follow_each_other_either_way() {
    let (_folder, log) = filled();
    let reader = log.reader().expect("opens");
    for order in [Order::Newest, Order::Oldest] {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = reader.list(&Filter::default(), after, order, 5).expect("lists");
            seen.extend(page.rows.iter().map(|row| row.seq));
            assert_eq!(page.has_more, seen.len() < 12);
            after = seen.last().copied();
            if !page.has_more {
                break;
            }
        }
        let mut wanted: Vec<i64> = seen.clone();
        wanted.sort_unstable();
        if order == Order::Newest {
            wanted.reverse();
        }
        assert_eq!((seen.len(), seen), (12, wanted));
    }
}

#[test]
fn a_search_reads_the_narrow_index_alone() {
    let (folder, _log) = filled();
    let connection = Connection::open(folder.path().join("log.sqlite")).expect("opens");
    let filter = Filter {
        kinds: vec![Kind::Client],
        run: Some("a".into()),
        min_version: Some(1),
        max_version: Some(2),
        min_reward: Some(0.0),
        max_reward: Some(1.0),
        created_after: Some(1.0),
        created_before: Some(2.0),
        ..Filter::default()
    };
    let filter::Condition { table, sql, values } = filter.condition(0, 9);
    let plan = format!("EXPLAIN QUERY PLAN SELECT seq FROM {table} WHERE {sql} ORDER BY seq DESC LIMIT 21");
    let steps: Vec<String> = connection
        .prepare(&plan)
        .expect("a statement")
        .query_map(rusqlite::params_from_iter(values), |row| row.get(3))
        .and_then(Iterator::collect)
        .expect("a plan");
    assert_eq!(steps.len(), 1, "nothing is sorted: {steps:?}");
    assert!(
        steps[0].contains("USING COVERING INDEX trajectories_listed (seq>? AND seq<?)"),
        "{steps:?}"
    );
}

#[test]
fn a_log_of_an_older_layout_is_brought_up_and_lists_alike() {
    for layout in [1, 2, 3] {
        let (folder, log) = filled();
        let reader = log.reader().expect("opens");
        let wanted = reader.list(&Filter::default(), None, Order::Newest, 20).expect("lists");
        drop((reader, log));
        let path = folder.path().join("log.sqlite");
        let older = Connection::open(&path).expect("opens");
        let columns = [
            "run",
            "session",
            "version_min",
            "version_max",
            "reward",
            "awaits_reward",
        ];
        let mut script = String::from("DROP INDEX groups_open;");
        if layout < 3 {
            script += "DROP INDEX trajectories_listed; DROP INDEX trajectories_by_session;";
            script += "ALTER TABLE groups DROP COLUMN held;";
            script += &columns
                .map(|name| format!("ALTER TABLE trajectories DROP COLUMN {name};"))
                .concat();
        }
        script += "CREATE UNIQUE INDEX groups_open ON groups (group_id) WHERE closed_seq IS NULL;";
        if layout == 1 {
            script += "ALTER TABLE trajectories DROP COLUMN trained_by;";
        }
        script += "UPDATE trajectories SET record = '{' WHERE id = 't1';";
        script += &format!("PRAGMA user_version = {layout}");
        older.execute_batch(&script).expect("an older log");
        drop(older);
        let refused = LogReader::open(&path)
            .expect_err("a reader changes nothing")
            .to_string();
        assert!(refused.contains(&format!("layout version {layout}")), "{refused}");
        let log = TrajectoryLog::open(&path).expect("brings it up");
        let reader = log.reader().expect("opens");
        let found = reader.list(&Filter::default(), None, Order::Newest, 20).expect("lists");
        assert_eq!((found.rows.len(), found.unreadable), (11, 1));
        for row in &found.rows {
            let before = wanted
                .rows
                .iter()
                .find(|before| before.seq == row.seq)
                .expect("the same rows");
            // Layout 3 brought sessions, and layout 1 knew no run that trained.
            let mut before = before.clone();
            before.trajectory.session = before.trajectory.session.filter(|_| layout > 2);
            before.trained_by = before.trained_by.filter(|_| layout > 1);
            assert_eq!(*row, before);
        }
        for (run, wanted) in [("a", 4), ("c", usize::from(layout > 1))] {
            let filter = Filter {
                run: Some(run.into()),
                min_version: Some(1),
                min_reward: Some(0.0),
                ..Filter::default()
            };
            let page = reader.list(&filter, None, Order::Newest, 20).expect("lists");
            assert_eq!(page.rows.len(), wanted, "{layout} {run}");
        }
    }
}

#[test]
fn one_row_that_cannot_be_read_takes_no_other_with_it() {
    for damage in [
        "record = '{'",
        "record = CAST(x'ff' AS TEXT)",
        "tokens = x'01'",
        "logprobs = 7",
        "kind = 'other'",
        "thresholds = x'010203'",
    ] {
        let (folder, log) = open(LogConfig::default());
        let rows = ["x1", "x2", "x3"].map(|id| trajectory(id, "g", 3));
        let _ = log.append_blocking(rows.to_vec()).expect("appends");
        let connection = Connection::open(folder.path().join("log.sqlite")).expect("opens");
        let sql = format!("UPDATE trajectories SET {damage} WHERE id = 'x2'");
        assert_eq!(connection.execute(&sql, []).expect("damages"), 1);
        let closed = log.closed_groups(&GroupQuery::default()).expect(damage);
        let members: Vec<&str> = closed[0].group.members.iter().map(|row| row.id.as_str()).collect();
        assert_eq!((members, closed[0].unreadable), (vec!["x1", "x3"], 1), "{damage}");
        let reader = log.reader().expect("opens");
        let page = reader.list(&Filter::default(), None, Order::Oldest, 9).expect(damage);
        assert_eq!((ids(&page), page.unreadable), (vec!["x1", "x3"], 1), "{damage}");
        let (page, last) = reader.page(&Filter::default(), 0, 9, usize::MAX).expect(damage);
        assert_eq!((page.rows.len(), page.unreadable, last), (2, 1, Some(3)), "{damage}");
        assert!(
            matches!(reader.get("x2"), Err(LogError::Unreadable { id, .. }) if id == "x2"),
            "{damage}"
        );
    }
}
