//! From a canonical path to what stands for it in the table.
//!
//! Most requests are for paths without a variable, which one look in a map finds; the rest
//! go through the tree of patterns. A path that stands in the map would be found by the tree
//! as well: what is plain comes before variables there.

use super::pattern::Pattern;
use matchit::{InsertError, Params};
use std::collections::HashMap;

/// Values by path pattern.
pub(super) struct Router<T> {
    plain: HashMap<String, T>,
    patterns: matchit::Router<T>,
}

impl<T> Router<T> {
    pub(super) fn new() -> Self {
        Self {
            plain: HashMap::new(),
            patterns: matchit::Router::new(),
        }
    }

    /// Adds what stands for a pattern, which is a new one.
    pub(super) fn insert(&mut self, pattern: &Pattern, value: T) -> Result<(), InsertError> {
        match pattern.plain() {
            Some(path) => drop(self.plain.insert(path, value)),
            None => self.patterns.insert(pattern.router(), value)?,
        }
        Ok(())
    }

    /// What stands for a path, and what its variables are there; `None` for those of a plain path.
    pub(super) fn at<'a>(&'a self, path: &'a str) -> Option<(&'a T, Option<Params<'a, 'a>>)> {
        if let Some(value) = self.plain.get(path) {
            return Some((value, None));
        }
        let found = self.patterns.at(path).ok()?;
        Some((found.value, Some(found.params)))
    }

    /// The same, to be changed.
    pub(super) fn at_mut(&mut self, path: &str) -> Option<&mut T> {
        match self.plain.get_mut(path) {
            Some(value) => Some(value),
            None => self.patterns.at_mut(path).ok().map(|found| found.value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_paths_come_before_variables() {
        let mut router = Router::new();
        for (value, text) in ["/a/list", "/a/<name>", "/a/<name>/b", "/<path:rest>", "/"]
            .into_iter()
            .enumerate()
        {
            let pattern = Pattern::parse(text).unwrap();
            router.insert(&pattern, value).unwrap();
        }
        for (path, value, name) in [
            ("/a/list", 0, None),
            ("/a/lists", 1, Some("lists")),
            ("/a/list/b", 2, Some("list")),
            ("/a", 3, None),
            ("/a/list/c", 3, None),
            ("/a/list/", 3, None),
            ("/", 4, None),
        ] {
            let (found, params) = router.at(path).unwrap();
            let params = params.as_ref();
            let named = params.and_then(|params| params.get("name"));
            assert_eq!((*found, named), (value, name), "{path}");
            assert_eq!(router.at_mut(path).copied(), Some(value), "{path}");
        }
        assert_eq!(router.at("").map(|(value, _)| *value), None);
    }
}
