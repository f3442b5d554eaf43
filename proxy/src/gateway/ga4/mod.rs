//! GA4 (contract, section 4.2): how Coolbits' report becomes the answer that the
//! app's pages expect. Pure.
//!
//! Figures that Coolbits gives beyond the contract's (an engagement rate in the
//! overview, a country's code) are shown, and so the mock's are; what nobody
//! gives is `"—"` or null, as in the app. Rows that do not fit are never guessed.

mod funnel;
mod reports;

use super::mapping::{Answer, MapError, check_named, list, list_of, rows};
use super::params::Params;
use super::rows::Row;
use camarad_policies::endpoints::Endpoint;
use camarad_policies::operation::Operation;
use serde_json::{Value, json};

/// Under which names Coolbits says which property is selected.
const SELECTED: [&str; 3] = ["selectedPropertyId", "propertyId", "activePropertyId"];

/// What the app has stored about the connector.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stored {
    /// As the app has it; empty where it has nothing.
    pub(crate) status: String,
    /// The property that was chosen.
    pub(crate) property: Option<String>,
    /// They are the decided client's own, and not the user's as a whole.
    pub(crate) is_clients: bool,
}

impl Stored {
    /// The property that was chosen for the client itself: what is selected at Coolbits is
    /// the user's, and may be another client's.
    pub(crate) fn clients_own(&self) -> Option<&str> {
        let property = self.property.as_deref();
        property.filter(|_| self.is_clients)
    }
}

pub(super) fn map(
    operation: Operation,
    endpoint: &Endpoint,
    payload: &Value,
    params: &Params,
) -> Result<Answer, MapError> {
    if operation == Operation::Ga4Properties {
        return list_of("properties", endpoint, payload, property);
    }
    if matches!(operation, Operation::Ga4Status | Operation::Ga4Property) {
        return status(payload);
    }
    check_property(payload, &params.account)?;
    let rows = rows(endpoint, payload)?;
    let whole = payload.pointer("/data/overview/sessions");
    let mut answer = match operation {
        Operation::Ga4Overview => reports::overview(&rows[0])?,
        Operation::Ga4Pages => list("pages", reports::pages(&rows)?),
        Operation::Ga4Sources => list("sources", reports::sources(&rows)?),
        Operation::Ga4Events => list("events", reports::events(&rows)?),
        Operation::Ga4Devices => list("devices", reports::devices(&rows, whole)?),
        Operation::Ga4Countries => list("countries", reports::countries(&rows, whole)?),
        Operation::Ga4Timeseries => {
            let mut answer = list("daily", reports::days(&rows)?);
            answer.insert("days".into(), json!(params.days));
            answer
        }
        // The funnel alone does not name its property.
        _ => return funnel::map(&rows, params.kind.as_deref()),
    };
    answer.insert("property_id".into(), json!(params.account));
    Ok(answer)
}

/// The answer where Coolbits says that GA4 is not connected, and its status.
pub(crate) fn not_connected(operation: Operation, params: &Params) -> (u16, Answer) {
    let empty = |name: &str| list(name, Vec::new());
    let mut answer = match operation {
        Operation::Ga4Properties => return (200, empty("properties")),
        Operation::Ga4Status => return (200, Answer::new()),
        Operation::Ga4Funnel => return (400, Answer::new()),
        Operation::Ga4Pages => empty("pages"),
        Operation::Ga4Sources => empty("sources"),
        Operation::Ga4Events => empty("events"),
        Operation::Ga4Devices => empty("devices"),
        Operation::Ga4Countries => empty("countries"),
        Operation::Ga4Timeseries => {
            let mut answer = empty("daily");
            answer.insert("days".into(), json!(params.days));
            answer
        }
        _ => Answer::new(),
    };
    answer.insert("property_id".into(), json!(params.account));
    (200, answer)
}

/// The status without Coolbits, from what the app has stored.
pub(crate) fn stored_status(stored: Option<&Stored>) -> Answer {
    let status = stored.map_or("", |stored| stored.status.as_str());
    let status = if status.is_empty() {
        "disconnected"
    } else {
        status
    };
    let property = stored.and_then(|stored| stored.property.as_deref());
    let answer = [
        ("connected", json!(status == "connected")),
        ("status", json!(status)),
        ("selectedPropertyId", json!(property)),
        ("propertyId", json!(property)),
    ];
    answer
        .map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .collect()
}

/// The property that Coolbits says is selected.
pub(crate) fn selected(payload: &Value) -> Option<String> {
    SELECTED.iter().find_map(|name| match payload.get(name)? {
        Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
}

/// Coolbits' own object, with the selected property under both names.
fn status(payload: &Value) -> Result<Answer, MapError> {
    if !payload.is_object() {
        return Err(MapError::BadPayload("the payload is no object".into()));
    }
    let mut answer = plain(payload);
    say_selected(&mut answer, selected(payload).as_deref());
    Ok(answer)
}

/// What an object of Coolbits says of the connection, and nothing of properties: those of
/// the user's other clients stand in it as well.
pub(crate) fn plain(payload: &Value) -> Answer {
    const KNOWN: [&str; 12] = [
        "ok",
        "success",
        "connected",
        "status",
        "account",
        "email",
        "error",
        "message",
        "detail",
        "code",
        "lastSync",
        "last_sync",
    ];
    let members = payload.as_object().into_iter().flatten();
    let plain = |value: &Value| !value.is_object() && !value.is_array();
    let kept = members.filter(|(name, value)| KNOWN.contains(&name.as_str()) && plain(value));
    kept.map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// Says which property is selected, under both names.
pub(crate) fn say_selected(answer: &mut Answer, property: Option<&str>) {
    for name in ["selectedPropertyId", "propertyId"] {
        answer.insert(name.into(), json!(property));
    }
}

/// A row without an id is no property.
fn property(row: &Row<'_>) -> Result<Option<Value>, MapError> {
    let Some(id) = row.text(&["id", "propertyId", "property_id", "measurementId"])? else {
        return Ok(None);
    };
    let text = |names: &[&str], default: &str| -> Result<String, MapError> {
        Ok(row.text(names)?.unwrap_or_else(|| default.to_owned()))
    };
    let mut property = json!({
        "name": text(&["name", "displayName", "display_name"], &id)?,
        "stream": text(&["stream", "streamName"], "Web")?,
        "url": text(&["url", "websiteUrl", "defaultUri"], "")?,
        "timezone": text(&["timezone", "timeZone"], "UTC")?,
        "currency": text(&["currency", "currencyCode"], "USD")?,
    });
    property["id"] = json!(id);
    for (name, names) in [
        ("account_name", &["account_name", "accountName"][..]),
        ("created", &["created"][..]),
    ] {
        if let Some(text) = row.text(names)? {
            property[name] = json!(text);
        }
    }
    Ok(Some(property))
}

/// An answer that names a property must name the one that was asked for.
pub(super) fn check_property(payload: &Value, asked: &str) -> Result<(), MapError> {
    check_named(payload, &["propertyId", "property_id"], asked)
}

#[cfg(test)]
mod tests {
    use super::super::mapping::tests::{mapped, params};
    use super::*;

    #[test]
    fn properties_have_what_the_selector_needs() {
        let payload = json!({"properties": [
            {"propertyId": "G-1", "displayName": "Shop", "timeZone": "Europe/Bucharest",
             "currencyCode": "EUR", "accountName": "Group"},
            {"id": 123, "name": "Bare"},
            {"displayName": "no id"},
        ]});
        let answer = mapped(Operation::Ga4Properties, payload, "").unwrap();
        let expected = json!({"properties": [
            {"id": "G-1", "name": "Shop", "stream": "Web", "url": "", "timezone": "Europe/Bucharest",
             "currency": "EUR", "account_name": "Group"},
            {"id": "123", "name": "Bare", "stream": "Web", "url": "", "timezone": "UTC", "currency": "USD"},
        ]});
        assert_eq!(answer, expected);
        let none = json!({"properties": [{"displayName": "no id"}]});
        assert_eq!(
            mapped(Operation::Ga4Properties, none, ""),
            Err(MapError::Empty)
        );
    }

    #[test]
    fn the_status_is_coolbits_own_with_both_names() {
        let cases = [
            (
                json!({"connected": true, "activePropertyId": 77}),
                json!("77"),
            ),
            (
                json!({"connected": true, "propertyId": "G-2", "activePropertyId": "G-3"}),
                json!("G-2"),
            ),
            (
                json!({"connected": false, "selectedPropertyId": " "}),
                Value::Null,
            ),
        ];
        let others = json!({"connected": true, "selectedPropertyName": "B", "property": {"id": "G-B"},
                            "available": ["G-B"], "measurementId": "G-B", "account": "x"});
        let answer = mapped(Operation::Ga4Status, others, "").unwrap();
        let expected = json!({"connected": true, "account": "x", "selectedPropertyId": null, "propertyId": null});
        assert_eq!(answer, expected);
        for (payload, id) in cases {
            let answer = mapped(Operation::Ga4Status, payload.clone(), "").unwrap();
            assert_eq!(answer["connected"], payload["connected"]);
            assert_eq!(
                (&answer["selectedPropertyId"], &answer["propertyId"]),
                (&id, &id)
            );
        }
        assert!(mapped(Operation::Ga4Status, json!([]), "").is_err());
    }

    #[test]
    fn without_coolbits_the_status_is_what_the_app_has_stored() {
        let stored = Stored {
            status: "connected".into(),
            property: Some("G-9".into()),
            is_clients: true,
        };
        let answer = Value::Object(stored_status(Some(&stored)));
        let expected = json!({"connected": true, "status": "connected", "selectedPropertyId": "G-9",
                              "propertyId": "G-9"});
        assert_eq!(answer, expected);
        let none = Value::Object(stored_status(None));
        assert_eq!(
            (&none["connected"], &none["status"]),
            (&json!(false), &json!("disconnected"))
        );
    }

    #[test]
    fn a_report_about_another_property_does_not_fit() {
        let payload = |id: &str| json!({"propertyId": id, "data": {"overview": {"sessions": 1}}});
        let read = |id: &str| mapped(Operation::Ga4Overview, payload(id), "property_id=G-A1");
        assert!(read("g-a1").is_ok());
        assert!(read("properties/G-A1").is_ok());
        assert!(matches!(read("G-B2"), Err(MapError::BadPayload(_))));
    }

    #[test]
    fn not_connected_says_so_in_the_shape_of_each_endpoint() {
        for (operation, status, answer) in [
            (Operation::Ga4Properties, 200, json!({"properties": []})),
            (Operation::Ga4Status, 200, json!({})),
            (Operation::Ga4Overview, 200, json!({"property_id": "G-1"})),
            (
                Operation::Ga4Countries,
                200,
                json!({"property_id": "G-1", "countries": []}),
            ),
            (Operation::Ga4Funnel, 400, json!({})),
            (
                Operation::Ga4Timeseries,
                200,
                json!({"property_id": "G-1", "days": 30, "daily": []}),
            ),
        ] {
            let params = params(operation, "property_id=G-1");
            let (told, body) = not_connected(operation, &params);
            assert_eq!(
                (told, Value::Object(body)),
                (status, answer),
                "{operation:?}"
            );
        }
    }
}
