//! Whose token it is, where the token does not say so, and what operators ended.
//!
//! A *binding* is what the app's login answered for a token. It is kept in memory
//! and sealed into a cookie of ours, so that a restart does not ask again for
//! everybody at once. Raising an *epoch* (of one user, of all) ends bindings and
//! seals, and tokens issued before; a single token is ended by its hash. What was
//! ended is written down before it is said to be.

pub(crate) mod restored;

use crate::whole_file;
use camarad_config::Secret;
use camarad_policies::hex::hex;
use camarad_policies::identity::{Token, Verified};
use camarad_policies::ids::UserId;
use camarad_policies::refusal::Refusal;
use camarad_policies::seal::{LIFE, SealKey, Sealed};
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Tokens whose binding is remembered at most.
const MOST: usize = 10_000;
/// How long the login's word is taken for a token that it alone vouches for, in seconds.
const LOGIN_LIFE: u64 = 600;
/// How long a login that said no is not asked again.
const REFUSED: Duration = Duration::from_secs(5);
/// Tokens that were ended are forgotten after this long, in seconds; none lives longer.
const REMEMBER_ENDED: u64 = 400 * 24 * 3600;
/// Logins at once at most; tokens of one lane wait for each other.
const LANES: usize = 64;

/// Bindings, and what was ended.
pub(crate) struct Sessions {
    key: Option<SealKey>,
    bindings: Cache<[u8; 32], Bound>,
    refused: Cache<[u8; 32], Instant>,
    lanes: [tokio::sync::Mutex<()>; LANES],
    ended: RwLock<Ended>,
    /// One writer of the file at a time.
    file: Mutex<PathBuf>,
}

/// A binding, as it is remembered.
#[derive(Clone, Copy)]
struct Bound {
    sealed: Sealed,
    epoch: u64,
}

/// What a binding is worth now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It holds.
    Holds(UserId),
    /// The login should be asked again; if it cannot be, it still holds.
    Stale(UserId),
    /// There is none.
    None,
}

/// What operators ended; the file's content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Ended {
    /// Everybody's sessions: how often, and when last.
    all: Epoch,
    /// The same of single users.
    users: BTreeMap<u64, Epoch>,
    /// Hashes of tokens, and when.
    tokens: BTreeMap<String, u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Epoch {
    number: u64,
    /// Seconds since the Unix epoch.
    at: u64,
}

/// Whose sessions to end.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Revoke {
    /// A user's, by the app's id.
    User(u64),
    /// One token, by the SHA-256 of it in hex.
    TokenSha256(String),
    /// One token.
    Token(Secret),
    /// Everybody's.
    All(bool),
}

/// Why sessions were not ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RevokeError {
    #[error("{0}")]
    Invalid(&'static str),
    #[error("it could not be written down and does not hold: {0}")]
    Io(#[from] std::io::Error),
}

impl Sessions {
    /// Reads what was ended before; a file that cannot be read is an error, since it may end somebody.
    pub(crate) fn open(key: Option<SealKey>, state_dir: &Path) -> std::io::Result<Self> {
        let file = state_dir.join("sessions.json");
        let ended = match std::fs::read(&file) {
            Ok(text) => serde_json::from_slice(&text)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ended::default(),
            Err(error) => return Err(error),
        };
        Ok(Self {
            key,
            bindings: Cache::new(MOST),
            refused: Cache::new(MOST),
            lanes: std::array::from_fn(|_| tokio::sync::Mutex::default()),
            ended: RwLock::new(ended),
            file: Mutex::new(file),
        })
    }

    /// Refuses a token that an operator ended.
    pub(crate) fn check(&self, verified: &Verified) -> Result<(), Refusal> {
        let ended = self.ended();
        if !ended.tokens.is_empty() && ended.tokens.contains_key(&hex(verified.token().hash())) {
            return Err(Refusal::TokenRevoked);
        }
        let since = |epoch: Option<&Epoch>| epoch.map_or(0, |epoch| epoch.at);
        let user = verified
            .user()
            .and_then(|user| ended.users.get(&user.get()));
        let ended_at = since(Some(&ended.all)).max(since(user));
        // A second is not enough to tell before from after: the token is refused.
        match verified.user() {
            Some(_) if ended_at > 0 && verified.issued().is_none_or(|at| at <= ended_at) => {
                Err(Refusal::TokenRevoked)
            }
            _ => Ok(()),
        }
    }

    /// What is known about whose token it is, from memory or from the seal.
    pub(crate) fn standing(&self, verified: &Verified, seal: Option<&str>, now: u64) -> Standing {
        let token = verified.token().hash();
        let remembered = self.bindings.get(token).filter(|bound| {
            bound.epoch == self.epoch(bound.sealed.user) && now < bound.sealed.at + LIFE
        });
        let opened = || {
            let sealed = self
                .key
                .as_ref()?
                .open(seal?, token, now, |user| self.epoch(user))?;
            let epoch = self.epoch(sealed.user);
            self.bindings.insert(*token, Bound { sealed, epoch });
            Some(sealed)
        };
        let Some(sealed) = remembered.map(|bound| bound.sealed).or_else(opened) else {
            return Standing::None;
        };
        match verified.is_by_login() && now >= sealed.at + LOGIN_LIFE {
            true => Standing::Stale(sealed.user),
            false => Standing::Holds(sealed.user),
        }
    }

    /// One login at a time for a token; others find its binding when they come in.
    pub(crate) async fn lane(&self, token: &Token) -> tokio::sync::MutexGuard<'_, ()> {
        self.lanes[usize::from(token.hash()[0]) % LANES]
            .lock()
            .await
    }

    /// Whether the login said no a moment ago.
    pub(crate) fn was_refused(&self, token: &Token) -> bool {
        let at = self.refused.get(token.hash());
        at.is_some_and(|at| at.elapsed() < REFUSED)
    }

    /// The login says no.
    pub(crate) fn refuse(&self, token: &Token) {
        self.bindings.remove(token.hash());
        self.refused.insert(*token.hash(), Instant::now());
    }

    /// The epoch of a user now; to be taken before the login is asked.
    pub(crate) fn epoch(&self, user: UserId) -> u64 {
        let ended = self.ended();
        let own = ended.users.get(&user.get());
        let own = own.map_or(0, |epoch| epoch.number);
        ended.all.number.saturating_add(own)
    }

    /// Everything that was ever ended, as one number.
    pub(crate) fn generation(&self) -> u64 {
        let ended = self.ended();
        let users = ended.users.values();
        users.fold(ended.all.number, |sum, epoch| {
            sum.saturating_add(epoch.number)
        })
    }

    /// The login says whose token it is. Gives the seal for the caller's cookie, where there is a key.
    pub(crate) fn bind(&self, token: &Token, user: UserId, now: u64) -> Option<String> {
        let (sealed, epoch) = (Sealed { user, at: now }, self.epoch(user));
        self.bindings.insert(*token.hash(), Bound { sealed, epoch });
        let key = self.key.as_ref()?;
        Some(key.seal(sealed, epoch, token.hash()))
    }

    /// Ends sessions; when this returns, it is written down and holds.
    pub(crate) fn revoke(&self, order: Revoke, now: u64) -> Result<(), RevokeError> {
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ended = self.ended().clone();
        let raised = |epoch: Epoch| Epoch {
            number: epoch.number.saturating_add(1),
            at: now,
        };
        match order {
            Revoke::All(true) => ended.all = raised(ended.all),
            Revoke::All(false) => return Err(RevokeError::Invalid("all: expected true")),
            Revoke::User(0) => return Err(RevokeError::Invalid("user: expected an id of the app")),
            Revoke::User(user) => {
                let epoch = ended.users.entry(user).or_default();
                *epoch = raised(*epoch);
            }
            Revoke::Token(token) => {
                ended
                    .tokens
                    .insert(hex(Token::new(token.expose()).hash()), now);
            }
            Revoke::TokenSha256(hash) => {
                let is_hash = hash.len() == 64
                    && hash
                        .bytes()
                        .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
                if !is_hash {
                    let words = "token_sha256: expected 64 lower-case hex digits";
                    return Err(RevokeError::Invalid(words));
                }
                ended.tokens.insert(hash, now);
            }
        }
        ended.tokens.retain(|_, at| *at + REMEMBER_ENDED > now);
        write(&file, &ended)?;
        *self.ended.write().unwrap_or_else(PoisonError::into_inner) = ended;
        Ok(())
    }

    fn ended(&self) -> std::sync::RwLockReadGuard<'_, Ended> {
        self.ended.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whole or not at all, and on the disk when it returns.
fn write(file: &Path, ended: &Ended) -> std::io::Result<()> {
    whole_file::write(file, &serde_json::to_vec_pretty(ended)?)
}

/// Seconds since the Unix epoch.
pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |now| now.as_secs())
}

/// Shared by the edge and the admin listener.
pub(crate) type SharedSessions = Arc<Sessions>;

#[cfg(test)]
mod tests {
    use super::*;
    use camarad_policies::identity::by_login;

    const NOW: u64 = 1_800_000_000;

    fn sessions(dir: &Path) -> Sessions {
        let key = SealKey::new(b"a key for seals of thirty-two bytes");
        Sessions::open(key, dir).unwrap()
    }

    fn user(id: &str) -> UserId {
        UserId::parse(id).unwrap()
    }

    #[test]
    fn a_binding_holds_becomes_stale_and_ends() {
        let dir = tempfile::tempdir().unwrap();
        let sessions = sessions(dir.path());
        let token = by_login("opaque", "coolbits", true).unwrap();
        let standing = |now| sessions.standing(&token, None, now);
        assert_eq!(standing(NOW), Standing::None);
        sessions.bind(token.token(), user("7"), NOW);
        assert_eq!(standing(NOW + LOGIN_LIFE - 1), Standing::Holds(user("7")));
        assert_eq!(standing(NOW + LOGIN_LIFE), Standing::Stale(user("7")));
        assert_eq!(standing(NOW + LIFE - 1), Standing::Stale(user("7")));
        assert_eq!(standing(NOW + LIFE), Standing::None);
    }

    #[test]
    fn a_seal_outlives_the_process_and_not_its_epoch() {
        let dir = tempfile::tempdir().unwrap();
        let token = by_login("opaque", "coolbits", true).unwrap();
        let seal = sessions(dir.path())
            .bind(token.token(), user("7"), NOW)
            .unwrap();
        let again = sessions(dir.path());
        assert_eq!(
            again.standing(&token, Some(&seal), NOW),
            Standing::Holds(user("7"))
        );
        let other = by_login("another", "coolbits", true).unwrap();
        assert_eq!(again.standing(&other, Some(&seal), NOW), Standing::None);
        again.revoke(Revoke::User(8), NOW).unwrap();
        assert_eq!(
            again.standing(&token, Some(&seal), NOW),
            Standing::Holds(user("7"))
        );
        again.revoke(Revoke::User(7), NOW).unwrap();
        assert_eq!(again.standing(&token, Some(&seal), NOW), Standing::None);
        // After a restart too.
        let later = sessions(dir.path());
        assert_eq!(later.standing(&token, Some(&seal), NOW), Standing::None);
        later
            .revoke(Revoke::Token(Secret::new("opaque")), NOW)
            .unwrap();
        assert_eq!(
            sessions(dir.path()).check(&token),
            Err(Refusal::TokenRevoked)
        );
    }

    #[test]
    fn what_cannot_be_read_stops_the_start_and_what_cannot_be_written_does_not_hold() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("sessions.json");
        std::fs::write(&file, "{").unwrap();
        assert!(Sessions::open(None, dir.path()).is_err());
        std::fs::remove_file(&file).unwrap();
        let sessions = sessions(dir.path());
        drop(dir);
        assert!(matches!(
            sessions.revoke(Revoke::All(true), NOW),
            Err(RevokeError::Io(_))
        ));
        assert_eq!(sessions.generation(), 0);
        for bad in [
            Revoke::All(false),
            Revoke::User(0),
            Revoke::TokenSha256("AB".into()),
        ] {
            assert!(matches!(
                sessions.revoke(bad, NOW),
                Err(RevokeError::Invalid(_))
            ));
        }
    }
}
