//! Files and environment, turned into checked values.
//!
//! Two forms: [`Settings`] is what was written, [`Config`] is what is needed.
//! Between them every problem is collected and told at once, each with where it
//! came from, the key, the value and what would have been right; a key that is
//! not known is a problem too. After that nothing in the process reads the
//! environment or a configuration file again.
//!
//! Secrets are never part of a message, whatever is wrong with them.

mod changes;
mod check;
mod checked;
mod load;
mod secret;
mod settings;
mod snapshot;
mod span;

pub use changes::{Change, changes, leaves, told_key, told_keys};
pub use checked::{
    Admin, Backup, Burst, Cache, Config, Gateway, IssuerConfig, KeyConfig, Legacy, Limits, Server,
    Source,
};
pub use load::{Inputs, Problem, Problems, holds_secrets, load};
pub use secret::Secret;
pub use settings::Settings;
pub use snapshot::{KeptFile, Snapshot, SnapshotError, shown_file};

/// The documented defaults, as shipped.
pub const DEFAULTS_TOML: &str = include_str!("../sidecar.toml");
