//! The order in which a round measures. Pure.
//!
//! A machine that is shared gets faster and slower within seconds. So what is compared stands
//! side by side: the peers of a scenario in a row, and two scenarios of the sidecar's that a
//! goal compares one behind the other, with the sidecar last in the first and first in the
//! second; so a scenario is in one such pair at most. Every other round goes the other way
//! (A B C, C B A), or a drift would always hit the same side.

use std::ops::Range;

/// Places in the order in which this round measures them. `scenarios` has the scenario of each
/// place, those of one scenario in a row and the sidecar's first; `compared` has pairs of
/// scenarios that a goal compares.
pub(super) fn course(scenarios: &[&str], compared: &[(&str, &str)], round: usize) -> Vec<usize> {
    let mut groups: Vec<(&str, Range<usize>)> = Vec::new();
    for (at, scenario) in scenarios.iter().enumerate() {
        match groups.last_mut() {
            Some((last, places)) if last == scenario => places.end = at + 1,
            _ => groups.push((scenario, at..at + 1)),
        }
    }
    for (scenario, other) in compared {
        let place = |groups: &[(&str, _)], id| groups.iter().position(|(one, _)| *one == id);
        if place(&groups, *other).is_some()
            && let Some(from) = place(&groups, *scenario)
        {
            let group = groups.remove(from);
            let behind = place(&groups, *other).map_or(groups.len(), |at| at + 1);
            groups.insert(behind, group);
        }
    }
    let mut course = Vec::with_capacity(scenarios.len());
    for (scenario, places) in groups {
        match compared.iter().any(|(_, other)| *other == scenario) {
            true => course.extend(places.rev()),
            false => course.extend(places),
        }
    }
    if round % 2 == 1 {
        course.reverse();
    }
    course
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compared_stands_side_by_side_and_every_other_round_is_the_other_way_round() {
        // The sidecar's at 0, 3, 6, 8, 10.
        let scenarios = [
            "S2", "S2", "S2", "S2b", "S2b", "S2b", "S3", "S3", "S4", "S4", "S6",
        ];
        let compared = [("S2b", "S2"), ("S6", "S3")];
        let first = course(&scenarios, &compared, 0);
        assert_eq!(first, [2, 1, 0, 3, 4, 5, 7, 6, 10, 8, 9]);
        let mut second = course(&scenarios, &compared, 1);
        second.reverse();
        assert_eq!(second, first);
        // Of a pair of which one is not measured nothing is moved.
        assert_eq!(course(&["S3", "S3", "S6"], &[("S6", "S4")], 2), [0, 1, 2]);
        assert_eq!(course(&[], &compared, 0), [0; 0]);
    }
}
