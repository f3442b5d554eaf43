//! The differential test: what a real Flask reads is what the sidecar decided on.
//!
//! Thousands of generated requests go through the real binary to Flask 2.3.3,
//! under the two servers that the app runs on, gunicorn in a version that still
//! folds `_` and `-` in header names. For each one, either the sidecar
//! refused it and Flask never saw it, or everything Flask read that says who is
//! asking, for which client and for which place is what the sidecar's record
//! says ([`oracle`]). Two readers of one request that disagree are how one tenant
//! reads another's data, so a failure here is a hole and not a flaky test: the
//! seed and the request are printed.
//!
//! To extend it: one more entry in [`mutations::MUTATIONS`], or one more check in
//! [`oracle::disagreement`]. `make test` runs a fixed seed; `make fuzz` random
//! ones (`DIFFERENTIAL_SEED`, `DIFFERENTIAL_COUNT`).

mod flask;
mod generate;
mod mutations;
mod oracle;

use crate::support::{Raw, Setup, Sidecar, alice, bob, eventually};
use flask::Flask;
use generate::{Draft, Generator};
use oracle::{Reading, Record};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Requests to each server in `make test`; some seconds.
const COUNT: usize = 8_000;
const SEED: u64 = 20_261_124;
/// Callers at once.
const CALLERS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn werkzeug_reads_what_was_decided() {
    compare("werkzeug").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gunicorn_reads_what_was_decided() {
    compare("gunicorn").await;
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text:?}: expected a number"))
    })
}

async fn compare(server: &str) {
    let seed = setting("DIFFERENTIAL_SEED", SEED);
    let count = setting("DIFFERENTIAL_COUNT", COUNT as u64) as usize;
    let flask = Flask::start(server).await;
    let sidecar = Setup::default()
        .set("LEGACY_URL", flask.url())
        .set("SIDECAR__SERVER__TRUSTED_PROXIES", "10.0.0.0/8")
        // Most of what is sent is refused, by few callers.
        .set("SIDECAR__LIMITS__REFUSALS", "0")
        // Nothing is asked of it: connector routes are answered by the mock.
        .set("COOLBITS_GATEWAY_ENABLED", "off")
        // And the cache answers nothing that Flask is to see.
        .set("SIDECAR__CACHE__APP_READS", "false")
        .start_alone()
        .await;
    let sidecar = Arc::new(sidecar);
    let mut generator = Generator::new(seed, flask::routes());
    let drafts: Arc<Vec<Draft>> = Arc::new((0..count).map(|_| generator.draft()).collect());
    let mut callers = Vec::new();
    for caller in 0..CALLERS {
        let (sidecar, drafts) = (sidecar.clone(), drafts.clone());
        callers.push(tokio::spawn(async move {
            let mut ids = Vec::new();
            for at in (caller..drafts.len()).step_by(CALLERS) {
                ids.push((at, send(&sidecar, &drafts[at]).await));
            }
            ids
        }));
    }
    let mut draft_of = HashMap::new();
    for caller in callers {
        for (at, id) in caller.await.unwrap() {
            draft_of.insert(id, at);
        }
    }
    assert_eq!(
        draft_of.len(),
        count,
        "every request has an answer with an id of its own"
    );
    eventually("every request is told", || async {
        sidecar.records().len() >= count
    })
    .await;
    let readings: HashMap<String, Reading> = flask
        .seen()
        .await
        .into_iter()
        .map(|reading: Reading| (reading.id.clone().unwrap_or_default(), reading))
        .collect();
    let tokens = [(1, alice()), (2, bob())].into();
    let mut judge = oracle::Judge::new(tokens);
    let mut outcomes = BTreeMap::<String, usize>::new();
    let mut used = BTreeMap::<&str, [usize; 2]>::new();
    let mut disagreements = Vec::new();
    let mut records: Vec<Record> = sidecar
        .records()
        .into_iter()
        .map(|record| serde_json::from_value(record).unwrap())
        .collect();
    // The plain spelling of every place comes first; the others are held against it.
    records.sort_by_key(|record| draft_of[&record.request_id]);
    for record in records {
        let draft = &drafts[draft_of[&record.request_id]];
        let reading = readings.get(&record.request_id);
        let outcome = match (reading, &record.code) {
            (Some(_), _) => "reached".to_owned(),
            (None, Some(code)) => code.clone(),
            (None, None) => record.source.clone(),
        };
        *outcomes.entry(outcome).or_default() += 1;
        for name in &draft.mutations {
            used.entry(name).or_default()[usize::from(reading.is_some())] += 1;
        }
        if let Some(what) = judge.disagreement(draft, &record, reading) {
            let readings = generate::without_tokens(&format!("{record:?}\n{reading:?}"));
            disagreements.push(format!("{what}\n{}\n{readings}", draft.shown()));
        }
    }
    assert!(
        disagreements.is_empty(),
        "{server}, DIFFERENTIAL_SEED={seed}: {} of {count} disagree, for instance:\n{}",
        disagreements.len(),
        disagreements[..disagreements.len().min(3)].join("\n\n")
    );
    // A generator that is refused every time would prove nothing, and one that never is little.
    assert_eq!(
        readings.len(),
        outcomes["reached"],
        "Flask saw a request that has no record"
    );
    assert!(outcomes["reached"] * 4 > count, "{outcomes:?}");
    assert!(outcomes.len() >= 13, "{outcomes:?}");
    let unused: Vec<_> = mutations::MUTATIONS
        .iter()
        .filter(|(name, _)| !used.contains_key(name))
        .collect();
    assert!(
        unused.is_empty(),
        "{} mutations were never made",
        unused.len()
    );
    assert!(judge.places() > 100, "{} places", judge.places());
    if std::env::var_os("DIFFERENTIAL_SEED").is_some() {
        tell(&format!(
            "{server}: seed {seed}, {outcomes:?}\n(refused, reached) by mutation: {used:?}"
        ));
    }
}

/// Sends one request on a connection of its own; the id that its answer carries.
async fn send(sidecar: &Sidecar, draft: &Draft) -> String {
    let mut raw = Raw::to(sidecar.address).await;
    raw.try_send(draft.bytes()).await;
    let answer = loop {
        let answer = raw.answer(&draft.method).await;
        let answer = answer.unwrap_or_else(|| panic!("no answer:\n{}", draft.shown()));
        if answer.status >= 200 {
            break answer;
        }
    };
    let id = answer.header("x-request-id").to_owned();
    // Pingora's own answers have none: such a request got past our eyes.
    assert!(!id.is_empty(), "{}\n{}", draft.shown(), answer.head);
    id
}

#[allow(clippy::print_stderr)] // For whoever runs `make fuzz`.
fn tell(text: &str) {
    eprintln!("{text}");
}
