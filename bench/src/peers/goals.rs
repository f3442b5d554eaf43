//! The goals, and whether a run met them. Pure.
//!
//! What is compared is compared within rounds, and the median of that counts, not the ratio or
//! difference of two medians: what the machine does in one round it does to both, and to nobody in
//! another. The best peer is the one beside which the sidecar looks worst, in each scenario anew.

use super::bare;
use super::idle::{self, Held};
use super::rounds::Cell;
use super::scenario::SCENARIOS;
use super::sidecar;
use super::statistics::Spread;
use super::upstream::MANY;
use serde::{Deserialize, Serialize};

/// What a figure of the sidecar's is compared with.
#[derive(Clone, Copy)]
enum Against {
    /// The cheapest of what a user would pick instead, in the same scenario.
    BestPeer,
    /// A bare Pingora that passes S1 on.
    BarePingora,
    /// Another scenario of the sidecar's own.
    Own(&'static str),
}

/// The goals for CPU per request: scenario, what it is compared with, and the most that the ratio may be.
const GOALS: &[(&str, Against, f64)] = &[
    ("S1", Against::BarePingora, 1.05),
    ("S2", Against::BestPeer, 0.85),
    ("S2", Against::BarePingora, 1.0),
    ("S2b", Against::BestPeer, 0.45),
    ("S2b", Against::Own("S2"), 1.05),
    ("S3", Against::BestPeer, 0.65),
    ("S4", Against::BestPeer, 0.70),
    ("S6", Against::Own("S3"), 1.0),
];

/// The most that looking an answer through may cost.
const NANOS_PER_BYTE: f64 = 1.0;

/// The most resident memory that an idle connection may hold.
const KIB_PER_CONNECTION: f64 = 6.0;

/// One goal beside its figure.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Judged {
    pub(crate) goal: String,
    pub(crate) figure: String,
    pub(crate) met: bool,
    /// Other rounds of the same code may well have said the opposite.
    #[serde(default)]
    pub(crate) in_noise: bool,
}

/// What a run says to the goals it has figures for; `alternatives` are the peers that a user
/// would pick instead.
pub(super) fn judge(cells: &[Cell], held: &[Held], alternatives: &[&str]) -> Vec<Judged> {
    let mut judged = costs(cells, alternatives);
    judged.extend(per_byte(cells));
    judged.extend(idle(held));
    judged.extend(latencies(cells, alternatives));
    judged
}

fn costs(cells: &[Cell], alternatives: &[&str]) -> Vec<Judged> {
    let mut judged = Vec::new();
    for (scenario, against, most) in GOALS {
        let Some(ours) = cell(cells, sidecar::NAME, scenario) else {
            continue;
        };
        let ratio = |other: &Cell| ours.ratio(other);
        let worst = match against {
            Against::BestPeer => worst(cells, alternatives, scenario, ratio),
            Against::BarePingora => worst(cells, &[bare::NAME], "S1", ratio),
            Against::Own(id) => worst(cells, &[sidecar::NAME], id, ratio),
        };
        let Some((other, ratio)) = worst else {
            continue;
        };
        let (Some(own), Some(theirs)) = (cost(ours), cost(other)) else {
            continue;
        };
        let name = match against {
            Against::BestPeer => format!("the best peer's ({})", other.peer),
            Against::BarePingora => "bare Pingora's S1".to_owned(),
            Against::Own(id) => format!("{id}'s"),
        };
        judged.push(Judged {
            goal: format!("{scenario}: CPU at most {most:.2} × {name}"),
            figure: format!("{}; {own:.1} / {theirs:.1} µs", by_round(ratio)),
            met: ratio.median <= *most,
            in_noise: in_noise(ratio, *most),
        });
    }
    judged
}

/// What looking through the list of S7 costs beyond passing it on.
fn per_byte(cells: &[Cell]) -> Option<Judged> {
    let of = |id| cell(cells, sidecar::NAME, id);
    let (looked_through, passed_on) = (of("S7")?, of("S7p")?);
    let beyond = looked_through.beyond(passed_on)?;
    let nanos = |micros: f64| micros * 1000.0 / MANY as f64;
    let spread = Spread {
        least: nanos(beyond.least),
        median: nanos(beyond.median),
        most: nanos(beyond.most),
        between: (nanos(beyond.between.0), nanos(beyond.between.1)),
    };
    let (own, other) = (cost(looked_through)?, cost(passed_on)?);
    Some(Judged {
        goal: format!("S7: looking through under {NANOS_PER_BYTE:.0} ns per byte"),
        figure: format!(
            "{} ns; ({own:.1} − {other:.1} µs) / 64 KiB",
            by_round(spread)
        ),
        met: spread.median < NANOS_PER_BYTE,
        in_noise: in_noise(spread, NANOS_PER_BYTE),
    })
}

/// What an idle connection may hold.
fn idle(held: &[Held]) -> Option<Judged> {
    let ours = held.iter().find(|one| one.peer == sidecar::NAME)?;
    let (each, count) = (ours.each(), ours.connections);
    let fewer = match count < idle::WANTED {
        true => format!(" ({count} connections: the machine allows no more)"),
        false => String::new(),
    };
    Some(Judged {
        goal: format!(
            "{}: under {KIB_PER_CONNECTION:.0} KiB per idle connection",
            idle::ID
        ),
        figure: format!("{each:.1} KiB{fewer}"),
        met: each < KIB_PER_CONNECTION,
        in_noise: false,
    })
}

fn latencies(cells: &[Cell], alternatives: &[&str]) -> Vec<Judged> {
    let mut judged = Vec::new();
    for scenario in SCENARIOS {
        let Some(ours) = cell(cells, sidecar::NAME, scenario.id) else {
            continue;
        };
        let ratio = |other: &Cell| ours.p99_ratio(other);
        if let Some((other, ratio)) = worst(cells, alternatives, scenario.id, ratio)
            && let (Some(own), Some(theirs)) = (p99(ours), p99(other))
        {
            // With the turns that do not count, so that everybody sees what they change.
            let of_all = ours.p99_of_all_ratio(other);
            let of_all = of_all.map(|of| format!("; with all turns {}", by_round(of)));
            judged.push(Judged {
                goal: format!(
                    "{}: p99 at the fixed rate at most the best peer's ({})",
                    scenario.id, other.peer
                ),
                figure: format!(
                    "{}; {own:.0} / {theirs:.0} µs{}",
                    by_round(ratio),
                    of_all.unwrap_or_default()
                ),
                met: ratio.median <= 1.0,
                in_noise: in_noise(ratio, 1.0),
            });
        }
    }
    judged
}

/// The median, and within what it lies with 95 % confidence.
fn by_round(of: Spread) -> String {
    let (from, to) = of.between;
    format!("{:.2} ({from:.2} to {to:.2})", of.median)
}

fn in_noise(of: Spread, goal: f64) -> bool {
    let (from, to) = of.between;
    (from..=to).contains(&goal) && from < to
}

/// The one of these peers in a scenario beside which a figure is the largest share.
fn worst<'a>(
    cells: &'a [Cell],
    peers: &[&str],
    scenario: &str,
    ratio: impl Fn(&Cell) -> Option<Spread>,
) -> Option<(&'a Cell, Spread)> {
    let of = cells
        .iter()
        .filter(|cell| cell.scenario == scenario && peers.contains(&cell.peer.as_str()));
    let known = of.filter_map(|cell| Some((cell, ratio(cell)?)));
    known.max_by(|(_, one), (_, other)| one.median.total_cmp(&other.median))
}

/// Pairs of scenarios of the sidecar's that a ratio compares, the one that is held to the other
/// first; S7 and S7p are neighbours as they stand.
pub(super) fn compared() -> Vec<(&'static str, &'static str)> {
    let of = |(scenario, against, _): &(&'static str, Against, f64)| match against {
        Against::Own(other) => Some((*scenario, *other)),
        Against::BestPeer | Against::BarePingora => None,
    };
    GOALS.iter().filter_map(of).collect()
}

/// The cell of a peer in a scenario.
pub(super) fn cell<'a>(cells: &'a [Cell], peer: &str, scenario: &str) -> Option<&'a Cell> {
    cells
        .iter()
        .find(|cell| cell.peer == peer && cell.scenario == scenario)
}

/// CPU per request, the median.
pub(super) fn cost(cell: &Cell) -> Option<f64> {
    cell.of(|round| round.cpu_micros)
        .map(|spread| spread.median)
}

fn p99(cell: &Cell) -> Option<f64> {
    cell.at_rate(|round| round.p99).map(|spread| spread.median)
}

#[cfg(test)]
mod tests {
    use super::super::report::samples;
    use super::super::rounds::Capacity;
    use super::*;

    #[test]
    fn goals_are_held_against_the_cheapest_peer_and_against_bare_pingora() {
        let cells = samples(&[
            ("sidecar", "S1", 21.0, 0.0),
            ("bare Pingora", "S1", 20.0, 0.0),
            ("HAProxy", "S1", 1.0, 0.0),
            ("sidecar", "S2", 19.0, 100.0),
            ("HAProxy", "S2", 22.0, 120.0),
            ("nginx + Lua", "S2", 24.0, 90.0),
        ]);
        let judged = judge(&cells, &[], &["HAProxy", "nginx + Lua"]);
        let found: Vec<_> = judged
            .iter()
            .map(|one| (one.figure.as_str(), one.met))
            .collect();
        assert_eq!(
            found,
            [
                ("1.05 (1.05 to 1.05); 21.0 / 20.0 µs", true),
                ("0.86 (0.86 to 0.86); 19.0 / 22.0 µs", false),
                ("0.95 (0.95 to 0.95); 19.0 / 20.0 µs", true),
                (
                    "1.11 (1.11 to 1.11); 100 / 90 µs; with all turns 1.11 (1.11 to 1.11)",
                    false
                ),
            ]
        );
        assert!(judged[1].goal.contains("HAProxy") && judged[3].goal.contains("nginx"));
    }

    /// Slow rounds, not of both in the same one, move a median, and not that of the ratios.
    #[test]
    fn goals_are_held_against_ratios_within_a_round() {
        let mut cells = samples(&[("sidecar", "S3", 10.0, 0.0), ("sidecar", "S6", 10.0, 0.0)]);
        for (cell, costs) in cells
            .iter_mut()
            .zip([[10.0, 10.0, 20.0], [9.9, 20.0, 19.8]])
        {
            cell.capacity = rounds(cell, costs);
        }
        let judged = judge(&cells, &[], &[]);
        let (figure, met) = (judged[0].figure.as_str(), judged[0].met);
        assert_eq!((figure, met), ("0.99 (0.99 to 2.00); 19.8 / 10.0 µs", true));
    }

    /// nginx has the smaller median, and HAProxy was the better one in most rounds.
    #[test]
    fn the_best_peer_is_the_one_beside_which_the_sidecar_looks_worst() {
        let mut cells = samples(&[
            ("sidecar", "S4", 10.0, 0.0),
            ("HAProxy", "S4", 10.0, 0.0),
            ("nginx + Lua", "S4", 10.0, 0.0),
        ]);
        let costs = [[10.0, 20.0, 30.0], [11.0, 22.0, 33.0], [20.0, 21.0, 60.0]];
        for (cell, costs) in cells.iter_mut().zip(costs) {
            cell.capacity = rounds(cell, costs);
        }
        let judged = judge(&cells, &[], &["HAProxy", "nginx + Lua"]);
        assert!(judged[0].goal.contains("HAProxy"), "{judged:?}");
        assert_eq!(judged[0].figure, "0.91 (0.91 to 0.91); 20.0 / 22.0 µs");
    }

    #[test]
    fn what_other_rounds_could_turn_is_within_the_noise() {
        for (costs, met, in_noise) in [
            ([9.0, 9.5, 10.5], true, true),
            ([9.5, 10.5, 11.0], false, true),
            ([9.0, 9.2, 9.9], true, false),
            ([10.1, 10.5, 11.0], false, false),
        ] {
            let mut cells = samples(&[("sidecar", "S6", 1.0, 0.0), ("sidecar", "S3", 1.0, 0.0)]);
            for (cell, costs) in cells.iter_mut().zip([costs, [10.0; 3]]) {
                cell.capacity = rounds(cell, costs);
            }
            let judged = judge(&cells, &[], &[]);
            let found = (judged[0].met, judged[0].in_noise);
            assert_eq!(found, (met, in_noise), "{costs:?}");
        }
    }

    #[test]
    fn a_scenario_is_in_one_pair_at_most() {
        let compared = compared();
        let ids = compared.iter().flat_map(|(one, other)| [*one, *other]);
        let different: std::collections::BTreeSet<&str> = ids.collect();
        assert_eq!(different.len(), 2 * compared.len());
    }

    /// The rounds of a cell, with these costs.
    fn rounds(cell: &Cell, costs: [f64; 3]) -> Vec<Capacity> {
        let of = |(round, cpu_micros)| Capacity {
            round,
            cpu_micros,
            ..cell.capacity[0].clone()
        };
        costs.into_iter().enumerate().map(of).collect()
    }

    #[test]
    fn looking_through_is_held_against_passing_the_same_bytes_on() {
        for (looked_through, passed_on, met) in [(100.0, 50.0, true), (120.0, 50.0, false)] {
            let cells = samples(&[
                ("sidecar", "S7", looked_through, 0.0),
                ("sidecar", "S7p", passed_on, 0.0),
            ]);
            let judged = judge(&cells, &[], &["HAProxy"]);
            assert_eq!((judged.len(), judged[0].met), (1, met), "{judged:?}");
        }
    }

    #[test]
    fn idle_connections_are_judged_and_it_is_said_when_they_were_fewer() {
        for (connections, kib, figure, met) in [
            (10_000, 59_000, "5.9 KiB", true),
            (10_000, 60_000, "6.0 KiB", false),
            (
                100,
                100,
                "1.0 KiB (100 connections: the machine allows no more)",
                true,
            ),
        ] {
            let held = [
                Held::sample("HAProxy", connections, 1),
                Held::sample("sidecar", connections, kib),
            ];
            let judged = judge(&[], &held, &["HAProxy"]);
            assert_eq!((judged[0].figure.as_str(), judged[0].met), (figure, met));
        }
    }

    #[test]
    fn a_goal_without_its_figures_is_not_judged() {
        assert_eq!(
            judge(&samples(&[("sidecar", "S2", 19.0, 0.0)]), &[], &["HAProxy"]),
            []
        );
    }
}
