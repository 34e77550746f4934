use std::fs::{self, File};

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use serde_json::{Value, json};
use svs_engine::{FinishReason, VersionSpan};
use svs_verifier::Verdict;

use super::*;
use crate::log::TrajectoryLog;
use crate::policy::testing::{tiny_model, unscored};
use crate::trajectory::{GraderVerdict, Kind, Segment, SegmentRole, Trajectory};

/// The `at`-th trajectory: a prompt, sampled tokens and, in every third, a forced run between them.
fn trajectory(at: u32) -> Trajectory {
    let segment = |role, tokens| Segment {
        role,
        trainable: role == SegmentRole::Sampled,
        tokens,
    };
    let sampled = at % 4;
    let mut segments = vec![segment(
        SegmentRole::Prompt,
        tiny_model(1).tokenizer.encode("solve", false).expect("encodes"),
    )];
    if at.is_multiple_of(3) {
        segments.push(segment(SegmentRole::Forced, vec![u32::MAX]));
    }
    segments.push(segment(SegmentRole::Sampled, (0..sampled).map(|i| 100 + i).collect()));
    let finding = |reward| GraderVerdict {
        grader: "math".into(),
        verdict: if reward == Some(1.0) {
            Verdict::Correct
        } else {
            Verdict::Infrastructure
        },
        reward,
        explanation: None,
    };
    let kinds = [Kind::Solve, Kind::Synthesize, Kind::SolveSynthetic, Kind::Client];
    let run = if at.is_multiple_of(2) { "even" } else { "odd" };
    Trajectory {
        id: format!("t{at}"),
        group_id: format!("{run}/1/g{at}"),
        group_size: 1,
        problem_id: (at > 1).then(|| format!("p{at}")),
        parent: (at > 2).then(|| "t0".into()),
        kind: kinds[at as usize % 4],
        segments,
        logprobs: (0..sampled).map(|i| -0.5 - i as f32 / 3.0).collect(),
        raw_logprobs: (0..sampled).map(|_| -1.0).collect(),
        thresholds: (0..sampled).map(|_| None).collect(),
        spans: vec![VersionSpan {
            version: u64::from(at) + 7,
            start: 0,
            end: sampled,
        }],
        finish_reason: if at == 1 {
            FinishReason::Length
        } else {
            FinishReason::Stop
        },
        reference: None,
        verdicts: [Some(1.0), None]
            .into_iter()
            .take(at as usize % 3)
            .map(finding)
            .collect(),
        text: format!("response {at} \u{1F600}\0"),
        metadata: if at == 0 {
            Value::Null
        } else {
            json!({"deep": [at, null]})
        },
        created_at: 1_700_000_000.25 + f64::from(at),
        ..unscored("any", &[], 0, 1.0)
    }
}

/// What the row of a trajectory should hold, with `prompt` as its text.
fn expected(seq: i64, row: &Trajectory, prompt: Option<&str>) -> Vec<(&'static str, Value)> {
    let rewards: Vec<Option<f64>> = row.verdicts.iter().map(|found| found.reward).collect();
    let sampled = columns_of(row, |segment| segment.role == SegmentRole::Sampled);
    let last = row
        .verdicts
        .last()
        .map(|found| serde_json::to_value(found.verdict).expect("a name"));
    vec![
        ("seq", json!(seq)),
        ("id", json!(row.id)),
        ("group_id", json!(row.group_id)),
        ("session", json!(row.session)),
        ("kind", json!(row.kind)),
        ("problem_id", json!(row.problem_id)),
        ("parent", json!(row.parent)),
        ("prompt", json!(prompt)),
        ("response", json!(row.text)),
        ("reference", Value::Null),
        ("tokens", json!(row.tokens())),
        ("sampled", json!(sampled)),
        ("logprobs", json!(row.logprobs)),
        (
            "versions",
            json!(row.logprobs.iter().map(|_| row.spans[0].version).collect::<Vec<_>>()),
        ),
        (
            "graders",
            json!(row.verdicts.iter().map(|_| "math").collect::<Vec<_>>()),
        ),
        ("rewards", json!(rewards)),
        ("verdict", json!(last)),
        ("finish_reason", json!(row.finish_reason)),
        ("created_at", json!((row.created_at * 1e6) as i64)),
        (
            "trained_at",
            if row.id == "t3" {
                json!(1_800_000_000_500_000i64)
            } else {
                Value::Null
            },
        ),
        (
            "metadata",
            if row.metadata.is_null() {
                Value::Null
            } else {
                json!(row.metadata.to_string())
            },
        ),
    ]
}

fn columns_of(row: &Trajectory, of: impl Fn(&Segment) -> bool) -> Vec<bool> {
    row.segments
        .iter()
        .flat_map(|segment| vec![of(segment); segment.tokens.len()])
        .collect()
}

fn value(field: &Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Bool(v) => json!(v),
        Field::Long(v) | Field::TimestampMicros(v) => json!(v),
        Field::UInt(v) => json!(v),
        Field::ULong(v) => json!(v),
        Field::Float(v) => json!(v),
        Field::Double(v) => json!(v),
        Field::Str(v) => json!(v),
        Field::ListInternal(items) => items.elements().iter().map(value).collect(),
        other => panic!("{other:?}"),
    }
}

fn rows(path: &Path) -> Vec<Vec<(String, Value)>> {
    let table = SerializedFileReader::new(File::open(path).expect("a file")).expect("a table");
    let rows = table.get_row_iter(None).expect("rows");
    let cells = |row: parquet::record::Row| {
        let cells = row.get_column_iter().map(|(name, field)| (name.clone(), value(field)));
        cells.collect::<Vec<_>>()
    };
    rows.map(|row| cells(row.expect("a row"))).collect()
}

/// A folder with a log of twelve trajectories, one of them trained on by the run `other`.
fn logged() -> (tempfile::TempDir, LogReader) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("log.sqlite");
    let log = TrajectoryLog::open(&path).expect("opens");
    log.append_blocking((0..12).map(trajectory).collect()).expect("appends");
    log.mark_trained("other", &["t3".into()], 1_800_000_000.5)
        .expect("marks");
    let reader = LogReader::open(&path).expect("opens beside the writer");
    // After the reader was opened: left out.
    log.append_blocking(vec![trajectory(12)]).expect("appends");
    (folder, reader)
}

#[test]
fn what_is_written_is_read_back() {
    let (folder, log) = logged();
    let output = folder.path().join("all.parquet");
    let export = Export {
        tokenizer: Some(tiny_model(1).tokenizer),
        ..Export::default()
    };
    let mut heard = Vec::new();
    assert_eq!(
        export
            .write(&log, &output, |done, all| heard.push((done, all)))
            .expect("writes"),
        12
    );
    assert_eq!(heard, [(12, 12)]);
    let (page, _) = log.page(&Filter::default(), 0, 100, usize::MAX).expect("reads");
    let found = rows(&output);
    assert_eq!(found.len(), 12);
    for (found, logged) in found.iter().zip(&page.rows) {
        let expected = expected(logged.seq, &logged.trajectory, Some("solve"));
        assert_eq!(found.len(), expected.len());
        for ((name, found), (expected_name, expected)) in found.iter().zip(expected) {
            assert_eq!(
                (name.as_str(), found),
                (expected_name, &expected),
                "{}",
                logged.trajectory.id
            );
        }
    }
}

#[test]
fn filters_and_pages_lose_nothing() {
    let (folder, log) = logged();
    let ids = |filter: Filter| -> Vec<Value> {
        let output = folder.path().join("some.parquet");
        let export = Export {
            filter,
            force: true,
            ..Export::default()
        };
        export.write(&log, &output, |_, _| {}).expect("writes");
        rows(&output).into_iter().map(|row| row[1].1.clone()).collect()
    };
    let of = |kind: Option<Kind>, run: Option<&str>| Filter {
        kinds: kind.into_iter().collect(),
        run: run.map(str::to_owned),
        ..Filter::default()
    };
    assert_eq!(ids(of(Some(Kind::Client), None)), ["t3", "t7", "t11"]);
    // A client's belongs to no run, however it names its group, until one trains on it.
    assert_eq!(ids(of(None, Some("odd"))), ["t1", "t5", "t9"]);
    assert_eq!(ids(of(Some(Kind::Solve), Some("even"))), ["t0", "t4", "t8"]);
    assert_eq!(ids(of(None, Some("other"))), ["t3"]);
    // A page ends with the row that reaches the bytes, and there is always one.
    let (mut after, mut pages) = (0, 0);
    loop {
        let (page, last) = log.page(&Filter::default(), after, 5, 1).expect("reads");
        let Some(last) = last else { break };
        assert_eq!(page.rows.len(), 1);
        (after, pages) = (last, pages + 1);
    }
    assert_eq!(pages, 12);
}

#[test]
fn nothing_is_overwritten_or_left_half_written() {
    let (folder, log) = logged();
    let output = folder.path().join("x.parquet");
    let entries = || fs::read_dir(folder.path()).expect("a folder").count();
    fs::write(&output, "precious").expect("writes");
    let before = entries();
    let export = |filter: Filter, force| Export {
        filter,
        force,
        ..Export::default()
    };
    let refused = |export: Export, output: &Path| export.write(&log, output, |_, _| {}).expect_err("refused");
    assert!(matches!(
        refused(export(Filter::default(), false), &output),
        ExportError::Exists(_)
    ));
    let nobody = Filter {
        run: Some("nobody".into()),
        ..Filter::default()
    };
    assert!(matches!(refused(export(nobody, true), &output), ExportError::Empty(_)));
    // A folder cannot be replaced by a file: the rename fails after all was written.
    let taken = folder.path().join("folder");
    fs::create_dir(&taken).expect("creates");
    let error = refused(export(Filter::default(), true), &taken);
    assert!(matches!(error, ExportError::Write { .. }), "{error}");
    assert_eq!(
        (entries(), fs::read_to_string(&output).expect("reads").as_str()),
        (before + 1, "precious")
    );
    for suffix in ["", "-wal"] {
        // By whatever path, and whatever is forced.
        let mut own = log.path().as_os_str().to_owned();
        own.push(suffix);
        let own = Path::new(&own);
        let around = own
            .parent()
            .expect("a folder")
            .join(".")
            .join(own.file_name().expect("a name"));
        if own.exists() {
            let error = refused(export(Filter::default(), true), &around);
            assert!(matches!(error, ExportError::IsLog(_)), "{suffix}: {error}");
        }
    }
    assert!(log.count(&Filter::default()).expect("the log is whole") > 0);
    assert!(LogReader::open(&folder.path().join("none.sqlite")).is_err());
    assert_eq!(entries(), before + 1, "no log is made");
}
