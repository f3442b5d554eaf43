//! What the cache promises, by subject; the helpers are here.

mod fetches;
mod keeping;
mod purges;
mod stale;

use super::*;
use camarad_policies::authorise::{Tenancy, authorise};
use camarad_policies::cache_key::Class;
use camarad_policies::identity::{Identity, Issuer, KeyedIssuer, identify};
use camarad_policies::ids::UserId;
use camarad_policies::keys::{Algorithm, KeySet};
use camarad_policies::matrix::Matrix;
use camarad_policies::normalise::{RawRequest, normalise};
use jsonwebtoken::{EncodingKey, Header, encode};
use std::hash::Hasher;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::advance;

const CAMPAIGNS: &str = "/api/connectors/google-ads/campaigns";
const METRICS: &str = "/api/connectors/google-ads/metrics";
const FLOWS: &str = "/api/flows";

impl Weighed for String {
    fn weight(&self) -> usize {
        self.len()
    }
}

/// Gives every key the same hash.
#[derive(Clone, Default)]
struct Colliding;

struct Nothing;

impl BuildHasher for Colliding {
    type Hasher = Nothing;

    fn build_hasher(&self) -> Nothing {
        Nothing
    }
}

impl Hasher for Nothing {
    fn write(&mut self, _: &[u8]) {}

    fn finish(&self) -> u64 {
        0
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn cache(capacity: u64) -> Arc<Cache<String>> {
    Arc::new(Cache::new(capacity, TaskTracker::new(), evictions()))
}

pub(super) fn evictions() -> IntCounter {
    IntCounter::new("evictions", "for tests").unwrap()
}

fn identity(user: u64) -> Identity {
    const SECRET: &[u8] = b"a secret of at least thirty-two bytes";
    let claims = serde_json::json!({
        "uid": user, "exp": 2_000_000_000u64, "clients": [10, 11, 20],
    });
    let token = encode(
        &Header::default(),
        &claims,
        &EncodingKey::from_secret(SECRET),
    );
    let issuer = Issuer {
        name: "test".into(),
        algorithms: vec![Algorithm::HS256],
        issuer: None,
        audience: None,
        leeway: 0,
        user_claim: Some("uid".into()),
        clients_claim: "clients".into(),
        forward_to_coolbits: true,
    };
    let keyed = [KeyedIssuer {
        issuer: &issuer,
        keys: &KeySet::secret(SECRET).unwrap(),
    }];
    let subject = identify(&token.unwrap(), &keyed, 1_800_000_000).unwrap();
    subject.bound_to(UserId::parse(&user.to_string()).unwrap())
}

/// The key of a read; user 0 is nobody.
pub(super) fn key_of(class: Class, user: u64, client: u64, path: &str, query: &str) -> CacheKey {
    static MATRIX: LazyLock<Matrix> = LazyLock::new(|| Matrix::built_in().unwrap());
    let client = client.to_string();
    let asked = normalise(RawRequest {
        method: "GET",
        target: format!("{path}?{query}").as_bytes(),
        headers: [
            (&b"Host"[..], &b"app"[..]),
            (b"X-Client-ID", client.as_bytes()),
        ],
    })
    .unwrap();
    let found = MATRIX.find("GET", &asked.path);
    let who = (user > 0).then(|| identity(user));
    let permit = authorise(asked, Ok(who), found, &Tenancy::default()).unwrap();
    CacheKey::new(&permit, class, 0).unwrap()
}

pub(super) fn key(user: u64, client: u64, path: &str) -> CacheKey {
    key_of(Class::Tenant, user, client, path, "")
}

/// Any key.
pub(super) fn a() -> CacheKey {
    key(1, 10, CAMPAIGNS)
}

fn real(value: &str, ttl: u64, stale: u64) -> Fetched<String> {
    let (ttl, stale) = (seconds(ttl), seconds(stale));
    fetched(value, Keep::For { ttl, stale })
}

fn failure(value: &str, ttl: u64) -> Fetched<String> {
    fetched(value, Keep::Failure { ttl: seconds(ttl) })
}

fn fetched(value: &str, keep: Keep) -> Fetched<String> {
    let value = value.to_owned();
    Fetched { value, keep }
}

fn stand_in(kept: &String, failed: &String) -> String {
    format!("{kept} for {failed}")
}

type Got = Result<Cached<String>, FetchBroke>;

/// One read, whose fetch brings this at once.
async fn get<S: BuildHasher + Clone + Send + Sync + 'static>(
    cache: &Arc<Cache<String, S>>,
    key: CacheKey,
    fetched: Fetched<String>,
) -> Cached<String> {
    let got = cache
        .get(Instant::now(), &key, || async { fetched }, stand_in)
        .await;
    got.unwrap()
}

/// One read that must not fetch.
async fn kept(cache: &Arc<Cache<String>>, key: CacheKey) -> Cached<String> {
    let fetch = || async { unreachable!("a fetch") };
    cache
        .get(Instant::now(), &key, fetch, stand_in)
        .await
        .unwrap()
}

/// A caller whose fetch, if there is one, goes on when it is told to.
struct Caller {
    task: JoinHandle<Got>,
    release: oneshot::Sender<()>,
    /// Whether its fetch began.
    began: Arc<AtomicUsize>,
}

impl Caller {
    /// Asks, and comes as far as it can.
    async fn new<S: BuildHasher + Clone + Send + Sync + 'static>(
        cache: &Arc<Cache<String, S>>,
        key: CacheKey,
        fetched: Fetched<String>,
    ) -> Self {
        let (release, gate) = oneshot::channel();
        let began = Arc::new(AtomicUsize::new(0));
        let (cache, count) = (cache.clone(), began.clone());
        let task = tokio::spawn(async move {
            let fetch = || async move {
                count.fetch_add(1, Ordering::SeqCst);
                let _ = gate.await;
                fetched
            };
            cache.get(Instant::now(), &key, fetch, stand_in).await
        });
        idle().await;
        Self {
            task,
            release,
            began,
        }
    }

    fn fetches(&self) -> bool {
        self.began.load(Ordering::SeqCst) > 0
    }

    /// Lets its fetch go on.
    async fn released(self) -> Cached<String> {
        // Nobody is there where it waits for another's.
        let _ = self.release.send(());
        self.task.await.unwrap().unwrap()
    }
}

/// Until everything that can go on has come as far as it can.
async fn idle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

fn told(cached: &Cached<String>) -> (CacheResult, &str) {
    (cached.result, &cached.value)
}
