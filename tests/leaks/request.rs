//! Who attacks, and the request of each case.

use super::objects::{account, object};
use crate::support::{Claims, SECRET, now, token};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use camarad_policies::guard::Guard;
use camarad_policies::matrix::{Case, Place, Route, Rule};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Tokens: user 1 without a claim (clients 10, 11), user 3 limited to 30 of 30 and 31, user 2 (20).
pub struct Tokens {
    pub attacker: String,
    pub limited: String,
    pub victim: String,
    pub bad: BTreeMap<&'static str, String>,
}

impl Tokens {
    pub fn new() -> Self {
        let attacker = token(Claims::new(1, &[]).without("clients"));
        let (message, _) = attacker.rsplit_once('.').unwrap();
        let payload = message.split_once('.').unwrap().1;
        let signed = |header: Value| {
            let header = URL_SAFE_NO_PAD.encode(header.to_string());
            let message = format!("{header}.{payload}");
            let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
            let algorithm = jsonwebtoken::Algorithm::HS256;
            let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, algorithm);
            format!("{message}.{}", signature.unwrap())
        };
        let other = jsonwebtoken::EncodingKey::from_secret(b"another secret of more than 32 bytes");
        let header = jsonwebtoken::Header::default();
        let other = jsonwebtoken::encode(&header, &Claims::new(1, &[10]).0, &other).unwrap();
        let expired = token(Claims::new(1, &[10]).with("exp", json!(now() - 3600)));
        let none = format!(
            "{}.",
            signed(json!({"alg": "none"})).rsplit_once('.').unwrap().0
        );
        let bad = BTreeMap::from([
            ("token expired", expired),
            ("token of another key", other),
            (
                "token revoked",
                token(Claims::new(1, &[10]).with("jti", json!("revoked"))),
            ),
            ("token with alg none", none),
            (
                "token with RS256 for HS256",
                signed(json!({"alg": "RS256"})),
            ),
            // Good besides: a key id must not choose a file, a URL or an empty key.
            ("token with a kid of its own", {
                let kid =
                    json!({"alg": "HS512", "kid": "../../dev/null", "jku": "http://127.0.0.1/"});
                signed(kid)
            }),
        ]);
        Self {
            attacker,
            limited: token(Claims::new(3, &[30])),
            victim: token(Claims::new(2, &[20])),
            bad,
        }
    }
}

/// One that runs.
const FLOW: &str = r#"{"nodes": [{"id": "a", "type": "agent", "slug": "seo"}, {"id": "o", "type": "output"}], "connections": [{"from": "a", "to": "o"}]}"#;

/// The request of a case.
pub fn request(case: Case, rule: &Rule, route: &Route, tokens: &Tokens) -> Vec<u8> {
    let name = case.name;
    let limited = name.starts_with("limited");
    let own = if limited { "30" } else { "10" };
    let mut method = route.method.as_str();
    let mut client = Some(own.to_owned());
    let mut path_client = own;
    let mut body_client = own.to_owned();
    let mut query = String::new();
    let mut fields = String::new();
    let mut cookies = vec![];
    let mut bearer = Some(if limited {
        &tokens.limited
    } else {
        &tokens.attacker
    });
    let mut raw_body: Option<Vec<u8>> = None;
    let mut field = |name: &str, value: &str| fields.push_str(&format!("{name}: {value}\r\n"));
    match name {
        "anonymous" => bearer = None,
        "own other client" => {
            (client, path_client, body_client) = (Some("11".into()), "11", "11".into())
        }
        "limited: own other client" => {
            (client, path_client, body_client) = (Some("31".into()), "31", "31".into());
        }
        "no client" | "limited: no client" => {
            client = None;
            if !rule.reads(Place::Path) {
                body_client = String::new();
            }
        }
        "own client, all and global" | "limited: all and global" => {
            query = "all=1&include_global=1".to_owned();
        }
        "limited: cookie of own other client" => {
            client = None;
            cookies.push("camarad_client_id=31".to_owned());
        }
        "foreign client" => {
            (client, path_client, body_client) = (Some("20".into()), "20", "20".into());
        }
        "other user by cookie" => cookies.push("camarad_user_id=2".into()),
        "other user by quoted cookie" => cookies.push("camarad_user_id=\"2\"".into()),
        "other user by octal cookie" => cookies.push("camarad_user_id=\"\\062\"".into()),
        "other user by two cookies" => {
            cookies.extend(["camarad_user_id=2", "camarad_user_id=1"].map(str::to_owned));
        }
        "other user by X-User-ID" => field("X-User-ID", "2"),
        "other user by cookie, anonymous" => {
            bearer = None;
            cookies.extend(["camarad_user_id=2", "camarad_cb_token=x"].map(str::to_owned));
            client = Some("20".into());
        }
        "two client headers" => field("X-Client-ID", "20"),
        "client header with underscores" => field("X_Client_ID", "20"),
        "user header with underscores" => field("X_User_ID", "2"),
        "foreign client in the query" => (client, query) = (None, "client_id=20".into()),
        "foreign client in the query, encoded" => {
            (client, query) = (None, "client%5Fid=%32%30".into())
        }
        "foreign client behind an empty header" => {
            (client, query) = (Some(String::new()), "client_id=20".into())
        }
        "query twice" => (client, query) = (None, "client_id=10&client_id=20".into()),
        "header against query" => query = "client_id=20".into(),
        "two ids in one header" => client = Some("10,20".into()),
        "a word for an id" => client = Some("abc".into()),
        "a fraction for an id" => client = Some("20.0".into()),
        "a sign before an id" => client = Some("+20".into()),
        "underscore in an id" => client = Some("2_0".into()),
        "foreign client in the body" => body_client = "20".into(),
        "body in UTF-16" => {
            let text = r#"{"client_id": 20}"#;
            raw_body = Some(text.encode_utf16().flat_map(u16::to_le_bytes).collect());
        }
        "body with a key twice" => {
            raw_body = Some(br#"{"client_id": 10, "client_id": 20}"#.to_vec())
        }
        "body with an escaped key" => {
            raw_body = Some(br#"{"client_id": 10, "client\u005fid": 20}"#.to_vec());
        }
        "body as a form" => raw_body = Some(b"client_id=20".to_vec()),
        "body with true for an id" => raw_body = Some(br#"{"client_id": true}"#.to_vec()),
        "foreign client in the path" => (client, path_client) = (None, "20"),
        "foreign client in the path, own header" => path_client = "20",
        "HEAD" => method = "HEAD",
        "token of another user's cookie" => cookies.extend([
            "camarad_user_id=2".to_owned(),
            format!("camarad_cb_token={}", tokens.victim),
        ]),
        "object: own, no client named" | "object: foreign, no client named" => client = None,
        "object: foreign, foreign client" => client = Some("20".into()),
        "object: foreign, anonymous" => bearer = None,
        "object: foreign, HEAD" => method = "HEAD",
        bad if tokens.bad.contains_key(bad) => bearer = tokens.bad.get(bad),
        _ => {}
    }
    let named = object_named(name, rule);
    if name.contains("object") && rule.reads(Place::Path) {
        path_client = &named;
    }
    if route.method == "DELETE" {
        // Clients of one's own are needed to the end.
        path_client = "20";
    }
    let mut path = route.path.replace("<int:client_id>", path_client);
    for (variable, value) in [
        ("<slug>", "seo"),
        ("<ws_slug>", "business"),
        ("<agent_slug>", "seo"),
        ("<agent_id>", "seo"),
    ] {
        path = path.replace(variable, value);
    }
    if let Some(variable) = rule.guard.as_ref().and_then(|guard| guard.path.clone()) {
        path = path.replace(&format!("<int:{variable}>"), &named);
        path = path.replace(&format!("<{variable}>"), &named);
    }
    let mut kind = "application/json";
    if name.contains("object")
        && let Some(guard) = &rule.guard
    {
        let says = objects_in(name, guard, &named);
        query = says.query;
        kind = says.kind;
        raw_body = says.body.filter(|_| method != "HEAD" && method != "GET");
    }
    if let (Some(bound), true) = (&rule.accounts, name.contains("account")) {
        let own = if limited { 30 } else { 10 };
        match name.ends_with("in the body") {
            true => {
                let foreign = account(bound.connector.name, 20);
                raw_body = Some(format!(r#"{{"propertyId": "{foreign}"}}"#).into_bytes());
            }
            false => query = accounts_in(name, bound.connector.name, own),
        }
    }
    let segments = path
        .split('/')
        .map(|s| if s.starts_with('<') { "7" } else { s });
    let mut path = segments.collect::<Vec<_>>().join("/");
    match name {
        "path with two slashes" => (path, client) = (format!("/{path}"), Some("20".into())),
        "path with encoded letters" if path.len() > 1 => {
            let first = path.as_bytes()[1];
            (path, client) = (format!("/%{first:02x}{}", &path[2..]), Some("20".into()));
        }
        "path with dot segments" => {
            (path, client) = (format!("/static/..{path}"), Some("20".into()))
        }
        "path with an encoded slash" => {
            (path, client) = (path.replacen("/api/", "/api%2f", 1), Some("20".into()));
        }
        _ => {}
    }
    let target = if query.is_empty() {
        path
    } else {
        format!("{path}?{query}")
    };
    let flow = format!(r#"{{"flow": {FLOW}, "name": "n"}}"#).into_bytes();
    let body = raw_body.unwrap_or_else(|| match (method, body_client.as_str()) {
        ("GET" | "HEAD" | "DELETE", _) => Vec::new(),
        _ if &*rule.area == "chat" => br#"{"message": "of the suite"}"#.to_vec(),
        (_, "") => flow,
        (_, id) if rule.reads(Place::Body) => format!(r#"{{"client_id": {id}}}"#).into_bytes(),
        _ => flow,
    });
    let mut head =
        format!("{method} {target} HTTP/1.1\r\nHost: app\r\nConnection: close\r\n{fields}");
    if let Some(token) = bearer {
        head.push_str(&format!("Authorization: Bearer {token}\r\n"));
    }
    if let Some(client) = client {
        head.push_str(&format!("X-Client-ID: {client}\r\n"));
    }
    if !cookies.is_empty() {
        head.push_str(&format!("Cookie: {}\r\n", cookies.join("; ")));
    }
    if !body.is_empty() {
        head.push_str(&format!(
            "Content-Type: {kind}\r\nContent-Length: {}\r\n",
            body.len()
        ));
    }
    [head.as_bytes(), b"\r\n", &body].concat()
}

/// The id by which the case names the object of the rule's guard; somebody else's unless it says otherwise.
fn object_named(name: &str, rule: &Rule) -> String {
    let Some(guard) = &rule.guard else {
        return "7".to_owned();
    };
    let (user, client) = match name {
        "object: own" | "object: own, no client named" => (1, 10),
        "object: own, of no client" => (1, 0),
        "object: of the other own client" => (1, 11),
        "object: foreign, of no client" => (2, 0),
        "limited object: own" => (3, 30),
        "limited object: of the other client" => (3, 31),
        "limited object: of no client" => (3, 0),
        _ => (2, 20),
    };
    let id = object(guard.object, user, client);
    match name {
        "object: that does not exist" => "9999".to_owned(),
        "object: foreign, with a sign" => format!("+{id}"),
        "object: foreign, with a zero in front" => format!("0{id}"),
        "object: foreign, encoded" => {
            let escaped = id.bytes().map(|byte| format!("%{byte:02x}"));
            escaped.collect()
        }
        _ => id,
    }
}

/// What a request says of its object besides the path.
struct Says {
    query: String,
    body: Option<Vec<u8>>,
    kind: &'static str,
}

fn objects_in(name: &str, guard: &Guard, id: &str) -> Says {
    let own = object(guard.object, 1, 10);
    let json = "application/json";
    let form = "application/x-www-form-urlencoded";
    let in_query = guard.query.clone().unwrap_or_default();
    let in_body = guard.body.clone().unwrap_or_default();
    let body =
        |members: String| format!(r#"{{"message": "of the suite", {members}}}"#).into_bytes();
    let one = || body(format!(r#""{in_body}": {id}"#));
    let (query, body, kind) = match name {
        "object: foreign, in the query twice" => {
            (format!("{in_query}={own}&{in_query}={id}"), None, json)
        }
        "object: foreign, name encoded" => {
            (format!("{}={id}", in_query.replace('_', "%5F")), None, json)
        }
        "object: foreign, in the query, own in the body" => (
            format!("{in_query}={id}"),
            Some(body(format!(r#""{in_body}": {own}"#))),
            json,
        ),
        "object: foreign, in the body, own in the query" => {
            (format!("{in_query}={own}"), Some(one()), json)
        }
        "object: foreign, in the body as text" => (
            String::new(),
            Some(body(format!(r#""{in_body}": "{id}""#))),
            json,
        ),
        "object: foreign, in the body twice" => (
            String::new(),
            Some(body(format!(r#""{in_body}": {own}, "{in_body}": {id}"#))),
            json,
        ),
        "object: foreign, escaped key" => {
            let key = in_body.replace('_', "\\u005f");
            let members = format!(r#""{in_body}": {own}, "{key}": {id}"#);
            (String::new(), Some(body(members)), json)
        }
        "object: foreign, body in UTF-16" => {
            let text = String::from_utf8(one()).unwrap();
            let units = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            (String::new(), Some(units), json)
        }
        "object: foreign, in a form" => {
            let text = format!("message=of+the+suite&{in_body}={id}");
            (String::new(), Some(text.into_bytes()), form)
        }
        "object: foreign, in a form twice" => {
            let text = format!("message=of+the+suite&{in_body}={own}&{in_body}={id}");
            (String::new(), Some(text.into_bytes()), form)
        }
        "object: foreign, JSON that calls itself a form" => (String::new(), Some(one()), form),
        "object: foreign, JSON around a pair" => {
            let text =
                format!(r#"{{"{in_body}":{id},"message":"of the suite&{in_body}={own}&b"}}"#);
            (String::new(), Some(text.into_bytes()), form)
        }
        "object: foreign, in a form of many parts" => {
            let part = |name: &str, value: &str| {
                format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
            };
            let text = part("message", "of the suite") + &part(&in_body, id) + "--b--\r\n";
            let kind = "multipart/form-data; boundary=b";
            (String::new(), Some(text.into_bytes()), kind)
        }
        _ if !in_body.is_empty() => (String::new(), Some(one()), json),
        _ if !in_query.is_empty() => (format!("{in_query}={id}"), None, json),
        _ => (String::new(), None, json),
    };
    Says { query, body, kind }
}

/// The query by which the case names an account.
fn accounts_in(name: &str, connector: &str, own: u64) -> String {
    let (parameter, other_name, kind) = match connector {
        "google-ads" => ("account_id", "customerId", "customers/"),
        "google-tag-manager" => ("container_id", "containerId", "containers/"),
        _ => ("property_id", "propertyId", "properties/"),
    };
    let (mine, foreign) = (account(connector, own), account(connector, 20));
    match name {
        "account: own" => format!("{parameter}={mine}"),
        "account: of the other own client" => format!("{parameter}={}", account(connector, 11)),
        "limited account: of the other client" => format!("{parameter}={}", account(connector, 31)),
        "account: foreign" => format!("{parameter}={foreign}"),
        "account: foreign, by another name" => format!("{other_name}={foreign}"),
        "account: foreign, name encoded" => {
            format!("{}={foreign}", parameter.replace('_', "%5f"))
        }
        "account: foreign, in another form" => {
            format!("{parameter}={kind}{}", foreign.replace('-', ""))
        }
        "account: foreign, behind an own one" => {
            format!("{parameter}={mine}&{parameter}={foreign}")
        }
        "account: foreign, behind an empty one" => format!("{parameter}=&{parameter}={foreign}"),
        "account: foreign, as the manager" => format!("{parameter}={mine}&mcc_id={foreign}"),
        _ => String::new(),
    }
}
