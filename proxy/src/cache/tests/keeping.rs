//! What is kept, for how long, and within which bound.

use super::*;
use CacheResult::*;

#[tokio::test(start_paused = true)]
async fn an_answer_is_kept_for_its_time_and_no_longer() {
    let cache = cache(1 << 20);
    let miss = get(&cache, a(), real("one", 45, 0)).await;
    assert_eq!(told(&miss), (Miss, "one"));
    assert_eq!((miss.ttl, miss.stored), (Some(seconds(45)), true));
    advance(seconds(44)).await;
    let hit = kept(&cache, a()).await;
    assert_eq!(told(&hit), (Hit, "one"));
    assert_eq!((hit.age, hit.ttl), (seconds(44), Some(seconds(1))));
    advance(seconds(1)).await;
    let expired = get(&cache, a(), real("two", 45, 0)).await;
    assert_eq!(told(&expired), (Expired, "two"));
    assert_eq!(expired.age, Duration::ZERO);
    assert_eq!(told(&kept(&cache, a()).await), (Hit, "two"));
    assert_eq!(cache.entries(), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_longer_than_purges_are_remembered() {
    let cache = cache(1 << 20);
    let cut = get(&cache, a(), real("one", 3600, 3600)).await;
    assert_eq!(cut.ttl, Some(seconds(300)));
    advance(seconds(300)).await;
    let failed = get(&cache, a(), failure("failed", 1)).await;
    assert_eq!(told(&failed), (Expired, "failed"), "nothing stands in");
    let cut = get(&cache, key(2, 10, FLOWS), real("one", 299, u64::MAX)).await;
    assert_eq!(cut.ttl, Some(seconds(299)));
    advance(seconds(300)).await;
    let failed = get(&cache, key(2, 10, FLOWS), failure("failed", 1)).await;
    assert_eq!(told(&failed), (Expired, "failed"));
}

#[tokio::test(start_paused = true)]
async fn without_capacity_nothing_is_kept_and_equal_fetches_are_one() {
    let cache = cache(0);
    let leader = Caller::new(&cache, a(), real("one", 45, 45)).await;
    let waiter = Caller::new(&cache, a(), real("two", 45, 45)).await;
    let led = leader.released().await;
    assert_eq!(told(&led), (Miss, "one"));
    assert_eq!((led.ttl, led.stored), (None, false));
    assert_eq!(told(&waiter.released().await), (Collapsed, "one"));
    let again = get(&cache, a(), failure("three", 5)).await;
    assert_eq!(told(&again), (Miss, "three"));
    assert_eq!((again.ttl, again.stored), (None, false));
    assert_eq!((cache.bytes(), cache.entries()), (0, 0));
    assert_eq!(cache.purge(&Purge::All), 0);
}

#[tokio::test(start_paused = true)]
async fn it_stays_within_its_bound_and_counts_what_it_drops() {
    let bound = 64 * 1024;
    let count = evictions();
    let cache = Arc::new(Cache::new(bound, TaskTracker::new(), count.clone()));
    let large = "x".repeat(4096);
    for n in 0..200 {
        let key = key_of(Class::Tenant, 1, 10, CAMPAIGNS, &format!("days={n}"));
        get(&cache, key, real(&large, 60, 0)).await;
        assert!(cache.bytes() <= bound, "{}", cache.bytes());
    }
    assert!(cache.entries() > 0);
    assert_eq!(count.get() + cache.entries(), 200);
}

#[tokio::test(start_paused = true)]
async fn what_is_replaced_purged_or_too_old_is_not_counted_as_dropped() {
    let count = evictions();
    let cache = Arc::new(Cache::new(1 << 20, TaskTracker::new(), count.clone()));
    // Replaced where it may stand in, dropped when it is looked at where not.
    for stale in [60, 60, 0, 0] {
        get(&cache, a(), real("one", 1, stale)).await;
        advance(seconds(1)).await;
        get(&cache, a(), failure("mock", 1)).await;
        advance(seconds(1)).await;
    }
    get(&cache, a(), real("one", 1, 0)).await;
    cache.purge(&Purge::All);
    assert_eq!((count.get(), cache.entries()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_is_given_and_not_kept() {
    let count = evictions();
    let cache = Arc::new(Cache::new(64 * 1024, TaskTracker::new(), count.clone()));
    let larger = "x".repeat(65 * 1024);
    for n in 1..3 {
        let given = get(&cache, a(), real(&larger, 60, 60)).await;
        assert_eq!((given.result, given.value.len()), (Miss, larger.len()));
        assert_eq!((given.ttl, given.stored, count.get()), (None, false, n));
    }
}

#[tokio::test(start_paused = true)]
async fn with_equal_hashes_everybody_gets_their_own_answer() {
    let cache: Arc<Cache<String, Colliding>> = Arc::new(Cache::with_hasher(
        16 * 1024,
        TaskTracker::new(),
        evictions(),
        Colliding,
    ));
    let mut keys = Vec::new();
    for (user, client, path) in [
        (1, 10, CAMPAIGNS),
        (1, 11, CAMPAIGNS),
        (2, 10, CAMPAIGNS),
        (1, 10, METRICS),
        (1, 10, FLOWS),
    ] {
        for class in [Class::Tenant, Class::User, Class::Shared] {
            for query in ["", "days=7"] {
                let key = key_of(class, user, client, path, query);
                if !keys.contains(&key) {
                    keys.push(key);
                }
            }
        }
    }
    // Of 5 by 2 requests: all by tenant, 4 by user, 3 shared.
    assert_eq!(keys.len(), (5 + 4 + 3) * 2);
    let own = |n: usize| format!("{n} {}", "x".repeat(100));
    // Together, so that their flights collide too.
    let mut callers = Vec::new();
    for (n, key) in keys.iter().enumerate() {
        callers.push(Caller::new(&cache, key.clone(), real(&own(n), 60, 60)).await);
    }
    for (n, caller) in callers.into_iter().enumerate() {
        assert!(caller.fetches());
        assert_eq!(told(&caller.released().await), (Miss, &*own(n)));
    }
    // Again and again, with answers dropped for lack of room, kept alone, failed and purged.
    for round in 0..8 {
        for (n, key) in keys.iter().enumerate() {
            let next = match (n + round) % 4 {
                0 => real(&own(n), 60, 60),
                1 => failure(&own(n), 60),
                2 => fetched(&own(n), Keep::No),
                _ => fetched(&own(n), Keep::Shared),
            };
            let got = get(&cache, key.clone(), next).await;
            // One number, or two where one stands in for the other.
            let of: Vec<usize> = got
                .value
                .split(' ')
                .filter_map(|w| w.parse().ok())
                .collect();
            assert!(!of.is_empty() && of.iter().all(|of| *of == n), "{got:?}");
        }
        advance(seconds(20)).await;
        cache.purge(&Purge::Key(keys[round].digest().to_owned()));
    }
}
