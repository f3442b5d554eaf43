//! What a request costs as the work grows: one curve for each way in which it can, drawn in
//! `results/curves/`, with a goal each. In `make bench-full` only.
//!
//! All but one are CPU time of the release binary, a process of its own for each point. The
//! lookup in the matrix is measured in this process: no table of thousands of rules can be
//! given to the binary. A curve says how costs grow; what they are is the business of `peers`.

mod draw;
mod growth;
mod lookup;
mod proxied;

use crate::peers::goals::Judged;
use crate::peers::idle;
use crate::peers::machine;
use crate::peers::process::{cpus, pin};
use crate::peers::report::verdicts;
use crate::peers::site::Site;
use crate::peers::statistics::{Spread, counted, spread};
use growth::Growth;
use proxied::Work;
use serde::Serialize;
use serde_json::json;
use std::fmt::Write;
use std::io;
use std::path::Path;
use std::time::Duration;

const ROUNDS: usize = 3;
const LENGTH: Duration = Duration::from_secs(1);

/// One way in which work grows.
struct Curve {
    /// Its file's name.
    id: &'static str,
    words: &'static str,
    /// What grows.
    along: &'static str,
    points: [u64; 5],
    /// The goal.
    growth: Growth,
    /// What is asked of the sidecar; none is the lookup in this process.
    work: Option<Work>,
}

impl Curve {
    fn unit(&self) -> &'static str {
        match self.work {
            Some(_) => "CPU µs per request",
            None => "ns per lookup",
        }
    }
}

const CURVES: [Curve; 5] = [
    Curve {
        id: "clients",
        words: "a cache hit for one of so many clients of the user, the token naming none",
        along: "clients",
        points: [1, 10, 100, 1000, 10_000],
        growth: Growth::Constant,
        work: Some(Work::Clients),
    },
    Curve {
        id: "rules",
        words: "the rule for a path, in a matrix of so many",
        along: "rules",
        points: [50, 150, 500, 1500, 5000],
        growth: Growth::Constant,
        work: None,
    },
    Curve {
        id: "entries",
        words: "a cache hit, each of so many answers that are kept in turn",
        along: "answers",
        points: [1, 32, 1000, 10_000, 100_000],
        growth: Growth::Constant,
        work: Some(Work::Entries),
    },
    Curve {
        id: "bytes",
        words: "a list of so many bytes, looked through for others' rows",
        along: "bytes",
        points: [1 << 10, 8 << 10, 64 << 10, 1 << 20, 8_000_000],
        growth: Growth::Linear,
        work: Some(Work::Bytes),
    },
    Curve {
        id: "connections",
        words: "1 KB passed on, so many connections open, 32 of them busy at a time",
        along: "connections",
        points: [1, 10, 100, 1000, 10_000],
        growth: Growth::Linear,
        work: Some(Work::Connections),
    },
];

/// One round at one point.
#[derive(Clone, Copy, Serialize)]
struct Figure {
    cost: f64,
    disturbed: bool,
}

/// All rounds at one point.
#[derive(Serialize)]
struct Point {
    at: u64,
    rounds: Vec<Figure>,
}

impl Point {
    fn spread(&self) -> Option<Spread> {
        let rounds = counted(&self.rounds, |round| round.disturbed);
        spread(rounds.into_iter().map(|round| round.cost))
    }

    /// Where it is drawn, and judged.
    fn place(&self) -> Option<(f64, f64)> {
        Some((self.at as f64, self.spread()?.median))
    }
}

/// Measures all curves, draws them, and says which goals are met.
///
/// # Errors
/// If there is no such curve, the sidecar does not start, or does not answer as it must.
pub(crate) fn measure(only: Option<&str>) -> io::Result<()> {
    let known = |id: &str| CURVES.iter().any(|curve| curve.id == id);
    if let Some(unknown) = only.filter(|id| !known(id)) {
        let ids = CURVES.map(|curve| curve.id).join(", ");
        return Err(io::Error::other(format!("{unknown:?} is no curve: {ids}")));
    }
    let room = idle::room()?;
    pin(cpus().1)?;
    let site = Site::new()?;
    let mut measured = Vec::new();
    let wanted = |curve: &&Curve| only.is_none_or(|id| curve.id == id);
    for curve in CURVES.iter().filter(wanted) {
        measured.push((curve, points(curve, room, &site)?));
    }
    publish(&measured)
}

/// The points of a curve, round by round.
fn points(curve: &Curve, room: usize, site: &Site) -> io::Result<Vec<Point>> {
    let mut points: Vec<Point> = curve
        .points
        .iter()
        // Of connections only as many as the machine allows.
        .filter(|at| curve.id != "connections" || usize::try_from(**at).is_ok_and(|at| at <= room))
        .map(|at| Point {
            at: *at,
            rounds: Vec::new(),
        })
        .collect();
    let mut tables = lookup::Tables::default();
    for round in 0..ROUNDS {
        for point in &mut points {
            let figure = match curve.work {
                Some(work) => proxied::cost(work, point.at, round, LENGTH, site),
                None => tables.cost(point.at),
            };
            let named = |error| io::Error::other(format!("{} at {}: {error}", curve.id, point.at));
            point.rounds.push(figure.map_err(named)?);
        }
    }
    Ok(points)
}

fn publish(measured: &[(&Curve, Vec<Point>)]) -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("results/curves");
    std::fs::create_dir_all(&folder)?;
    let (mut judged, mut raw) = (Vec::new(), Vec::new());
    for (curve, points) in measured {
        let places: Vec<(f64, f64)> = points.iter().filter_map(Point::place).collect();
        let goal = curve.growth.judge(curve.id, curve.along, &places);
        let svg = draw::svg(curve.words, curve.along, curve.unit(), &places);
        std::fs::write(folder.join(format!("{}.svg", curve.id)), svg?)?;
        raw.push(json!({
            "curve": curve.id, "words": curve.words, "along": curve.along, "unit": curve.unit(), "points": points,
            "goal": goal.as_ref().map(|one| &one.goal), "figure": goal.as_ref().map(|one| &one.figure),
            "met": goal.as_ref().map(|one| one.met),
        }));
        judged.extend(goal);
    }
    let machine = machine::describe();
    let raw = json!({"machine": machine, "curves": raw});
    std::fs::write(folder.join("curves.json"), format!("{raw:#}\n"))?;
    crate::table::publish("curves.md", &table(measured, &judged))
}

fn table(measured: &[(&Curve, Vec<Point>)], judged: &[Judged]) -> String {
    let mut out = format!(
        "# What a request costs as the work grows\n\n{ROUNDS} interleaved rounds of {} s at each point; medians (least to most). \
         Raw figures: [curves.json](curves/curves.json).\n{}",
        LENGTH.as_secs(),
        verdicts(judged)
    );
    for (curve, points) in measured {
        let Curve {
            id, words, along, ..
        } = curve;
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "\n## {id}: {words}\n\n![](curves/{id}.svg)\n\n| {along} | {} |\n|---|---|\n",
            curve.unit()
        );
        for point in points {
            if let Some(of) = point.spread() {
                let (least, median, most) = (of.least, of.median, of.most);
                let at = point.at;
                let _ = writeln!(out, "| {at} | {median:.1} ({least:.1} to {most:.1}) |");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_has_a_picture_a_goal_and_a_row_for_each_point() {
        let round = |cost, disturbed| Figure { cost, disturbed };
        let points = vec![
            Point {
                at: 1,
                rounds: vec![
                    round(9.0, false),
                    round(10.0, false),
                    round(11.0, false),
                    round(99.0, true),
                ],
            },
            Point {
                at: 10_000,
                rounds: vec![round(14.0, false)],
            },
        ];
        let curve = &CURVES[0];
        let places: Vec<_> = points.iter().filter_map(Point::place).collect();
        let judged = curve
            .growth
            .judge(curve.id, curve.along, &places)
            .expect("two points");
        let out = table(&[(curve, points)], &[judged]);
        for line in [
            "14.0 / 10.0 = 1.40 | met |",
            "![](curves/clients.svg)",
            "| clients | CPU µs per request |",
            "| 1 | 10.0 (9.0 to 11.0) |",
            "| 10000 | 14.0 (14.0 to 14.0) |",
        ] {
            assert!(out.contains(line), "{line} is not in\n{out}");
        }
    }

    #[test]
    fn points_go_up_and_names_are_files_of_their_own() {
        for curve in &CURVES {
            assert!(
                curve.points.is_sorted_by(|one, next| one < next),
                "{}",
                curve.id
            );
            assert_eq!(
                CURVES.iter().filter(|other| other.id == curve.id).count(),
                1
            );
        }
    }
}
