//! The sidecar that the doctor asks: the one that runs, or one of its own with the
//! same settings, on free ports and with a state directory that is removed.
//!
//! One of its own shows what these settings would do. It is not the one in front:
//! what was switched or revoked at run time is known to that one alone.

use super::machine::reached_at;
use super::probe::{Got, LONGEST, Prober, Question};
use super::report::Finding;
use crate::process::{self, Running};
use camarad_config::Config;
use camarad_policies::identity::Token;
use camarad_policies::ids::ClientId;
use http::{HeaderName, header};
use std::net::SocketAddr;
use tempfile::TempDir;

/// What survives a restart, and refuses tokens.
const SESSIONS: &str = "sessions.json";

/// A sidecar that answers.
pub(super) struct Door {
    address: SocketAddr,
    /// A host that it answers for, where not all are.
    host: Option<String>,
    own: Option<(Running, TempDir)>,
}

impl Door {
    /// The sidecar that runs, or else one of our own.
    pub(super) async fn open(
        config: &Config,
        runs: bool,
        prober: &Prober,
    ) -> Result<Self, Finding> {
        if runs {
            return Ok(Self {
                address: reached_at(config.server.listen),
                host: config.server.allowed_hosts.first().cloned(),
                own: None,
            });
        }
        let limit = prober.left(LONGEST);
        match tokio::time::timeout(limit, start(config)).await {
            Ok(Ok((running, dir))) => Ok(Self {
                address: running.address(),
                host: None,
                own: Some((running, dir)),
            }),
            Ok(Err(words)) => Err(Finding::fail(
                format!("no sidecar starts with these settings: {words}"),
                "repair what it says; run would stop for the same",
            )),
            Err(_) => Err(Finding::skip(
                "not looked at: no sidecar started in time",
                "repair what does not answer in time, and look again",
            )),
        }
    }

    /// Whose answers these are.
    pub(super) fn who(&self) -> &'static str {
        match self.own {
            Some(_) => "a sidecar started for this check",
            None => "the sidecar that runs",
        }
    }

    /// Reads a target as a caller does.
    pub(super) async fn read(
        &self,
        prober: &Prober,
        target: &str,
        query: &[(&str, &str)],
        token: Option<&Token>,
        client: Option<ClientId>,
    ) -> Got {
        let mut question = Question::get(format!("http://{}{target}", self.address));
        question.query = query;
        if let Some(token) = token {
            let bearer = format!("Bearer {}", token.expose());
            question = question.with(header::AUTHORIZATION, &bearer);
        }
        if let Some(client) = client {
            let name = HeaderName::from_static("x-client-id");
            question = question.with(name, &client.to_string());
        }
        if let Some(host) = &self.host {
            question = question.with(header::HOST, host);
        }
        prober.ask(question.within(LONGEST)).await
    }

    pub(super) async fn close(self) {
        if let Some((running, _dir)) = self.own {
            running.stop().await;
        }
    }
}

async fn start(config: &Config) -> Result<(Running, TempDir), String> {
    let dir = tempfile::tempdir().map_err(|error| format!("a temporary directory: {error}"))?;
    let sessions = config.server.state_dir.join(SESSIONS);
    if sessions.exists() {
        std::fs::copy(&sessions, dir.path().join(SESSIONS))
            .map_err(|error| format!("{}: {error}", sessions.display()))?;
    }
    let mut own = config.clone();
    own.server.listen = ([127, 0, 0, 1], 0).into();
    own.server.state_dir = dir.path().to_path_buf();
    own.server.access_log = "off".into();
    own.server.allowed_hosts.clear();
    own.audit.log = "off".into();
    // The app's calls are the running one's, whose handles this one does not know.
    own.behind = None;
    own.admin.listen = ([127, 0, 0, 1], 0).into();
    own.admin.token = None;
    let running = process::start(own, None)
        .await
        .map_err(|error| error.to_string())?;
    Ok((running, dir))
}
