//! What is given while fetches fail.

use super::*;
use CacheResult::*;

#[tokio::test(start_paused = true)]
async fn a_kept_answer_stands_in_for_a_failure_until_its_time_is_over() {
    let cache = cache(1 << 20);
    get(&cache, a(), real("real", 30, 60)).await;
    advance(seconds(30)).await;
    let stale = get(&cache, a(), failure("mock 1", 5)).await;
    assert_eq!(told(&stale), (Stale, "real for mock 1"));
    assert_eq!(
        (stale.age, stale.ttl, stale.stored),
        (seconds(30), None, true)
    );
    // Nobody asks again until the failure's time is over.
    advance(Duration::from_millis(4_999)).await;
    assert_eq!(told(&kept(&cache, a()).await), (Stale, "real for mock 1"));
    advance(Duration::from_millis(1)).await;
    // Failures do not make it older or younger.
    for n in 2..13 {
        let stale = get(&cache, a(), failure(&format!("mock {n}"), 5)).await;
        assert_eq!(told(&stale), (Stale, &*format!("real for mock {n}")));
        advance(seconds(5)).await;
    }
    // 30 + 12 * 5: over.
    let failed = get(&cache, a(), failure("mock 13", 5)).await;
    assert_eq!(told(&failed), (Expired, "mock 13"));
    assert_eq!((failed.ttl, failed.stored), (Some(seconds(5)), true));
    assert_eq!(told(&kept(&cache, a()).await), (Hit, "mock 13"));
}

#[tokio::test(start_paused = true)]
async fn a_stand_in_ends_while_its_failure_is_kept() {
    let cache = cache(1 << 20);
    get(&cache, a(), real("real", 30, 2)).await;
    advance(seconds(30)).await;
    let stale = get(&cache, a(), failure("mock", 5)).await;
    assert_eq!(told(&stale), (Stale, "real for mock"));
    advance(seconds(2)).await;
    let hit = kept(&cache, a()).await;
    assert_eq!(told(&hit), (Hit, "mock"));
    assert_eq!((hit.age, hit.ttl), (seconds(2), Some(seconds(3))));
}

#[tokio::test(start_paused = true)]
async fn a_real_answer_takes_the_place_of_everything() {
    let cache = cache(1 << 20);
    get(&cache, a(), real("old", 30, 60)).await;
    advance(seconds(30)).await;
    get(&cache, a(), failure("mock", 5)).await;
    advance(seconds(5)).await;
    let fresh = get(&cache, a(), real("new", 30, 60)).await;
    assert_eq!(told(&fresh), (Expired, "new"));
    advance(seconds(30)).await;
    let stale = get(&cache, a(), failure("mock", 5)).await;
    assert_eq!(told(&stale), (Stale, "new for mock"));
}

#[tokio::test(start_paused = true)]
async fn without_a_real_answer_a_failure_is_kept_for_its_own_time() {
    let cache = cache(1 << 20);
    let miss = get(&cache, a(), failure("mock", 5)).await;
    assert_eq!(told(&miss), (Miss, "mock"));
    assert_eq!(told(&kept(&cache, a()).await), (Hit, "mock"));
    advance(seconds(5)).await;
    let next = get(&cache, a(), failure("mock 2", 0)).await;
    assert_eq!(told(&next), (Expired, "mock 2"));
    assert_eq!((next.ttl, next.stored), (None, false));
    let next = get(&cache, a(), real("real", 0, 0)).await;
    assert_eq!(told(&next), (Miss, "real"));
    assert_eq!((next.ttl, next.stored), (None, false));
}

#[tokio::test(start_paused = true)]
async fn without_leave_to_be_stale_nothing_stands_in() {
    let cache = cache(1 << 20);
    get(&cache, a(), real("real", 30, 0)).await;
    advance(seconds(30)).await;
    let failed = get(&cache, a(), failure("mock", 5)).await;
    assert_eq!(told(&failed), (Expired, "mock"));
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_is_not_kept_is_stood_in_for_each_time() {
    let cache = cache(1 << 20);
    get(&cache, a(), real("real", 0, 60)).await;
    for n in 0..3 {
        let stale = get(&cache, a(), failure(&n.to_string(), 0)).await;
        assert_eq!(told(&stale), (Stale, &*format!("real for {n}")));
    }
}

#[tokio::test(start_paused = true)]
async fn everybody_who_waits_for_a_failure_gets_the_stand_in() {
    let cache = cache(1 << 20);
    get(&cache, a(), real("real", 30, 60)).await;
    advance(seconds(30)).await;
    let leader = Caller::new(&cache, a(), failure("mock", 5)).await;
    let waiter = Caller::new(&cache, a(), failure("other", 5)).await;
    assert_eq!(told(&leader.released().await), (Stale, "real for mock"));
    assert_eq!(told(&waiter.released().await), (Stale, "real for mock"));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_kept_ends_what_was_kept_before() {
    for keep in [Keep::No, Keep::Shared] {
        let cache = cache(1 << 20);
        get(&cache, a(), real("real", 30, 60)).await;
        advance(seconds(30)).await;
        let newer = get(&cache, a(), fetched("newer", keep)).await;
        assert_eq!(told(&newer), (Expired, "newer"));
        let failed = get(&cache, a(), failure("mock", 5)).await;
        assert_eq!(failed.value, "mock", "{keep:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_does_not_fit_beside_it_leaves_the_real_answer() {
    let cache = cache(64 * 1024);
    get(&cache, a(), real("real", 30, 60)).await;
    advance(seconds(30)).await;
    let large = "x".repeat(65 * 1024);
    for _ in 0..2 {
        let stale = get(&cache, a(), failure(&large, 5)).await;
        assert_eq!(stale.result, Stale);
        assert!(stale.value.starts_with("real for xxx"));
    }
}
