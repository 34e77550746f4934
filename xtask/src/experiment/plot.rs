//! Panels of curves as an SVG: seeds thin, their interquartile mean thick in its band.

use std::ops::Range;
use std::path::Path;

use anyhow::Context;
use plotters::coord::Shift;
use plotters::prelude::*;

use super::arm::Arm;
use super::curves::Curve;

/// Size of a panel, pixels.
const PANEL: (u32, u32) = (860, 300);

/// Curves with one axis.
pub(super) struct Panel {
    pub(super) title: String,
    /// What the curves go over, and what its values are multiplied by for the axis.
    pub(super) across: (&'static str, f64),
    /// What the values are multiplied by for the axis.
    pub(super) scale: f64,
    pub(super) curves: Vec<Curve>,
}

/// Draws the panels below one another.
///
/// # Errors
/// A file that cannot be written.
pub(super) fn write_svg(path: &Path, panels: &[Panel]) -> anyhow::Result<()> {
    let svg = draw(panels).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
    std::fs::write(path, svg).with_context(|| path.display().to_string())
}

fn draw(panels: &[Panel]) -> Result<String, Box<dyn std::error::Error>> {
    let mut svg = String::new();
    {
        let size = (PANEL.0, PANEL.1 * panels.len() as u32);
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        root.fill(&WHITE)?;
        for (area, panel) in root.split_evenly((panels.len(), 1)).iter().zip(panels) {
            draw_panel(area, panel)?;
        }
        root.present()?;
    }
    Ok(svg)
}

fn draw_panel(area: &DrawingArea<SVGBackend<'_>, Shift>, panel: &Panel) -> Result<(), Box<dyn std::error::Error>> {
    let (across, up) = ranges(panel);
    let mut chart = ChartBuilder::on(area)
        .margin(14)
        .caption(&panel.title, ("sans-serif", 17))
        .x_label_area_size(34)
        .y_label_area_size(58)
        .build_cartesian_2d(across, up)?;
    chart
        .configure_mesh()
        .x_desc(panel.across.0)
        .light_line_style(WHITE.mix(0.0))
        .draw()?;
    let place = |x: f64, value: f64| (x * panel.across.1, value * panel.scale);
    for curve in &panel.curves {
        let color = color(curve.arm);
        let upper = curve.middle.iter().map(|(x, band)| place(*x, band.upper));
        let lower = curve.middle.iter().rev().map(|(x, band)| place(*x, band.lower));
        let band: Vec<(f64, f64)> = upper.chain(lower).collect();
        chart.draw_series([Polygon::new(band, color.mix(0.15))])?;
        for run in &curve.runs {
            let points = run.iter().map(|(x, value)| place(*x, *value));
            chart.draw_series(LineSeries::new(points, color.mix(0.3)))?;
        }
    }
    for curve in &panel.curves {
        let color = color(curve.arm);
        let points = curve.middle.iter().map(|(x, band)| place(*x, band.value));
        chart
            .draw_series(LineSeries::new(points, color.stroke_width(3)))?
            .label(curve.arm.name())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(3)));
    }
    chart
        .configure_series_labels()
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.2))
        .draw()?;
    Ok(())
}

fn color(arm: Arm) -> RGBColor {
    match arm {
        Arm::Svs => RGBColor(202, 74, 20),
        Arm::Grpo | Arm::Start => RGBColor(24, 96, 176),
    }
}

/// Ranges that hold every curve, upwards with a margin.
fn ranges(panel: &Panel) -> (Range<f64>, Range<f64>) {
    let points = || {
        panel
            .curves
            .iter()
            .flat_map(|curve| curve.runs.iter().flatten().copied())
    };
    let bands = || panel.curves.iter().flat_map(|curve| curve.middle.iter());
    let values = || {
        let of_bands = bands().flat_map(|(_, band)| [band.lower, band.upper]);
        points().map(|point| point.1).chain(of_bands)
    };
    let last = points().map(|point| point.0).fold(1.0, f64::max);
    let (low, high) = (
        values().fold(f64::INFINITY, f64::min),
        values().fold(f64::NEG_INFINITY, f64::max),
    );
    let margin = 0.06 * (high - low).max(1e-3);
    let up = (low - margin) * panel.scale..(high + margin) * panel.scale;
    (0.0..last * panel.across.1, up)
}

#[cfg(test)]
mod tests {
    use svs_trainer::eval::estimate::Interval;

    use super::*;

    #[test]
    fn each_panel_has_seeds_a_band_and_a_thick_mean_of_each_recipe() {
        let curve = |arm| {
            let band = Interval {
                value: 0.5,
                lower: 0.4,
                upper: 0.6,
            };
            Curve {
                arm,
                runs: vec![vec![(0.0, 0.3), (2e6, 0.7)]; 3],
                middle: vec![(0.0, band), (2e6, band)],
            }
        };
        let panel = |title: &str| Panel {
            title: title.into(),
            across: ("generated tokens (millions)", 1e-6),
            scale: 100.0,
            curves: vec![curve(Arm::Grpo), curve(Arm::Svs)],
        };
        let svg = draw(&[panel("pass"), panel("entropy")]).expect("an SVG");
        for text in ["pass", "entropy", "svs", "grpo", "generated tokens (millions)"] {
            assert!(svg.contains(text), "{text}");
        }
        let count = |what: &str| svg.matches(what).count();
        // A mean and its mark in the legend.
        assert_eq!(count("stroke-width=\"3\""), 2 * 2 * 2);
        assert_eq!(count("opacity=\"0.3\""), 2 * 2 * 3);
        assert_eq!(count("<polygon"), 2 * 2);
    }
}
