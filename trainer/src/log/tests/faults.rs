//! Full queues, full disks, damaged files.

use super::*;

#[test]
fn a_full_queue_refuses_at_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("log.sqlite");
    let log = TrajectoryLog::open_with(
        &path,
        LogConfig {
            queue: 1,
            ..LogConfig::default()
        },
    )
    .expect("opens");
    let lock = Connection::open(&path).expect("opens");
    lock.execute_batch("BEGIN IMMEDIATE").expect("locks out the writer");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut waiting = Vec::new();
        let mut full = false;
        for i in 0..200 {
            let mut append = Box::pin(log.append(vec![trajectory(&format!("t{i}"), "g", 999)]));
            let polled = std::future::poll_fn(|context| std::task::Poll::Ready(append.as_mut().poll(context))).await;
            match polled {
                std::task::Poll::Ready(Err(LogError::Full)) => {
                    full = true;
                    break;
                }
                std::task::Poll::Ready(other) => panic!("nothing can be written yet: {other:?}"),
                std::task::Poll::Pending => waiting.push(append),
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert!(full, "a queue of one was never full");
        lock.execute_batch("ROLLBACK").expect("unlocks");
        let accepted = waiting.len();
        for append in waiting {
            assert_eq!(append.await.expect("is written").len(), 1);
        }
        assert_eq!(log.stats().expect("counts").rows, accepted as u64);
    });
}

#[test]
fn a_full_disk_is_named_and_what_was_committed_stays() {
    let (_folder, log) = open(LogConfig {
        max_file_bytes: Some(400_000),
        ..LogConfig::default()
    });
    let big = |i: usize| Trajectory {
        text: "x".repeat(50_000),
        ..trajectory(&format!("t{i}"), &format!("g{i}"), 1)
    };
    let written = (0..100).find(|i| match log.append_blocking(vec![big(*i)]) {
        Ok(_) => false,
        Err(LogError::DiskFull(_)) => true,
        Err(other) => panic!("{other}"),
    });
    let written = written.expect("the limit is reached");
    assert!(written >= 2, "only {written} were written");
    assert_eq!(log.closed_groups(&GroupQuery::default()).expect("reads").len(), written);
    let again = log
        .append_blocking(vec![big(0)])
        .expect("the writer goes on and knows what it has");
    assert_eq!(again, [1]);
}

#[test]
fn damaged_and_foreign_files_are_refused_with_advice() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let damaged = folder.path().join("damaged");
    let log = TrajectoryLog::open(&damaged).expect("opens");
    let _ = log
        .append_blocking((0..200).map(|i| trajectory(&format!("t{i}"), "g", 999)).collect())
        .expect("appends");
    drop(log);
    let mut bytes = std::fs::read(&damaged).expect("reads");
    assert!(
        bytes.len() > 40_000,
        "the writer folds the WAL into the file when it ends"
    );
    bytes[8192..40_000].fill(0xA5);
    std::fs::write(&damaged, bytes).expect("writes");
    let text = folder.path().join("text");
    std::fs::write(&text, "not a database, but long enough to be looked at. ".repeat(100)).expect("writes");
    let future = folder.path().join("future");
    Connection::open(&future)
        .and_then(|c| c.pragma_update(None, "user_version", 99))
        .expect("writes");
    let foreign = folder.path().join("foreign");
    Connection::open(&foreign)
        .and_then(|c| c.execute_batch("CREATE TABLE t (x)"))
        .expect("writes");
    for (path, wanted) in [
        (damaged, "move it away"),
        (text, "move it away"),
        (future, "version 99"),
        (foreign, "path of its own"),
        (folder.path().join("no/such/folder/log"), "cannot open"),
    ] {
        let before = std::fs::read(&path).ok();
        let error = TrajectoryLog::open(&path).expect_err(wanted);
        assert!(matches!(error, LogError::Unusable(_)), "{error:?}");
        assert!(error.to_string().contains(wanted), "{error}");
        assert!(std::fs::read(&path).ok() == before, "a refused file is left alone");
    }
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let (folder, log) = open(LogConfig::default());
    let killed = folder.path().join("killed");
    std::fs::create_dir(&killed).expect("makes");
    for i in 0..20 {
        let _ = log
            .append_blocking(vec![trajectory(&format!("t{i}"), &format!("g{i}"), 1)])
            .expect("appends");
    }
    // The files as a killed process leaves them: the connection is open, the WAL is not folded in.
    for name in ["log.sqlite", "log.sqlite-wal"] {
        let _ = std::fs::copy(folder.path().join(name), killed.join(name)).expect("copies");
    }
    let after = TrajectoryLog::open(&killed.join("log.sqlite")).expect("recovers");
    assert_eq!(after.closed_groups(&GroupQuery::default()).expect("reads").len(), 20);
    assert_eq!(
        after
            .append_blocking(vec![trajectory("t3", "g3", 1)])
            .expect("knows it"),
        [7]
    );
    assert_eq!(
        after
            .append_blocking(vec![trajectory("new", "new", 1)])
            .expect("goes on"),
        [41]
    );
}
