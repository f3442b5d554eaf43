use super::*;

fn fixture() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixture")
}

/// A copy of the fixture with one file changed.
fn changed(name: &str, from: &str, to: &str) -> Result<Dataset, Error> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("qrels")).unwrap();
    for file in FILES {
        let text = std::fs::read_to_string(fixture().join(file)).unwrap();
        let text = match file == name {
            true => {
                assert!(text.contains(from), "{from} is not in {name}");
                text.replacen(from, to, 1)
            }
            false => text,
        };
        std::fs::write(folder.path().join(file), text).unwrap();
    }
    Dataset::read(folder.path())
}

#[test]
fn a_tenant_sees_its_own_and_the_public() {
    let own = Tenant::Client {
        user: 1,
        client: 10,
    };
    for (owner, sees) in [
        (own, true),
        (Tenant::Public, true),
        (
            Tenant::Client {
                user: 1,
                client: 11,
            },
            false,
        ),
        (
            Tenant::Client {
                user: 2,
                client: 10,
            },
            false,
        ),
    ] {
        assert_eq!(owner.shows_to(own), sees, "{owner:?}");
        assert_eq!(owner.shows_to(Tenant::Public), owner == Tenant::Public);
    }
}

#[test]
fn judgements_of_what_the_asker_may_not_see_are_not_judged() {
    let dataset = Dataset::read(&fixture()).unwrap();
    let of = |id: &str| dataset.queries.iter().find(|query| query.id == id).unwrap();
    assert_eq!(
        dataset.judged(of("q1")),
        HashMap::from([("d1", 2), ("d2", 0)])
    );
    assert_eq!(dataset.judged(of("q3")), HashMap::from([("d4", 2)]));
    assert!(dataset.judged(of("q4")).is_empty());
}

#[test]
fn the_digest_is_of_all_three_files() {
    let whole = Dataset::read(&fixture()).unwrap().sha256;
    assert_eq!(whole.len(), 64);
    for (name, from, to) in [
        ("corpus.jsonl", "31 percent", "32 percent"),
        ("queries.jsonl", "payroll", "pay"),
        ("qrels/test.tsv", "q1\td3\t1", "q1\td3\t2"),
    ] {
        assert_ne!(changed(name, from, to).unwrap().sha256, whole, "{name}");
    }
}

#[test]
fn what_would_falsify_figures_is_refused() {
    for (name, from, to, told) in [
        (
            "corpus.jsonl",
            "\"d2\"",
            "\"d1\"",
            "`_id` d1 is there twice",
        ),
        (
            "corpus.jsonl",
            "\"tenant\":\"public\",",
            "",
            "missing field `tenant`",
        ),
        ("corpus.jsonl", "\"public\"", "\"all\"", "tenant `all`"),
        (
            "corpus.jsonl",
            "\"user\":1,\"client\":10",
            "\"user\":1",
            "tenant",
        ),
        (
            "corpus.jsonl",
            "\"lang\":\"ro\"",
            "\"lang\":\"fr\"",
            "corpus.jsonl:2: unknown variant `fr`",
        ),
        (
            "queries.jsonl",
            "\"plain\"",
            "\"easy\"",
            "queries.jsonl:1: unknown variant `easy`",
        ),
        (
            "qrels/test.tsv",
            "d4\t2",
            "d9\t2",
            "test.tsv:6: no document d9",
        ),
        ("qrels/test.tsv", "q3\t", "q9\t", "test.tsv:6: no query q9"),
        ("qrels/test.tsv", "d4\t2", "d4\t3", "expected 0, 1 or 2"),
        (
            "qrels/test.tsv",
            "d2\t0",
            "d1\t0",
            "q1 and d1 are judged twice",
        ),
        (
            "qrels/test.tsv",
            "d4\t2",
            "d4 2",
            "expected query-id, corpus-id, score",
        ),
    ] {
        let Err(error) = changed(name, from, to) else {
            panic!("{to} was taken");
        };
        let error = error.to_string();
        // serde says of an untagged tenant only that nothing fits.
        let fits = error.contains(told) || told == "tenant" && error.contains(":1: ");
        assert!(fits, "{to}: {error}");
    }
}

#[test]
fn a_crowd_is_nobodys_who_asks() {
    let mut dataset = Dataset::read(&fixture()).unwrap();
    let (own, digest) = (dataset.documents.len(), dataset.sha256.clone());
    dataset.crowd(250);
    assert_eq!(dataset.documents.len(), own + 250);
    assert_eq!(dataset.sha256, digest);
    for query in &dataset.queries {
        let asker = query.metadata.tenant;
        let mut added = dataset.documents[own..].iter();
        assert!(added.all(|document| !document.metadata.tenant.shows_to(asker)));
    }
    assert!(dataset.document("other-249").is_some() && dataset.document("d1").is_some());
}
