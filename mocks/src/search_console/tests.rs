//! What the pages rely on: the ids, and figures that agree with each other.

use super::*;
use time::macros::date;

const TO: Date = date!(2026 - 11 - 23);
const SITES: [&str; 4] = [
    "sc-domain:camarad.ai",
    "https://blog.camarad.ai/",
    "sc-domain:contoso.example",
    "https://unknown.example",
];

fn of(what: &str, id: &str, days: u16) -> Vec<Value> {
    let preset = what.replace('-', "_");
    let mut answer = payload(what, id, TO, days);
    answer["data"][preset]["rows"]
        .as_array_mut()
        .unwrap()
        .split_off(0)
}

fn sum(list: &[Value], field: &str) -> u64 {
    list.iter().map(|row| row[field].as_u64().unwrap()).sum()
}

#[test]
fn every_fixture_is_read() {
    for (list, length) in [
        (&QUERIES, 8),
        (&PAGES, 6),
        (&COUNTRIES, 5),
        (&DEVICES, 3),
        (&SITEMAPS, 3),
        (&INDEX_COVERAGE, 8),
    ] {
        assert_eq!(list.as_array().unwrap().len(), length);
    }
}

#[test]
fn the_sites_that_the_pages_expect_are_there() {
    let list = payload("properties", "whatever", TO, 7);
    let list = list["properties"].as_array().unwrap();
    let sites: Vec<_> = list
        .iter()
        .map(|row| row["siteUrl"].as_str().unwrap())
        .collect();
    assert_eq!(sites, SITES[..3]);
    assert_eq!(
        (&list[0]["type"], &list[1]["type"]),
        (&json!("Domain"), &json!("URL prefix"))
    );
    assert_eq!(payload("nonsense", SITES[0], TO, 7), Value::Null);
}

#[test]
fn the_overview_is_the_sum_of_its_parts() {
    for site in SITES {
        for days in [1, 28] {
            let overview = of("overview", site, days);
            assert_eq!(overview.len(), 1);
            let overview = &overview[0];
            let n = |field: &str| overview[field].as_u64().unwrap();
            let ctr = n("clicks") as f64 * 100.0 / n("impressions") as f64;
            assert!(
                (overview["ctr"].as_f64().unwrap() - ctr).abs() <= 0.0051,
                "{site}"
            );
            for (total, field) in [
                ("total_clicks", "clicks"),
                ("total_impressions", "impressions"),
                ("avg_ctr", "ctr"),
                ("avg_position", "position"),
            ] {
                assert_eq!(overview[total], overview[field]);
            }
            for what in ["timeseries", "pages", "devices"] {
                let rows = of(what, site, days);
                assert_eq!(sum(&rows, "clicks"), n("clicks"), "{site} {what}");
                assert_eq!(sum(&rows, "impressions"), n("impressions"), "{site} {what}");
            }
            for what in ["queries", "countries"] {
                let rows = of(what, site, days);
                assert!(
                    sum(&rows, "impressions") < n("impressions"),
                    "{site} {what}"
                );
            }
            for what in ["timeseries", "queries", "pages", "countries", "devices"] {
                for row in of(what, site, days) {
                    assert!(
                        row["clicks"].as_u64() <= row["impressions"].as_u64(),
                        "{row}"
                    );
                    assert!(row["position"].as_f64().unwrap() >= 1.0, "{row}");
                }
            }
            let devices = of("devices", site, days);
            let shares: f64 = devices
                .iter()
                .map(|row| row["share"].as_f64().unwrap())
                .sum();
            assert!((shares - 100.0).abs() < 0.02, "{site} {shares}");
        }
    }
}

#[test]
fn the_index_has_pages_in_every_state() {
    for site in SITES {
        let states = of("index-coverage", site, 28);
        for state in ["valid", "warning", "error", "excluded"] {
            let rows: Vec<_> = states
                .iter()
                .filter(|row| row["state"] == state)
                .cloned()
                .collect();
            assert!(sum(&rows, "pages") > 0, "{site} {state}");
        }
        let indexed = of("overview", site, 28)[0]["indexed_pages"]
            .as_u64()
            .unwrap();
        let sitemaps = of("sitemaps", site, 28);
        assert_eq!(sitemaps.len(), 3);
        assert!(sum(&sitemaps, "indexed") <= indexed);
        for sitemap in sitemaps {
            assert!(sitemap["submitted"].as_u64() >= sitemap["indexed"].as_u64());
            assert!(sitemap["last_downloaded"].as_str().unwrap() <= "2026-11-23");
        }
    }
}

#[test]
fn pages_are_on_the_site() {
    for (site, base) in [
        (SITES[0], "https://camarad.ai/"),
        (SITES[1], "https://blog.camarad.ai/"),
        (SITES[3], "https://unknown.example/"),
    ] {
        let pages = of("pages", site, 7);
        assert_eq!(pages[0]["page"], base);
        assert_eq!(pages[1]["page"], format!("{base}pricing"));
        assert!(pages[1].get("path").is_none() && pages[1].get("weight").is_none());
    }
}

#[test]
fn one_day_for_each_of_the_window() {
    let month = of("timeseries", SITES[0], 28);
    let week = of("timeseries", SITES[0], 7);
    assert_eq!(month[21..], week[..]);
    assert_eq!(
        (&month[0]["date"], &month[27]["date"]),
        (&json!("2026-10-27"), &json!("2026-11-23"))
    );
    assert_ne!(week, of("timeseries", SITES[3], 7));
    assert_eq!(
        seeded("timeseries", SITES[0], SITES[3], TO, 7)["data"]["timeseries"]["rows"],
        json!(of("timeseries", SITES[3], 7))
    );
}
