//! The ratios as an SVG: a bar from the least to the most of each row, its median and its floor.

use std::path::Path;

use anyhow::Context;
use plotters::prelude::*;

use crate::verdict::{Spread, Verdict};

/// Height of a row, pixels.
const ROW: u32 = 56;

/// Draws the rows that have a ratio; nothing if none has.
///
/// # Errors
/// A file that cannot be written.
pub fn write_svg(path: &Path, verdicts: &[Verdict]) -> anyhow::Result<()> {
    let rows: Vec<(&Verdict, Spread)> = verdicts
        .iter()
        .filter_map(|verdict| Some((verdict, verdict.ratio?)))
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let svg = draw(&rows).map_err(|error| anyhow::anyhow!("{error}"))?;
    std::fs::write(path, svg).with_context(|| format!("cannot write {}", path.display()))
}

fn draw(rows: &[(&Verdict, Spread)]) -> Result<String, Box<dyn std::error::Error>> {
    let mut svg = String::new();
    {
        let count = rows.len() as i32;
        let root = SVGBackend::with_string(&mut svg, (860, ROW * rows.len() as u32 + 90)).into_drawing_area();
        root.fill(&WHITE)?;
        let most = rows
            .iter()
            .map(|(verdict, ratio)| ratio.most.max(verdict.floor))
            .fold(1.0, f64::max);
        let mut chart = ChartBuilder::on(&root)
            .margin(14)
            .caption(
                "svs divided by llama.cpp's strongest setting (line: floor)",
                ("sans-serif", 18),
            )
            .x_label_area_size(34)
            .y_label_area_size(190)
            .build_cartesian_2d(0.0..most * 1.1, (0..count).into_segmented())?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .y_label_formatter(&|segment| match segment {
                SegmentValue::CenterOf(at) => usize::try_from(count - 1 - at)
                    .ok()
                    .and_then(|at| rows.get(at))
                    .map_or_else(String::new, |(verdict, _)| verdict.row.title().to_owned()),
                _ => String::new(),
            })
            .draw()?;
        for (at, (verdict, ratio)) in (0..count).rev().zip(rows) {
            let color = if verdict.reached == Some(true) {
                GREEN.mix(0.6)
            } else {
                RED.mix(0.6)
            };
            let (low, high) = (SegmentValue::Exact(at), SegmentValue::Exact(at + 1));
            let middle = SegmentValue::CenterOf(at);
            let bar = Rectangle::new([(0.0, low.clone()), (ratio.median, high.clone())], color.filled());
            let whole = PathElement::new(
                vec![(ratio.least, middle.clone()), (ratio.most, middle)],
                BLACK.stroke_width(2),
            );
            let floor = PathElement::new(vec![(verdict.floor, low), (verdict.floor, high)], BLUE.stroke_width(3));
            chart.draw_series([bar])?;
            chart.draw_series([whole, floor])?;
        }
        root.present()?;
    }
    Ok(svg)
}
