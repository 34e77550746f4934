//! Parquet tables, by the row interface: only the columns that are needed are decoded.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use parquet::basic::ConvertedType;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, List, Row};
use parquet::schema::types::Type;
use serde_json::{Map, Value, json};

use super::columns::Columns;
use super::{ProblemError, Reader};

/// Reads every row. The decoder may panic on damaged files; that is an error of the file like any other.
pub(super) fn read(file: File, reader: &mut Reader<'_>) -> Result<(), ProblemError> {
    let path = reader.path.to_owned();
    let rows = AssertUnwindSafe(|| read_rows(file, reader));
    catch_unwind(rows).unwrap_or_else(|_| Err(damaged(&path, "the decoder gave up")))
}

fn damaged(path: &Path, reason: impl std::fmt::Display) -> ProblemError {
    ProblemError::format(path, format!("damaged or unsupported Parquet file: {reason}"))
}

fn read_rows(file: File, reader: &mut Reader<'_>) -> Result<(), ProblemError> {
    let path = reader.path.to_owned();
    let refuse = |error: ParquetError| damaged(&path, error);
    let table = SerializedFileReader::new(file).map_err(refuse)?;
    let metadata = table.metadata();
    let rows = u64::try_from(metadata.file_metadata().num_rows()).unwrap_or(u64::MAX);
    reader.bound("rows", "max_rows", rows, reader.options.max_rows as u64)?;
    let unpacked: u64 = metadata
        .row_groups()
        .iter()
        .map(|g| u64::try_from(g.total_byte_size()).unwrap_or(u64::MAX))
        .fold(0, u64::saturating_add);
    reader.bound(
        "unpacked bytes",
        "max_file_bytes",
        unpacked,
        reader.options.max_file_bytes,
    )?;

    let schema = metadata.file_metadata().schema_descr();
    let leaves: Vec<String> = schema.columns().iter().map(|c| c.path().string()).collect();
    let has = |column: &str| leaves.iter().any(|leaf| is_under(leaf, column));
    let names = schema
        .root_schema()
        .get_fields()
        .iter()
        .map(|f| f.name().to_owned())
        .collect();
    let columns = Columns::choose(&path, reader.options, names, has)?;
    let whole = reader.options.keep_rows || has(columns.grader_column());
    let projection = projection(schema.root_schema(), &columns, whole).map_err(refuse)?;
    reader.columns = Some(columns);
    let rows = table.get_row_iter(Some(projection)).map_err(refuse)?;
    for (index, row) in rows.enumerate() {
        reader.take(index + 1, Ok(object(&row.map_err(refuse)?)))?;
    }
    Ok(())
}

/// Whether a leaf is the column or lies under it.
fn is_under(leaf: &str, column: &str) -> bool {
    leaf.strip_prefix(column)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The schema of the root columns that the chosen columns need; of all of them, if the whole row is wanted.
fn projection(root: &Type, columns: &Columns, whole: bool) -> Result<Type, ParquetError> {
    let needed = |name: &str| whole || columns.all().any(|c| c == name || is_under(c, name));
    let fields: Vec<_> = root
        .get_fields()
        .iter()
        .filter(|f| needed(f.name()))
        .map(Arc::clone)
        .collect();
    if let Some(field) = fields.iter().find(|f| has_interval(f)) {
        return Err(ParquetError::General(format!(
            "column `{}` is an interval",
            field.name()
        )));
    }
    Type::group_type_builder(root.name()).with_fields(fields).build()
}

fn has_interval(field: &Type) -> bool {
    field.get_basic_info().converted_type() == ConvertedType::INTERVAL
        || (field.is_group() && field.get_fields().iter().any(|f| has_interval(f)))
}

fn object(row: &Row) -> Value {
    Value::Object(
        row.get_column_iter()
            .map(|(name, field)| (name.clone(), value(field)))
            .collect::<Map<_, _>>(),
    )
}

fn list(items: &List) -> Value {
    Value::Array(items.elements().iter().map(value).collect())
}

fn value(field: &Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Bool(v) => json!(v),
        Field::Byte(v) => json!(v),
        Field::Short(v) => json!(v),
        Field::Int(v) => json!(v),
        Field::Long(v) => json!(v),
        Field::UByte(v) => json!(v),
        Field::UShort(v) => json!(v),
        Field::UInt(v) => json!(v),
        Field::ULong(v) => json!(v),
        Field::Float(v) => json!(v),
        Field::Double(v) => json!(v),
        Field::Str(v) => json!(v),
        Field::Group(row) => object(row),
        Field::ListInternal(items) => list(items),
        // Bytes without a text annotation are text if they are UTF-8; dates, times and the rest by their display.
        Field::Bytes(bytes) => json!(String::from_utf8_lossy(bytes.data())),
        other => json!(other.to_string()),
    }
}
