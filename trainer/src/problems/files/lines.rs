//! JSON lines and JSON arrays.

use std::fs::File;
use std::io::{BufRead, BufReader};

use serde::Deserializer;
use serde::de::{SeqAccess, Visitor};
use serde_json::Value;

use super::{ProblemError, Reader};

/// One object a line; blank lines are passed over.
pub(super) fn read_lines(file: File, reader: &mut Reader<'_>) -> Result<(), ProblemError> {
    let path = reader.path.to_owned();
    let mut buffered = BufReader::new(file);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let length = buffered
            .read_until(b'\n', &mut line)
            .map_err(|error| ProblemError::read(&path, error))?;
        if length == 0 {
            break;
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let value = serde_json::from_slice(&line).map_err(|error| ProblemError::Line {
            path: path.clone(),
            line: number,
            reason: format!("{} at column {}", reason(&error), error.column()),
        });
        reader.take(number, value)?;
    }
    Ok(())
}

/// An array of objects, read element by element.
pub(super) fn read_array(file: File, reader: &mut Reader<'_>) -> Result<(), ProblemError> {
    let path = reader.path.to_owned();
    let mut refused = None;
    let mut json = serde_json::Deserializer::from_reader(BufReader::new(file));
    let read = json
        .deserialize_seq(Rows {
            reader,
            refused: &mut refused,
        })
        .and_then(|()| json.end());
    if let Some(error) = refused {
        return Err(error);
    }
    read.map_err(|error| ProblemError::Line {
        path,
        line: error.line(),
        reason: reason(&error),
    })
}

/// The message of a JSON error without the place, which is reported apart.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}

struct Rows<'r, 'a> {
    reader: &'r mut Reader<'a>,
    refused: &'r mut Option<ProblemError>,
}

impl<'de> Visitor<'de> for Rows<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("an array of problems")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<(), A::Error> {
        let mut row = 0;
        while let Some(value) = rows.next_element::<Value>()? {
            row += 1;
            if let Err(error) = self.reader.take(row, Ok(value)) {
                *self.refused = Some(error);
                return Err(serde::de::Error::custom("refused"));
            }
        }
        Ok(())
    }
}
