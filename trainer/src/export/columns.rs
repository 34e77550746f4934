//! The columns: name, type and content of each, in one table.

use std::io::Write;
use std::sync::Arc;

use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::Type;

use crate::eval::verdict_name;
use crate::log::LoggedTrajectory;
use crate::trajectory::{SegmentRole, Trajectory};

/// A trajectory with what the log does not hold.
#[derive(Debug)]
pub(super) struct Exported {
    pub(super) row: LoggedTrajectory,
    /// Text of the prompt, if a tokenizer was given.
    pub(super) prompt: Option<String>,
}

/// The content of one cell: of a scalar its value or nothing, of a list its items.
type Cell<T> = fn(&Exported) -> Vec<Option<T>>;

enum Content {
    Text(Cell<ByteArray>),
    Int(Cell<i32>),
    Long(Cell<i64>),
    Float(Cell<f32>),
    Double(Cell<f64>),
    Bool(Cell<bool>),
}

/// How often a value is there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Required,
    Optional,
    List,
    ListOfOptional,
}

use Content::{Bool, Double, Float, Int, Long, Text};
use Shape::{List, ListOfOptional, Optional, Required};

const TEXT: &str = "(STRING)";

/// Name, shape, annotation and content of each column. Lists of `logprobs` and `versions` have an item for each sampled
/// token, `sampled` says which of `tokens` these are; `rewards` and `graders` have one for each finding, the last being
/// `verdict`.
#[rustfmt::skip]
const COLUMNS: &[(&str, Shape, &str, Content)] = &[
    ("seq", Required, "", Long(|e| one(e.row.seq))),
    ("id", Required, TEXT, Text(|e| text(&e.row.trajectory.id))),
    ("group_id", Required, TEXT, Text(|e| text(&e.row.trajectory.group_id))),
    ("session", Optional, TEXT, Text(|e| maybe(e.row.trajectory.session.as_deref()))),
    ("kind", Required, TEXT, Text(|e| text(e.row.trajectory.kind.name()))),
    ("problem_id", Optional, TEXT, Text(|e| maybe(e.row.trajectory.problem_id.as_deref()))),
    ("parent", Optional, TEXT, Text(|e| maybe(e.row.trajectory.parent.as_deref()))),
    ("prompt", Optional, TEXT, Text(|e| maybe(e.prompt.as_deref()))),
    ("response", Required, TEXT, Text(|e| text(&e.row.trajectory.text))),
    ("reference", Optional, TEXT, Text(|e| maybe(e.row.trajectory.reference.as_deref()))),
    // Parquet has unsigned numbers as the bits of signed ones.
    ("tokens", List, "(INTEGER(32, false))", Int(|e| all(e.row.trajectory.tokens().into_iter().map(u32::cast_signed)))),
    ("sampled", List, "", Bool(|e| all(sampled(&e.row.trajectory)))),
    ("logprobs", List, "", Float(|e| all(e.row.trajectory.logprobs.iter().copied()))),
    ("versions", List, "(INTEGER(64, false))", Long(|e| all(versions(&e.row.trajectory).map(u64::cast_signed)))),
    ("graders", List, TEXT, Text(|e| e.row.trajectory.verdicts.iter().flat_map(|found| text(&found.grader)).collect())),
    ("rewards", ListOfOptional, "", Double(|e| e.row.trajectory.verdicts.iter().map(|found| found.reward).collect())),
    ("verdict", Optional, TEXT, Text(|e| maybe(e.row.trajectory.verdicts.last().map(|found| verdict_name(found.verdict))))),
    ("finish_reason", Required, TEXT, Text(|e| text(json(&e.row.trajectory.finish_reason).trim_matches('"')))),
    ("created_at", Required, "(TIMESTAMP(MICROS, true))", Long(|e| one(micros(e.row.trajectory.created_at)))),
    ("trained_at", Optional, "(TIMESTAMP(MICROS, true))", Long(|e| vec![e.row.trained_at.map(micros)])),
    ("metadata", Optional, "(JSON)", Text(|e| {
        let metadata = &e.row.trajectory.metadata;
        maybe((!metadata.is_null()).then(|| json(metadata)).as_deref())
    })),
];

fn one<T>(value: T) -> Vec<Option<T>> {
    vec![Some(value)]
}

fn all<T>(items: impl Iterator<Item = T>) -> Vec<Option<T>> {
    items.map(Some).collect()
}

fn text(text: &str) -> Vec<Option<ByteArray>> {
    maybe(Some(text))
}

fn maybe(text: Option<&str>) -> Vec<Option<ByteArray>> {
    vec![text.map(ByteArray::from)]
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("plain values serialise")
}

fn micros(seconds: f64) -> i64 {
    (seconds * 1e6).round() as i64
}

fn sampled(row: &Trajectory) -> impl Iterator<Item = bool> + '_ {
    row.segments
        .iter()
        .flat_map(|segment| segment.tokens.iter().map(|_| segment.role == SegmentRole::Sampled))
}

fn versions(row: &Trajectory) -> impl Iterator<Item = u64> + '_ {
    row.spans
        .iter()
        .flat_map(|span| (span.start..span.end).map(|_| span.version))
}

/// Tokens of the prompt.
pub(super) fn prompt(row: &Trajectory) -> Vec<u32> {
    let first = row
        .segments
        .iter()
        .take_while(|segment| segment.role == SegmentRole::Prompt);
    first.flat_map(|segment| segment.tokens.iter().copied()).collect()
}

/// The schema of the table.
pub(super) fn schema() -> Result<Arc<Type>, ParquetError> {
    let column = |(name, shape, annotation, content): &(&str, Shape, &str, Content)| {
        let kind = match content {
            Text(_) => "binary",
            Int(_) => "int32",
            Long(_) => "int64",
            Float(_) => "float",
            Double(_) => "double",
            Bool(_) => "boolean",
        };
        let list = |item: &str| {
            format!("required group {name} (LIST) {{ repeated group list {{ {item} {kind} element {annotation}; }} }}")
        };
        match shape {
            Required => format!("required {kind} {name} {annotation};"),
            Optional => format!("optional {kind} {name} {annotation};"),
            List => list("required"),
            ListOfOptional => list("optional"),
        }
    };
    let columns: Vec<String> = COLUMNS.iter().map(column).collect();
    Ok(Arc::new(parse_message_type(&format!(
        "message trajectories {{ {} }}",
        columns.join(" ")
    ))?))
}

/// Writes `rows` as one row group.
pub(super) fn write<W: Write + Send>(
    writer: &mut SerializedFileWriter<W>,
    rows: &[Exported],
) -> Result<(), ParquetError> {
    let mut group = writer.next_row_group()?;
    for (.., content) in COLUMNS {
        let Some(mut column) = group.next_column()? else {
            return Err(ParquetError::General("the schema lacks a column".into()));
        };
        match content {
            Text(cell) => put::<ByteArrayType>(&mut column, rows, *cell),
            Int(cell) => put::<Int32Type>(&mut column, rows, *cell),
            Long(cell) => put::<Int64Type>(&mut column, rows, *cell),
            Float(cell) => put::<FloatType>(&mut column, rows, *cell),
            Double(cell) => put::<DoubleType>(&mut column, rows, *cell),
            Bool(cell) => put::<BoolType>(&mut column, rows, *cell),
        }?;
        column.close()?;
    }
    group.close()?;
    Ok(())
}

/// Writes one column: the values that are there, and for each place how deep it is defined and whether a row begins.
fn put<T: DataType>(
    column: &mut SerializedColumnWriter<'_>,
    rows: &[Exported],
    cell: Cell<T::T>,
) -> Result<(), ParquetError> {
    let typed = column.typed::<T>();
    let (deepest, lists) = {
        let descriptor = typed.get_descriptor();
        (descriptor.max_def_level(), descriptor.max_rep_level() > 0)
    };
    let (mut values, mut defined, mut repeated) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        let items = cell(row);
        if lists && items.is_empty() {
            defined.push(0);
            repeated.push(0);
        }
        for (at, item) in items.into_iter().enumerate() {
            defined.push(if item.is_some() { deepest } else { deepest - 1 });
            repeated.push(i16::from(at > 0));
            values.extend(item);
        }
    }
    let defined = (deepest > 0).then_some(defined.as_slice());
    typed.write_batch(&values, defined, lists.then_some(repeated.as_slice()))?;
    Ok(())
}
