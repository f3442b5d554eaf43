//! The table of `instructions.md`. Pure.

use super::budget::Budgets;
use super::strace::PerRequest;
use super::{Counted, REQUESTS};
use std::fmt::Write;

/// All scenarios beside their budgets.
pub(super) fn table(counted: &[Counted], budgets: &Budgets) -> String {
    let mut out = format!(
        "# What a request costs, counted\n\n\
         Under callgrind and strace, one worker, one keep-alive connection; the difference of two runs with {REQUESTS} and {} requests. \
         Instructions in user space; allocations with reallocations. How to raise a budget: [bench/README.md](../README.md).\n\n",
        2 * REQUESTS
    );
    for one in counted {
        put(
            &mut out,
            &format!("- {}: {}", one.scenario.id, one.scenario.words),
        );
    }
    put(
        &mut out,
        "\n| | instructions | allocations | budget | | system calls |\n|---|---|---|---|---|---|",
    );
    for one in counted {
        let (id, cost) = (one.scenario.id, one.cost);
        let (budget, within) = match budgets.of(id) {
            None => ("none".to_owned(), "**over**"),
            Some(budget) => (
                format!("{}, {}", budget.instructions, budget.allocations),
                if budget.holds(cost) {
                    "within"
                } else {
                    "**over**"
                },
            ),
        };
        let (instructions, allocations) = (cost.instructions, cost.allocations);
        let calls = calls(&one.calls);
        put(
            &mut out,
            &format!(
                "| {id} | {instructions:.0} | {allocations:.1} | {budget} | {within} | {calls} |"
            ),
        );
    }
    out
}

/// `9.1: 2.0 read, 2.0 write, 4.0 wait, 1.1 other (1.0 futex)`.
fn calls(of: &PerRequest) -> String {
    let mut out = format!(
        "{:.1}: {:.1} read, {:.1} write, {:.1} wait, {:.1} other",
        of.all(),
        of.read,
        of.write,
        of.wait,
        of.others
    );
    let named: Vec<String> = of
        .named
        .iter()
        .map(|(name, count)| format!("{count:.1} {name}"))
        .collect();
    if !named.is_empty() {
        out += &format!(" ({})", named.join(", "));
    }
    out
}

fn put(out: &mut String, line: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{line}");
}

#[cfg(test)]
mod tests {
    use super::super::budget::Cost;
    use super::*;
    use crate::peers::scenario::SCENARIOS;

    #[test]
    fn a_row_says_figures_budget_and_calls_by_kind() {
        let counted = |id: &str, instructions| Counted {
            scenario: SCENARIOS
                .iter()
                .find(|scenario| scenario.id == id)
                .expect("known"),
            cost: Cost {
                instructions,
                allocations: 12.5,
            },
            calls: PerRequest {
                read: 2.0,
                write: 2.0,
                wait: 4.0,
                others: 1.0,
                named: vec![("futex".to_owned(), 1.0)],
            },
        };
        let mut budgets = Budgets::parse("").expect("none");
        let all = [
            counted("S2", 1000.4),
            counted("S3", 5000.0),
            counted("S4", 1.0),
        ];
        budgets.accept("S2", all[0].cost);
        budgets.accept("S3", all[0].cost);
        let out = table(&all, &budgets);
        let calls = "9.0: 2.0 read, 2.0 write, 4.0 wait, 1.0 other (1.0 futex)";
        for line in [
            format!("| S2 | 1000 | 12.5 | 1021, 13 | within | {calls} |"),
            format!("| S3 | 5000 | 12.5 | 1021, 13 | **over** | {calls} |"),
            format!("| S4 | 1 | 12.5 | none | **over** | {calls} |"),
        ] {
            assert!(out.contains(&line), "{line} is not in\n{out}");
        }
    }
}
