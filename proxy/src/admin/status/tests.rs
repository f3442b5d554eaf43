//! The page as a whole: whatever it is told, it is one well-formed document, and a small one.

use super::facts::*;
use super::page::page;
use super::rules;
use crate::observe::Count;
use lol_html::{RewriteStrSettings, element, end_tag, rewrite_str};
use proptest::prelude::*;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// What an answer may weigh.
const MOST_BYTES: usize = 60_000;

/// Facts with everything that can be there, as much as there can be of it, and this text
/// wherever there is one.
fn full(text: &str, named: bool) -> Facts {
    facts_with(text, text, named)
}

/// The same with one text of others and one for names of our own: rules, codes, ids.
fn facts_with(text: &str, own: &str, named: bool) -> Facts {
    let (text, own) = (|| text.to_owned(), || own.to_owned());
    let id = || format!("0198c0de-0000-7000-8000-{}", own());
    let event = || Event {
        at: "2026-11-26T01:02:03.456Z".into(),
        age_seconds: 86_399,
        code: "service_account_not_allowed",
    };
    let refusal = Refusal {
        time: "2026-11-26T01:02:03.456789012Z".into(),
        code: own(),
        rule: own(),
        status: 404,
        user: Some("u-01234567".into()),
        client: Some("c-01234567".into()),
        request_id: id(),
    };
    let rule = Rule {
        name: own(),
        area: own(),
        auth: "required".into(),
        client: "required".into(),
        serve: own(),
        mode: "enforce",
        cache: "tenant",
        routes: vec![format!("GET /api/connectors/{}", own()); 30],
    };
    let step = Step {
        label: text(),
        kind: text(),
        status: text(),
        source: Some(text()),
    };
    let run = Run {
        run_id: id(),
        status: "interrupted",
        started_at: own(),
        duration_ms: Some(123_456),
        data: Some("mixed"),
        is_replay: true,
        findings: 3,
        steps: ["error", "success", "warning"]
            .map(|s| (s.to_owned(), 12))
            .into(),
        named: named.then(|| Named {
            flow: text(),
            steps: vec![step; 3],
            more_steps: 40,
        }),
    };
    let cache_row = CacheRow {
        name: own(),
        class: "tenant",
        requests: 123_456_789,
        hits: 123_456_789,
        hit_ratio: Some(0.5),
        ..CacheRow::default()
    };
    let minutes = (0..60).map(|n| Count {
        answers: 1_000_000 - n,
        failed: 1 + n,
    });
    let origin = |origin| Origin {
        origin,
        minutes: minutes.clone().collect(),
        burst: true,
        ..Origin::default()
    };
    let snapshot = Snapshot {
        id: text(),
        time: text(),
        reason: text(),
        in_force: true,
        rolled_back: true,
    };
    let change = SettingChange {
        key: text(),
        before: text(),
        after: text(),
    };
    Facts {
        time: "2026-11-26T01:02:03.456Z".into(),
        gateway: Gateway {
            enabled: true,
            mock_only: camarad_policies::operation::Operation::ALL
                .iter()
                .map(|o| o.name())
                .collect(),
            status: "degraded",
            breaker: "half_open",
            last_success: Some(event()),
            last_failure: Some(event()),
            last_probe: Some(event()),
            ..Gateway::default()
        },
        traffic: ["legacy", "coolbits", "sidecar"].map(origin).into(),
        cache: Cache {
            classes: vec![cache_row.clone(); 3],
            rules: vec![cache_row; 10],
            more_rules: 200,
            ..Cache::default()
        },
        refusals: Refusals {
            total: 10_000,
            newest: vec![refusal; 50],
        },
        matrix: Matrix {
            search: text(),
            ..rules::search(&vec![rule; 300], "")
        },
        runs: Runs {
            error: None,
            named,
            newest: vec![run; 20],
        },
        configuration: Configuration {
            snapshots: vec![snapshot; 4],
            difference: Some(Difference {
                changes: vec![change; 6],
                more: 7,
                ..Difference::default()
            }),
            ..Configuration::default()
        },
        process: Process::default(),
    }
}

fn drawn(text: &str, named: bool) -> String {
    page(&full(text, named), "0123", "127.0.0.1:9150").into_string()
}

/// Every element with its attributes' names, in order; what is opened is closed, within what
/// it was opened in.
fn elements(page: &str) -> Vec<(String, Vec<String>)> {
    let found = Rc::new(RefCell::new(Vec::new()));
    let open = Rc::new(RefCell::new(Vec::<String>::new()));
    let (all, stack) = (found.clone(), open.clone());
    let look = element!("*", move |element| {
        let name = element.tag_name();
        let attributes = element.attributes().iter().map(|one| one.name());
        all.borrow_mut().push((name.clone(), attributes.collect()));
        if let Some(ends) = element.end_tag_handlers() {
            stack.borrow_mut().push(name.clone());
            let stack = stack.clone();
            ends.push(end_tag!(move |end| {
                let opened = stack.borrow_mut().pop();
                assert_eq!(opened.as_deref(), Some(end.name().as_str()));
                Ok(())
            }));
        }
        Ok(())
    });
    let settings = RewriteStrSettings::new().append_element_content_handler(look);
    rewrite_str(page, settings).unwrap();
    assert!(
        open.borrow().is_empty(),
        "never closed: {:?}",
        open.borrow()
    );
    found.take()
}

fn is_the_same_page(text: &str, named: bool) -> bool {
    elements(&drawn(text, named)) == elements(&drawn("x", named))
}

#[test]
fn nothing_that_is_told_becomes_markup() {
    for attack in [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' onfocus='alert(1)",
        "</code></td></table></style><!--",
        "]]><svg onload=alert(1)>",
        "&lt;b&gt;&#60;i&#62;",
        "\0<\u{b}b>",
    ] {
        assert!(is_the_same_page(attack, true), "{attack}");
        assert!(
            !drawn(attack, true).contains(attack) || attack.starts_with('\''),
            "{attack}"
        );
    }
    let quote = drawn("a'b\"c", true);
    assert!(
        quote.contains("value=\"a'b&quot;c\""),
        "attributes have double quotes"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn whatever_a_text_is_the_page_stays_well_formed(
        text in prop_oneof![any::<String>(), "[<>\"'&/=!-]{1,40}", "</?[a-z]{1,8}( on[a-z]+=\"?x\"?)?>"],
        named: bool,
    ) {
        let text = format!("{text}x");
        prop_assert!(is_the_same_page(&text, named), "{text:?}");
    }
}

#[test]
fn the_page_is_small_however_much_there_is_to_tell() {
    // As long as the longest of ours.
    let own = "orchestrator.agent-brief";
    let texts = [
        "an ordinary name",
        "https://example.com/a/",
        "\"",
        "<&>",
        "ă",
        "好",
    ];
    for text in texts.map(|text| text.repeat(1000)) {
        for named in [false, true] {
            let facts = facts_with(&text, own, named);
            let size = page(&facts, "0123", "127.0.0.1:9150").into_string().len();
            assert!(
                size <= MOST_BYTES,
                "{size} bytes, named: {named}, {:.30}",
                text
            );
        }
    }
}

#[test]
fn without_the_token_no_page_has_a_name() {
    let mut facts = full("x", false);
    for run in &mut facts.runs.newest {
        assert!(run.named.is_none());
    }
    let page = page(&facts, "0", "localhost:9150").into_string();
    assert!(!page.contains(">Flow<"), "{page}");
    assert!(
        page.contains("http://localhost:9150/runs/$run.csv"),
        "{page}"
    );
    let named = drawn("Acme", true);
    assert!(named.contains(">Flow<") && named.contains("<bdi>Acme</bdi>"));
}

#[test]
fn a_page_about_nothing_says_so() {
    let page = page(&Facts::default(), "0", "localhost").into_string();
    elements(&page);
    for words in [
        "none yet",
        "Nothing was asked of the cache yet",
        "Nothing was refused since the start",
        "There are none yet",
        "none known",
        "not ready",
    ] {
        assert!(page.contains(words), "{words}");
    }
    let facts = Facts {
        runs: Runs {
            error: Some("the ledger cannot be read".into()),
            ..Runs::default()
        },
        ..Facts::default()
    };
    let broken = super::page::page(&facts, "0", "localhost").into_string();
    assert!(broken.contains("the ledger cannot be read"));
}

#[test]
fn the_page_has_landmarks_headings_and_tables_that_can_be_read_aloud() {
    let page = drawn("x", true);
    let all = elements(&page);
    let mut counts = BTreeMap::<&str, usize>::new();
    all.iter()
        .for_each(|(name, _)| *counts.entry(name).or_default() += 1);
    for (name, expected) in [
        ("header", 1),
        ("nav", 1),
        ("main", 1),
        ("footer", 1),
        ("h1", 1),
        ("h2", 8),
        ("script", 0),
    ] {
        assert_eq!(
            counts.get(name).copied().unwrap_or_default(),
            expected,
            "{name}"
        );
    }
    assert_eq!(
        counts["table"], counts["caption"],
        "every table says what it is"
    );
    assert_eq!(counts["details"], counts["summary"]);
    for (name, attributes) in &all {
        let has = |wanted: &str| attributes.iter().any(|attribute| attribute == wanted);
        assert!(name != "th" || has("scope"), "th without scope");
        assert!(
            name != "svg" || (has("role") && has("aria-label")),
            "svg without words"
        );
        assert!(!has("style"), "the policy forbids it: {name}");
        assert!(
            attributes.iter().all(|name| !name.starts_with("on")),
            "{name}"
        );
    }
}
