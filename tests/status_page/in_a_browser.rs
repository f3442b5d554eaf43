//! The status page in a real browser: seen, by day and by night, wide and narrow; and used
//! by keyboard.
//!
//! The pictures are left in the target directory as `status-page-*.png`, to be looked at.

use super::{break_coolbits, quick, run};
use crate::support::{Browser, Sidecar, alice, bob};
use serde_json::{Value, json};
use std::path::Path;

const TAB: char = '\u{e004}';
const ENTER: char = '\u{e007}';

/// The lowest contrast of any text with what is behind it (WCAG 2, 1.4.3), and where it is.
const CONTRAST: &str = r#"
    const parts = (text) => text.match(/[\d.]+/g).map(Number);
    const light = (colour) => {
        const [r, g, b] = parts(colour).map((c) => c / 255).map((c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const colour = getComputedStyle(at).backgroundColor;
            if (parts(colour).length === 3) return colour;
        }
        return 'rgb(255, 255, 255)';
    };
    let worst = [99, 'no text'];
    for (const element of document.querySelectorAll('body *')) {
        const hasText = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        if (!hasText) continue;
        const [a, b] = [light(getComputedStyle(element).color), light(behind(element))];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < worst[0]) worst = [ratio, element.outerHTML.slice(0, 200)];
    }
    return worst;
"#;

/// A page about a process to which things have happened.
async fn shown(target: &str) -> (Browser, Sidecar) {
    let (started, browser) = tokio::join!(Sidecar::with_stand_ins(quick()), Browser::start());
    let (sidecar, coolbits, _legacy) = started;
    for target in ["campaigns", "campaigns", "keywords", "campaigns"] {
        sidecar.ads(&alice(), "10", target).await;
    }
    run(&sidecar).await;
    run(&sidecar).await;
    for client in ["10", "11", "10"] {
        sidecar.ads(&bob(), client, "campaigns").await;
    }
    sidecar.get("/api/clients").send().await;
    break_coolbits(&sidecar, &coolbits).await;
    browser
        .open(&format!("http://{}{target}", sidecar.admin))
        .await;
    (browser, sidecar)
}

async fn keep(browser: &Browser, name: &str) {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let file = target.join(format!("status-page-{name}.png"));
    let picture = browser.picture().await;
    assert!(picture.starts_with(b"\x89PNG") && picture.len() > 10_000);
    std::fs::write(file, picture).unwrap();
}

async fn scheme(browser: &Browser, scheme: &str) {
    let feature = json!([{"name": "prefers-color-scheme", "value": scheme}]);
    browser
        .devtools("Emulation.setEmulatedMedia", json!({"features": feature}))
        .await;
}

async fn width(browser: &Browser, width: u64) {
    let screen = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
    browser
        .devtools("Emulation.setDeviceMetricsOverride", screen)
        .await;
}

#[tokio::test]
async fn it_is_readable_by_day_and_night_wide_and_narrow() {
    let (browser, _sidecar) = shown("/").await;
    let mut grounds = Vec::new();
    for (light, pixels) in [
        ("light", 1280),
        ("dark", 1280),
        ("light", 400),
        ("dark", 400),
    ] {
        scheme(&browser, light).await;
        width(&browser, pixels).await;
        keep(&browser, &format!("{light}-{pixels}")).await;
        let worst = browser.run(CONTRAST).await;
        assert!(worst[0].as_f64().unwrap() >= 4.5, "{light}: {worst}");
        let wide = "const root = document.documentElement; return [root.clientWidth > 0, root.scrollWidth - root.clientWidth]";
        let wide = browser.run(wide).await;
        assert_eq!(wide, json!([true, 0]), "nothing sticks out at the side");
        grounds.push(
            browser
                .run("return getComputedStyle(document.body).backgroundColor")
                .await,
        );
    }
    assert_ne!(grounds[0], grounds[1], "day and night differ");
    assert_eq!(browser.errors().await, Vec::<String>::new());
    let fetched = browser
        .run("return performance.getEntriesByType('resource').map((entry) => entry.name)")
        .await;
    assert_eq!(fetched, json!([]), "nothing else is loaded");
    browser.end().await;
}

#[tokio::test]
async fn it_is_used_by_keyboard() {
    let (browser, _sidecar) = shown("/").await;
    let focused = "const at = document.activeElement; return at === document.body ? '' : \
        at.matches('.skip') ? 'skip' : at.id === 'search' ? 'search' : at.tagName === 'SUMMARY' ? 'details' : \
        at.matches('.scroll') ? 'scroll' : at.tagName.toLowerCase()";
    browser.press(TAB).await;
    assert_eq!(browser.run(focused).await, "skip", "it comes first");
    let seen = "const box = document.activeElement.getBoundingClientRect(); return box.top >= 0 && box.height > 0";
    assert_eq!(
        browser.run(seen).await,
        true,
        "and is seen once it has the focus"
    );
    browser.press(ENTER).await;
    assert_eq!(browser.run("return location.hash").await, "#main");
    let (mut reached, mut outlines) = (Vec::new(), Vec::new());
    for _ in 0..200 {
        browser.press(TAB).await;
        let at = browser.run(focused).await.as_str().unwrap().to_owned();
        let outline = "const style = getComputedStyle(document.activeElement); return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2";
        outlines.push(browser.run(outline).await);
        reached.push(at.clone());
        if at == "search" {
            break;
        }
    }
    assert_eq!(
        reached.last().map(String::as_str),
        Some("search"),
        "{reached:?}"
    );
    for wanted in ["details", "scroll"] {
        assert!(
            reached.iter().any(|at| at == wanted),
            "{wanted}: {reached:?}"
        );
    }
    assert!(
        outlines.iter().all(|seen| *seen == Value::Bool(true)),
        "the focus is seen"
    );

    browser.fill("#search", "google-ads campaigns").await;
    browser.press(ENTER).await;
    browser
        .until("location.search === '?matrix=google-ads+campaigns'")
        .await;
    browser
        .until("document.querySelectorAll('#matrix tbody tr').length === 1")
        .await;
    assert_eq!(browser.run("return location.hash").await, "#matrix");
    assert!(browser.text("#found").await.starts_with("1 of "));
    assert_eq!(browser.errors().await, Vec::<String>::new());
    browser.end().await;
}

#[tokio::test]
async fn it_has_landmarks_headings_and_words_for_charts() {
    let (browser, _sidecar) = shown("/").await;
    for (landmark, expected) in [
        ("header", 1),
        ("nav", 1),
        ("main", 1),
        ("footer", 1),
        ("h1", 1),
        ("section[aria-labelledby] > h2", 8),
        ("[role=search]", 1),
        ("svg[role=img][aria-label]", 3),
    ] {
        let count = format!("return document.querySelectorAll({landmark:?}).length");
        assert_eq!(browser.run(&count).await, expected, "{landmark}");
    }
    let rest = |css: &str| format!("return document.querySelectorAll({css:?}).length");
    for wrong in [
        "table:not(:has(caption))",
        "th:not([scope])",
        "script",
        "input:not([id=search])",
        "[style]",
    ] {
        assert_eq!(browser.run(&rest(wrong)).await, 0, "{wrong}");
    }
    let twice = "const ids = [...document.querySelectorAll('[id]')].map((e) => e.id); return ids.filter((id, at) => ids.indexOf(id) !== at)";
    assert_eq!(browser.run(twice).await, json!([]), "no id is there twice");
    let lost = "return [...document.querySelectorAll('a[href^=\"#\"]')].filter((a) => !document.querySelector(a.getAttribute('href'))).length";
    assert_eq!(browser.run(lost).await, 0, "links lead somewhere");
    let label = "return document.querySelector('label[for=search]').textContent";
    assert_eq!(browser.run(label).await, "Route, rule or area");
    browser.end().await;
}
