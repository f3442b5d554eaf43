//! The results as people read them. Pure but for [`write_readme`].

use super::bare;
use super::goals::{Judged, cell, cost};
use super::idle::{self, Held};
use super::rounds::{Cell, LeftOut, Noise, Timed};
use super::scenario::{LARGE_RATE, RATE, SCENARIOS};
use super::statistics::{LEFT, OTHERS, Spread};
use std::fmt::Write as _;
use std::io;
use std::path::Path;

const BEGIN: &str = "<!-- bench:begin -->";
const END: &str = "<!-- bench:end -->";

/// Names and settings of a run.
pub(super) struct About {
    /// One line: machine, kernel, commit, length and number of rounds.
    pub(super) line: String,
    pub(super) peers: Vec<(String, String)>,
    pub(super) alternatives: Vec<&'static str>,
}

/// All tables.
pub(super) fn whole(about: &About, cells: &[Cell], held: &[Held], judged: &[Judged]) -> String {
    let mut out = format!("# The sidecar and its peers\n\n{}\n\n", about.line);
    for (name, version) in &about.peers {
        put(&mut out, &format!("- {name}: {version}"));
    }
    put(
        &mut out,
        "\nHow it is measured, and what it does not say: [bench/README.md](../README.md). Medians (least to most) of the rounds that count.\n",
    );
    for scenario in scenarios(cells) {
        put(&mut out, &format!("- {}: {}", scenario.id, scenario.words));
    }
    put(&mut out, "\n## Goals");
    out += &verdicts(judged);
    out += &idle(held);
    if !cells.is_empty() {
        out += &tables(about, cells);
    }
    out
}

/// What a connection of S8 holds.
fn idle(held: &[Held]) -> String {
    let Some(first) = held.first() else {
        return String::new();
    };
    let mut out = format!(
        "\n## {}: resident memory of an idle connection\n\n{} of them, each has had one answer.\n\n| | KiB each |\n|---|---|\n",
        idle::ID,
        first.connections
    );
    for one in held {
        put(&mut out, &format!("| {} | {:.1} |", one.peer, one.each()));
    }
    out
}

/// What the rounds have measured.
fn tables(about: &About, cells: &[Cell]) -> String {
    let mut out = "\n## CPU µs per request\n".to_owned();
    out += &table(about, cells, |cell| {
        cell.of(|round| round.cpu_micros).map(|of| shown(of, 1))
    });
    put(
        &mut out,
        "\nAs a share of the best peer's, and of bare Pingora's (its S1 where it does not do the work); round by round:",
    );
    out += &shares(about, cells);
    put(
        &mut out,
        "\n## Requests/s on one CPU\n\n≥: the proxy had CPU left, load or upstream were slower.",
    );
    out += &table(about, cells, |cell| {
        let busy = cell.of(|round| round.busy)?.median;
        let rate = shown(cell.of(|round| round.per_second)?, 0);
        Some(if busy < 0.95 {
            format!("≥ {rate}")
        } else {
            rate
        })
    });
    put(
        &mut out,
        &format!(
            "\n## Latency at {RATE:.0} requests/s (S9: {LARGE_RATE:.0}) of each in turn, µs from when a request was due: p50 / p99 / p99.9"
        ),
    );
    out += &table(about, cells, |cell| {
        let of = |figure: fn(&Timed) -> f64| cell.at_rate(figure).map(|of| of.median);
        let (p50, p99, p999) = (of(|at| at.p50)?, of(|at| at.p99)?, of(|at| at.p999)?);
        Some(format!("{p50:.0} / {p99:.0} / {p999:.0}"))
    });
    out += &left_out(about, cells);
    put(&mut out, "\n## Resident memory after a round, MiB");
    out += &table(about, cells, |cell| {
        cell.of(|round| round.resident_kib as f64 / 1024.0)
            .map(|of| shown(of, 1))
    });
    put(
        &mut out,
        "\n## What load and upstream cost, CPU µs per request",
    );
    out += &table(about, cells, |cell| {
        let (load, upstream) = (
            cell.of(|round| round.load_micros)?,
            cell.of(|round| round.upstream_micros)?,
        );
        Some(format!("{:.1} + {:.1}", load.median, upstream.median))
    });
    put(&mut out, "\n## Disturbed rounds");
    out += &disturbed(cells);
    out
}

/// What the turns that do not count would have changed.
fn left_out(about: &About, cells: &[Cell]) -> String {
    let mut rounds = cells.iter().flat_map(|cell| &cell.timed);
    // Runs of before counted all.
    if rounds.all(|round| round.left_out.is_none()) {
        return String::new();
    }
    let mut out = "\nTurns that the load itself came late to count for nobody, unless they are most of a round: p99 with them, and their share of the requests.\n".to_owned();
    out += &table(about, cells, |cell| {
        let of = |figure: fn(&LeftOut) -> f64| {
            let figure = |round: &Timed| round.left_out.as_ref().map_or(f64::NAN, figure);
            cell.at_rate(figure).map(|of| of.median)
        };
        let (p99, share) = (of(|one| one.p99_of_all)?, of(|one| one.share)?);
        Some(format!("{p99:.0}, {:.1} %", share * 100.0))
    });
    out
}

/// The table of the README: CPU per request, and the goals.
pub(super) fn short(about: &About, cells: &[Cell], judged: &[Judged]) -> String {
    let mut out = format!("{}\n\nCPU µs per request, medians:", about.line);
    out += &table(about, cells, |cell| {
        cost(cell).map(|median| format!("{median:.1}"))
    });
    put(&mut out, "");
    out += &verdicts(judged);
    out
}

fn put(out: &mut String, line: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{line}");
}

fn shown(of: Spread, places: usize) -> String {
    format!(
        "{:.places$} ({:.places$} to {:.places$})",
        of.median, of.least, of.most
    )
}

fn scenarios(cells: &[Cell]) -> impl Iterator<Item = &'static super::scenario::Scenario> {
    let measured = |id: &str| cells.iter().any(|cell| cell.scenario == id);
    SCENARIOS
        .iter()
        .filter(move |scenario| measured(scenario.id))
}

/// Peers down, scenarios across.
fn table(about: &About, cells: &[Cell], figure: impl Fn(&Cell) -> Option<String>) -> String {
    let ids: Vec<&str> = scenarios(cells).map(|scenario| scenario.id).collect();
    let mut out = format!(
        "\n| | {} |\n|---|{}\n",
        ids.join(" | "),
        "---|".repeat(ids.len())
    );
    for (peer, _) in &about.peers {
        let row = ids.iter().map(|id| {
            cell(cells, peer, id)
                .and_then(&figure)
                .unwrap_or_else(|| "–".to_owned())
        });
        put(
            &mut out,
            &format!("| {peer} | {} |", row.collect::<Vec<_>>().join(" | ")),
        );
    }
    out
}

fn shares(about: &About, cells: &[Cell]) -> String {
    table(about, cells, |one| {
        let best = cheapest(cells, &about.alternatives, &one.scenario);
        let same = cell(cells, bare::NAME, &one.scenario);
        let bare = same.or_else(|| cell(cells, bare::NAME, "S1"));
        let of = |other: Option<&Cell>| {
            let ratio = other.and_then(|other| one.ratio(other));
            ratio.map_or_else(|| "–".to_owned(), |ratio| shown(ratio, 2))
        };
        Some(format!("{}; {}", of(best), of(bare)))
    })
}

/// The cheapest of these peers in a scenario.
fn cheapest<'a>(cells: &'a [Cell], peers: &[&str], scenario: &str) -> Option<&'a Cell> {
    let of = cells
        .iter()
        .filter(|cell| cell.scenario == scenario && peers.contains(&cell.peer.as_str()));
    let known = of.filter_map(|cell| Some((cost(cell)?, cell)));
    known
        .min_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, cell)| cell)
}

/// Goals beside their figures.
pub(crate) fn verdicts(judged: &[Judged]) -> String {
    let mut out = "\n| goal | this run | |\n|---|---|---|\n".to_owned();
    for one in judged {
        let met = match (one.met, one.in_noise) {
            (true, false) => "met",
            (true, true) => "met, within the noise",
            (false, false) => "**not met**",
            (false, true) => "**not met**, within the noise",
        };
        put(
            &mut out,
            &format!("| {} | {} | {met} |", one.goal, one.figure),
        );
    }
    out
}

fn disturbed(cells: &[Cell]) -> String {
    let mut out = format!(
        "\nOthers used more than {:.0} % of the machine's CPU time, or it was stolen, or the CPUs were far from each other, or the load came late to most of it. Left out where at least {LEFT} others are left.\n\n",
        OTHERS * 100.0
    );
    let rounds = cells.iter().flat_map(|cell| &cell.capacity);
    // Runs of before do not know.
    if let Some(left_out) = rounds.map(|round| round.left_out).sum::<Option<u32>>() {
        put(
            &mut out,
            &format!(
                "{left_out} slices of rounds were left out for that, and others were measured in their place.\n"
            ),
        );
    }
    let said = |of: &str, round: usize, noise: Noise| {
        let (others, load) = (noise.others * 100.0, noise.load_average_before);
        let round = round + 1;
        format!("- {of}, round {round}: {others:.0} % (load average before: {load:.2})")
    };
    let mut lines: Vec<String> = Vec::new();
    for cell in cells {
        let (peer, scenario) = (&cell.peer, &cell.scenario);
        for one in cell.capacity.iter().filter(|one| one.noise.disturbed) {
            let line = said(&format!("{scenario}, {peer}"), one.round, one.noise);
            let nanos = one.crossing_nanos;
            let between =
                nanos.map(|nanos| format!("; {nanos} ns from one CPU to the other and back"));
            lines.push(line + &between.unwrap_or_default());
        }
        for one in cell.timed.iter().filter(|one| one.noise.disturbed) {
            // Of all that were asked in turn.
            let mut line = said(
                &format!("{scenario} at the fixed rate"),
                one.round,
                one.noise,
            );
            if let Some(of) = one.left_out.filter(LeftOut::is_most) {
                let _ = write!(line, "; the load came late to {:.0} %", of.share * 100.0);
            }
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
    }
    if lines.is_empty() {
        lines.push("None.".to_owned());
    }
    lines.iter().for_each(|line| put(&mut out, line));
    out
}

/// Puts the short table between the markers of the README.
///
/// # Errors
/// If the file cannot be read or written, or has no markers.
pub(super) fn write_readme(readme: &Path, short: &str) -> io::Result<()> {
    let text = std::fs::read_to_string(readme)?;
    let text = between(&text, short);
    let text =
        text.ok_or_else(|| io::Error::other(format!("README.md lacks {BEGIN} and {END}")))?;
    std::fs::write(readme, text)
}

fn between(text: &str, short: &str) -> Option<String> {
    let begin = text.find(BEGIN)? + BEGIN.len();
    let end = begin + text[begin..].find(END)?;
    Some(format!("{}\n{short}\n{}", &text[..begin], &text[end..]))
}

/// Cells of one round each: peer, scenario, CPU per request, p99 (none if 0).
#[cfg(test)]
pub(super) fn samples(of: &[(&str, &str, f64, f64)]) -> Vec<Cell> {
    use super::rounds::Capacity;
    let noise = Noise {
        others: 0.0,
        load_average_before: 0.0,
        disturbed: false,
    };
    let cell = |(peer, scenario, cpu_micros, p99): &(&str, &str, f64, f64)| Cell {
        peer: (*peer).to_owned(),
        scenario: (*scenario).to_owned(),
        capacity: vec![Capacity {
            round: 0,
            per_second: 1e6 / cpu_micros,
            cpu_micros: *cpu_micros,
            busy: 0.5,
            load_micros: 4.0,
            upstream_micros: 5.0,
            resident_kib: 2048,
            reconnects: 0,
            left_out: Some(0),
            crossing_nanos: Some(55),
            noise,
        }],
        timed: match p99 {
            0.0 => Vec::new(),
            p99 => vec![Timed {
                round: 0,
                p50: 1.0,
                p99: *p99,
                p999: 2.0 * p99,
                left_out: Some(LeftOut {
                    share: 0.0,
                    p99_of_all: *p99,
                }),
                noise,
            }],
        },
    };
    of.iter().map(cell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about() -> About {
        let peers = [("sidecar", "1"), ("HAProxy", "2")]
            .map(|(name, version)| (name.to_owned(), version.to_owned()));
        About {
            line: "2 cores.".to_owned(),
            peers: peers.into(),
            alternatives: vec!["HAProxy"],
        }
    }

    #[test]
    fn tables_have_a_row_for_each_peer_and_a_column_for_each_scenario() {
        let mut cells = samples(&[
            ("sidecar", "S2", 20.0, 150.0),
            ("HAProxy", "S2", 25.0, 0.0),
            ("sidecar", "S3", 10.0, 0.0),
        ]);
        cells[0].capacity[0].noise.disturbed = true;
        let held = [Held::sample("sidecar", 10, 35)];
        let judged = super::super::goals::judge(&cells, &held, &about().alternatives);
        let out = whole(&about(), &cells, &held, &judged);
        for line in [
            "| | S2 | S3 |",
            "| sidecar | 20.0 (20.0 to 20.0) | 10.0 (10.0 to 10.0) |",
            "| HAProxy | 25.0 (25.0 to 25.0) | – |",
            "| sidecar | 0.80 (0.80 to 0.80); – | –; – |",
            "| sidecar | ≥ 50000 (50000 to 50000) | ≥ 100000 (100000 to 100000) |",
            "| sidecar | 1 / 150 / 300 | – |",
            "| S2: CPU at most 0.85 × the best peer's (HAProxy) | 0.80 (0.80 to 0.80); 20.0 / 25.0 µs | met |",
            "| sidecar | 3.5 |",
            "- S2, sidecar, round 1: 0 % (load average before: 0.00); 55 ns from one CPU to the other and back",
        ] {
            assert!(out.contains(line), "{line} is not in\n{out}");
        }
    }

    #[test]
    fn a_disturbed_round_of_all_in_turn_is_told_of_once() {
        let mut cells = samples(&[
            ("sidecar", "S2", 20.0, 150.0),
            ("HAProxy", "S2", 25.0, 160.0),
            ("sidecar", "S3", 10.0, 90.0),
        ]);
        for cell in &mut cells {
            cell.timed[0].noise.disturbed = true;
        }
        cells[2].timed[0].left_out = Some(LeftOut {
            share: 0.6,
            p99_of_all: 90.0,
        });
        let out = disturbed(&cells);
        let told: Vec<&str> = out.lines().filter(|line| line.starts_with('-')).collect();
        assert_eq!(
            told,
            [
                "- S2 at the fixed rate, round 1: 0 % (load average before: 0.00)",
                "- S3 at the fixed rate, round 1: 0 % (load average before: 0.00); the load came late to 60 %"
            ]
        );
    }

    #[test]
    fn slices_that_were_left_out_are_told_of_where_that_was_looked_at() {
        let mut cells = samples(&[("sidecar", "S2", 20.0, 0.0), ("sidecar", "S3", 10.0, 0.0)]);
        cells[1].capacity[0].left_out = Some(3);
        assert!(disturbed(&cells).contains("3 slices of rounds were left out"));
        cells[0].capacity[0].left_out = None;
        assert!(!disturbed(&cells).contains("slices"), "not all of them");
    }

    #[test]
    fn turns_that_were_left_out_are_told_of_where_that_was_looked_at() {
        let mut cells = samples(&[
            ("sidecar", "S1", 15.0, 200.0),
            ("HAProxy", "S1", 16.0, 200.0),
        ]);
        for (cell, p99_of_all) in cells.iter_mut().zip([900.0, 600.0]) {
            let share = 0.013;
            cell.timed[0].left_out = Some(LeftOut { share, p99_of_all });
        }
        // A disturbed round is none of those that count, where others are left.
        let of_three = &mut cells[1].timed;
        of_three.extend([of_three[0].clone(), of_three[0].clone()]);
        let mut disturbed = of_three[0].clone();
        disturbed.noise.disturbed = true;
        disturbed.left_out = Some(LeftOut {
            share: 0.9,
            p99_of_all: 9000.0,
        });
        of_three.extend([
            disturbed.clone(),
            disturbed.clone(),
            disturbed.clone(),
            disturbed,
        ]);
        let out = left_out(&about(), &cells);
        for line in ["| sidecar | 900, 1.3 % |", "| HAProxy | 600, 1.3 % |"] {
            assert!(out.contains(line), "{line} is not in\n{out}");
        }
        let rounds = cells.iter_mut().flat_map(|cell| &mut cell.timed);
        rounds.for_each(|round| round.left_out = None);
        assert_eq!(left_out(&about(), &cells), "");
    }

    #[test]
    fn a_verdict_says_whether_it_is_within_the_noise() {
        let verdict = |met, in_noise| {
            let one = Judged {
                goal: "a".to_owned(),
                figure: "1".to_owned(),
                met,
                in_noise,
            };
            let table = verdicts(&[one]);
            let line = table.lines().last().unwrap_or_default();
            line.trim_start_matches("| a | 1 | ").to_owned()
        };
        assert_eq!(verdict(true, false), "met |");
        assert_eq!(verdict(true, true), "met, within the noise |");
        assert_eq!(verdict(false, false), "**not met** |");
        assert_eq!(verdict(false, true), "**not met**, within the noise |");
    }

    #[test]
    fn the_readme_keeps_what_is_outside_of_the_markers() {
        let text = format!("before\n{BEGIN}\nold\n{END}\nafter\n");
        assert_eq!(
            between(&text, "new"),
            Some(format!("before\n{BEGIN}\nnew\n{END}\nafter\n"))
        );
        assert_eq!(between("no markers", "new"), None);
        assert_eq!(between(&format!("{END}{BEGIN}"), "new"), None);
    }
}
