//! What operators put around it, each part with the real program that it is for.

mod alerts;
mod deploy;
mod logs;
mod reload;
mod snapshots;

use std::path::{Path, PathBuf};

/// A file of `config/deploy/`.
fn deployed(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/deploy");
    root.join(name)
}

pub(super) fn text(name: &str) -> String {
    std::fs::read_to_string(deployed(name)).unwrap()
}

/// The text with every one of these replaced; each has to be there.
pub(super) fn replaced(mut text: String, replacements: &[(&str, &str)]) -> String {
    for (from, to) in replacements {
        assert!(text.contains(from), "{from} is not in:\n{text}");
        text = text.replace(from, to);
    }
    text
}
