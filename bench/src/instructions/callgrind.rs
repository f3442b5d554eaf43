//! What callgrind writes (its manual, "Callgrind Format Specification"): how many
//! instructions were executed, and how often an allocator was asked for memory. Pure.
//!
//! Only calls from outside an allocator count: mimalloc's functions call each other. A
//! realloc counts as an allocation, also where it stays in place. What is written in Rust
//! asks mimalloc, C libraries ask the C library.

use super::budget::Cost;
use std::collections::HashMap;

/// One run as a whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Profile {
    instructions: u64,
    allocations: u64,
}

impl Profile {
    /// What a request costs, `more` being a run with as many requests more.
    pub(super) fn per_request(self, more: Self, requests: u64) -> Cost {
        let each = |less: u64, more: u64| (more as f64 - less as f64) / requests as f64;
        Cost {
            instructions: each(self.instructions, more.instructions),
            allocations: each(self.allocations, more.allocations),
        }
    }
}

/// What a function is to an allocator.
#[derive(Clone, Copy, PartialEq)]
enum Function {
    /// It asks for memory.
    Entry,
    /// Another part of it.
    Inside,
    Outside,
}

impl Function {
    fn of(name: &str) -> Self {
        // A name may carry its depth of recursion.
        let name = name.split('\'').next().unwrap_or(name);
        let asks = [
            "malloc",
            "zalloc",
            "calloc",
            "realloc",
            "memalign",
            "aligned_alloc",
        ];
        let own = name.strip_prefix("mi_");
        if own.is_some_and(|own| asks.iter().any(|word| own.contains(word))) {
            return Self::Entry;
        }
        if own.is_some() || name.starts_with("_mi_") || name.starts_with("_int_") {
            return Self::Inside;
        }
        match asks.contains(&name) || name == "posix_memalign" {
            true => Self::Entry,
            false => Self::Outside,
        }
    }
}

/// Reads a profile; `None` if it has no total.
pub(super) fn parse(text: &str) -> Option<Profile> {
    let mut functions = HashMap::new();
    let (mut here, mut called) = (Function::Outside, Function::Outside);
    let (mut instructions, mut allocations) = (None, 0);
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("fn=") {
            here = function(&mut functions, name);
        } else if let Some(name) = line.strip_prefix("cfn=") {
            called = function(&mut functions, name);
        } else if let Some(calls) = line.strip_prefix("calls=") {
            if called == Function::Entry && here == Function::Outside {
                let count = calls.split_whitespace().next();
                allocations += count.and_then(|count| count.parse::<u64>().ok())?;
            }
        } else if let Some(total) = line.strip_prefix("totals:") {
            instructions = total.split_whitespace().next()?.parse().ok();
        }
    }
    Some(Profile {
        instructions: instructions?,
        allocations,
    })
}

/// `(12) name` where it is named the first time, `(12)` from then on.
fn function<'a>(known: &mut HashMap<&'a str, Function>, text: &'a str) -> Function {
    let (id, name) = text.split_once(')').unwrap_or((text, text));
    match name.trim() {
        "" => known.get(id).copied().unwrap_or(Function::Outside),
        name => {
            let function = Function::of(name);
            known.insert(id, function);
            function
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILE: &str = "\
version: 1
positions: line
events: Ir
summary: 999

ob=(1) /usr/bin/thing
fl=(1) ???
fn=(1) main
0 10
cfn=(2) mi_malloc_aligned
calls=3 0
0 300
cfn=(3) mi_free
calls=3 0
0 60
cfn=(4) malloc
calls=2 0
0 20

fn=(2)
0 250
cfn=(5) _mi_malloc_generic
calls=1 0
0 40

fn=(5)
0 30
cfn=(2)
calls=1 0
0 10

fn=(6) mi_realloc_aligned
0 5
cfn=(2)
calls=9 0
0 90

fn=(7) serde::read'2
0 7
cfi=(2) alloc.c
cfn=(6)
calls=4 0
0 95

totals: 1000
";

    #[test]
    fn only_calls_from_outside_an_allocator_are_allocations() {
        let profile = parse(PROFILE).expect("a profile");
        assert_eq!(profile.instructions, 1000);
        // Three and two of main's, and four of serde's.
        assert_eq!(profile.allocations, 9);
    }

    #[test]
    fn a_profile_without_a_total_was_not_written_to_its_end() {
        assert_eq!(parse("fn=(1) main\n0 10\n"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn what_two_runs_have_in_common_costs_no_request_anything() {
        let run = |instructions, allocations| Profile {
            instructions,
            allocations,
        };
        let cost = run(5_000, 70).per_request(run(6_000, 90), 10);
        assert!((cost.instructions - 100.0).abs() < 1e-9 && (cost.allocations - 2.0).abs() < 1e-9);
    }

    #[test]
    fn functions_of_allocators_are_known_by_their_names() {
        for (name, function) in [
            ("mi_malloc_aligned", Function::Entry),
            ("mi_zalloc_aligned", Function::Entry),
            ("mi_heap_malloc_small", Function::Entry),
            ("mi_realloc_aligned'2", Function::Entry),
            ("calloc", Function::Entry),
            ("posix_memalign", Function::Entry),
            ("mi_free", Function::Inside),
            ("_mi_heap_realloc_zero", Function::Inside),
            ("_int_malloc", Function::Inside),
            ("OPENSSL_malloc", Function::Outside),
            ("alloc::raw_vec::finish_grow", Function::Outside),
        ] {
            assert!(Function::of(name) == function, "{name}");
        }
    }
}
