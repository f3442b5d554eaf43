//! What the pages rely on: the ids, and figures that agree with each other.

use super::*;
use time::macros::date;

const TO: Date = date!(2026 - 11 - 23);
const IDS: [&str; 4] = [
    "G-ABC123DEF4",
    "G-XYZ789GHI0",
    "G-JKL456MNO1",
    "G-UNKNOWN000",
];

fn of(what: &str, id: &str, days: u16) -> Value {
    payload(what, id, TO, days)["data"].take()
}

fn sum(list: &Value, field: &str) -> u64 {
    let list = list.as_array().unwrap().iter();
    list.map(|row| row[field].as_u64().unwrap()).sum()
}

#[test]
fn every_fixture_is_read() {
    for (list, length) in [(&PAGES, 6), (&SOURCES, 6), (&DEVICES, 3), (&COUNTRIES, 5)] {
        assert_eq!(list.as_array().unwrap().len(), length);
        assert!(sum(list, "weight") > 0);
    }
    assert_eq!(PROPERTIES["properties"].as_array().unwrap().len(), 3);
}

#[test]
fn the_ids_that_the_pages_expect_are_there() {
    let list = payload("properties", "whatever", TO, 7);
    let ids: Vec<_> = list["properties"].as_array().unwrap().iter().collect();
    assert_eq!(ids.len(), 3);
    for (row, id) in ids.iter().zip(IDS) {
        assert_eq!(row["propertyId"], id);
        assert!(row.get("accountName").is_none());
    }
    let status = payload("status", IDS[0], TO, 7);
    assert_eq!(status, json!({"connected": true, "status": "connected"}));
    assert_eq!(payload("nonsense", IDS[0], TO, 7), Value::Null);
}

#[test]
fn a_property_tells_the_same_story_everywhere() {
    for id in IDS {
        for days in [1, 7, 365] {
            let overview = of("overview", id, days)["overview"].take();
            let n = |field: &str| overview[field].as_u64().unwrap();
            let revenue = overview["revenue"].as_f64().unwrap();
            assert!(n("sessions") >= n("users") && n("users") >= n("new_users"));
            assert!(n("conversions") <= n("sessions"));

            let daily = &of("timeseries", id, days)["series"]["daily"];
            let sources = &of("sources", id, days)["traffic_acquisition"]["rows"];
            let devices = of("devices", id, days);
            let list = &devices["device"]["deviceCategory"];
            for (name, list) in [("days", daily), ("sources", sources), ("devices", list)] {
                for field in ["sessions", "conversions"] {
                    assert_eq!(sum(list, field), n(field), "{id} {days} {name} {field}");
                }
            }
            assert_eq!(devices["overview"]["sessions"], n("sessions"));
            let parts = sources.as_array().unwrap().iter();
            let parts: f64 = parts.map(|row| row["totalRevenue"].as_f64().unwrap()).sum();
            assert!((parts - revenue).abs() < 0.005, "{id} {days}");

            let countries = of("countries", id, days);
            let known = sum(&countries["geo"]["countries"], "sessions");
            assert!(
                known < n("sessions") && known * 10 > n("sessions") * 9,
                "{id} {days}"
            );

            let pages = &of("pages", id, days)["pages_screens"]["rows"];
            assert_eq!(pages.as_array().unwrap().len(), 6);
            for page in pages.as_array().unwrap() {
                assert!(page["screenPageViews"].as_u64() >= page["sessions"].as_u64());
                assert!(page["sessions"].as_u64().unwrap() <= n("sessions"));
                assert!(page["totalUsers"].as_u64() <= page["sessions"].as_u64());
            }
            let events = &of("events", id, days)["events"]["rows"];
            assert_eq!(sum(events, "eventCount"), n("event_count"));
            let views = &events[1];
            assert_eq!(views["eventName"], "page_view");
            assert_eq!(
                sum(pages, "screenPageViews"),
                views["eventCount"].as_u64().unwrap()
            );
        }
    }
}

#[test]
fn counts_fall_along_the_funnels() {
    for id in IDS {
        for days in [1, 30] {
            let events = of("funnel", id, days)["events"]["rows"].take();
            assert_eq!(events, of("events", id, days)["events"]["rows"]);
            let count = |name: &str| {
                let mut rows = events.as_array().unwrap().iter();
                let row = rows.find(|row| row["eventName"] == name).unwrap();
                row["eventCount"].as_u64().unwrap()
            };
            for steps in [
                &[
                    "session_start",
                    "view_item",
                    "add_to_cart",
                    "begin_checkout",
                    "purchase",
                ][..],
                &[
                    "session_start",
                    "form_start",
                    "form_submit",
                    "generate_lead",
                ],
            ] {
                for pair in steps.windows(2) {
                    assert!(count(pair[0]) > count(pair[1]), "{id} {days} {pair:?}");
                }
            }
            for name in ["scroll", "click", "user_engagement", "newsletter_signup"] {
                count(name);
            }
        }
    }
}

#[test]
fn one_day_for_each_of_the_window() {
    let month = of("timeseries", IDS[0], 30)["series"]["daily"].take();
    let month = month.as_array().unwrap();
    let week = of("timeseries", IDS[0], 7)["series"]["daily"].take();
    assert_eq!(month[23..], week.as_array().unwrap()[..]);
    assert_eq!(
        (&month[0]["date"], &month[29]["date"]),
        (&json!("2026-10-25"), &json!("2026-11-23"))
    );
    assert_ne!(week, of("timeseries", IDS[3], 7)["series"]["daily"]);
    // No window is a day, so that nothing is divided by nothing.
    assert_eq!(of("overview", IDS[0], 0), of("overview", IDS[0], 1));
}
