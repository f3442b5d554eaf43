//! An hour of one origin as a small chart: answers upwards, failures downwards, so that
//! neither needs colour to be told from the other. Inline SVG; pure.

use super::facts::Origin;
use super::words::count;
use crate::observe::Count;
use maud::{Markup, html};
use std::fmt::Write;

/// From one bar to the next; how wide one is, the style sheet says.
const STEP: usize = 4;
/// Heights of what stands above and below the line, in the same units.
const ABOVE: f64 = 44.0;
const BELOW: f64 = 20.0;

/// The chart, with what it says in words.
pub(super) fn chart(origin: &Origin) -> Markup {
    let (answers, failed) = (total(origin, |c| c.answers), total(origin, |c| c.failed));
    let (most, worst) = (peak(origin, |c| c.answers), peak(origin, |c| c.failed));
    let words = format!(
        "{}: {} answers in the last 60 minutes, at most {} in a minute; {} failed, at most {} in a minute.",
        origin.origin,
        count(answers),
        count(most),
        count(failed),
        count(worst)
    );
    let width = origin.minutes.len() * STEP;
    let height = ABOVE + BELOW + 2.0;
    html! {
        svg role="img" aria-label=(words) viewBox=(format!("0 0 {width} {height}")) preserveAspectRatio="none" {
            path class="answers" d=(bars(&origin.minutes, |c| c.answers, most, ABOVE, -1.0)) {}
            path class="failed" d=(bars(&origin.minutes, |c| c.failed, worst, BELOW, 1.0)) {}
            path class="axis" d=(format!("M0 {ABOVE}h{width}v1h-{width}z")) {}
        }
        p.scale aria-hidden="true" { span { "60 min ago" } span { "now" } }
        p { b { (count(answers)) } " answers, peak " (count(most)) " a minute" br;
            b.bad[failed > 0] { (count(failed)) } " failed, peak " (count(worst)) " a minute" }
    }
}

pub(super) fn total(origin: &Origin, of: impl Fn(&Count) -> u64) -> u64 {
    origin.minutes.iter().map(of).sum()
}

fn peak(origin: &Origin, of: impl Fn(&Count) -> u64) -> u64 {
    origin.minutes.iter().map(of).max().unwrap_or(0)
}

/// One path for all bars; `direction` is -1 above the line and 1 below it.
fn bars(
    minutes: &[Count],
    of: impl Fn(&Count) -> u64,
    most: u64,
    room: f64,
    direction: f64,
) -> String {
    let start = if direction < 0.0 { ABOVE } else { ABOVE + 1.0 };
    let mut path = format!("M{} {start}", STEP / 2);
    // Bars are strokes, each relative to the one before: the shortest way to write them.
    let mut gap = 0;
    for minute in minutes {
        let value = of(minute);
        if value > 0 {
            // What was there is seen, however little it was.
            let height = value as f64 / most.max(1) as f64 * room;
            let height = height.max(2.0).round() * direction;
            // Writing to a String cannot fail.
            let _ = match gap {
                0 => write!(path, "v{height}m{STEP} {}", -height),
                gap => write!(path, "m{gap} 0v{height}m{STEP} {}", -height),
            };
            gap = 0;
        } else {
            gap += STEP;
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(minutes: &[(usize, u64, u64)]) -> Origin {
        let mut all = vec![Count::default(); 60];
        for (at, answers, failed) in minutes {
            all[*at] = Count {
                answers: *answers,
                failed: *failed,
            };
        }
        Origin {
            origin: "legacy",
            minutes: all,
            ..Origin::default()
        }
    }

    #[test]
    fn bars_have_the_height_of_their_share() {
        let minutes = origin(&[(0, 100, 0), (1, 50, 4), (59, 1, 2)]).minutes;
        assert_eq!(
            bars(&minutes, |c| c.answers, 100, ABOVE, -1.0),
            "M2 44v-44m4 44v-22m4 22m228 0v-2m4 2"
        );
        assert_eq!(
            bars(&minutes, |c| c.failed, 4, BELOW, 1.0),
            "M2 45m4 0v20m4 -20m228 0v10m4 -10"
        );
    }

    #[test]
    fn the_words_say_what_the_bars_show() {
        let drawn = chart(&origin(&[(10, 1200, 3), (11, 34, 0)])).into_string();
        let words = "legacy: 1,234 answers in the last 60 minutes, at most 1,200 in a minute; 3 failed, at most 3 in a minute.";
        assert!(
            drawn.contains(&format!("aria-label=\"{words}\"")),
            "{drawn}"
        );
        let empty = chart(&origin(&[])).into_string();
        assert!(
            !empty.contains("v-") && empty.contains("0 answers"),
            "{empty}"
        );
    }
}
