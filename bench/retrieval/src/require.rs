//! What an evaluation must reach: `nDCG@10>=0.6`, `MRR@10:paraphrase>=0.5`,
//! `cross_tenant_hits<=0`. A figure that there is none of is not reached.

use std::str::FromStr;

use crate::report::{Evaluated, figure};

/// One condition.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Requirement {
    name: String,
    at_least: bool,
    bound: f64,
}

impl FromStr for Requirement {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, String> {
        let split = |sign| written.split_once(sign);
        let (name, bound, at_least) = match (split(">="), split("<=")) {
            (Some((name, bound)), _) => (name, bound, true),
            (_, Some((name, bound))) => (name, bound, false),
            _ => return Err("expected NAME>=NUMBER or NAME<=NUMBER".to_owned()),
        };
        let bound = bound
            .trim()
            .parse()
            .ok()
            .filter(|bound: &f64| bound.is_finite());
        Ok(Self {
            name: name.trim().to_owned(),
            at_least,
            bound: bound.ok_or("expected a number as bound")?,
        })
    }
}

impl Requirement {
    /// What is missing, for one system.
    pub(crate) fn missed(&self, system: &Evaluated) -> Option<String> {
        let sign = if self.at_least { ">=" } else { "<=" };
        let due = format!("{}: {}{sign}{}", system.system, self.name, self.bound);
        match figure(system, &self.name) {
            None => Some(format!("{due}: there is no such figure")),
            Some(found) if self.holds(found) => None,
            Some(found) => Some(format!("{due}: it is {found:.4}")),
        }
    }

    fn holds(&self, found: f64) -> bool {
        if self.at_least {
            found >= self.bound
        } else {
            found <= self.bound
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read() {
        let read = |written: &str| written.parse::<Requirement>();
        let least = read("nDCG@10>=0.6").unwrap();
        assert_eq!((least.name.as_str(), least.at_least), ("nDCG@10", true));
        assert!(least.holds(0.6) && !least.holds(0.599));
        let most = read("cross_tenant_hits <= 0").unwrap();
        assert_eq!(
            (most.name.as_str(), most.at_least),
            ("cross_tenant_hits", false)
        );
        assert!(most.holds(0.0) && !most.holds(1.0));
        for wrong in ["nDCG@10", "nDCG@10>=", "nDCG@10>=NaN", "nDCG@10=0.6"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
