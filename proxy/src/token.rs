//! `token mint`: signs a token with the secret that the sidecar checks with.
//!
//! For trying things out. It reads the secret from where `run` reads it, so it
//! can do nothing that whoever holds the secret could not.

use clap::Args;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What goes into the token.
#[derive(Debug, Args)]
pub(crate) struct MintArgs {
    /// The app's user id.
    #[arg(long)]
    user: u64,
    /// A client id the user may use; repeat it for several, leave it out for a token without the claim.
    #[arg(long = "client")]
    clients: Vec<u64>,
    /// How long it is good, such as 1h; -1h makes one that has expired.
    #[arg(long, default_value = "1h", allow_hyphen_values = true)]
    ttl: String,
    /// The claim that holds the user id.
    #[arg(long, env = "SIDECAR_JWT_USER_CLAIM", default_value = "uid")]
    user_claim: String,
    /// A further claim as NAME=JSON.
    #[arg(long = "claim", value_name = "NAME=JSON")]
    claims: Vec<String>,
    /// File that holds the HS256 secret (else SIDECAR_JWT_SECRET_FILE or SIDECAR_JWT_SECRET).
    #[arg(long)]
    secret_file: Option<PathBuf>,
}

/// Why no token was made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MintError {
    #[error(
        "no secret: name a file with --secret-file, or set SIDECAR_JWT_SECRET_FILE or SIDECAR_JWT_SECRET"
    )]
    NoSecret,
    #[error("{0} cannot be read: {1}")]
    SecretFile(String, std::io::Error),
    #[error("--ttl {0:?}: expected a duration such as 1h or -1h")]
    Ttl(String),
    #[error("--claim {0:?}: expected NAME=JSON, such as iss='\"https://issuer\"'")]
    Claim(String),
    #[error("the token cannot be signed: {0}")]
    Sign(#[from] jsonwebtoken::errors::Error),
}

/// Makes the token.
pub(crate) fn mint(args: &MintArgs) -> Result<String, MintError> {
    let secret = secret(args)?;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let mut claims = Map::new();
    claims.insert(args.user_claim.clone(), json!(args.user));
    if !args.clients.is_empty() {
        claims.insert("clients".into(), json!(args.clients));
    }
    claims.insert("iat".into(), json!(now));
    claims.insert("exp".into(), json!(expiry(now, &args.ttl)?));
    for claim in &args.claims {
        let malformed = || MintError::Claim(claim.clone());
        let (name, value) = claim.split_once('=').ok_or_else(malformed)?;
        let value: Value = serde_json::from_str(value).map_err(|_| malformed())?;
        claims.insert(name.into(), value);
    }
    let key = EncodingKey::from_secret(secret.as_bytes());
    Ok(jsonwebtoken::encode(&Header::default(), &claims, &key)?)
}

fn secret(args: &MintArgs) -> Result<String, MintError> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let file = args
        .secret_file
        .clone()
        .or_else(|| set("SIDECAR_JWT_SECRET_FILE").map(PathBuf::from));
    match file {
        Some(path) => std::fs::read_to_string(&path)
            .map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
            .map_err(|error| MintError::SecretFile(path.display().to_string(), error)),
        None => set("SIDECAR_JWT_SECRET").ok_or(MintError::NoSecret),
    }
}

fn expiry(now: u64, ttl: &str) -> Result<u64, MintError> {
    let (past, length) = match ttl.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, ttl),
    };
    let length: Duration =
        humantime::parse_duration(length).map_err(|_| MintError::Ttl(ttl.to_owned()))?;
    Ok(match past {
        true => now.saturating_sub(length.as_secs()),
        false => now.saturating_add(length.as_secs()),
    })
}
