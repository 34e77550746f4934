//! The learning curve as an SVG: solve accuracy above, policy entropy below.

use std::path::Path;

use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

/// One iteration of the curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CurvePoint {
    /// Iteration, from 1.
    pub step: u64,
    /// Share of solutions to training problems that are right, 0..=1.
    pub accuracy: f64,
    /// Mean entropy of the policy on sampled tokens, nats.
    pub entropy: f64,
}

/// Draws the curve into `path`.
///
/// # Errors
/// A message naming the file when it cannot be written.
pub fn write_svg(path: &Path, title: &str, points: &[CurvePoint]) -> Result<(), String> {
    draw(path, title, points).map_err(|error| format!("{}: {error}", path.display()))
}

fn draw(path: &Path, title: &str, points: &[CurvePoint]) -> Result<(), Box<dyn std::error::Error>> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (860, 640)).into_drawing_area();
        root.fill(&WHITE)?;
        let (above, below) = root.split_vertically(340);
        let accuracy: Vec<_> = points.iter().map(|point| (point.step as f64, point.accuracy)).collect();
        let entropy: Vec<_> = points.iter().map(|point| (point.step as f64, point.entropy)).collect();
        panel(&above, title, "solve accuracy (reward)", 0.0..1.0, &accuracy, &BLUE)?;
        let top = entropy.iter().map(|point| point.1).fold(0.05_f64, f64::max) * 1.15;
        panel(&below, "", "entropy (nats)", 0.0..top, &entropy, &RED)?;
        root.present()?;
    }
    // Written whole, so that a full disk never leaves half a plot under the final name.
    let partial = path.with_extension("svg.partial");
    std::fs::write(&partial, svg)?;
    std::fs::rename(&partial, path)?;
    Ok(())
}

/// One chart: the raw series thin, its running mean thick.
fn panel(
    area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    title: &str,
    y_name: &str,
    y_range: std::ops::Range<f64>,
    series: &[(f64, f64)],
    color: &RGBColor,
) -> Result<(), Box<dyn std::error::Error>> {
    let last = series.last().map_or(1.0, |point| point.0).max(2.0);
    let mut builder = ChartBuilder::on(area);
    builder.margin(14).x_label_area_size(34).y_label_area_size(58);
    if !title.is_empty() {
        builder.caption(title, ("sans-serif", 18));
    }
    let mut chart: ChartContext<'_, _, Cartesian2d<RangedCoordf64, RangedCoordf64>> =
        builder.build_cartesian_2d(1.0..last, y_range)?;
    chart
        .configure_mesh()
        .x_desc("iteration")
        .y_desc(y_name)
        .light_line_style(WHITE.mix(0.0))
        .draw()?;
    chart.draw_series(LineSeries::new(series.iter().copied(), color.mix(0.35)))?;
    chart.draw_series(LineSeries::new(running_mean(series, 5), color.stroke_width(3)))?;
    Ok(())
}

/// Mean over the last `window` points, at each point.
fn running_mean(series: &[(f64, f64)], window: usize) -> Vec<(f64, f64)> {
    (0..series.len())
        .map(|end| {
            let slice = &series[(end + 1).saturating_sub(window)..=end];
            (
                series[end].0,
                slice.iter().map(|point| point.1).sum::<f64>() / slice.len() as f64,
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_mean_uses_what_is_there() {
        let series = [(1.0, 1.0), (2.0, 3.0), (3.0, 5.0)];
        assert_eq!(running_mean(&series, 2), vec![(1.0, 1.0), (2.0, 2.0), (3.0, 4.0)]);
    }

    #[test]
    fn draws_both_panels() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("curve.svg");
        let points: Vec<_> = (1..=20)
            .map(|step| CurvePoint {
                step,
                accuracy: 0.02 * step as f64,
                entropy: 0.3,
            })
            .collect();
        write_svg(&path, "svs demo", &points).expect("the plot is written");
        let svg = std::fs::read_to_string(&path).expect("the plot can be read");
        for text in ["solve accuracy (reward)", "entropy (nats)", "svs demo", "iteration"] {
            assert!(svg.contains(text), "the plot lacks `{text}`");
        }
        assert_eq!(svg.matches("stroke-width=\"3\"").count(), 2, "a mean in each panel");
        assert_eq!(svg.matches("opacity=\"0.35\"").count(), 2, "a series in each panel");
    }

    #[test]
    fn names_the_file_it_cannot_write() {
        let error = write_svg(Path::new("/nonexistent/curve.svg"), "", &[]).expect_err("no such folder");
        assert!(error.contains("/nonexistent/curve.svg"), "{error}");
    }
}
