//! Published keys: RS256 and EdDSA, rotation, an outage.

use crate::support::{Claims, Raw, Setup, Sidecar, StandIn, eventually};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A server that publishes a key set, and counts how often it was asked.
struct Issuer {
    url: String,
    set: Arc<Mutex<(Value, usize)>>,
}

impl Issuer {
    async fn start(keys: &[&Key]) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        let set = Arc::new(Mutex::new((json!(null), 0)));
        let issuer = Self { url, set };
        issuer.publish(keys);
        let set = issuer.set.clone();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let body = {
                    let mut set = set.lock().unwrap();
                    set.1 += 1;
                    set.0.to_string()
                };
                let _ = stream.read(&mut [0; 4096]).await;
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
            }
        });
        issuer
    }

    fn publish(&self, keys: &[&Key]) {
        let keys: Vec<&Value> = keys.iter().map(|key| &key.jwk).collect();
        self.set.lock().unwrap().0 = json!({"keys": keys});
    }

    fn asked(&self) -> usize {
        self.set.lock().unwrap().1
    }
}

/// An Ed25519 key pair made for this run.
struct Key {
    kid: &'static str,
    jwk: Value,
    private: EncodingKey,
}

impl Key {
    fn new(kid: &'static str) -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&aws_lc_rs::rand::SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
        let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        Self {
            kid,
            jwk: json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": kid, "x": x}),
            private: EncodingKey::from_ed_der(pkcs8.as_ref()),
        }
    }

    fn token(&self) -> String {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(self.kid.into());
        jsonwebtoken::encode(&header, &Claims::new(1, &[10]).0, &self.private).unwrap()
    }
}

async fn sidecar(issuer_url: &str) -> (Sidecar, StandIn, StandIn) {
    let setup = Setup::default()
        .set("SIDECAR_JWKS_URL", issuer_url)
        .set("SIDECAR_JWT_USER_CLAIM", "uid");
    Sidecar::with_stand_ins(setup).await
}

async fn code(sidecar: &Sidecar, token: &str) -> (u16, String) {
    let got = sidecar.get("/api/flows").bearer(token).send().await;
    let code = got.json()["code"].as_str().unwrap_or_default().to_owned();
    (got.status, code)
}

#[tokio::test]
async fn a_new_key_is_learnt_once_and_an_invented_one_asks_no_more() {
    let (old, new, invented) = (Key::new("old"), Key::new("new"), Key::new("invented"));
    let issuer = Issuer::start(&[&old]).await;
    let (sidecar, _coolbits, _legacy) = sidecar(&issuer.url).await;
    assert_eq!(code(&sidecar, &old.token()).await.0, 200);
    assert_eq!(issuer.asked(), 1);
    // A token of a key that is not published yet. The fetch at the start was a moment ago.
    for _ in 0..20 {
        assert_eq!(
            code(&sidecar, &invented.token()).await,
            (401, "token_unknown_key".into())
        );
    }
    assert_eq!(issuer.asked(), 1, "key ids are the caller's to invent");
    // A key of another's under a known id.
    let stolen = Key {
        kid: "old",
        ..Key::new("x")
    };
    assert_eq!(
        code(&sidecar, &stolen.token()).await,
        (401, "token_bad_signature".into())
    );
    issuer.publish(&[&old, &new]);
    eventually(
        "the new key is learnt when a fetch is allowed again",
        || async { code(&sidecar, &new.token()).await.0 == 200 },
    )
    .await;
    assert_eq!(issuer.asked(), 2);
    assert!(
        sidecar
            .metrics()
            .await
            .contains("sidecar_key_age_seconds{issuer=\"default\"}")
    );
}

#[tokio::test]
async fn without_keys_nobody_is_let_in_and_it_says_not_ready() {
    let refused = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}/jwks.json", listener.local_addr().unwrap())
    };
    let (sidecar, _coolbits, legacy) = sidecar(&refused).await;
    let key = Key::new("a");
    assert_eq!(
        code(&sidecar, &key.token()).await,
        (503, "keys_unavailable".into())
    );
    let ready = crate::support::Ask::get(&format!("http://{}/readyz", sidecar.admin))
        .send()
        .await;
    assert_eq!(
        (ready.status, &ready.json()["checks"]["keys"]),
        (503, &json!(false))
    );
    assert!(legacy.calls().await.is_empty());
}

#[tokio::test]
async fn keys_come_from_a_file_too_and_an_issuer_is_pinned() {
    let key = Key::new("a");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("jwks.json");
    std::fs::write(&path, json!({"keys": [key.jwk]}).to_string()).unwrap();
    let file = format!(
        "[[issuers]]\nname = \"file\"\njwks_file = {:?}\nuser_claim = \"uid\"\n\
         issuer = \"https://issuer.example\"\naudience = \"camarad\"\n",
        path.display().to_string()
    );
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default().file(&file)).await;
    let signed = |claims: Claims| {
        let header = Header::new(Algorithm::EdDSA);
        jsonwebtoken::encode(&header, &claims.0, &key.private).unwrap()
    };
    let good = || {
        let claims = Claims::new(1, &[10]).with("iss", json!("https://issuer.example"));
        claims.with("aud", json!("camarad"))
    };
    let rows = [
        (signed(good()), 200, ""),
        (
            signed(good().with("iss", json!("https://other.example"))),
            401,
            "token_wrong_issuer",
        ),
        (
            signed(good().with("aud", json!("other"))),
            401,
            "token_wrong_audience",
        ),
        (signed(good().without("aud")), 401, "token_wrong_audience"),
        (crate::support::alice(), 401, "token_algorithm_not_allowed"),
    ];
    for (token, status, expected) in rows {
        assert_eq!(code(&sidecar, &token).await, (status, expected.to_owned()));
    }
}

/// The port was let go between a look whether it is free and the listener.
#[tokio::test]
async fn a_caller_that_comes_while_keys_are_fetched_waits_and_is_answered() {
    let key = Key::new("one");
    let issuer = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks.json", issuer.local_addr().unwrap());
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let setup = Setup::default()
        .set("SIDECAR_JWKS_URL", url)
        .set("SIDECAR_JWT_USER_CLAIM", "uid")
        .set("SIDECAR_LISTEN", address);
    let caller = async {
        let (mut stream, _) = issuer.accept().await.unwrap();
        // It asks for its keys, and so does not serve yet.
        let mut raw = Raw::to(address).await;
        let token = key.token();
        raw.send(format!(
            "GET /api/flows HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nX-Client-ID: 10\r\n\r\n"
        ))
        .await;
        let _ = stream.read(&mut [0; 4096]).await;
        let body = json!({"keys": [key.jwk]}).to_string();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        stream
            .write_all(format!("{head}{body}").as_bytes())
            .await
            .unwrap();
        raw.answer("GET").await
    };
    let (coolbits, legacy) = tokio::join!(StandIn::start("coolbits"), StandIn::start("legacy"));
    let (_sidecar, answer) = tokio::join!(setup.start(&coolbits, &legacy), caller);
    assert_eq!(answer.unwrap().status, 200);
}
