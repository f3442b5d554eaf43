//! Nobody waits for somebody else's answer of Coolbits.

use super::*;
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};

/// A way to Coolbits that tells of every connection and lets none through until it is opened.
async fn gate(to: SocketAddr) -> (SocketAddr, mpsc::UnboundedReceiver<()>, watch::Sender<bool>) {
    let (listener, address) = listen().await;
    let (tell, told) = mpsc::unbounded_channel();
    let (open, opened) = watch::channel(false);
    tokio::spawn(async move {
        loop {
            let (mut near, _) = listener.accept().await.unwrap();
            let (tell, mut opened) = (tell.clone(), opened.clone());
            tokio::spawn(async move {
                // The first byte: a request is under way.
                near.peek(&mut [0]).await.unwrap();
                let _ = tell.send(());
                opened.wait_for(|open| *open).await.unwrap();
                let mut far = TcpStream::connect(to).await.unwrap();
                let _ = copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    (address, told, open)
}

#[tokio::test]
async fn two_users_runs_wait_for_coolbits_at_the_same_time_and_nobody_for_them() {
    let coolbits = coolbits(r#"{"latency_ms": 20}"#).await;
    let (way, mut waiting, open) = gate(coolbits).await;
    let house = &House::by_way_of(way, coolbits).await;
    // GA4, where nothing is asked after a call that failed: a second connection is another run.
    let run = |user, client, property| async move {
        let result = house.run(user, client, ga4(property)).await.remove(0);
        assert_eq!(result["data"]["source"], "coolbits", "user {user}");
        assert_eq!(result["data"]["property_id"], property);
    };
    let meanwhile = async {
        // One run behind the other would ask only when the first has its answer, which it
        // gets only below.
        waiting.recv().await.unwrap();
        waiting.recv().await.unwrap();
        // Nor is the store locked.
        let rows = house.ask(1, 10, "GET /api/flows", Value::Null).await;
        assert_eq!(rows.status, 200);
        open.send(true).unwrap();
    };
    let runs = async { tokio::join!(run(1, 10, "G-ABC123DEF4"), run(2, 20, "G-JKL456MNO1")) };
    tokio::join!(runs, meanwhile);
    let calls = house.calls().await;
    let reports = calls.iter().filter(|call| call.path.ends_with("/report"));
    let mut properties: Vec<_> = reports
        .filter_map(|call| named(call, "propertyId"))
        .collect();
    properties.sort();
    assert_eq!(properties, ["G-ABC123DEF4", "G-JKL456MNO1"]);
    for call in calls
        .iter()
        .filter(|call| call.path != "/api/auth/mock-login")
    {
        assert_eq!(call.token_hash, service());
    }
}
