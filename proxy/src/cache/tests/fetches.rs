//! Who fetches, who waits, and who shares what.

use super::*;
use CacheResult::*;
use futures_util::future::join_all;

#[tokio::test(start_paused = true)]
async fn a_thousand_equal_requests_make_one_fetch_and_two_tenants_two() {
    let cache = cache(1 << 20);
    let fetches = Arc::new(AtomicUsize::new(0));
    let (release, gate) = oneshot::channel::<()>();
    let gate = gate.shared();
    let keys = [a(), key(2, 10, CAMPAIGNS)];
    let mut waiting = Vec::new();
    for n in 0..2000 {
        let key = keys[n % 2].clone();
        let value = format!("of {}", n % 2);
        let (cache, fetches, gate) = (cache.clone(), fetches.clone(), gate.clone());
        waiting.push(tokio::spawn(async move {
            let brings = real(&value, 0, 0);
            let fetch = || async move {
                fetches.fetch_add(1, Ordering::SeqCst);
                let _ = gate.await;
                brings
            };
            let got = cache
                .get(Instant::now(), &key, fetch, stand_in)
                .await
                .unwrap();
            assert_eq!(got.value, value);
            got.result
        }));
    }
    idle().await;
    assert_eq!(cache.flights().len(), 2);
    release.send(()).unwrap();
    let mut collapsed = 0;
    for task in waiting {
        collapsed += usize::from(task.await.unwrap() == Collapsed);
    }
    assert_eq!((fetches.load(Ordering::SeqCst), collapsed), (2, 1998));
    assert_eq!(cache.flights().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_leaves_does_not_hurt_those_who_wait() {
    let cache = cache(1 << 20);
    let leader = Caller::new(&cache, a(), real("one", 45, 0)).await;
    let waiter = Caller::new(&cache, a(), real("two", 45, 0)).await;
    leader.task.abort();
    idle().await;
    assert!(!waiter.fetches());
    leader.release.send(()).unwrap();
    assert_eq!(told(&waiter.released().await), (Collapsed, "one"));
    assert_eq!(told(&kept(&cache, a()).await), (Hit, "one"));
}

#[tokio::test(start_paused = true)]
async fn a_fetch_whose_callers_all_left_ends_and_the_next_one_fetches_anew() {
    let cache = cache(1 << 20);
    let leader = Caller::new(&cache, a(), real("one", 45, 0)).await;
    let waiter = Caller::new(&cache, a(), real("two", 45, 0)).await;
    leader.task.abort();
    idle().await;
    assert_eq!(cache.flights().len(), 1, "somebody waits");
    waiter.task.abort();
    idle().await;
    assert_eq!(cache.flights().len(), 0);
    assert!(leader.release.is_closed(), "the fetch is gone, too");
    let next = Caller::new(&cache, a(), real("three", 45, 0)).await;
    assert!(next.fetches());
    assert_eq!(told(&next.released().await), (Miss, "three"));
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_breaks_wakes_its_waiters_and_the_next_one_is_fine() {
    let cache = cache(1 << 20);
    let (release, gate) = oneshot::channel::<()>();
    let breaking = || async {
        let _ = gate.await;
        unreachable!("the fetch breaks here")
    };
    let key = a();
    let leader = cache.get(Instant::now(), &key, breaking, stand_in);
    let waiter = cache.get(
        Instant::now(),
        &key,
        || async { unreachable!("a second fetch") },
        stand_in,
    );
    let (led, waited, ()) = tokio::join!(leader, waiter, async {
        release.send(()).unwrap();
    });
    assert!(led.is_err() && waited.is_err());
    let next = get(&cache, a(), real("one", 1, 0)).await;
    assert_eq!(told(&next), (Miss, "one"));
}

#[tokio::test(start_paused = true)]
async fn what_is_shared_and_not_kept_goes_to_those_who_wait() {
    let cache = cache(1 << 20);
    let leader = Caller::new(&cache, a(), fetched("one", Keep::Shared)).await;
    let waiter = Caller::new(&cache, a(), fetched("two", Keep::Shared)).await;
    let led = leader.released().await;
    assert_eq!(told(&led), (Miss, "one"));
    assert_eq!((led.ttl, led.stored), (None, false));
    assert_eq!(told(&waiter.released().await), (Collapsed, "one"));
    let next = get(&cache, a(), fetched("three", Keep::Shared)).await;
    assert_eq!(told(&next), (Miss, "three"));
    assert_eq!(cache.entries(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_its_callers_alone_queues_nobody() {
    let cache = cache(1 << 20);
    let leader = Caller::new(&cache, a(), fetched("leader's", Keep::No)).await;
    let mut waiters = Vec::new();
    for n in 0..10 {
        let own = fetched(&format!("own {n}"), Keep::No);
        waiters.push(Caller::new(&cache, a(), own).await);
    }
    assert!(!waiters.iter().any(Caller::fetches));
    let led = leader.released().await;
    assert_eq!(told(&led), (Miss, "leader's"));
    assert_eq!((led.ttl, led.stored), (None, false));
    idle().await;
    assert!(waiters.iter().all(Caller::fetches), "all at once");
    for (n, waiter) in waiters.into_iter().enumerate() {
        let own = format!("own {n}");
        assert_eq!(told(&waiter.released().await), (Bypass, &*own));
    }
    // Later ones do not wait for one another at all, for ten seconds.
    advance(Duration::from_millis(9_999)).await;
    let later = [
        Caller::new(&cache, a(), fetched("x", Keep::No)).await,
        Caller::new(&cache, a(), fetched("y", Keep::No)).await,
    ];
    assert!(later.iter().all(Caller::fetches));
    let other = Caller::new(&cache, key(2, 10, CAMPAIGNS), real("z", 1, 0)).await;
    let behind = Caller::new(&cache, key(2, 10, CAMPAIGNS), real("z", 1, 0)).await;
    assert!(other.fetches() && !behind.fetches(), "another key");
    for result in join_all(later.map(Caller::released)).await {
        assert_eq!(result.result, Bypass);
    }
    advance(seconds(10)).await;
    let leader = Caller::new(&cache, a(), fetched("x", Keep::Shared)).await;
    let waiter = Caller::new(&cache, a(), fetched("y", Keep::Shared)).await;
    assert!(leader.fetches() && !waiter.fetches());
    leader.released().await;
    assert_eq!(told(&waiter.released().await), (Collapsed, "x"));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_can_be_shared_again_is() {
    let cache = cache(1 << 20);
    get(&cache, a(), fetched("alone", Keep::No)).await;
    let kept_now = get(&cache, a(), real("kept", 5, 0)).await;
    assert_eq!((told(&kept_now), kept_now.stored), ((Bypass, "kept"), true));
    assert_eq!(told(&kept(&cache, a()).await), (Hit, "kept"));
    advance(seconds(5)).await;
    let leader = Caller::new(&cache, a(), real("one", 5, 0)).await;
    let waiter = Caller::new(&cache, a(), real("two", 5, 0)).await;
    assert!(leader.fetches() && !waiter.fetches());
}

#[tokio::test(start_paused = true)]
async fn a_fetch_for_one_ends_with_its_caller_and_breaks_for_them_alone() {
    let cache = cache(1 << 20);
    get(&cache, a(), fetched("alone", Keep::No)).await;
    let leaves = Caller::new(&cache, a(), real("one", 60, 0)).await;
    assert!(leaves.fetches());
    leaves.task.abort();
    idle().await;
    assert!(leaves.release.is_closed(), "nobody fetches for nobody");
    let fetch = || async { unreachable!("the fetch breaks here") };
    assert!(
        cache
            .get(Instant::now(), &a(), fetch, stand_in)
            .await
            .is_err()
    );
    let next = get(&cache, a(), fetched("next", Keep::No)).await;
    assert_eq!(told(&next), (Bypass, "next"));
    assert_eq!(cache.entries(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_left_leaves_its_own_answer_to_nobody() {
    let cache = cache(1 << 20);
    let leader = Caller::new(&cache, a(), fetched("leader's", Keep::No)).await;
    let waiter = Caller::new(&cache, a(), fetched("own", Keep::No)).await;
    leader.task.abort();
    leader.release.send(()).unwrap();
    assert_eq!(told(&waiter.released().await), (Bypass, "own"));
}
