//! The issuers' keys as they are now, and fetching those that are published.
//!
//! Last good keys are kept when a fetch fails. A token whose key is not known
//! may trigger one fetch, but not more than one in [`LEAST_BETWEEN`]: key ids
//! are the caller's to invent.

use crate::observe::Observer;
use crate::sessions::now;
use arc_swap::ArcSwap;
use camarad_config::{IssuerConfig, KeyConfig};
use camarad_policies::identity::{Issuer, KeyedIssuer, Verified, by_login, identify};
use camarad_policies::keys::KeySet;
use camarad_policies::refusal::Refusal;
use quick_cache::sync::Cache;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

/// Least time between two fetches that tokens asked for.
const LEAST_BETWEEN: Duration = Duration::from_secs(10);
/// Longest time for one fetch.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a token that passed is not looked at again.
const REMEMBERED: Duration = Duration::from_secs(300);
/// A key set larger than this is none.
const LARGEST: usize = 1024 * 1024;

/// All issuers with their keys.
pub(crate) struct KeyStore {
    issuers: Vec<Held>,
    /// The issuer whose tokens the app's login judges, if there is one.
    login: Option<Issuer>,
    /// By their text, which is the one that they hold: with a login to judge them, anybody may
    /// have long ones remembered. `None`: each is verified each time.
    verified: Option<Cache<Arc<str>, Remembered>>,
    /// Changes with every change of keys.
    generation: AtomicU64,
    http: reqwest::Client,
    observer: Arc<Observer>,
}

/// A token that passed, and until when that need not be looked at again.
#[derive(Clone)]
struct Remembered {
    verified: Verified,
    generation: u64,
    at: Instant,
}

struct Held {
    issuer: Issuer,
    keys: ArcSwap<KeySet>,
    source: Option<Published>,
}

struct Published {
    url: Url,
    refresh: Duration,
    /// When keys were last fetched, and last tried. Held over a fetch, so that there is one at a time.
    tried: Mutex<Option<Instant>>,
    fetched: ArcSwap<Option<Instant>>,
}

impl KeyStore {
    /// `remembered`: how many verified tokens are at most.
    pub(crate) fn new(
        configs: &[IssuerConfig],
        remembered: usize,
        observer: Arc<Observer>,
        http: reqwest::Client,
    ) -> Self {
        let login = configs
            .iter()
            .find(|config| matches!(config.keys, KeyConfig::Login));
        let issuers = configs
            .iter()
            .filter_map(|config| match &config.keys {
                KeyConfig::Login => None,
                KeyConfig::Fixed(keys) => Some(Held {
                    issuer: config.issuer.clone(),
                    keys: ArcSwap::new(keys.clone()),
                    source: None,
                }),
                KeyConfig::Url { url, refresh } => Some(Held {
                    issuer: config.issuer.clone(),
                    keys: ArcSwap::default(),
                    source: Some(Published {
                        url: url.clone(),
                        refresh: *refresh,
                        tried: Mutex::default(),
                        fetched: ArcSwap::from_pointee(None),
                    }),
                }),
            })
            .collect();
        Self {
            issuers,
            login: login.map(|config| config.issuer.clone()),
            verified: (remembered > 0).then(|| Cache::new(remembered)),
            generation: AtomicU64::new(0),
            http,
            observer,
        }
    }

    /// For fetching keys; making one takes a while.
    pub(crate) fn client() -> Result<reqwest::Client, reqwest::Error> {
        let client = reqwest::Client::builder().no_proxy();
        client.timeout(FETCH_TIMEOUT).build()
    }

    /// Verifies a token with the keys of now, fetching published ones once if its key is not known.
    ///
    /// What passed is remembered by the whole token, for at most
    /// [`REMEMBERED`], never past its end and never past a change of keys.
    pub(crate) async fn identify(&self, token: &str) -> Result<Verified, Refusal> {
        self.identify_at(token, Instant::now(), now()).await
    }

    /// The same, where it was asked a moment ago: `asked`, and that in seconds since the epoch.
    pub(crate) async fn identify_at(
        &self,
        token: &str,
        asked: Instant,
        seconds: u64,
    ) -> Result<Verified, Refusal> {
        let generation = self.generation.load(Ordering::SeqCst);
        if let Some(known) = self.verified.as_ref().and_then(|all| all.get(token))
            && known.generation == generation
            && asked.saturating_duration_since(known.at) < REMEMBERED
            && known.verified.expires().is_none_or(|end| seconds < end)
        {
            return Ok(known.verified);
        }
        let verified = Box::pin(self.verify(token)).await?;
        if let Some(all) = &self.verified {
            let remembered = Remembered {
                verified: verified.clone(),
                generation,
                at: Instant::now(),
            };
            all.insert(verified.token().shared(), remembered);
        }
        Ok(verified)
    }

    async fn verify(&self, token: &str) -> Result<Verified, Refusal> {
        let outcome = match self.try_identify(token) {
            Err(Refusal::TokenUnknownKey | Refusal::KeysUnavailable) if self.may_learn() => {
                for held in &self.issuers {
                    self.fetch(held, LEAST_BETWEEN).await;
                }
                self.try_identify(token)
            }
            outcome => outcome,
        };
        let Some(login) = &self.login else {
            return outcome;
        };
        match outcome {
            // None of the keyed issuers made it. What one of them made and does not
            // let in (expired, say) must not come in by another door.
            Err(
                Refusal::TokenMalformed
                | Refusal::TokenAlgorithmNotAllowed
                | Refusal::TokenUnknownKey
                | Refusal::TokenBadSignature,
            ) => by_login(token, &login.name, login.forward_to_coolbits),
            outcome => outcome,
        }
    }

    fn try_identify(&self, token: &str) -> Result<Verified, Refusal> {
        let keys: Vec<Arc<KeySet>> = self.issuers.iter().map(|h| h.keys.load_full()).collect();
        let keyed: Vec<KeyedIssuer<'_>> = self
            .issuers
            .iter()
            .zip(&keys)
            .map(|(held, keys)| KeyedIssuer {
                issuer: &held.issuer,
                keys,
            })
            .collect();
        identify(token, &keyed, now())
    }

    /// The keyed issuers with the keys of now.
    pub(crate) fn current(&self) -> Vec<(Issuer, Arc<KeySet>)> {
        let held = self.issuers.iter();
        held.map(|held| (held.issuer.clone(), held.keys.load_full()))
            .collect()
    }

    fn may_learn(&self) -> bool {
        self.issuers.iter().any(|held| held.source.is_some())
    }

    /// Whether every issuer has keys.
    pub(crate) fn ready(&self) -> bool {
        self.issuers.iter().all(|held| !held.keys.load().is_empty())
    }

    /// Tells how old the keys are.
    pub(crate) fn tell_ages(&self) {
        for held in &self.issuers {
            let fetched = held
                .source
                .as_ref()
                .and_then(|source| **source.fetched.load());
            let age = fetched.map_or(0, |at| at.elapsed().as_secs());
            let gauge = &self.observer.metrics.key_age_seconds;
            gauge
                .with_label_values(&[&held.issuer.name])
                .set(age as i64);
        }
    }

    /// Takes over the keys that another store fetched from the same places for the same issuers.
    pub(crate) fn take_over(&self, other: &Self) {
        for held in &self.issuers {
            let Some(source) = &held.source else { continue };
            let same = other.issuers.iter().find_map(|of| {
                let theirs = of.source.as_ref()?;
                let is_same = of.issuer.name == held.issuer.name && theirs.url == source.url;
                is_same.then_some((of, theirs))
            });
            if let Some((of, theirs)) = same {
                held.keys.store(of.keys.load_full());
                source.fetched.store(theirs.fetched.load_full());
            }
        }
    }

    /// Fetches the published keys that there are none of yet.
    pub(crate) async fn fetch_missing(&self) {
        for held in &self.issuers {
            if held.keys.load().is_empty() {
                self.fetch(held, Duration::ZERO).await;
            }
        }
    }

    /// Fetches all published keys once.
    pub(crate) async fn fetch_all(&self) {
        for held in &self.issuers {
            self.fetch(held, Duration::ZERO).await;
        }
    }

    /// Keeps published keys fresh until dropped.
    pub(crate) async fn refresh_forever(&self) {
        let sources = self
            .issuers
            .iter()
            .filter_map(|held| Some((held, held.source.as_ref()?)));
        let loops = sources.map(|(held, source)| async move {
            loop {
                // Without keys nobody can be let in: try again soon.
                let wait = match held.keys.load().is_empty() {
                    true => Duration::from_secs(2),
                    false => source.refresh,
                };
                tokio::time::sleep(wait).await;
                self.fetch(held, Duration::ZERO).await;
            }
        });
        futures_util::future::join_all(loops).await;
    }

    /// Fetches an issuer's keys, unless that was tried less than `least` ago.
    async fn fetch(&self, held: &Held, least: Duration) {
        let Some(source) = &held.source else { return };
        let mut tried = source.tried.lock().await;
        if tried.is_some_and(|at| at.elapsed() < least) {
            return;
        }
        *tried = Some(Instant::now());
        match self.download(&source.url).await {
            Ok(keys) => {
                held.keys.store(Arc::new(keys));
                self.generation.fetch_add(1, Ordering::SeqCst);
                source.fetched.store(Arc::new(Some(Instant::now())));
            }
            Err(words) => {
                tracing::warn!(
                    issuer = held.issuer.name,
                    "keys could not be fetched: {words}"
                );
            }
        }
    }

    async fn download(&self, url: &Url) -> Result<KeySet, String> {
        let response = self.http.get(url.clone()).send().await;
        let mut response = response
            .and_then(reqwest::Response::error_for_status)
            .map_err(|error| error.without_url().to_string())?;
        let mut text = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|e| e.without_url().to_string())?
        {
            if text.len() + chunk.len() > LARGEST {
                return Err(format!("larger than {LARGEST} bytes"));
            }
            text.extend_from_slice(&chunk);
        }
        KeySet::jwks(&text).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use camarad_config::{Inputs, load};

    const SECRET: &str = "a secret of at least thirty-two bytes";

    fn store(remembered: usize) -> KeyStore {
        let off = crate::observe::JsonLines::off;
        let environment = [
            ("SIDECAR_JWT_SECRET", SECRET),
            ("SIDECAR_JWT_USER_CLAIM", "sub"),
            ("LEGACY_URL", "http://127.0.0.1:1"),
        ];
        let environment = environment.map(|(name, value)| (name.into(), value.into()));
        let inputs = Inputs {
            file: None,
            environment: environment.into(),
        };
        let config = load(&inputs).unwrap();
        let observer = crate::observe::Observer::new(&config.burst, off(), off(), false).unwrap();
        let http = KeyStore::client().unwrap();
        KeyStore::new(&config.issuers, remembered, Arc::new(observer), http)
    }

    #[tokio::test]
    async fn as_many_tokens_are_remembered_as_is_set() {
        let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
        let header = jsonwebtoken::Header::default();
        for (set, expected) in [(0, 0), (10, 3)] {
            let store = store(set);
            for (user, again) in [(1, 2), (2, 1), (3, 5)] {
                let claims = serde_json::json!({"sub": user.to_string(), "exp": 4_000_000_000u64});
                let token = jsonwebtoken::encode(&header, &claims, &key).unwrap();
                for _ in 0..again {
                    let verified = store.identify(&token).await.unwrap();
                    assert_eq!(verified.user().map(|id| id.get()), Some(user));
                }
                // Another one, however alike, is verified by itself.
                let other = jsonwebtoken::EncodingKey::from_secret(
                    b"another secret, as long as the first one",
                );
                let forged = jsonwebtoken::encode(&header, &claims, &other).unwrap();
                let refused = store.identify(&forged).await.map(|_| ());
                assert_eq!(refused, Err(Refusal::TokenBadSignature));
            }
            let kept = store.verified.as_ref().map_or(0, Cache::len);
            assert_eq!(kept, expected, "{set}");
        }
    }
}
