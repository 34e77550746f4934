//! Rotary embedding settings, in the layouts of `transformers` before and after version 5.

use serde_json::Value;

use super::LoadError;
use super::config_json::Fields;
use crate::config::{Rope, RopeScaling};

/// Reads `rope_parameters`, or `rope_theta` with `rope_scaling`.
pub(super) fn parse(fields: &Fields<'_>) -> Result<Rope, LoadError> {
    let parameters = fields.object("rope_parameters")?;
    let theta_of = |fields: &Fields<'_>| fields.number("rope_theta");
    let theta = match parameters.as_ref().map(theta_of).transpose()?.flatten() {
        Some(theta) => theta,
        None => theta_of(fields)?.unwrap_or(10_000.0),
    };
    if !(theta.is_finite() && theta > 1.0) {
        return Err(fields.wrong("rope_theta", "a number above 1"));
    }
    let scaling = match parameters {
        Some(parameters) => scaling(&parameters)?,
        None => fields
            .object("rope_scaling")?
            .map_or(Ok(None), |entry| scaling(&entry))?,
    };
    for name in ["partial_rotary_factor", "rotary_pct"] {
        let nested = fields
            .object("rope_parameters")?
            .map_or(Ok(None), |entry| entry.number(name))?;
        if nested.or(fields.number(name)?).is_some_and(|factor| factor != 1.0) {
            return Err(LoadError::Unsupported(format!("`{name}` other than 1")));
        }
    }
    Ok(Rope { theta, scaling })
}

fn scaling(fields: &Fields<'_>) -> Result<Option<RopeScaling>, LoadError> {
    let kind = fields
        .text("rope_type")?
        .or(fields.text("type")?)
        .unwrap_or_else(|| "default".to_owned());
    let positive = |name: &str| match fields.number(name)? {
        Some(value) if value.is_finite() && value > 0.0 => Ok(value),
        _ => Err(fields.wrong(name, "a positive number")),
    };
    match kind.as_str() {
        "default" => {
            // Gemma-like files nest one object per layer kind here.
            if fields.values().any(Value::is_object) {
                return Err(LoadError::Unsupported(
                    "rotary embeddings that differ between layers".into(),
                ));
            }
            Ok(None)
        }
        "linear" => Ok(Some(RopeScaling::Linear {
            factor: positive("factor")?,
        })),
        "llama3" => {
            let (low, high) = (positive("low_freq_factor")?, positive("high_freq_factor")?);
            if high <= low {
                return Err(fields.wrong("high_freq_factor", "a number above `low_freq_factor`"));
            }
            Ok(Some(RopeScaling::Llama3 {
                factor: positive("factor")?,
                low_freq_factor: low,
                high_freq_factor: high,
                original_max_position_embeddings: fields.required_size("original_max_position_embeddings")?,
            }))
        }
        other => Err(LoadError::Unsupported(format!(
            "rope type `{other}` (supported: default, linear, llama3); without it, long contexts would come out wrong"
        ))),
    }
}

/// Writes the settings in both layouts: `rope_theta` and `rope_scaling` for older readers, `rope_parameters` for newer.
pub(super) fn write(rope: &Rope, into: &mut serde_json::Map<String, Value>) {
    let mut scaling = serde_json::Map::new();
    match &rope.scaling {
        None => {
            scaling.insert("rope_type".into(), "default".into());
        }
        Some(RopeScaling::Linear { factor }) => {
            scaling.insert("rope_type".into(), "linear".into());
            scaling.insert("factor".into(), shortest(*factor));
        }
        Some(RopeScaling::Llama3 {
            factor,
            low_freq_factor,
            high_freq_factor,
            original_max_position_embeddings,
        }) => {
            scaling.insert("rope_type".into(), "llama3".into());
            scaling.insert("factor".into(), shortest(*factor));
            scaling.insert("low_freq_factor".into(), shortest(*low_freq_factor));
            scaling.insert("high_freq_factor".into(), shortest(*high_freq_factor));
            scaling.insert(
                "original_max_position_embeddings".into(),
                (*original_max_position_embeddings).into(),
            );
        }
    }
    into.insert("rope_theta".into(), shortest(rope.theta));
    let old = if rope.scaling.is_some() {
        Value::Object(scaling.clone())
    } else {
        Value::Null
    };
    into.insert("rope_scaling".into(), old);
    scaling.insert("rope_theta".into(), shortest(rope.theta));
    into.insert("rope_parameters".into(), Value::Object(scaling));
}

/// The number with the fewest digits that reads back as `value`: 1e-5, not 9.999999747378752e-6.
pub(super) fn shortest(value: f32) -> Value {
    let number: f64 = format!("{value:e}").parse().unwrap_or_else(|_| f64::from(value));
    Value::from(number)
}
