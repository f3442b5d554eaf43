//! The embedded mock of Tag Manager, in the shape that Coolbits' answers are
//! taken to have (contract, section 4.3, has the app's own).
//!
//! Rows stand at `data.<preset>.rows`. What a container holds is drawn by its id
//! from one stock of tags, triggers and variables; nothing here knows which
//! containers exist, or who may see which.

use crate::fixtures::{fixture, rows};
use crate::series::pick;
use serde_json::{Value, json};
use std::sync::LazyLock;
use time::macros::date;
use time::{Date, Duration};

static CONTAINERS: LazyLock<Value> = LazyLock::new(|| {
    fixture(include_str!(
        "../fixtures/google-tag-manager/containers.json"
    ))
});
static TAGS: LazyLock<Value> =
    LazyLock::new(|| fixture(include_str!("../fixtures/google-tag-manager/tags.json")));
static TRIGGERS: LazyLock<Value> =
    LazyLock::new(|| fixture(include_str!("../fixtures/google-tag-manager/triggers.json")));
static VARIABLES: LazyLock<Value> = LazyLock::new(|| {
    fixture(include_str!(
        "../fixtures/google-tag-manager/variables.json"
    ))
});
static VERSIONS: LazyLock<Value> =
    LazyLock::new(|| fixture(include_str!("../fixtures/google-tag-manager/versions.json")));

/// Edits lie before this day, whatever the window: they do not move from one
/// day to the next.
const EDITED_BEFORE: Date = date!(2026 - 01 - 01);

/// What the mock would answer in Coolbits' place; null for a `what` it does not know.
///
/// `what` is one of `containers`, `overview`, `tags`, `triggers`, `variables`,
/// `versions`, `preview`; `id` is the container. What a container holds does not
/// depend on the window.
pub fn payload(what: &str, id: &str, _to: Date, _days: u16) -> Value {
    seeded(what, id, id)
}

/// The same, drawn by `seed` instead of the container.
pub(crate) fn seeded(what: &str, container: &str, seed: &str) -> Value {
    let content = Container {
        id: container,
        seed,
    };
    let rows = match what {
        "containers" => return CONTAINERS.clone(),
        "overview" => vec![content.overview()],
        "tags" => content.tags(),
        "triggers" => content.triggers(),
        "variables" => content.variables(),
        "versions" => content.versions(),
        "preview" => vec![content.preview()],
        _ => return Value::Null,
    };
    json!({"data": { what: {"rows": rows}}})
}

struct Container<'a> {
    id: &'a str,
    seed: &'a str,
}

impl Container<'_> {
    fn roll(&self, what: &str, name: &str, bound: u64) -> u64 {
        pick(&[self.seed, what, name], bound)
    }

    /// The first of a stock, at least `least`.
    fn some<'a>(&self, what: &str, stock: &'a Value, least: usize) -> &'a [Value] {
        let stock = rows(stock);
        let more = stock.len().saturating_sub(least) as u64 + 1;
        let length = least + self.roll("number", what, more) as usize;
        stock.get(..length).unwrap_or(stock)
    }

    /// A row of the stock, with an id made from the container.
    fn row(&self, what: &str, stock: &Value) -> Value {
        let mut row = stock.clone();
        let name = stock["name"].as_str().unwrap_or_default();
        let id = 1_000_000 + self.roll(what, name, 9_000_000);
        row["id"] = json!(id.to_string());
        row
    }

    fn tags(&self) -> Vec<Value> {
        let tags = self.some("tags", &TAGS, 6).iter().enumerate();
        let tags = tags.map(|(n, stock)| {
            let name = stock["name"].as_str().unwrap_or_default();
            let is_paused = n > 0 && self.roll("paused", name, 5) == 0;
            let mut tag = self.row("tags", stock);
            tag["status"] = json!(if is_paused { "paused" } else { "active" });
            tag["last_edited"] = json!(self.edited(name, 1, 300).to_string());
            tag
        });
        tags.collect()
    }

    /// Those that some tag fires on.
    fn triggers(&self) -> Vec<Value> {
        let tags = self.some("tags", &TAGS, 6);
        let fires = |trigger: &&Value| {
            tags.iter()
                .any(|tag| rows(&tag["firing_triggers"]).contains(&trigger["name"]))
        };
        let triggers = rows(&TRIGGERS).iter().filter(fires);
        triggers.map(|stock| self.row("triggers", stock)).collect()
    }

    fn variables(&self) -> Vec<Value> {
        let variables = self.some("variables", &VARIABLES, 4).iter();
        variables
            .map(|stock| self.row("variables", stock))
            .collect()
    }

    /// Newest first; the newest is the published one.
    fn versions(&self) -> Vec<Value> {
        let stock = self.some("versions", &VERSIONS, 3);
        let newest = self.published();
        let mut created = self.edited("versions", 1, 20);
        let versions = (0..newest + 1).rev().zip(stock).map(|(version, stock)| {
            let name = &stock["name"];
            let day = created;
            created = self.before(day, &version.to_string(), 5, 30);
            json!({
                "version": version, "name": name, "published": version == newest,
                "created": day.to_string(), "author": "Team",
            })
        });
        versions.collect()
    }

    fn published(&self) -> u64 {
        20 + self.roll("version", "published", 180)
    }

    fn overview(&self) -> Value {
        json!({
            "tags": self.tags().len(), "triggers": self.triggers().len(),
            "variables": self.variables().len(), "versions": self.versions().len(),
            "published_version": self.published(),
            "workspace_changes": self.roll("workspace", "changes", 9),
        })
    }

    fn preview(&self) -> Value {
        let mut known = rows(&CONTAINERS["containers"]).iter();
        let known = known.find(|row| row["containerId"] == self.id);
        let domain = match known.and_then(|row| row["domain"].as_str()) {
            Some(domain) => domain.to_owned(),
            None => "www.example".to_owned(),
        };
        let tags = self.tags();
        let debug = self.roll("preview", "debug", 1_000_000_000);
        json!({
            "status": "ready", "url": format!("https://{domain}/?gtm_debug={debug}"),
            "fired": tags.iter().filter(|tag| tag["status"] == "active").count(),
        })
    }

    fn edited(&self, name: &str, least: u64, more: u64) -> Date {
        self.before(EDITED_BEFORE, name, least, more)
    }

    /// A day `least` to below `least + more` days before another.
    fn before(&self, day: Date, name: &str, least: u64, more: u64) -> Date {
        let days = least + self.roll("edited", name, more);
        day.saturating_sub(Duration::days(days.cast_signed()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TO: Date = date!(2026 - 11 - 23);
    const IDS: [&str; 4] = ["GTM-WX4R7N2", "GTM-K9L2M4P", "GTM-CONTOSO", "GTM-UNKNOWN"];

    fn of(what: &str, id: &str) -> Vec<Value> {
        let answer = payload(what, id, TO, 7);
        answer["data"][what]["rows"].as_array().unwrap().clone()
    }

    #[test]
    fn the_containers_that_the_pages_expect_are_there() {
        let list = payload("containers", "whatever", TO, 7);
        let list = list["containers"].as_array().unwrap();
        let ids: Vec<_> = list
            .iter()
            .map(|row| row["containerId"].as_str().unwrap())
            .collect();
        assert_eq!(ids, IDS[..3]);
        assert_eq!(payload("nonsense", IDS[0], TO, 7), Value::Null);
    }

    #[test]
    fn the_overview_counts_the_lists() {
        for id in IDS {
            let overview = of("overview", id);
            assert_eq!(overview.len(), 1);
            for what in ["tags", "triggers", "variables", "versions"] {
                let rows = of(what, id);
                assert!(rows.len() >= 3, "{id} {what}");
                assert_eq!(overview[0][what], rows.len(), "{id} {what}");
            }
            let versions = of("versions", id);
            let published: Vec<_> = versions
                .iter()
                .filter(|row| row["published"] == true)
                .collect();
            assert_eq!(published.len(), 1);
            assert_eq!(published[0]["version"], overview[0]["published_version"]);
            let created: Vec<_> = versions
                .iter()
                .map(|row| row["created"].as_str().unwrap())
                .collect();
            assert!(
                created.is_sorted_by(|newer, older| newer > older),
                "{created:?}"
            );
            let active = of("tags", id)
                .iter()
                .filter(|tag| tag["status"] == "active")
                .count();
            assert_eq!(of("preview", id)[0]["fired"], active);
        }
    }

    #[test]
    fn tags_fire_on_triggers_that_are_there() {
        for id in IDS {
            let triggers: Vec<_> = of("triggers", id)
                .iter()
                .map(|row| row["name"].clone())
                .collect();
            for tag in of("tags", id) {
                let fires = tag["firing_triggers"].as_array().unwrap();
                assert!(!fires.is_empty(), "{tag}");
                assert!(fires.iter().all(|name| triggers.contains(name)), "{tag}");
            }
        }
    }

    #[test]
    fn a_container_is_nobody_elses() {
        assert_eq!(
            seeded("tags", IDS[0], IDS[3]),
            seeded("tags", IDS[1], IDS[3])
        );
        for what in [
            "overview",
            "tags",
            "triggers",
            "variables",
            "versions",
            "preview",
        ] {
            assert_ne!(of(what, IDS[0]), of(what, IDS[3]), "{what}");
        }
    }
}
