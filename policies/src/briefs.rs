//! What an agent is told of its connectors: an app's brief with figures of ours.
//!
//! A brief has no node that could name an account, so the app reads whatever is selected
//! at Coolbits, by whomever. Here its rows get what the connector routes answer the caller
//! for their own client. Figures are real or left out: a brief is read by a model, which
//! looks at no tag.
//!
//! What goes wrong if misused: a row that is left as the app wrote it may tell of another
//! one's property.

use serde_json::{Map, Value, json};

/// A connector whose rows are ours.
pub struct Briefed {
    /// Its slug.
    pub slug: &'static str,
    /// The connector route that is asked, without a query.
    pub path: &'static str,
    /// Under which name the answer says what was read.
    account: &'static str,
    figures: &'static [(&'static str, &'static str, Unit)],
}

/// How a figure is shown.
#[derive(Clone, Copy)]
enum Unit {
    /// A number, or a text with its own unit.
    Plain,
    /// Two places.
    Money,
}

/// Every connector whose rows are ours.
pub const BRIEFED: [Briefed; 2] = [
    Briefed {
        slug: "google-ads",
        path: "/api/connectors/google-ads/campaigns",
        account: "account_id",
        figures: &[
            ("Spend", "/summary/total_spent", Unit::Money),
            ("Budget", "/summary/total_budget", Unit::Money),
            ("Impressions", "/summary/total_impressions", Unit::Plain),
            ("Clicks", "/summary/total_clicks", Unit::Plain),
            ("Conversions", "/summary/total_conversions", Unit::Plain),
        ],
    },
    Briefed {
        slug: "ga4",
        path: "/api/connectors/ga4/overview",
        account: "property_id",
        figures: &[
            ("Sessions", "/sessions", Unit::Plain),
            ("Users", "/users", Unit::Plain),
            ("New Users", "/new_users", Unit::Plain),
            ("Conversions", "/conversions", Unit::Plain),
            ("Revenue", "/revenue", Unit::Money),
            ("Engagement Rate", "/engagement_rate", Unit::Plain),
            ("Bounce Rate", "/bounce_rate", Unit::Plain),
        ],
    },
];

/// The connectors of ours that a brief names; none where it is no brief.
pub fn asked(brief: &Value) -> Vec<&'static Briefed> {
    let rows = brief["connector_summaries"].as_array();
    let names = |briefed: &&Briefed| {
        let mut rows = rows.into_iter().flatten();
        rows.any(|row| is_of(row, briefed))
    };
    BRIEFED.iter().filter(names).collect()
}

fn is_of(row: &Value, briefed: &Briefed) -> bool {
    let slug = row["slug"].as_str();
    slug.is_some_and(|slug| slug.trim().eq_ignore_ascii_case(briefed.slug))
}

/// The brief with our rows; `answer` gives what a connector's route answered, `None` where
/// it was not asked or refused.
pub fn composed(mut brief: Value, answer: &dyn Fn(&str) -> Option<Value>) -> Value {
    let rows = brief.get_mut("connector_summaries");
    let Some(rows) = rows.and_then(Value::as_array_mut) else {
        return brief;
    };
    for row in rows.iter_mut() {
        let briefed = BRIEFED.iter().find(|briefed| is_of(row, briefed));
        if let (Some(briefed), Value::Object(row)) = (briefed, row) {
            briefed.tell(row, answer(briefed.slug));
        }
    }
    let count = |status: &str| rows.iter().filter(|row| row["status"] == status).count();
    let (live, planned) = (count("live"), count("planned"));
    brief["total_live"] = json!(live);
    brief["total_planned"] = json!(planned);
    brief
}

impl Briefed {
    /// `live` with figures of Coolbits; `error` where it failed; else `planned`.
    fn tell(&self, row: &mut Map<String, Value>, answer: Option<Value>) {
        // Whatever else the app wrote is of what it read.
        row.retain(|name, _| ["name", "slug"].contains(&name.as_str()));
        let answer = answer.unwrap_or_default();
        let is_real = answer["source"] == "coolbits" && answer["error"].is_null();
        let failed = [&answer["gateway"]["error"], &answer["error"]]
            .into_iter()
            .find(|error| error.is_string());
        let (status, kpis) = match (is_real, failed) {
            (true, _) => ("live", self.kpis(&answer)),
            (false, Some(_)) => ("error", json!({})),
            (false, None) => ("planned", json!({})),
        };
        row.insert("status".into(), json!(status));
        row.insert("kpis".into(), kpis);
        row.insert("source".into(), is_real.then_some("coolbits").into());
        row.insert("gateway".into(), answer["gateway"].clone());
        if is_real {
            row.insert(self.account.into(), answer[self.account].clone());
        }
    }

    fn kpis(&self, answer: &Value) -> Value {
        let shown = |(label, at, unit): &(&str, &str, Unit)| {
            let text = match (answer.pointer(at)?, unit) {
                (Value::String(text), _) => text.clone(),
                (Value::Number(number), Unit::Money) => format!("${:.2}", number.as_f64()?),
                (Value::Number(number), Unit::Plain) => number.to_string(),
                _ => return None,
            };
            Some(((*label).to_owned(), Value::String(text)))
        };
        Value::Object(self.figures.iter().filter_map(shown).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brief() -> Value {
        json!({
            "agent": "cmo", "total_live": 9, "total_planned": 9,
            "connector_summaries": [
                {"name": "Google Ads", "slug": "google-ads", "status": "planned", "kpis": {}},
                {"name": "GA4", "slug": "GA4", "status": "live", "kpis": {"Sessions": "7"},
                 "property_id": "G-OTHER"},
                {"name": "HubSpot", "slug": "hubspot", "status": "planned", "kpis": {}},
            ],
        })
    }

    #[test]
    fn rows_get_real_figures_of_the_callers_own() {
        let answer = |slug: &str| {
            Some(match slug {
                "ga4" => {
                    json!({"source": "coolbits", "property_id": "G-1", "sessions": 12, "revenue": 3.5,
                                "bounce_rate": "38.8%", "gateway": {"enabled": true}})
                }
                _ => {
                    json!({"source": "coolbits", "account_id": "1", "summary": {"total_clicks": 3},
                            "gateway": {"enabled": true}})
                }
            })
        };
        let told = composed(brief(), &answer);
        let rows = &told["connector_summaries"];
        assert_eq!(
            rows[1],
            json!({"name": "GA4", "slug": "GA4", "status": "live", "source": "coolbits", "property_id": "G-1",
                   "kpis": {"Sessions": "12", "Revenue": "$3.50", "Bounce Rate": "38.8%"},
                   "gateway": {"enabled": true}})
        );
        assert_eq!(
            (&rows[0]["status"], &rows[0]["kpis"]),
            (&json!("live"), &json!({"Clicks": "3"}))
        );
        assert_eq!(rows[2], brief()["connector_summaries"][2]);
        assert_eq!(
            (&told["total_live"], &told["total_planned"], &told["agent"]),
            (&json!(2), &json!(1), &json!("cmo"))
        );
    }

    #[test]
    fn what_is_not_real_has_no_figures() {
        let cases = [
            (json!(null), "planned", json!(null)),
            (
                json!({"source": "mock", "sessions": 5, "gateway": {"enabled": false, "reason": "disabled"}}),
                "planned",
                json!({"enabled": false, "reason": "disabled"}),
            ),
            (
                json!({"source": "mock", "sessions": 5, "gateway": {"error": "timeout"}}),
                "error",
                json!({"error": "timeout"}),
            ),
            (
                json!({"source": "coolbits", "error": "not_connected", "sessions": 0}),
                "error",
                json!(null),
            ),
        ];
        for (answer, status, gateway) in cases {
            let told = composed(brief(), &|_| Some(answer.clone()));
            let row = &told["connector_summaries"][1];
            let expected = json!({"name": "GA4", "slug": "GA4", "status": status, "kpis": {},
                                  "source": null, "gateway": gateway});
            assert_eq!(row, &expected, "{answer}");
        }
        let told = composed(brief(), &|_| None);
        assert_eq!(told["connector_summaries"][1]["kpis"], json!({}));
    }

    #[test]
    fn only_a_brief_asks() {
        let slugs = |brief: &Value| asked(brief).iter().map(|b| b.slug).collect::<Vec<_>>();
        assert_eq!(slugs(&brief()), ["google-ads", "ga4"]);
        for other in [
            json!({}),
            json!([1]),
            json!({"connector_summaries": {"ga4": 1}}),
            json!({"connector_summaries": [{"slug": "stripe"}, 7]}),
        ] {
            assert!(asked(&other).is_empty(), "{other}");
            let told = composed(other.clone(), &|_| None);
            assert_eq!(told["connector_summaries"], other["connector_summaries"]);
        }
    }
}
