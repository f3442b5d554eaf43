//! Results: a median with its spread, and where tables go.

use std::io;
use std::path::Path;

/// Median (least to most).
pub(crate) fn spread(values: impl Iterator<Item = f64>, places: usize) -> String {
    let values = sorted(values);
    match values[..] {
        [] => "none".to_owned(),
        [least, .., most] => format!(
            "{:.places$} ({least:.places$} to {most:.places$})",
            values[values.len() / 2]
        ),
        [only] => format!("{only:.places$}"),
    }
}

/// The median; 0 of nothing.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let values = sorted(values);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// Cores of this machine.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Shows a result and keeps it.
#[allow(clippy::print_stdout)] // The result is for whoever asked for it.
pub(crate) fn publish(name: &str, table: &str) -> io::Result<()> {
    println!("{table}");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
    std::fs::write(folder.join(name), table)
}
