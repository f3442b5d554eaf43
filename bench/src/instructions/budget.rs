//! The most that a request may cost, by scenario, as `instructions.toml` has it. Pure.
//!
//! A budget is raised by accepting what was measured; a scenario without one is over it.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;

/// What a request was measured to cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cost {
    pub(super) instructions: f64,
    pub(super) allocations: f64,
}

/// What it may cost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Budget {
    pub(super) instructions: u64,
    pub(super) allocations: u64,
}

/// All budgets, by scenario.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Budgets(BTreeMap<String, Budget>);

/// Room left by an accepted budget: figures of equal runs differ by less.
const ROOM: f64 = 1.02;

const HEADER: &str = "# The most instructions and allocations that a request may cost. Written by
# `camarad-bench instructions --accept`: what was measured, and 2 % more.

";

impl Budget {
    /// Whether this costs no more.
    pub(super) fn holds(self, cost: Cost) -> bool {
        cost.instructions <= self.instructions as f64 && cost.allocations <= self.allocations as f64
    }
}

impl Budgets {
    /// # Errors
    /// If the text is no such file.
    pub(super) fn parse(text: &str) -> io::Result<Self> {
        toml::from_str(text)
            .map_err(|error| io::Error::other(format!("bench/instructions.toml: {error}")))
    }

    /// The file, as [`Self::parse`] reads it.
    pub(super) fn text(&self) -> String {
        let mut out = HEADER.to_owned();
        for (scenario, budget) in &self.0 {
            let Budget {
                instructions,
                allocations,
            } = budget;
            out += &format!(
                "[{scenario}]\ninstructions = {instructions}\nallocations = {allocations}\n\n"
            );
        }
        out.truncate(out.trim_end().len());
        out + "\n"
    }

    pub(super) fn of(&self, scenario: &str) -> Option<Budget> {
        self.0.get(scenario).copied()
    }

    /// Makes what was measured, and a little more, the budget.
    pub(super) fn accept(&mut self, scenario: &str, cost: Cost) {
        let room = |figure: f64| (figure * ROOM).ceil().max(0.0) as u64;
        let budget = Budget {
            instructions: room(cost.instructions),
            allocations: room(cost.allocations),
        };
        self.0.insert(scenario.to_owned(), budget);
    }

    /// A sentence for each scenario that costs more than it may.
    pub(super) fn exceeded<'a>(
        &self,
        costs: impl IntoIterator<Item = (&'a str, Cost)>,
    ) -> Vec<String> {
        let over = costs.into_iter().filter_map(|(scenario, cost)| {
            let Cost {
                instructions,
                allocations,
            } = cost;
            let figures =
                format!("{instructions:.0} instructions and {allocations:.1} allocations");
            match self.of(scenario) {
                None => Some(format!("{scenario}: {figures} a request, and no budget")),
                Some(budget) if budget.holds(cost) => None,
                Some(budget) => Some(format!(
                    "{scenario}: {figures} a request, and a budget of {} and {}",
                    budget.instructions, budget.allocations
                )),
            }
        });
        over.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(instructions: f64, allocations: f64) -> Cost {
        Cost {
            instructions,
            allocations,
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut budgets = Budgets::parse("").expect("none");
        budgets.accept("S2", cost(100_000.0, 50.0));
        budgets.accept("S2b", cost(1.0, 0.0));
        let text = budgets.text();
        assert_eq!(Budgets::parse(&text).expect("good"), budgets);
        assert!(
            text.ends_with("[S2b]\ninstructions = 2\nallocations = 0\n"),
            "{text}"
        );
        for wrong in [
            "S2 = 1",
            "[S2]\ninstructions = 5",
            "[S2]\ninstructions = -1\nallocations = 1",
        ] {
            let error = Budgets::parse(wrong).expect_err("wrong").to_string();
            assert!(error.contains("instructions.toml"), "{error}");
        }
    }

    #[test]
    fn an_accepted_budget_leaves_two_per_cent_and_no_more() {
        let mut budgets = Budgets::parse("").expect("none");
        budgets.accept("S2", cost(100_000.0, 50.0));
        let expected = Budget {
            instructions: 102_000,
            allocations: 51,
        };
        assert_eq!(budgets.of("S2"), Some(expected));
        for (scenario, measured, word) in [
            ("S2", cost(102_000.0, 51.0), None),
            ("S2", cost(1.0, 1.0), None),
            ("S2", cost(102_001.0, 51.0), Some("S2: 102001 instructions")),
            ("S2", cost(1.0, 51.1), Some("51.1 allocations")),
            ("S3", cost(1.0, 1.0), Some("no budget")),
        ] {
            let over = budgets.exceeded([(scenario, measured)]);
            let told = over.first().map(String::as_str);
            match word {
                None => assert_eq!(told, None),
                Some(word) => assert!(told.is_some_and(|told| told.contains(word)), "{told:?}"),
            }
        }
    }
}
