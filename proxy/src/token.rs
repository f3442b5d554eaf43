//! `token mint`: signs a token for trying things out.
//!
//! With the secret that the sidecar checks with, read from where `run` reads it,
//! or with a private key in PEM. It can do nothing that whoever holds these
//! could not.

use clap::Args;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What goes into the token.
#[derive(Debug, Args)]
pub(crate) struct MintArgs {
    /// The app's user id; leave it out for a token that names no user.
    #[arg(long)]
    user: Option<u64>,
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
    /// File that holds a private key in PEM, instead of a secret.
    #[arg(long, conflicts_with = "secret_file", requires = "alg")]
    key_file: Option<PathBuf>,
    /// Algorithm of the private key, such as RS256, PS256, ES256 or EdDSA.
    #[arg(long, requires = "key_file")]
    alg: Option<Algorithm>,
    /// The key's id, for the token's header.
    #[arg(long)]
    kid: Option<String>,
}

/// Why no token was made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MintError {
    #[error(
        "no secret: name a file with --secret-file, or set SIDECAR_JWT_SECRET_FILE or SIDECAR_JWT_SECRET"
    )]
    NoSecret,
    #[error("{0} cannot be read: {1}")]
    File(String, std::io::Error),
    #[error("{0} is no private key in PEM for this algorithm: {1}")]
    Key(String, jsonwebtoken::errors::Error),
    #[error("--alg {0}: a secret is no key file; leave --key-file and --alg out")]
    Alg(String),
    #[error("--ttl {0:?}: expected a duration such as 1h or -1h")]
    Ttl(String),
    #[error("--claim {0:?}: expected NAME=JSON, such as iss='\"https://issuer\"'")]
    Claim(String),
    #[error("the token cannot be signed: {0}")]
    Sign(#[from] jsonwebtoken::errors::Error),
}

/// Makes the token.
pub(crate) fn mint(args: &MintArgs) -> Result<String, MintError> {
    let (key, algorithm) = key(args)?;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let mut claims = Map::new();
    if let Some(user) = args.user {
        claims.insert(args.user_claim.clone(), json!(user));
    }
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
    let mut header = Header::new(algorithm);
    header.kid.clone_from(&args.kid);
    Ok(jsonwebtoken::encode(&header, &claims, &key)?)
}

fn key(args: &MintArgs) -> Result<(EncodingKey, Algorithm), MintError> {
    let (Some(file), Some(algorithm)) = (&args.key_file, args.alg) else {
        return Ok((
            EncodingKey::from_secret(secret(args)?.as_bytes()),
            Algorithm::HS256,
        ));
    };
    let name = file.display().to_string();
    let text = std::fs::read(file).map_err(|e| MintError::File(name.clone(), e))?;
    let key = match algorithm {
        Algorithm::ES256 | Algorithm::ES384 => EncodingKey::from_ec_pem(&text),
        Algorithm::EdDSA => EncodingKey::from_ed_pem(&text),
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => {
            return Err(MintError::Alg(format!("{algorithm:?}")));
        }
        _ => EncodingKey::from_rsa_pem(&text),
    };
    let key = key.map_err(|error| MintError::Key(name, error))?;
    Ok((key, algorithm))
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
            .map_err(|error| MintError::File(path.display().to_string(), error)),
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
