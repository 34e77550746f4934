//! Parquet files, written here.

use std::path::Path;
use std::sync::Arc;

use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use crate::problems::{FileOptions, ProblemError, load};

const SCHEMA: &str = "message schema {
    optional binary data_source (UTF8);
    optional group prompt (LIST) {
        repeated group list {
            optional group element {
                optional binary content (UTF8);
                optional binary role (UTF8);
            }
        }
    }
    optional group reward_model {
        optional binary ground_truth (UTF8);
    }
    optional group extra_info {
        optional int64 index;
    }
}";

fn bytes(texts: &[&str]) -> Vec<ByteArray> {
    texts.iter().map(|t| ByteArray::from(*t)).collect()
}

/// Two problems in the schema of SvS's training set: chat messages, nested answers, an index.
fn write(path: &Path) {
    let schema = Arc::new(parse_message_type(SCHEMA).unwrap());
    let properties = Arc::new(WriterProperties::builder().build());
    let mut file = SerializedFileWriter::new(std::fs::File::create(path).unwrap(), schema, properties).unwrap();
    let mut group = file.next_row_group().unwrap();
    let contents = bytes(&["Answer briefly.", "What is $2^5$?", "What is $3^4$?"]);
    let roles = bytes(&["system", "user", "user"]);
    // The first row has two messages: repetition level 1 continues its list.
    let repetition = [0, 1, 0];
    for index in 0.. {
        let Some(mut column) = group.next_column().unwrap() else {
            break;
        };
        match column.untyped() {
            ColumnWriter::ByteArrayColumnWriter(writer) => match index {
                0 => writer.write_batch(&bytes(&["hand", "hand"]), Some(&[1, 1]), None),
                1 => writer.write_batch(&contents, Some(&[4, 4, 4]), Some(&repetition)),
                2 => writer.write_batch(&roles, Some(&[4, 4, 4]), Some(&repetition)),
                _ => writer.write_batch(&bytes(&["32", "81"]), Some(&[2, 2]), None),
            },
            ColumnWriter::Int64ColumnWriter(writer) => writer.write_batch(&[11, 12], Some(&[2, 2]), None),
            _ => unreachable!("the schema has texts and integers"),
        }
        .unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    file.close().unwrap();
}

#[test]
fn nested_columns_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("train.parquet");
    write(&path);
    let problems = load(&path, &FileOptions::default()).unwrap();
    let found: Vec<_> = problems
        .iter()
        .map(|p| (p.id.as_str(), p.question.as_str(), p.answer.as_str(), p.source.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            ("11", "What is $2^5$?", "32", "hand"),
            ("12", "What is $3^4$?", "81", "hand")
        ]
    );

    let named = FileOptions {
        answer: Some("extra_info.index".into()),
        ..FileOptions::default()
    };
    assert_eq!(load(&path, &named).unwrap()[1].answer, "12");
    let absent = FileOptions {
        answer: Some("reward_model.gold".into()),
        ..FileOptions::default()
    };
    assert!(matches!(load(&path, &absent), Err(ProblemError::Columns { .. })));
    let bounded = FileOptions {
        max_rows: 1,
        ..FileOptions::default()
    };
    assert!(matches!(
        load(&path, &bounded),
        Err(ProblemError::Bound { option: "max_rows", .. })
    ));
}

#[test]
fn damaged_tables_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("train.parquet");
    write(&path);
    let whole = std::fs::read(&path).unwrap();
    for length in [4, 8, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..length]).unwrap();
        assert!(
            matches!(load(&path, &FileOptions::default()), Err(ProblemError::Format { .. })),
            "{length} bytes"
        );
    }
    // Any flipped byte: an error or other text, never a crash.
    for at in (4..whole.len()).step_by(7) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x5a;
        std::fs::write(&path, &damaged).unwrap();
        if let Ok(problems) = load(
            &path,
            &FileOptions {
                max_rows: 100,
                ..FileOptions::default()
            },
        ) {
            assert!(problems.len() <= 100);
        }
    }
}
