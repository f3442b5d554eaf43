//! Who is asking: the identity, and the token that it contains as its proof.

use crate::hex::hex;
use crate::ids::{ClientId, ClientIds, UserId};
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// The clients an identity may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Clients {
    /// Those that the token names.
    Claimed(ClientIds),
    /// The token says nothing about clients; the app's own list has to be asked.
    Unclaimed,
}

/// A verified token; cheap to clone. Printing it shows its hash, never itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Arc<Text>);

#[derive(PartialEq, Eq)]
struct Text {
    text: Arc<str>,
    hash: [u8; 32],
}

/// Who is asking, proven by a verified token.
#[derive(Clone, Debug)]
pub struct Identity {
    pub(super) user: UserId,
    pub(super) clients: Clients,
    pub(super) token: Token,
    pub(super) issuer: Arc<str>,
    pub(super) forward_to_coolbits: bool,
}

/// A token that passed; whose it is may still have to be asked.
#[derive(Clone, Debug)]
pub struct Verified {
    pub(super) user: Option<UserId>,
    pub(super) clients: Clients,
    pub(super) token: Token,
    pub(super) issuer: Arc<str>,
    pub(super) forward_to_coolbits: bool,
    pub(super) expires: Option<u64>,
    pub(super) issued: Option<u64>,
    pub(super) by_login: bool,
}

impl Verified {
    /// The user, where the token itself says it.
    pub fn user(&self) -> Option<UserId> {
        self.user
    }

    /// The token.
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// Seconds since the Unix epoch from which on it is no longer good, leeway included.
    pub fn expires(&self) -> Option<u64> {
        self.expires
    }

    /// `iat`, in seconds since the Unix epoch.
    pub fn issued(&self) -> Option<u64> {
        self.issued
    }

    /// Only the app's login vouches for it: to be asked again soon.
    pub fn is_by_login(&self) -> bool {
        self.by_login
    }

    /// The identity of this user, who is the token's own where it names one.
    pub fn bound_to(self, user: UserId) -> Identity {
        Identity {
            user: self.user.unwrap_or(user),
            clients: self.clients,
            token: self.token,
            issuer: self.issuer,
            forward_to_coolbits: self.forward_to_coolbits,
        }
    }
}

impl Identity {
    /// The app's user id.
    pub fn user(&self) -> UserId {
        self.user
    }

    /// The clients the token grants.
    pub fn clients(&self) -> &Clients {
        &self.clients
    }

    /// The same user without the token's limit to clients: for what the sidecar
    /// itself has to know, and shows to nobody.
    pub fn without_limit_for_lookup(&self) -> Self {
        Self {
            clients: Clients::Unclaimed,
            ..self.clone()
        }
    }

    /// The token that proves it.
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// Name of the issuer that vouches.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The token, where its issuer allows Coolbits to see it.
    pub fn coolbits_token(&self) -> Option<&Token> {
        self.forward_to_coolbits.then_some(&self.token)
    }
}

impl Clients {
    /// Whether this client is among them. An unclaimed set grants none.
    pub fn allow(&self, client: ClientId) -> bool {
        match self {
            Self::Claimed(clients) => clients.has(client),
            Self::Unclaimed => false,
        }
    }
}

impl Token {
    /// A token of this text; nothing about it is believed.
    pub fn new(text: &str) -> Self {
        Self(Arc::new(Text {
            text: text.into(),
            hash: Sha256::digest(text.as_bytes()).into(),
        }))
    }

    /// The token itself, for the one place that sends it on.
    pub fn expose(&self) -> &str {
        &self.0.text
    }

    /// The same, to be kept where the token is kept as well: it is there once.
    pub fn shared(&self) -> Arc<str> {
        self.0.text.clone()
    }

    /// SHA-256 of the token, for keys.
    pub fn hash(&self) -> &[u8; 32] {
        &self.0.hash
    }

    /// The first 12 hex digits of the hash, for logs.
    pub fn short_hash(&self) -> ShortHash {
        let [a, b, c, d, e, f, ..] = self.0.hash;
        ShortHash([a, b, c, d, e, f])
    }
}

/// The beginning of a token's SHA-256; written as 12 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortHash([u8; 6]);

impl std::fmt::Display for ShortHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl Serialize for ShortHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token({})", self.short_hash())
    }
}
