//! What `strace -c` writes: how often each system call was made. Pure.

use std::collections::BTreeMap;

/// Calls of a run, by name.
pub(super) type Calls = BTreeMap<String, u64>;

/// Calls of one request; kinds are what a reader asks about first.
#[derive(Debug, PartialEq)]
pub(super) struct PerRequest {
    pub(super) read: f64,
    pub(super) write: f64,
    pub(super) wait: f64,
    /// All others together, and those that are at least one in twenty requests.
    pub(super) others: f64,
    pub(super) named: Vec<(String, f64)>,
}

impl PerRequest {
    pub(super) fn all(&self) -> f64 {
        self.read + self.write + self.wait + self.others
    }
}

const READ: [&str; 5] = ["read", "readv", "recvfrom", "recvmsg", "pread64"];
const WRITE: [&str; 5] = ["write", "writev", "sendto", "sendmsg", "pwrite64"];
const WAIT: [&str; 5] = ["epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll"];

/// Fewer than this are clocks and timers, not the request's.
const WORTH_A_NAME: f64 = 0.05;

/// Reads the table; lines that are no rows of it are passed over.
pub(super) fn parse(text: &str) -> Calls {
    let mut calls = Calls::new();
    for line in text.lines() {
        // % time, seconds, usecs/call, calls, perhaps errors, syscall
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [share, _, _, count, .., name] = fields[..] else {
            continue;
        };
        if let (Ok(_), Ok(count), true) = (share.parse::<f64>(), count.parse(), name != "total") {
            calls.insert(name.to_owned(), count);
        }
    }
    calls
}

/// What a request makes, `more` being a run with as many requests more.
pub(super) fn per_request(less: &Calls, more: &Calls, requests: u64) -> PerRequest {
    let of = |name: &str| {
        let (few, many) = (less.get(name), more.get(name));
        // What clocks make may be fewer in the longer run, by chance.
        let more = many.unwrap_or(&0).saturating_sub(*few.unwrap_or(&0));
        more as f64 / requests as f64
    };
    let kind = |names: &[&str]| names.iter().map(|name| of(name)).sum();
    let all = less.keys().chain(more.keys());
    let others: BTreeMap<&String, f64> = all
        .filter(|name| ![READ, WRITE, WAIT].concat().contains(&name.as_str()))
        .map(|name| (name, of(name)))
        .collect();
    let named = others.iter().filter(|(_, count)| **count >= WORTH_A_NAME);
    PerRequest {
        read: kind(&READ),
        write: kind(&WRITE),
        wait: kind(&WAIT),
        named: named
            .map(|(name, count)| ((*name).clone(), *count))
            .collect(),
        others: others.into_values().sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
strace: Process 1 attached
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ------------------
 60.00    0.001200           1       100           writev
 30.00    0.000600           1        50         3 recvfrom
  5.00    0.000100           1        40           epoll_wait
  5.00    0.000100           1         7         1 futex
  0.00    0.000000           0        12           mmap
------ ----------- ----------- --------- --------- ------------------
100.00    0.002000           1       209         4 total
";

    fn calls(of: &[(&str, u64)]) -> Calls {
        of.iter()
            .map(|(name, count)| ((*name).to_owned(), *count))
            .collect()
    }

    #[test]
    fn rows_are_read_with_and_without_errors() {
        let expected = [
            ("epoll_wait", 40),
            ("futex", 7),
            ("mmap", 12),
            ("recvfrom", 50),
            ("writev", 100),
        ];
        assert_eq!(parse(TABLE), calls(&expected));
        assert_eq!(parse("strace: nothing\n\n"), Calls::new());
    }

    #[test]
    fn what_the_longer_run_made_less_often_is_not_less_than_nothing() {
        let each = per_request(&calls(&[("futex", 9)]), &calls(&[("futex", 3)]), 10);
        assert!(each.all().abs() < 1e-9);
    }

    #[test]
    fn calls_are_told_by_kind_and_rare_ones_without_a_name() {
        let less = calls(&[("read", 10), ("recvfrom", 20), ("futex", 5), ("mmap", 30)]);
        let more = calls(&[
            ("read", 20),
            ("recvfrom", 40),
            ("writev", 20),
            ("epoll_pwait", 10),
            ("futex", 15),
            ("mmap", 30),
            ("madvise", 1),
        ]);
        let each = per_request(&less, &more, 10);
        assert_eq!((each.read, each.write, each.wait), (3.0, 2.0, 1.0));
        assert_eq!(
            each.named,
            [("futex".to_owned(), 1.0), ("madvise".to_owned(), 0.1)]
        );
        assert!((each.others - 1.1).abs() < 1e-9 && (each.all() - 7.1).abs() < 1e-9);
        let rare = per_request(&calls(&[]), &calls(&[("madvise", 1)]), 100);
        assert_eq!((rare.named.len(), rare.others), (0, 0.01));
    }
}
