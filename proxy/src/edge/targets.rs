//! What was read of targets, remembered by each worker for the requests that repeat them.
//!
//! Dashboards ask for the same few targets again and again. Path, pairs and rule follow from
//! method and target alone, so what was read once holds for everybody under the same matrix.
//! Only reads whose answers may be kept: what is asked for once, a code of a login above all,
//! must not stay. No identity is remembered and no decision: those are taken anew each time. If
//! something that hangs on the caller were put in here, others would be decided on by it.

use camarad_policies::matrix::Found;
use camarad_policies::target::Target;
use quick_cache::Equivalent;
use quick_cache::unsync::Cache;
use std::cell::RefCell;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

/// Targets that a worker remembers.
const MOST: usize = 1024;
/// Bytes that one may take, about: as it stands on the wire, and as it is read.
const LARGEST: usize = 1024;

thread_local! {
    static TABLE: RefCell<Option<Table>> = const { RefCell::new(None) };
}

/// What a worker remembers of one matrix.
struct Table {
    matrix: u64,
    entries: Cache<Key, Known>,
}

/// What follows from method and target.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) target: Target,
    pub(super) found: Found,
}

impl Known {
    fn weight(&self) -> usize {
        let found = &self.found;
        let named = [&found.client_in_path, &found.object_in_path];
        let named: usize = named.into_iter().flatten().map(String::len).sum();
        size_of::<Found>() + named + self.target.weight()
    }
}

struct Key {
    method: &'static str,
    target: Box<[u8]>,
}

/// A key that is only looked for.
struct Wanted<'a> {
    method: &'a str,
    target: &'a [u8],
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.target.hash(state);
    }
}

impl Hash for Wanted<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.target.hash(state);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.method == other.method && self.target == other.target
    }
}

impl Eq for Key {}

impl Equivalent<Key> for Wanted<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.method == key.method && *self.target == *key.target
    }
}

/// The memory of one matrix; another one's is never looked at.
pub(crate) struct Targets {
    matrix: u64,
}

impl Targets {
    /// Of a matrix of its own.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            matrix: NEXT.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// What is known of a request's method and target.
    pub(super) fn known(&self, method: &str, target: &[u8]) -> Option<Known> {
        TABLE.with_borrow(|table| {
            let table = table.as_ref().filter(|table| table.matrix == self.matrix)?;
            table.entries.get(&Wanted { method, target }).cloned()
        })
    }

    /// Remembers what was read of a method and target, as they stood on the wire, if it is
    /// likely to be asked for again.
    pub(super) fn remember(
        &self,
        method: &'static str,
        raw: &[u8],
        found: &Found,
        target: impl FnOnce() -> Target,
    ) {
        if found.rule.cache.is_none() || !matches!(method, "GET" | "HEAD") {
            return;
        }
        let (target, found) = (target(), found.clone());
        let known = Known { target, found };
        if raw.len() + known.weight() > LARGEST {
            return;
        }
        let key = Key {
            method,
            target: raw.into(),
        };
        TABLE.with_borrow_mut(|table| {
            // Who began under older settings does not drop what is known under newer ones.
            if table
                .as_ref()
                .is_none_or(|table| table.matrix < self.matrix)
            {
                *table = Some(Table {
                    matrix: self.matrix,
                    entries: Cache::new(MOST),
                });
            }
            if let Some(table) = table.as_mut().filter(|table| table.matrix == self.matrix) {
                table.entries.insert(key, known);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use camarad_policies::matrix::Matrix;
    use proptest::prelude::*;

    fn read(matrix: &Matrix, method: &str, raw: &str) -> Option<Known> {
        let target = Target::parse(raw.as_bytes()).ok()?;
        let found = matrix.find(method, &target.path);
        Some(Known { target, found })
    }

    fn told(known: &Known) -> String {
        let Found {
            rule,
            client_in_path,
            object_in_path,
        } = &known.found;
        let target = &known.target;
        format!(
            "{target:?} {} {client_in_path:?} {object_in_path:?}",
            rule.name
        )
    }

    fn known(targets: &Targets, method: &str, raw: &str) -> Option<String> {
        targets.known(method, raw.as_bytes()).as_ref().map(told)
    }

    fn remember(targets: &Targets, matrix: &Matrix, method: &'static str, raw: &str) -> String {
        let read = read(matrix, method, raw).unwrap();
        targets.remember(method, raw.as_bytes(), &read.found, || read.target.clone());
        told(&read)
    }

    const FLOWS: &str = "/api/flows?a=1";

    #[test]
    fn what_is_remembered_is_of_one_method_one_target_and_one_matrix() {
        let (matrix, targets, newer) =
            (Matrix::built_in().unwrap(), Targets::new(), Targets::new());
        let first = remember(&targets, &matrix, "GET", FLOWS);
        assert_eq!(known(&targets, "GET", FLOWS), Some(first));
        for (method, raw) in [
            ("DELETE", FLOWS),
            ("HEAD", FLOWS),
            ("BREW", FLOWS),
            ("GET", "/api/flows"),
            ("GET", "/api/flows?a=2"),
            ("GET", "/api/flow%73?a=1"),
            ("GET", ""),
        ] {
            assert_eq!(known(&targets, method, raw), None, "{method} {raw}");
        }
        assert_eq!(known(&newer, "GET", FLOWS), None);
        let second = remember(&newer, &matrix, "HEAD", FLOWS);
        assert_eq!(known(&newer, "HEAD", FLOWS), Some(second.clone()));
        assert_eq!(known(&newer, "GET", FLOWS), None);
        assert_eq!(
            known(&targets, "GET", FLOWS),
            None,
            "an older one's is dropped"
        );
        remember(&targets, &matrix, "GET", FLOWS);
        assert_eq!(known(&targets, "GET", FLOWS), None);
        assert_eq!(known(&newer, "HEAD", FLOWS), Some(second));
    }

    #[test]
    fn what_is_large_or_not_to_be_kept_is_not_remembered() {
        let (matrix, targets) = (Matrix::built_in().unwrap(), Targets::new());
        for (method, raw) in [
            ("GET", format!("/api/flows?{}", "a".repeat(LARGEST / 3))),
            ("GET", format!("/api/flows?{}", "%61&".repeat(10))),
            ("GET", format!("/api/flows?{}", "b&".repeat(25))),
            // Its answer is not kept: neither is a code that is good for once.
            (
                "GET",
                "/api/connectors/ga4/oauth/callback?code=a".to_owned(),
            ),
            ("GET", "/api/clients/7".to_owned()),
            ("POST", FLOWS.to_owned()),
        ] {
            remember(&targets, &matrix, method, &raw);
            assert_eq!(known(&targets, method, &raw), None, "{method} {raw}");
        }
    }

    #[test]
    fn a_worker_remembers_so_many_and_no_more() {
        let (matrix, targets) = (Matrix::built_in().unwrap(), Targets::new());
        let raw = |n: usize| format!("/api/flows?a={n}");
        for n in 0..3 * MOST {
            remember(&targets, &matrix, "GET", &raw(n));
        }
        let kept = (0..3 * MOST).filter(|n| {
            let known = targets.known("GET", raw(*n).as_bytes());
            let named = known.map(|known| known.target.query.get("a").map(str::to_owned));
            named.is_some_and(|named| {
                assert_eq!(named, Some(n.to_string()));
                true
            })
        });
        let kept = kept.count();
        assert!(kept > MOST / 2 && kept <= MOST, "{kept}");
    }

    proptest! {
        #[test]
        fn what_is_remembered_is_what_would_be_read(
            raws in prop::collection::vec("/(api/flows|api/clients|%61pi/flows|x)/?[./]{0,2}(\\?[a-c&=%+0-3]{0,8})?", 1..20),
            methods in prop::collection::vec(prop::sample::select(vec!["GET", "HEAD", "POST"]), 20),
        ) {
            let (matrix, targets) = (Matrix::built_in().unwrap(), Targets::new());
            for _ in 0..2 {
                for (raw, method) in raws.iter().zip(&methods) {
                    let plain = read(&matrix, method, raw);
                    let known = targets.known(method, raw.as_bytes());
                    if let Some(known) = &known {
                        prop_assert_eq!(Some(told(known)), plain.as_ref().map(told));
                    } else if let Some(plain) = plain {
                        let target = || plain.target;
                        targets.remember(method, raw.as_bytes(), &plain.found, target);
                    }
                }
            }
        }
    }
}
