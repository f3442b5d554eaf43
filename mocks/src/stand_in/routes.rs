//! The app's routes as they were observed, and what the app makes of a request
//! for one: whose data the answer holds.
//!
//! Written apart from the sidecar's own matrix on purpose: what judges it must
//! not share its mistakes. Weak where the app is weak (contract, sections 2 and 9).

use super::server::Asked;
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use std::sync::LazyLock;

static ROUTES: LazyLock<Vec<Route>> = LazyLock::new(|| {
    #[derive(Deserialize)]
    struct File {
        routes: Vec<Route>,
    }
    let text = include_str!("../../../policies/tables/routes.json");
    serde_json::from_str::<File>(text).map_or_else(|_| Vec::new(), |file| file.routes)
});

/// One row of `routes.json`.
#[derive(Debug, Deserialize)]
pub(super) struct Route {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) body: String,
    reads_user_identity: bool,
    login_check: bool,
    internal_token_check: bool,
    x_client_id: String,
    client_ownership_checked_before_handler: bool,
    safe_to_cache: String,
}

/// Whose data a request reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reached {
    pub(super) user: u64,
    /// `None`: all of the user's clients, and what belongs to none.
    pub(super) client: Option<u64>,
}

/// The route of a request: the most specific pattern that has the method.
pub(super) fn find(method: &str, path: &str) -> Option<&'static Route> {
    let fits = ROUTES
        .iter()
        .filter(|route| route.method == method && matches(&route.path, path));
    fits.min_by_key(|route| route.path.matches('<').count())
}

fn matches(pattern: &str, path: &str) -> bool {
    if let Some(prefix) = pattern.strip_suffix("<path:filename>") {
        return path.len() > prefix.len() && path.starts_with(prefix);
    }
    let (mut pattern, mut path) = (pattern.split('/'), path.split('/'));
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return true,
            (Some(wanted), Some(segment)) => {
                let fits = match wanted {
                    variable if variable.starts_with("<int:") => {
                        !segment.is_empty() && segment.bytes().all(|b| b.is_ascii_digit())
                    }
                    variable if variable.starts_with('<') => !segment.is_empty(),
                    plain => plain == segment,
                };
                if !fits {
                    return false;
                }
            }
            _ => return false,
        }
    }
}

impl Route {
    /// What the app makes of who asks and for which client; an error is its answer.
    ///
    /// `owner` tells whose a client is.
    pub(super) fn reach(
        &self,
        asked: &Asked,
        owner: &dyn Fn(u64) -> Option<u64>,
    ) -> Result<Reached, (StatusCode, &'static str)> {
        let user = user_of(asked);
        if self.internal_token_check && asked.header("x-internal-token") != Some(INTERNAL_TOKEN) {
            return Err((StatusCode::FORBIDDEN, "forbidden"));
        }
        let has_session = user > 0
            && asked
                .cookie("camarad_cb_token")
                .is_some_and(|t| !t.is_empty());
        // The chat page sends to itself, and is sent away as a page is.
        let is_page = self.body == "html" || self.path.starts_with("/chat/");
        // These look at the session and answer anybody all the same.
        let open = ["/", "/signup", "/api/auth/status"].contains(&self.path.as_str());
        if self.login_check && !has_session && !open {
            let status = if is_page {
                StatusCode::FOUND
            } else {
                StatusCode::UNAUTHORIZED
            };
            return Err((status, "unauthorized"));
        }
        let client = self.client(asked, user, owner)?;
        Ok(Reached { user, client })
    }

    fn client(
        &self,
        asked: &Asked,
        user: u64,
        owner: &dyn Fn(u64) -> Option<u64>,
    ) -> Result<Option<u64>, (StatusCode, &'static str)> {
        let not_found = (StatusCode::NOT_FOUND, "Client not found or not owned");
        match (self.method.as_str(), self.path.as_str()) {
            // Its client stands in the cookie, and nowhere else.
            (_, "/api/app/search") => {
                let named = asked
                    .cookie("camarad_client_id")
                    .and_then(|id| python_int(&id));
                return match named {
                    Some(id) if owner(id) == Some(user) => Ok(Some(id)),
                    _ => Err((StatusCode::BAD_REQUEST, "Client scope required")),
                };
            }
            // The query first, and whose it is does not matter.
            ("GET", "/api/client_connectors") => {
                let query = asked.parameter("client_id");
                let named = query.or_else(|| asked.header("x-client-id").map(str::to_owned));
                return Ok(named.and_then(|id| python_int(&id)));
            }
            ("POST", "/api/client_connectors" | "/api/import") => {
                let client = match &lenient(&asked.body)["client_id"] {
                    Value::String(text) => python_int(text),
                    Value::Bool(true) => Some(1),
                    Value::Number(number) => number.as_f64().map(|n| n as u64),
                    _ => None,
                };
                return Ok(client);
            }
            (_, path) if path.starts_with("/api/clients/") => {
                let id = asked.path.rsplit('/').next().and_then(python_int);
                return match id.filter(|id| owner(*id) == Some(user)) {
                    Some(id) => Ok(Some(id)),
                    None => Err(not_found),
                };
            }
            _ => {}
        }
        if self.x_client_id == "ignored" {
            return Ok(None);
        }
        // A header that is there, even empty, hides the query.
        let named = match asked.header("x-client-id") {
            Some(header) => Some(header.to_owned()),
            None => asked.parameter("client_id"),
        };
        let checked = self.client_ownership_checked_before_handler;
        let client = match named.as_deref() {
            None | Some("" | "0" | "none" | "null" | "undefined") => None,
            Some(text) => match python_int(text) {
                Some(id) if owner(id) == Some(user) => Some(id),
                Some(_) => return Err(not_found),
                None if checked => return Err((StatusCode::BAD_REQUEST, "Invalid X-Client-ID")),
                // Here the app quietly takes it for no client.
                None => None,
            },
        };
        // The rule names the method, so a HEAD is not covered.
        let required = self.x_client_id == "required" && asked.method != http::Method::HEAD;
        match (client, required) {
            (None, true) => Err((StatusCode::BAD_REQUEST, "Client scope required")),
            _ => Ok(client),
        }
    }

    /// Whether an answer without a client holds all of the user's clients.
    pub(super) fn spans_clients(&self) -> bool {
        let aggregates = [
            "/api/maturity",
            "/api/clients",
            "/agent/<slug>",
            "/search/<ws_slug>",
            "/workspace/<ws_slug>",
        ];
        self.x_client_id == "optional"
            || self.x_client_id == "required"
            || (self.method == "GET" && aggregates.contains(&self.path.as_str()))
    }

    /// Whether the answer is the same for everybody.
    pub(super) fn is_shared(&self) -> bool {
        !self.reads_user_identity
    }

    /// Whether it is the same whatever the client, too, as it was seen to be.
    pub(super) fn is_same_for_all(&self) -> bool {
        self.safe_to_cache == "shared" && self.is_shared()
    }
}

/// The token that the app wants on its internal routes.
pub(super) const INTERNAL_TOKEN: &str = "internal token of the stand-in";

/// `int(camarad_user_id)` when positive, else 0: nobody checks anything.
pub(super) fn user_of(asked: &Asked) -> u64 {
    let cookie = asked.cookie("camarad_user_id").unwrap_or_default();
    python_int(&cookie).unwrap_or(0)
}

/// What Python's `int()` makes of a text: signs, spaces and `_` between digits are fine.
pub(super) fn python_int(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.strip_prefix('+').unwrap_or(text);
    let edges = digits.starts_with('_') || digits.ends_with('_') || digits.contains("__");
    let plain: String = digits.chars().filter(|c| *c != '_').collect();
    let is_number = !plain.is_empty() && plain.bytes().all(|b| b.is_ascii_digit());
    (is_number && !edges)
        .then(|| plain.parse().ok())
        .flatten()
        .filter(|n| *n > 0)
}

/// The body as Python's parser reads it: UTF-16 and a BOM are fine, the last of two keys wins.
pub(super) fn lenient(body: &[u8]) -> Value {
    let text = match body {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [_, 0, ..] => utf16(body, u16::from_le_bytes),
        [0, _, ..] => utf16(body, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        plain => String::from_utf8_lossy(plain).into_owned(),
    };
    let read = serde_json::from_str(&text);
    read.unwrap_or_else(|_| serde_json::from_str(&without_nan(&text)).unwrap_or_default())
}

/// Python reads `NaN` and its kin as numbers; here they are null.
fn without_nan(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let (mut rest, mut quoted) = (text, false);
    while let Some(c) = rest.chars().next() {
        let word = ["-Infinity", "Infinity", "NaN"];
        let word = word
            .into_iter()
            .find(|word| !quoted && rest.starts_with(word));
        let taken = match (c, word) {
            (_, Some(word)) => {
                plain.push_str("null");
                word.len()
            }
            ('\\', _) if quoted => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            (c, _) => {
                quoted ^= c == '"';
                c.len_utf8()
            }
        };
        if word.is_none() {
            plain.push_str(&rest[..taken]);
        }
        rest = &rest[taken..];
    }
    plain
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    String::from_utf16_lossy(&units.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_finds_itself() {
        assert_eq!(ROUTES.len(), 274);
        for route in ROUTES.iter() {
            let segments = route
                .path
                .split('/')
                .map(|s| if s.starts_with('<') { "1" } else { s });
            let path = segments.collect::<Vec<_>>().join("/");
            let found = find(&route.method, &path).unwrap();
            assert_eq!((&found.method, &found.path), (&route.method, &route.path));
        }
        assert_eq!(
            find("POST", "/api/connectors/list").unwrap().path,
            "/api/connectors/<slug>"
        );
    }

    #[test]
    fn integers_as_python_reads_them() {
        for (text, number) in [
            ("2", Some(2)),
            ("+2", Some(2)),
            ("0_2", Some(2)),
            (" 2 ", Some(2)),
            ("007", Some(7)),
            ("", None),
            ("0", None),
            ("-2", None),
            ("1,2", None),
            ("2.0", None),
            ("_2", None),
        ] {
            assert_eq!(python_int(text), number, "{text:?}");
        }
    }

    #[test]
    fn bodies_as_python_reads_them() {
        let utf16: Vec<u8> =
            r#"{"client_id":20}"#.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(lenient(&utf16)["client_id"], 20);
        assert_eq!(
            lenient(br#"{"client_id":10,"client_id":20}"#)["client_id"],
            20
        );
        assert_eq!(lenient(b"nonsense"), Value::Null);
        let nan = lenient(br#"{"x": NaN, "y": [-Infinity, "NaN \" NaN"], "client_id": 20}"#);
        assert_eq!(nan["client_id"], 20);
        assert_eq!(nan["y"][1], "NaN \" NaN");
    }
}
