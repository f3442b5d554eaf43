//! What is listed one by one, and what it was read from.

use super::super::tally::{Compared, Failures, Listed, Named, Refusals, Tally, Times};
use super::words::{most, noun, quantiles};
use super::{ACCESS, AUDIT, IDS, LEDGER, LONGEST, MOST, SLOWEST, Section, Seen, is_known};
use crate::shown::{self, code};
use std::collections::BTreeMap;
use std::fmt::Write as _;

impl Section {
    pub(super) fn listed(&mut self, what: &str, none: &str, listed: &Listed) {
        let rows = listed.rows();
        if rows.is_empty() {
            return self.line(&format!("- **{what}**: {none}"));
        }
        self.line(&format!("- **{what}**:"));
        for (at, row) in &rows {
            self.line(&format!(
                "  - {} {}",
                self.second(*at),
                shown::words(row, LONGEST)
            ));
        }
        self.rest(listed, rows.len());
    }

    pub(super) fn rest(&mut self, listed: &Listed, told: usize) {
        let rest = listed.count.saturating_sub(told as u64);
        if rest > 0 {
            self.line(&format!("  - and {rest} more"));
        }
    }

    pub(super) fn refusals(&mut self, tally: &Tally, seen: &[Seen]) {
        let (of, whence): (&Refusals, _) = match (is_known(seen, AUDIT), is_known(seen, ACCESS)) {
            (true, _) => (&tally.refused, ""),
            (false, true) => (
                &tally.refused_early,
                " (by the access log, which has only those refused before they went on)",
            ),
            (false, false) => {
                return self.line("- **Refusals**: not known, without the audit log");
            }
        };
        if of.count() == 0 {
            return self.line(&format!("- **Refusals**: none{whence}"));
        }
        let codes = most(&of.codes, |n| **n).take(MOST);
        let codes = codes.map(|(name, n)| format!("{} {n}", code(name)));
        let mut codes = codes.collect::<Vec<_>>();
        if of.codes.len() > MOST {
            codes.push("and others".to_owned());
        }
        let codes = codes.join(", ");
        let (users, addresses) = (of.users.count(), of.addresses.count());
        self.line(&format!(
            "- **Refusals**: {}, of {users} {} and {addresses} {}{whence}: {codes}",
            of.count(),
            noun(users, "user"),
            match addresses {
                1 => "address",
                _ => "addresses",
            }
        ));
    }

    pub(super) fn log(&mut self, errors: Times, warnings: Times) {
        let told = |times: Times| match times.count {
            0 => "none".to_owned(),
            _ => self.times(times),
        };
        let line = format!(
            "- **The application's log**: errors: {}; warnings: {}",
            told(errors),
            told(warnings)
        );
        self.line(&line);
    }

    pub(super) fn runs(&mut self, tally: &Tally, none: &str) {
        if tally.runs.count == 0 {
            return self.line(&format!("- **Runs hit**: {none}"));
        }
        let each = tally.run_statuses.iter();
        let each = each.map(|(status, n)| format!("{status} {n}"));
        let each = each.collect::<Vec<_>>().join(", ");
        self.line(&format!("- **Runs hit**: {each}"));
        let rows = tally.runs.rows();
        for (at, row) in &rows {
            self.line(&format!("  - {row}, begun {}", self.second(*at)));
        }
        self.rest(&tally.runs, rows.len());
    }

    pub(super) fn slowest(&mut self, routes: &Named<Compared>) {
        let slow = |(name, of): (&String, &Compared)| {
            let p99 = of.during.quantile(99)?;
            Some((p99, name.clone(), of.clone()))
        };
        let mut slowest: Vec<_> = routes.iter().filter_map(slow).collect();
        slowest.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        if slowest.is_empty() {
            return;
        }
        self.line("- **Slowest routes**, by p99:");
        for (_, name, of) in slowest.iter().take(SLOWEST) {
            let told = quantiles(of);
            let count = of.during.total();
            self.line(&format!("  - {} ({count}): {told}", code(name)));
        }
    }

    /// A few of every kind of failure rather than many of one.
    pub(super) fn ids(&mut self, failures: &Named<Named<Failures>>) {
        let kinds: Vec<Vec<_>> = failures
            .values()
            .flat_map(BTreeMap::values)
            .map(|one| {
                let mut ids = one.ids.clone();
                ids.sort();
                ids
            })
            .collect();
        let most = kinds.iter().map(Vec::len).max().unwrap_or(0);
        let ids = (0..most).flat_map(|nth| kinds.iter().filter_map(move |ids| ids.get(nth)));
        let ids: Vec<_> = ids.take(IDS).map(|(_, id)| code(id)).collect();
        if !ids.is_empty() {
            self.line(&format!(
                "- **Some of the 5xx**, for `camarad-sidecar trace`: {}",
                ids.join(", ")
            ));
        }
    }

    pub(super) fn seen(&mut self, seen: &[Seen]) {
        self.line("- **Read for this**:");
        for one in seen {
            let mut told = format!("  - {}: ", one.log);
            let files: Vec<_> = one.files.iter().map(|name| code(name)).collect();
            match (files.is_empty(), one.older) {
                (true, 0) => told += "not read",
                (true, 1) => told += "the one file ends before this time",
                (true, older) => {
                    let _ = write!(told, "all {older} files end before this time");
                }
                (false, _) => told += &files.join(", "),
            }
            if !files.is_empty() && one.log != LEDGER {
                let _ = write!(told, "; {} lines", one.lines);
            }
            if one.broken > 0 {
                let _ = write!(told, ", {} of them could not be read", one.broken);
            }
            for problem in &one.problems {
                let _ = write!(told, "; {}", shown::words(problem, LONGEST));
            }
            self.line(&told);
        }
    }
}
