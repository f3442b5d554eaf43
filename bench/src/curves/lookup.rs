//! Finding the rule for a path, in matrices of any number of rules. In this process: nothing
//! but the pure function.

use super::Figure;
use camarad_policies::matrix::{Matrix, Route, Routes};
use camarad_policies::normalise::{RawRequest, normalise};
use camarad_policies::path::CanonicalPath;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Write;
use std::hint::black_box;
use std::io;
use std::time::Instant;

const LOOKUPS: usize = 200_000;
/// As many paths are looked up whatever the number of rules is, spread over the table.
const PATHS: u64 = 50;

/// Matrices that were made before, with the paths that are looked up.
#[derive(Default)]
pub(super) struct Tables(HashMap<u64, (Matrix, Vec<CanonicalPath>)>);

impl Tables {
    /// Nanoseconds for a lookup in a matrix of so many rules.
    ///
    /// # Errors
    /// If a lookup finds another rule than the path's own.
    pub(super) fn cost(&mut self, rules: u64) -> io::Result<Figure> {
        let (matrix, paths) = match self.0.entry(rules) {
            Entry::Occupied(made) => made.into_mut(),
            Entry::Vacant(place) => place.insert(table(rules)?),
        };
        let started = Instant::now();
        let mut found = 0;
        for path in paths.iter().cycle().take(LOOKUPS) {
            found += usize::from(&*matrix.find("GET", black_box(path)).rule.area == "made");
        }
        let cost = started.elapsed().as_secs_f64() * 1e9 / LOOKUPS as f64;
        match found == LOOKUPS {
            true => Ok(Figure {
                cost,
                disturbed: false,
            }),
            false => Err(io::Error::other("a path was not found")),
        }
    }
}

/// A matrix of so many rules, and some of their paths.
fn table(rules: u64) -> io::Result<(Matrix, Vec<CanonicalPath>)> {
    let routes: Vec<String> = (0..rules).map(route).collect();
    let mut text = String::new();
    for (number, route) in routes.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "[[rule]]\nname = \"made.{number}\"\nroutes = [\"{route}\"]\narea = \"made\"\nauth = \"required\"\nclient = \"none\"\nserve = \"stream\""
        );
    }
    text += "[fallback]\nname = \"fallback\"\narea = \"fallback\"\nauth = \"required\"\nclient = \"none\"\nserve = \"stream\"\n";
    let none = Routes::parse("{\"count\": 0, \"routes\": []}").map_err(io::Error::other)?;
    let matrix = Matrix::parse(&text, &none).map_err(io::Error::other)?;
    let step = usize::try_from((rules / PATHS).max(1)).unwrap_or(1);
    let paths = routes.iter().step_by(step).map(|route| path(route));
    Ok((matrix, paths.collect::<io::Result<_>>()?))
}

/// Twenty-five routes to an area, half of them with an id, as the app's are.
fn route(number: u64) -> String {
    let (area, thing) = (number / 25, number % 25);
    match number % 2 {
        0 => format!("GET /api/area{area}/thing{thing}"),
        _ => format!("GET /api/area{area}/thing{thing}/<int:id>"),
    }
}

fn path(route: &str) -> io::Result<CanonicalPath> {
    let route = Route::parse(route).ok_or_else(|| io::Error::other(route.to_owned()))?;
    let asked = normalise(RawRequest {
        method: "GET",
        target: route.concrete().as_bytes(),
        headers: [(&b"Host"[..], &b"bench"[..])],
    });
    let asked = asked.map_err(|refusal| io::Error::other(format!("{refusal:?}")))?;
    Ok(asked.path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_finds_its_own_rule() {
        let (matrix, paths) = table(120).expect("a matrix");
        assert_eq!(paths.len(), 60);
        for (at, path) in paths.iter().enumerate() {
            let found = matrix.find("GET", path);
            assert_eq!(*found.rule.name, format!("made.{}", 2 * at));
        }
        assert!(
            Tables::default()
                .cost(50)
                .is_ok_and(|figure| figure.cost > 0.0)
        );
    }
}
