//! What a purge reaches, while anything is under way.

use super::*;
use CacheResult::*;

/// Each with its key: what every purge is tried on.
fn answers() -> [(&'static str, CacheKey); 6] {
    [
        ("1/10 campaigns", key(1, 10, CAMPAIGNS)),
        ("1/11 metrics", key(1, 11, METRICS)),
        ("1/10 flows", key(1, 10, FLOWS)),
        ("2/10 flows", key(2, 10, FLOWS)),
        ("1 flows", key_of(Class::User, 1, 10, FLOWS, "")),
        (
            "plans",
            key_of(Class::Shared, 0, 0, "/api/pricing/plans", ""),
        ),
    ]
}

fn purges() -> Vec<(Purge, Vec<&'static str>)> {
    let [campaigns, metrics, flows, others, users, plans] = answers().map(|(name, _)| name);
    let digest = key(1, 11, METRICS).digest().to_owned();
    vec![
        (
            Purge::All,
            vec![campaigns, metrics, flows, others, users, plans],
        ),
        (Purge::Key(digest), vec![metrics]),
        (Purge::Key("0".repeat(64)), vec![]),
        (Purge::Route("google-ads.campaigns".into()), vec![campaigns]),
        (Purge::User(1), vec![campaigns, metrics, flows, users]),
        (Purge::User(3), vec![]),
        (Purge::Client(10), vec![campaigns, flows, others]),
        (Purge::Choice { user: 1 }, vec![campaigns, metrics]),
        (Purge::Choice { user: 2 }, vec![]),
        (Purge::App { user: 1 }, vec![flows, users]),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_purge_and_an_invalidation_reach_what_they_name_and_nothing_else() {
    for (purge, hit) in purges() {
        for walks in [true, false] {
            let cache = cache(1 << 20);
            for (name, key) in answers() {
                get(&cache, key, real(name, 60, 60)).await;
            }
            match walks {
                true => assert_eq!(cache.purge(&purge), hit.len(), "{purge:?}"),
                false => cache.invalidate(&purge),
            }
            for (name, key) in answers() {
                let got = get(&cache, key, failure("fetched", 1)).await;
                let expected = match hit.contains(&name) {
                    true => (Miss, "fetched"),
                    false => (Hit, name),
                };
                assert_eq!(told(&got), expected, "{purge:?}, walks: {walks}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_purge_reaches_a_fetch_that_is_under_way() {
    for (purge, hit) in purges() {
        let cache = cache(1 << 20);
        let mut callers = Vec::new();
        for (_, key) in answers() {
            callers.push(Caller::new(&cache, key, real("before", 60, 60)).await);
        }
        assert_eq!(cache.purge(&purge), 0);
        for caller in callers {
            // Who asked before may have what was before.
            assert_eq!(told(&caller.released().await), (Miss, "before"));
        }
        for (name, key) in answers() {
            let got = get(&cache, key, real("after", 60, 60)).await;
            let expected = match hit.contains(&name) {
                true => (Miss, "after"),
                false => (Hit, "before"),
            };
            assert_eq!(told(&got), expected, "{purge:?}: {name}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_joins_a_fetch_from_before_a_purge_and_no_fetch_is_lost() {
    let cache = cache(1 << 20);
    let before = Caller::new(&cache, a(), real("before", 60, 60)).await;
    let with_before = Caller::new(&cache, a(), real("x", 60, 60)).await;
    cache.invalidate(&Purge::Choice { user: 1 });
    let after = Caller::new(&cache, a(), real("after", 60, 60)).await;
    let with_after = Caller::new(&cache, a(), real("x", 60, 60)).await;
    assert!(before.fetches() && after.fetches());
    assert!(!with_before.fetches() && !with_after.fetches());
    let old = before.released().await;
    assert_eq!(told(&old), (Miss, "before"));
    assert_eq!((old.ttl, old.stored), (None, false));
    assert_eq!(told(&with_before.released().await), (Collapsed, "before"));
    // The old one's end took nothing of the new one's away.
    assert_eq!(cache.flights().len(), 1);
    let late = Caller::new(&cache, a(), real("x", 60, 60)).await;
    assert!(!late.fetches());
    assert_eq!(told(&after.released().await), (Miss, "after"));
    assert_eq!(told(&with_after.released().await), (Collapsed, "after"));
    assert_eq!(told(&late.released().await), (Collapsed, "after"));
    assert_eq!(told(&kept(&cache, a()).await), (Hit, "after"));
    assert_eq!(cache.flights().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_began_before_a_purge_cannot_touch_what_came_after_it() {
    for keep in [
        Keep::No,
        Keep::Shared,
        Keep::Failure { ttl: seconds(5) },
        Keep::For {
            ttl: seconds(60),
            stale: seconds(60),
        },
    ] {
        let cache = cache(1 << 20);
        let before = Caller::new(&cache, a(), fetched("before", keep)).await;
        cache.invalidate(&Purge::User(1));
        get(&cache, a(), real("after", 60, 60)).await;
        before.released().await;
        assert_eq!(told(&kept(&cache, a()).await), (Hit, "after"), "{keep:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_purged_does_not_stand_in() {
    let cache = cache(1 << 20);
    get(&cache, a(), real("real", 30, 60)).await;
    advance(seconds(30)).await;
    get(&cache, a(), failure("mock", 20)).await;
    cache.invalidate(&Purge::Client(10));
    let failed = get(&cache, a(), failure("mock 2", 5)).await;
    assert_eq!(told(&failed), (Miss, "mock 2"));

    // Purged between the beginning and the end of the fetch that fails.
    get(&cache, key(2, 10, FLOWS), real("real", 30, 60)).await;
    advance(seconds(30)).await;
    let caller = Caller::new(&cache, key(2, 10, FLOWS), failure("mock", 5)).await;
    cache.invalidate(&Purge::User(2));
    assert_eq!(told(&caller.released().await), (Expired, "mock"));
}

#[tokio::test(start_paused = true)]
async fn a_fetch_for_one_from_before_a_purge_is_not_kept() {
    let cache = cache(1 << 20);
    get(&cache, a(), fetched("alone", Keep::No)).await;
    let before = Caller::new(&cache, a(), real("before", 60, 60)).await;
    cache.purge(&Purge::All);
    let old = before.released().await;
    assert_eq!((told(&old), old.stored), ((Bypass, "before"), false));
    assert_eq!(cache.entries(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_outlasts_what_is_remembered_is_not_kept() {
    let cache = cache(1 << 20);
    let before = Caller::new(&cache, a(), real("before", 60, 60)).await;
    cache.invalidate(&Purge::User(1));
    advance(seconds(601)).await;
    // More than is remembered.
    for user in 0..20_001 {
        cache.invalidate(&Purge::User(1000 + user));
    }
    assert!(!before.released().await.stored);
    assert_eq!(cache.entries(), 0);
}

/// Writers and readers on threads of their own: once a purge is over, nobody is given
/// what was read before the change.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_asks_after_a_change_never_sees_what_was_before() {
    let cache = cache(1 << 20);
    let state = Arc::new(AtomicUsize::new(0));
    let purged = Arc::new(AtomicUsize::new(0));
    let writer = {
        let (cache, state, purged) = (cache.clone(), state.clone(), purged.clone());
        tokio::spawn(async move {
            for n in 1..=500 {
                state.store(n, Ordering::SeqCst);
                match n % 10 {
                    0 => drop(cache.purge(&Purge::All)),
                    _ => cache.invalidate(&Purge::User(1)),
                }
                purged.store(n, Ordering::SeqCst);
                tokio::task::yield_now().await;
            }
        })
    };
    let read = |reader: usize| {
        let (cache, state, purged) = (cache.clone(), state.clone(), purged.clone());
        async move {
            let mut n = reader;
            while purged.load(Ordering::SeqCst) < 500 {
                let keep = match n % 8 {
                    0 => Keep::Shared,
                    1 => Keep::Failure { ttl: seconds(60) },
                    _ => Keep::For {
                        ttl: seconds(60),
                        stale: seconds(60),
                    },
                };
                n += 1;
                let least = purged.load(Ordering::SeqCst);
                let state = state.clone();
                let fetch = || async move {
                    let seen = state.load(Ordering::SeqCst).to_string();
                    idle().await;
                    fetched(&seen, keep)
                };
                let got = cache
                    .get(Instant::now(), &a(), fetch, |kept, _| kept.clone())
                    .await
                    .unwrap();
                assert!(got.value.parse::<usize>().unwrap() >= least, "{got:?}");
                tokio::task::yield_now().await;
            }
        }
    };
    let readers: Vec<_> = (0..4).map(|reader| tokio::spawn(read(reader))).collect();
    for reader in readers {
        reader.await.unwrap();
    }
    writer.await.unwrap();
    assert_eq!(cache.flights().len(), 0);
}
