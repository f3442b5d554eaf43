//! A curve as a picture: both axes logarithmic, no fonts but the reader's. Pure.

use plotters::prelude::*;
use std::io;

const SIZE: (u32, u32) = (720, 420);

/// The picture, SVG.
///
/// # Errors
/// If there is nothing to draw.
pub(super) fn svg(
    title: &str,
    along: &str,
    unit: &str,
    points: &[(f64, f64)],
) -> io::Result<String> {
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return Err(io::Error::other(format!("{title}: nothing was measured")));
    };
    let costs = points.iter().map(|point| point.1);
    let most = costs.clone().fold(0.0, f64::max);
    let least = costs.fold(f64::INFINITY, f64::min);
    let mut out = String::new();
    let root = SVGBackend::with_string(&mut out, SIZE).into_drawing_area();
    // A line that is flat shows as one only where there is room around it.
    let drawn = lines(
        &root,
        [title, along, unit],
        (first.0, last.0 * 1.2),
        (least / 3.0, most * 3.0),
        points,
    );
    drawn.map_err(|error| io::Error::other(error.to_string()))?;
    drop(root);
    Ok(out)
}

type Drawn<'a> = Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>;

fn lines<'a>(
    root: &DrawingArea<SVGBackend<'a>, plotters::coord::Shift>,
    [title, along, unit]: [&str; 3],
    (left, right): (f64, f64),
    (bottom, top): (f64, f64),
    points: &[(f64, f64)],
) -> Drawn<'a> {
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(root)
        .caption(title, ("sans-serif", 15))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(64)
        .build_cartesian_2d((left..right).log_scale(), (bottom..top).log_scale())?;
    chart
        .configure_mesh()
        .x_desc(along)
        .y_desc(unit)
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{y}"))
        .draw()?;
    chart.draw_series(LineSeries::new(points.iter().copied(), &BLUE))?;
    chart.draw_series(
        points
            .iter()
            .map(|point| Circle::new(*point, 3, BLUE.filled())),
    )?;
    root.present()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_its_words_and_a_dot_for_each_point() {
        let points = [(1.0, 20.0), (10.0, 21.0), (10_000.0, 25.0)];
        let picture = svg("cache hits", "answers", "CPU µs", &points).expect("drawn");
        for word in ["<svg", "cache hits", "answers", "CPU µs", "</svg>"] {
            assert!(picture.contains(word), "{word}");
        }
        assert_eq!(picture.matches("<circle").count(), points.len());
        assert!(svg("none", "x", "y", &[]).is_err());
    }
}
