//! Whoever is measured. A new peer is a type with [`Peer`] and a line in [`all`].

use super::process::Running;
use super::scenario::{Scenario, Setup};
use super::site::Site;
use super::{bare, haproxy, nginx, sidecar};
use std::io;
use std::process::Command;

/// A proxy that can be measured.
pub(super) trait Peer {
    /// Its column in the tables.
    fn name(&self) -> &'static str;

    /// What it says its version is.
    fn version(&self) -> String;

    /// Whether the goals compare with it: what a user would pick instead of the sidecar.
    fn is_alternative(&self) -> bool;

    /// Whether it can do this work.
    fn can(&self, scenario: &Scenario) -> bool;

    /// Starts it, one worker on the CPU for what is measured, and waits until it listens.
    ///
    /// # Errors
    /// If it is not installed, refuses its configuration or does not listen; with its own words.
    fn start(&self, setup: Setup, site: &Site) -> io::Result<Running>;
}

/// All peers, in the order of the tables; the sidecar first.
pub(super) fn all() -> Vec<Box<dyn Peer>> {
    let mut all: Vec<Box<dyn Peer>> = Vec::new();
    for variant in sidecar::VARIANTS {
        all.push(Box::new(variant));
    }
    all.push(Box::new(bare::Bare));
    all.push(Box::new(haproxy::Haproxy));
    all.push(Box::new(nginx::Nginx));
    all
}

/// The first line that a command prints, on stdout or stderr.
pub(super) fn first_line(program: &str, argument: &str) -> String {
    let output = Command::new(program).arg(argument).output();
    let text = output.map(|output| {
        let (out, err) = (output.stdout, output.stderr);
        String::from_utf8_lossy(if out.is_empty() { &err } else { &out }).into_owned()
    });
    let text = text.unwrap_or_else(|error| error.to_string());
    text.lines().next().unwrap_or_default().trim().to_owned()
}
