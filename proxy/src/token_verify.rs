//! `token verify`: what the sidecar would say to a token, at the prompt.
//!
//! The same function decides as for requests. Bindings are not asked for: a token
//! that names no user is valid here, and whose it is the app's login says.

use crate::keys::KeyStore;
use crate::observe::{JsonLines, Observer};
use crate::sessions::now;
use camarad_config::{Inputs, IssuerConfig, KeyConfig, Problems, load};
use camarad_policies::identity::{Issuer, KeyedIssuer, check_signed, identify};
use camarad_policies::keys::{Algorithm, KeySet};
use camarad_policies::refusal::Refusal;
use clap::Args;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::io::AsyncReadExt;

/// Longest input that is read, in bytes.
const LONGEST: u64 = 64 * 1024;

/// What to verify with.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// A JWK set to verify with, instead of the issuers of the settings.
    #[arg(long)]
    jwks: Option<PathBuf>,
    /// Look at the signature only; the payload may be anything.
    #[arg(long)]
    ignore_claims: bool,
    /// Configuration file (instead of SIDECAR_CONFIG).
    #[arg(long, conflicts_with = "jwks")]
    config: Option<PathBuf>,
}

/// Why it is not valid, or could not be looked at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VerifyError {
    #[error("{}", .0.answer().code)]
    Refused(Refusal),
    #[error("{0}")]
    Settings(#[from] Problems),
    #[error("{0} cannot be read: {1}")]
    File(String, std::io::Error),
    #[error("{0}: {1}")]
    Keys(String, camarad_policies::keys::KeyError),
    #[error("the token cannot be read from standard input: {0}")]
    Input(std::io::Error),
    #[error("{0}")]
    Start(String),
}

/// `valid` and what the token says.
pub(crate) async fn verify(args: &VerifyArgs) -> Result<String, VerifyError> {
    let mut text = String::new();
    let mut input = tokio::io::stdin().take(LONGEST);
    input
        .read_to_string(&mut text)
        .await
        .map_err(VerifyError::Input)?;
    let token = text.trim_matches([' ', '\t', '\r', '\n']);
    let sources = issuers(args).await?;
    let keyed: Vec<KeyedIssuer<'_>> = sources
        .iter()
        .map(|(issuer, keys)| KeyedIssuer { issuer, keys })
        .collect();
    let payload = check_signed(token, &keyed).map_err(VerifyError::Refused)?;
    if !args.ignore_claims {
        identify(token, &keyed, now()).map_err(VerifyError::Refused)?;
    }
    let shown = match serde_json::from_slice::<serde_json::Value>(&payload) {
        Ok(claims) => format!("{claims:#}"),
        Err(_) => String::from_utf8_lossy(&payload).into_owned(),
    };
    Ok(format!("valid\n{shown}"))
}

async fn issuers(args: &VerifyArgs) -> Result<Vec<(Issuer, Arc<KeySet>)>, VerifyError> {
    if let Some(file) = &args.jwks {
        let name = file.display().to_string();
        let text = std::fs::read(file).map_err(|e| VerifyError::File(name.clone(), e))?;
        let keys = KeySet::jwks(&text).map_err(|e| VerifyError::Keys(name, e))?;
        let any = Issuer {
            name: "--jwks".into(),
            algorithms: Algorithm::PUBLIC.to_vec(),
            issuer: None,
            audience: None,
            leeway: 30,
            user_claim: None,
            clients_claim: "clients".into(),
            forward_to_coolbits: false,
        };
        return Ok(vec![(any, Arc::new(keys))]);
    }
    let mut inputs = Inputs::from_process();
    inputs.file = args.config.clone().or(inputs.file);
    let config = load(&inputs)?;
    let is_keyed = |issuer: &&IssuerConfig| !matches!(issuer.keys, KeyConfig::Login);
    if config.issuers.iter().filter(is_keyed).count() == 0 {
        let words = "no issuer of the settings has keys: only the app's login knows its tokens";
        return Err(VerifyError::Start(words.into()));
    }
    let observer = Observer::new(&config.burst, JsonLines::off(), JsonLines::off(), false);
    let observer = observer.map_err(|error| VerifyError::Start(error.to_string()))?;
    let http = KeyStore::client().map_err(|error| VerifyError::Start(error.to_string()))?;
    let store = KeyStore::new(&config.issuers, 0, Arc::new(observer), http);
    store.fetch_all().await;
    Ok(store.current())
}
