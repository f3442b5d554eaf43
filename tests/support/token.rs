//! Tokens of every kind, signed here and not by the code under test.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// The HS256 secret of every sidecar under test.
pub const SECRET: &str = "the secret of the tests, longer than 32 bytes";

/// What a token says.
pub struct Claims(pub Value);

impl Claims {
    /// Good for an hour.
    pub fn new(user: u64, clients: &[u64]) -> Self {
        Self(json!({"uid": user, "clients": clients, "exp": now() + 3600}))
    }

    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.0[name] = value;
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.0.as_object_mut().unwrap().remove(name);
        self
    }
}

pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// Signs with the tests' secret.
pub fn token(claims: Claims) -> String {
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims.0, &key).unwrap()
}
