//! The command line: what it says when all is well, and all that it says when not.

use crate::support::{Ask, SECRET, command};
use base64::Engine;
use serde_json::json;
use std::process::{Output, Stdio};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

async fn run(args: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command()
        .args(args)
        .envs(environment.iter().copied())
        .output()
        .await
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

const ISSUER: [(&str, &str); 2] = [
    ("SIDECAR_JWT_SECRET", SECRET),
    ("SIDECAR_JWT_USER_CLAIM", "uid"),
];

#[tokio::test]
async fn check_says_good_or_everything_that_is_wrong() {
    let (code, stdout, stderr) = run(&["check"], &ISSUER).await;
    assert_eq!((code, &stdout[..]), (Some(0), "the settings are good\n"));
    assert!(
        stderr.contains("warning: jwt: no audience is set"),
        "{stderr}"
    );
    assert!(!stderr.contains(SECRET));

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bad.toml");
    std::fs::write(
        &file,
        "[server]\nlisten = 5\nlisen = 6\n[gateway]\ndeadline = \"soon\"\n",
    )
    .unwrap();
    let path = file.display().to_string();
    let (code, _, stderr) = run(
        &["check", "--config", &path],
        &[("COOLBITS_GATEWAY_ENABLED", "maybe")],
    )
    .await;
    assert_eq!(code, Some(2));
    for expected in [
        "server.listen",
        "server.lisen: unknown key",
        "gateway.deadline: \"soon\"",
        "COOLBITS_GATEWAY_ENABLED",
        "SIDECAR_JWT_SECRET",
    ] {
        assert!(stderr.contains(expected), "missing {expected} in\n{stderr}");
    }
}

#[tokio::test]
async fn the_matrix_is_printed_and_checked_against_a_newer_app() {
    for (format, begins) in [
        ("md", "# Client scope"),
        ("json", "["),
        ("csv", "method,path,area,"),
    ] {
        let (code, stdout, _) = run(&["matrix", "--format", format], &[]).await;
        assert_eq!(code, Some(0));
        assert!(stdout.starts_with(begins), "{format}");
        assert!(
            stdout.contains("/api/flows/<int:flow_id>/duplicate"),
            "{format}"
        );
    }
    let known = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../policies/tables/routes.json"
    );
    let (code, stdout, _) = run(&["matrix", "check", "--routes", known], &[]).await;
    assert_eq!(
        (code, &stdout[..]),
        (Some(0), "all 274 routes have a rule\n")
    );
    let dir = tempfile::tempdir().unwrap();
    let newer = dir.path().join("routes.json");
    let mut routes: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(known).unwrap()).unwrap();
    let mut added = routes["routes"][0].clone();
    added["path"] = json!("/api/flows/<int:flow_id>/share");
    routes["routes"].as_array_mut().unwrap().push(added);
    let mut check = |count: u64| {
        routes["count"] = json!(count);
        std::fs::write(&newer, routes.to_string()).unwrap();
    };
    let newer = newer.to_str().unwrap().to_owned();
    let args = ["matrix", "check", "--routes", &newer];
    check(275);
    let (code, _, stderr) = run(&args, &[]).await;
    assert_eq!(code, Some(2));
    assert!(
        stderr.contains("1 of 275 routes have no rule") && stderr.contains("/share"),
        "{stderr}"
    );
    check(274);
    let (code, _, stderr) = run(&args, &[]).await;
    assert_eq!(code, Some(2));
    assert!(
        stderr.contains("it says 274 routes and has 275"),
        "{stderr}"
    );
    let (code, _, stderr) = run(&["matrix", "check", "--routes", "/no/such/file"], &[]).await;
    assert!(
        code == Some(2) && stderr.contains("/no/such/file cannot be read"),
        "{stderr}"
    );
}

#[tokio::test]
async fn modes_and_networks_that_do_not_exist_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bad.toml");
    let text = "[server]\ninternal_networks = [\"here\"]\n[tenancy]\nmode = \"strict\"\n\
                management = \"lax\"\n[tenancy.modes]\n\"flows.lists\" = \"report\"\n\"users\" = \"on\"\n";
    std::fs::write(&file, text).unwrap();
    let (code, _, stderr) = run(&["check", "--config", file.to_str().unwrap()], &ISSUER).await;
    assert_eq!(code, Some(2));
    for told in [
        "server.internal_networks: \"here\": expected networks",
        "tenancy.mode: \"strict\": expected \"enforce\", \"report\" or \"off\"",
        "tenancy.management: \"lax\": expected \"ambient\" or \"strict\"",
        "tenancy.modes.flows.lists: no rule has this name",
        "tenancy.modes.users: \"on\": expected",
    ] {
        assert!(stderr.contains(told), "{told}\n{stderr}");
    }
    std::fs::write(&file, "[tenancy]\nmode = \"report\"\n").unwrap();
    let (code, _, stderr) = run(&["check", "--config", file.to_str().unwrap()], &ISSUER).await;
    assert_eq!(code, Some(0));
    assert!(
        stderr.contains("tenancy.mode is report: clients are not kept apart there"),
        "{stderr}"
    );
}

async fn verify(args: &[&str], token: &str, environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut child = command()
        .args([&["token", "verify"], args].concat())
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(token.as_bytes()).await.unwrap();
    drop(stdin);
    let output = child.wait_with_output().await.unwrap();
    let both = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(both).unwrap())
}

#[tokio::test]
async fn a_token_is_verified_as_requests_are() {
    let minted = |args: &'static [&'static str]| async move {
        let (code, stdout, stderr) = run(&[&["token", "mint"], args].concat(), &ISSUER).await;
        assert_eq!(code, Some(0), "{stderr}");
        stdout
    };
    let good = minted(&["--user", "1", "--client", "10"]).await;
    let (code, said) = verify(&[], &good, &ISSUER).await;
    assert_eq!(code, Some(0));
    assert!(
        said.starts_with("valid\n{") && said.contains("\"uid\": 1"),
        "{said}"
    );
    let expired = minted(&["--user", "1", "--ttl", "-1h"]).await;
    let nobody = minted(&["--claim", "sub=\"x\""]).await;
    let (message, _) = good.trim().rsplit_once('.').unwrap();
    for (token, code) in [
        (expired.clone(), "token_expired: `exp` has passed."),
        (nobody, "token_claims_invalid: "),
        (format!("{message}.AAAA"), "token_bad_signature: "),
        ("words".into(), "token_malformed: "),
        (String::new(), "token_malformed: "),
    ] {
        let (status, said) = verify(&[], &token, &ISSUER).await;
        assert_eq!(status, Some(1), "{said}");
        assert!(said.starts_with(code), "{code}: {said}");
        let hidden = token.trim();
        assert!(
            hidden.len() < 10 || !said.contains(hidden),
            "a token is not told"
        );
    }
    assert_eq!(
        verify(&["--ignore-claims"], &expired, &ISSUER).await.0,
        Some(0)
    );
    let (code, said) = verify(&["--jwks", "/no/such/file"], &good, &[]).await;
    assert!(
        code == Some(2) && said.contains("/no/such/file cannot be read"),
        "{said}"
    );
    let (code, said) = verify(&[], &good, &[]).await;
    assert!(code == Some(2) && said.contains("no issuer"), "{said}");
}

/// The PEM text of a DER structure (RFC 7468).
fn pem(label: &str, der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = (0..text.len())
        .step_by(64)
        .map(|at| &text[at..text.len().min(at + 64)])
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

#[tokio::test]
async fn every_kind_of_private_key_mints_what_its_public_key_verifies() {
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        Ed25519KeyPair, KeyPair,
    };
    let dir = tempfile::tempdir().unwrap();
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let p256 = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let p384 = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
    let ed = Ed25519KeyPair::generate().unwrap();
    type Der = Vec<u8>;
    let keys: [(&str, Der, Der, &[&str]); 4] = [
        (
            "rsa",
            AsDer::<aws_lc_rs::encoding::Pkcs8V1Der>::as_der(&rsa)
                .unwrap()
                .as_ref()
                .to_vec(),
            rsa.public_key().as_der().unwrap().as_ref().to_vec(),
            &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
        ),
        (
            "p256",
            p256.to_pkcs8v1().unwrap().as_ref().to_vec(),
            p256.public_key().as_der().unwrap().as_ref().to_vec(),
            &["ES256"],
        ),
        (
            "p384",
            p384.to_pkcs8v1().unwrap().as_ref().to_vec(),
            p384.public_key().as_der().unwrap().as_ref().to_vec(),
            &["ES384"],
        ),
        (
            "ed",
            ed.to_pkcs8v1().unwrap().as_ref().to_vec(),
            ed.public_key().as_der().unwrap().as_ref().to_vec(),
            &["EdDSA"],
        ),
    ];
    for (name, private, public, algorithms) in keys {
        let path = |kind: &str| {
            dir.path()
                .join(format!("{name}.{kind}"))
                .display()
                .to_string()
        };
        std::fs::write(path("key"), pem("PRIVATE KEY", &private)).unwrap();
        std::fs::write(path("pub"), pem("PUBLIC KEY", &public)).unwrap();
        for algorithm in algorithms {
            let args = [
                "token",
                "mint",
                "--user",
                "1",
                "--key-file",
                &path("key"),
                "--alg",
                algorithm,
            ];
            let (code, token, stderr) = run(&args, &[]).await;
            assert_eq!(code, Some(0), "{algorithm}: {stderr}");
            let settings = |pinned: &str| {
                let file = path("toml");
                let text = format!(
                    "[[issuers]]\nname = \"pem\"\npem_file = {:?}\nuser_claim = \"uid\"\nalgorithms = [{pinned:?}]\n",
                    path("pub")
                );
                std::fs::write(&file, text).unwrap();
                file
            };
            let (code, said) = verify(&["--config", &settings(algorithm)], &token, &[]).await;
            assert_eq!(code, Some(0), "{algorithm}: {said}");
            let other = if *algorithm == "ES256" {
                "ES384"
            } else {
                "ES256"
            };
            let (code, said) = verify(&["--config", &settings(other)], &token, &[]).await;
            assert_eq!(code, Some(1), "{algorithm}");
            assert!(said.starts_with("token_algorithm_not_allowed"), "{said}");
        }
    }
}

#[tokio::test]
async fn run_without_an_issuer_says_what_to_set() {
    let (code, _, stderr) = run(&["run"], &[]).await;
    assert_eq!(code, Some(2));
    assert!(
        stderr.contains("SIDECAR_JWT_SECRET") && stderr.contains("run --demo"),
        "{stderr}"
    );
}

#[tokio::test]
async fn run_on_a_port_that_is_taken_says_which() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().display().to_string();
    let settings = [
        ("SIDECAR_LISTEN", &address[..]),
        ("SIDECAR_ADMIN_LISTEN", "127.0.0.1:0"),
        ("SIDECAR_STATE_DIR", &state),
    ];
    let (code, _, stderr) = run(&["run"], &[&ISSUER[..], &settings].concat()).await;
    assert_eq!(code, Some(2));
    assert!(
        stderr.contains(&format!("server.listen = {address}")),
        "{stderr}"
    );
}

#[tokio::test]
async fn tokens_are_minted_from_the_environment_or_a_file() {
    let (code, stdout, _) = run(
        &[
            "token",
            "mint",
            "--user",
            "7",
            "--client",
            "1",
            "--client",
            "2",
            "--claim",
            "aud=\"x\"",
        ],
        &ISSUER,
    )
    .await;
    assert_eq!(code, Some(0));
    let token = jsonwebtoken::decode::<serde_json::Value>(
        stdout.trim(),
        &jsonwebtoken::DecodingKey::from_secret(SECRET.as_bytes()),
        &{
            let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::HS256);
            validation.set_audience(&["x"]);
            validation
        },
    )
    .unwrap();
    assert_eq!(
        (&token.claims["uid"], &token.claims["clients"]),
        (&json!(7), &json!([1, 2]))
    );
    for (args, environment, expected) in [
        (vec!["--user", "1"], vec![], "no secret"),
        (
            vec!["--user", "1", "--secret-file", "/nowhere"],
            vec![],
            "/nowhere cannot be read",
        ),
        (
            vec!["--user", "1", "--ttl", "soon"],
            ISSUER.to_vec(),
            "--ttl \"soon\"",
        ),
        (
            vec!["--user", "1", "--claim", "x"],
            ISSUER.to_vec(),
            "--claim \"x\"",
        ),
        (vec!["--user", "x"], ISSUER.to_vec(), "invalid value"),
    ] {
        let args = [vec!["token", "mint"], args].concat();
        let (code, _, stderr) = run(&args, &environment).await;
        assert_eq!(code, Some(2), "{args:?}");
        assert!(stderr.contains(expected), "{args:?}: {stderr}");
    }
}

#[tokio::test]
async fn a_stand_in_does_not_start_with_faults_it_does_not_know() {
    let (code, _, stderr) = run(
        &["mock", "coolbits", "--faults", "{\"fault\":\"explode\"}"],
        &[],
    )
    .await;
    assert_eq!(code, Some(2));
    assert!(
        stderr.contains("explode") && stderr.contains("hang"),
        "{stderr}"
    );
}

/// What `make run` prints does what it says, from the lines themselves.
#[tokio::test]
async fn the_demo_prints_lines_that_work_and_stops_with_everything() {
    let dir = tempfile::tempdir().unwrap();
    let mut demo = command()
        .args(["run", "--demo"])
        .env("SIDECAR_LISTEN", "127.0.0.1:0")
        .env("SIDECAR_ADMIN_LISTEN", "127.0.0.1:0")
        .env("SIDECAR_STATE_DIR", dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    let mut said = String::new();
    while !said.contains("Ctrl-C") {
        said.push_str(&lines.next_line().await.unwrap().unwrap());
        said.push('\n');
    }
    let value = |name: &str| {
        let line = said
            .lines()
            .find_map(|line| line.trim_start().strip_prefix(name))
            .unwrap();
        line.split_whitespace().next().unwrap().to_owned()
    };
    let (sidecar, admin, coolbits) = (value("sidecar "), value("admin "), value("coolbits "));
    let (a, b) = (value("A="), value("B="));
    let ads = format!("{sidecar}/api/connectors/google-ads/campaigns");
    let got = Ask::get(&ads).bearer(&a).client("10").send().await;
    assert_eq!(got.json()["source"], "coolbits");
    let got = Ask::get(&ads).bearer(&a).client("10").send().await;
    assert!(got.header("cache-status").contains("hit"));
    assert_eq!(
        Ask::get(&ads).bearer(&a).client("20").send().await.status,
        404
    );
    assert_eq!(Ask::get(&ads).client("10").send().await.status, 401);
    let clients = Ask::get(&format!("{sidecar}/api/clients"))
        .bearer(&b)
        .with("Cookie", "camarad_user_id=1");
    assert_eq!(
        clients.send().await.json(),
        json!([{"id": 20, "name": "Contoso"}])
    );
    let read = async |read: &str| {
        let url = format!("{sidecar}/api/connectors/{read}");
        Ask::get(&url).bearer(&a).client("10").send().await.json()
    };
    assert_eq!(read("ga4/overview").await["source"], "coolbits");
    let search = read("google-search-console/overview").await;
    assert_eq!(search["gateway"]["reason"], "mock_only");
    let health = read("gateway/health").await;
    assert_eq!(health["breaker"]["state"], "closed");
    let numbers = said.lines().filter_map(|line| line.strip_prefix("# "));
    let numbers = numbers.map(|line| line.split(' ').next().unwrap().parse().unwrap());
    let numbers: Vec<usize> = numbers.collect();
    assert_eq!(numbers, (1..=numbers.len()).collect::<Vec<_>>());
    let metrics = Ask::get(&format!("{admin}/metrics")).send().await;
    assert!(
        String::from_utf8(metrics.body)
            .unwrap()
            .contains("sidecar_burst_5xx")
    );
    let secret = std::fs::metadata(dir.path().join("demo/jwt-secret")).unwrap();
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&secret.permissions()) & 0o777,
        0o600
    );

    let id = demo.id().unwrap().to_string();
    assert!(
        std::process::Command::new("kill")
            .args(["-INT", &id])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(demo.wait().await.unwrap().code(), Some(0));
    let coolbits = coolbits.strip_prefix("http://").unwrap().to_owned();
    crate::support::eventually("the stand-ins are gone", || async {
        tokio::net::TcpStream::connect(&coolbits).await.is_err()
    })
    .await;
}

/// Killed without a chance to tidy up, the demo still leaves no process behind.
#[tokio::test]
async fn a_stand_in_ends_with_whoever_started_it() {
    let mut child = command()
        .args(["mock", "coolbits", "--until-stdin-closes"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    drop(child.stdin.take());
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
}
