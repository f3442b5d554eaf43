//! The way between `config rollback` and the sidecar that serves: what it is asked for, and
//! what became of it, as two files of the state directory. Not among the snapshots, with
//! which they would be backed up and restored.
//!
//! The order says why the file is another one now; it gives nobody anything: what is
//! applied is the file that whoever can order could have written as well.

use super::Snapshots;
use crate::whole_file;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// Older ones are of somebody who waits no more.
const FRESH: Duration = Duration::from_secs(60);

/// The file in force is one from before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Order {
    /// The digest of the snapshot; none where the file is put back as it was.
    pub(crate) to: String,
    /// By which the answer is known.
    pub(crate) nonce: String,
}

impl Order {
    /// Whether the file was put back as it was.
    pub(crate) fn is_undo(&self) -> bool {
        self.to.is_empty()
    }

    /// As it is told.
    pub(crate) fn reason(&self) -> String {
        match self.is_undo() {
            true => "rollback undone".to_owned(),
            false => format!("rollback to {}", super::short(&self.to)),
        }
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) nonce: String,
    /// The generation in force.
    pub(crate) generation: u64,
    /// Why it was refused; empty where it was taken.
    pub(crate) problems: Vec<String>,
}

impl Snapshots {
    /// Leaves an order for the sidecar.
    pub(crate) fn order(&self, order: &Order) -> io::Result<()> {
        // A struct of texts always serialises.
        let text = serde_json::to_vec(order).unwrap_or_default();
        whole_file::write(&self.order_file(), &text)
    }

    /// Takes the order that is waiting, if one is.
    pub(crate) fn take_order(&self) -> Option<Order> {
        let file = self.order_file();
        let written = std::fs::metadata(&file).and_then(|found| found.modified());
        let age = SystemTime::now().duration_since(written.ok()?);
        let order = read(&file);
        // Once only, whatever it says.
        let _ = std::fs::remove_file(&file);
        // One from the future has no age, and is as good as new.
        order.filter(|_| age.unwrap_or_default() < FRESH)
    }

    /// Says what came of an order.
    pub(crate) fn answer(&self, outcome: &Outcome) -> io::Result<()> {
        let text = serde_json::to_vec(outcome).unwrap_or_default();
        whole_file::write(&self.outcome_file(), &text)
    }

    /// What came of the order with this nonce, if it is known yet.
    pub(crate) fn outcome(&self, nonce: &str) -> Option<Outcome> {
        let outcome: Outcome = read(&self.outcome_file())?;
        (outcome.nonce == nonce).then_some(outcome)
    }

    fn order_file(&self) -> PathBuf {
        self.state_dir.join("rollback-order.json")
    }

    fn outcome_file(&self) -> PathBuf {
        self.state_dir.join("rollback-outcome.json")
    }
}

fn read<T: DeserializeOwned>(file: &std::path::Path) -> Option<T> {
    serde_json::from_slice(&std::fs::read(file).ok()?).ok()
}
