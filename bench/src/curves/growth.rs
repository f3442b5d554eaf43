//! How fast costs may grow, and whether they do. Pure.

use crate::peers::goals::Judged;

/// The goal of a curve.
#[derive(Clone, Copy)]
pub(super) enum Growth {
    /// The last point costs about what the first one does.
    Constant,
    /// Twice the work costs at most twice as much.
    Linear,
}

/// The most that the last point may cost, as a multiple of the first.
const CONSTANT: f64 = 1.5;
/// The steepest line through the points, both axes logarithmic: 1 is linear, 2 is quadratic.
const SLOPE: f64 = 1.1;

impl Growth {
    /// What points say to the goal; nothing where there are fewer than two.
    pub(super) fn judge(self, curve: &str, along: &str, points: &[(f64, f64)]) -> Option<Judged> {
        let ((first, low), (last, high)) = (*points.first()?, *points.last()?);
        let slope = slope(points)?;
        Some(match self {
            Self::Constant => Judged {
                goal: format!(
                    "{curve}: with {last} {along} at most {CONSTANT:.1} × what it costs with {first}"
                ),
                figure: format!("{high:.1} / {low:.1} = {:.2}", high / low),
                met: high <= CONSTANT * low,
                in_noise: false,
            },
            Self::Linear => Judged {
                goal: format!(
                    "{curve}: no worse than linear, a slope of at most {SLOPE:.1} from {first} to {last} {along}"
                ),
                figure: format!("{slope:.2}"),
                met: slope <= SLOPE,
                in_noise: false,
            },
        })
    }
}

/// The slope of the line that fits the logarithms best (least squares).
fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let logs: Vec<(f64, f64)> = points
        .iter()
        .filter(|(x, y)| *x > 0.0 && *y > 0.0)
        .map(|(x, y)| (x.ln(), y.ln()))
        .collect();
    let count = logs.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| logs.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|log| log.0), mean(|log| log.1));
    let across: f64 = logs.iter().map(|log| (log.0 - x).powi(2)).sum();
    let together: f64 = logs.iter().map(|log| (log.0 - x) * (log.1 - y)).sum();
    (across > 0.0).then(|| together / across)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_is_the_power_with_which_costs_grow() {
        let xs = [1.0, 10.0, 100.0, 1000.0_f64];
        for power in [0.0, 0.5, 1.0, 2.0] {
            let points = xs.map(|x| (x, 7.0 * x.powf(power)));
            assert!(slope(&points).is_some_and(|found| (found - power).abs() < 1e-9));
        }
        assert_eq!(slope(&[(1.0, 5.0)]), None);
        assert_eq!(slope(&[]), None);
    }

    #[test]
    fn goals_are_met_up_to_their_limits() {
        for (growth, points, met) in [
            (Growth::Constant, [(1.0, 10.0), (100.0, 15.0)], true),
            (Growth::Constant, [(1.0, 10.0), (100.0, 15.1)], false),
            (Growth::Linear, [(1.0, 10.0), (100.0, 1000.0)], true),
            // A fixed part makes the beginning flat.
            (Growth::Linear, [(1.0, 50.0), (100.0, 1050.0)], true),
            (Growth::Linear, [(1.0, 10.0), (100.0, 2000.0)], false),
        ] {
            let judged = growth.judge("x", "things", &points).expect("two points");
            assert_eq!(judged.met, met, "{judged:?}");
        }
        assert!(Growth::Linear.judge("x", "things", &[(1.0, 1.0)]).is_none());
    }
}
