//! From the raw head of a request to what is *asked*, in one form.
//!
//! The app behind us folds `_` and `-` in header names, joins repeated ones and
//! takes the first cookie of a name. Whatever it could read differently from us
//! is refused or rebuilt here, before anybody decides anything; nothing further
//! on reads raw headers again. Not here: who is asking, and whether they may.

use crate::cookies::{self, Cookies};
use crate::ids::{Named, Unreadable};
use crate::names::{Names, bit};
use crate::path::CanonicalPath;
use crate::query::{self, Query};
use crate::refusal::Refusal;
use crate::short::Short;
use crate::target::Target;

/// Headers whose value upstream is ours to decide, in lower case. A caller's
/// `x_client_id` would be folded into `X-Client-ID` by WSGI, so every spelling
/// with `_` is refused.
pub const MANAGED_HEADERS: [&str; 14] = [
    "authorization",
    "cookie",
    "forwarded",
    "host",
    "x-camarad-source",
    "x-client-id",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-internal-token",
    "x-real-ip",
    "x-request-id",
    "x-user-id",
];

/// Methods that routes of the app have, and those that every one of them has.
pub const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// The same method among [`METHODS`].
pub fn known_method(method: &str) -> Option<&'static str> {
    METHODS.into_iter().find(|known| *known == method)
}

/// Names that WSGI servers take for variables of their own, folded. gunicorn cuts
/// the value of `SCRIPT_NAME` off the path when it comes from the loopback, where
/// we are: the app would be at another place than was decided on.
const SERVER_VARIABLES: [&str; 2] = ["path-info", "script-name"];

/// The head of a request as it came in; `H` goes through its header lines.
pub struct RawRequest<'a, H> {
    /// Method, upper case.
    pub method: &'a str,
    /// Path and query, as they stand on the wire.
    pub target: &'a [u8],
    /// Every header line in order; names in any case.
    pub headers: H,
}

/// How the caller presented a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// `Authorization: Bearer`.
    Bearer,
    /// The cookie `camarad_cb_token`.
    Cookie,
    /// Not at all.
    None,
}

/// What is asked, in the form that is decided on and forwarded.
#[derive(Clone)]
pub struct Asked {
    /// One of [`METHODS`].
    pub method: &'static str,
    /// Canonical path.
    pub path: CanonicalPath,
    /// Query, with managed names recognised.
    pub query: Query,
    /// Cookies, managed ones apart.
    pub cookies: Cookies,
    /// Where its token stands, not yet believed.
    pub credential: Credential,
    /// What `X-Client-ID` names, when the header is there.
    pub client_header: Option<Result<Named, Unreadable>>,
    /// What the query's `client_id` names, when it is there.
    pub client_query: Option<Result<Named, Unreadable>>,
    /// What the body says, where the rule reads it; filled in once the body is there.
    pub client_body: Vec<Result<Named, Unreadable>>,
    /// `X-Client-ID` as it came, for rules whose client scope is not enforced.
    pub client_header_text: Option<Short<'static>>,
    /// `X-Internal-Token`; goes on for internal rules only.
    pub internal_token: Option<String>,
    /// A user id was claimed by cookie or header; overwritten, and counted when it differs.
    pub claimed_user: Option<String>,
}

/// Reads the head of a request.
///
/// Errors: [`Refusal::PathMalformed`], [`Refusal::QueryMalformed`],
/// [`Refusal::HeaderAmbiguous`], [`Refusal::HostInvalid`],
/// [`Refusal::MethodNotAllowed`], [`Refusal::DebuggerRefused`]. A client id that is
/// no id is not an error yet: a rule that reads no client does not mind.
pub fn normalise<'a, H>(raw: RawRequest<'a, H>) -> Result<Asked, Refusal>
where
    H: IntoIterator<Item = (&'a [u8], &'a [u8])>,
{
    let target = Target::parse(raw.target)?;
    with_target(raw.method, target, raw.headers).map(|(asked, _)| asked)
}

/// The same with a target that is read already; and the bearer token where it stands in the
/// head, for [`Asked::token`].
pub fn with_target<'a, H>(
    method: &str,
    target: Target,
    headers: H,
) -> Result<(Asked, Option<&'a str>), Refusal>
where
    H: IntoIterator<Item = (&'a [u8], &'a [u8])>,
{
    let Target { path, query } = target;
    let singles = singles(headers)?;
    let method = known_method(method).ok_or(Refusal::MethodNotAllowed)?;
    if path.as_str() == "/console" || query.get("__debugger__").is_some() {
        return Err(Refusal::DebuggerRefused);
    }
    let cookies = singles.cookie.map(Cookies::parse).unwrap_or_default();
    let bearer = singles.authorization.map(bearer).transpose()?;
    let bearer = bearer.flatten();
    let credential = match (bearer, cookies.managed(cookies::TOKEN)) {
        (Some(_), _) => Credential::Bearer,
        (None, Some(token)) if !token.is_empty() => Credential::Cookie,
        (None, _) => Credential::None,
    };
    let client_header_text = singles.client_id.map(std::str::from_utf8);
    let client_header = client_header_text.map(|text| Named::parse(text.map_err(|_| Unreadable)?));
    let client_query = query.get(query::CLIENT_ID).map(Named::parse);
    let claimed_user = cookies
        .managed(cookies::USER_ID)
        .map(str::to_owned)
        .or_else(|| {
            singles
                .user_id
                .map(|v| String::from_utf8_lossy(v).into_owned())
        });
    let internal_token = singles.internal_token.map(std::str::from_utf8);
    let asked = Asked {
        method,
        path,
        query,
        cookies,
        credential,
        client_header,
        client_query,
        client_body: Vec::new(),
        client_header_text: client_header_text.and_then(Result::ok).map(Short::of),
        internal_token: internal_token.and_then(Result::ok).map(str::to_owned),
        claimed_user,
    };
    Ok((asked, bearer))
}

impl Asked {
    /// The target as it was read.
    pub fn target(&self) -> Target {
        Target {
            path: self.path.clone(),
            query: self.query.clone(),
        }
    }

    /// The token that was presented, `bearer` being the one of the head.
    pub fn token<'a>(&'a self, bearer: Option<&'a str>) -> Option<&'a str> {
        match self.credential {
            Credential::Bearer => bearer,
            Credential::Cookie => self.cookies.managed(cookies::TOKEN),
            Credential::None => None,
        }
    }
}

/// Managed headers that may stand once only, and what each says.
#[derive(Default)]
struct Singles<'a> {
    authorization: Option<&'a [u8]>,
    cookie: Option<&'a [u8]>,
    client_id: Option<&'a [u8]>,
    internal_token: Option<&'a [u8]>,
    request_id: Option<&'a [u8]>,
    user_id: Option<&'a [u8]>,
}

impl<'a> Singles<'a> {
    /// The place of the one with this name.
    fn of(&mut self, name: &[u8]) -> Option<&mut Option<&'a [u8]>> {
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        match name.len() {
            6 if is("cookie") => Some(&mut self.cookie),
            9 if is("x-user-id") => Some(&mut self.user_id),
            11 if is("x-client-id") => Some(&mut self.client_id),
            12 if is("x-request-id") => Some(&mut self.request_id),
            13 if is("authorization") => Some(&mut self.authorization),
            16 if is("x-internal-token") => Some(&mut self.internal_token),
            _ => None,
        }
    }
}

/// Headers that make a message what it is; `Connection` must not take them off.
const NOT_OF_CONNECTION: [&str; 3] = ["content-length", "host", "transfer-encoding"];

/// Names without `_` that have a meaning here; all others are only passed by.
const HEEDED: Names = Names::new(&[
    "authorization",
    "connection",
    "cookie",
    "host",
    "x-client-id",
    "x-internal-token",
    "x-request-id",
    "x-user-id",
]);

/// Checks all header lines, and picks those that may stand once only.
fn singles<'a>(
    headers: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
) -> Result<Singles<'a>, Refusal> {
    let mut singles = Singles::default();
    let mut hosts = 0;
    for (name, value) in headers {
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        if name.contains(&b'_') {
            let folds_to = |other: &str| {
                let folded = name.iter().map(|b| if *b == b'_' { b'-' } else { *b });
                folded.map(|b| b.to_ascii_lowercase()).eq(other.bytes())
            };
            if MANAGED_HEADERS
                .iter()
                .chain(&SERVER_VARIABLES)
                .any(|other| folds_to(other))
            {
                return Err(Refusal::HeaderAmbiguous);
            }
        }
        if !HEEDED.may_be_in(bit(name)) {
            continue;
        }
        if is("connection") {
            let mut options = value.split(|b| *b == b',').map(<[u8]>::trim_ascii);
            let is_framing = |option: &[u8]| {
                NOT_OF_CONNECTION
                    .iter()
                    .any(|name| option.eq_ignore_ascii_case(name.as_bytes()))
            };
            if options.any(is_framing) {
                return Err(Refusal::HeaderAmbiguous);
            }
        }
        if is("host") {
            hosts += 1;
        }
        if let Some(place) = singles.of(name)
            && place.replace(value).is_some()
        {
            return Err(Refusal::HeaderAmbiguous);
        }
    }
    if hosts != 1 {
        return Err(Refusal::HostInvalid);
    }
    Ok(singles)
}

/// The bearer token, if the scheme is `Bearer`; other schemes mean nothing here.
fn bearer(value: &[u8]) -> Result<Option<&str>, Refusal> {
    let text = std::str::from_utf8(value).map_err(|_| Refusal::TokenMalformed)?;
    let at = memchr::memchr(b' ', value).unwrap_or(value.len());
    let (scheme, rest) = text.split_at(at);
    let is_bearer = scheme.eq_ignore_ascii_case("bearer");
    Ok(is_bearer.then(|| rest.trim_matches(' ')))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Headers<'a> = Vec<(&'a [u8], &'a [u8])>;

    fn raw<'a>(headers: &[(&'a str, &'a str)]) -> RawRequest<'a, Headers<'a>> {
        let headers = std::iter::once(("Host", "app"))
            .chain(headers.iter().copied())
            .map(|(n, v)| (n.as_bytes(), v.as_bytes()))
            .collect();
        RawRequest {
            method: "GET",
            target: b"/api/flows",
            headers,
        }
    }

    fn check(headers: &[(&str, &str)]) -> Result<Asked, Refusal> {
        normalise(raw(headers))
    }

    #[test]
    fn ambiguous_headers_are_refused() {
        let cases: &[&[(&str, &str)]] = &[
            &[("X-Client-ID", "1"), ("x-client-id", "1")],
            &[("X_Client_ID", "1")],
            &[("X-Client_ID", "1")],
            &[("X_User_Id", "1")],
            &[("Authorization", "Bearer a"), ("Authorization", "Bearer a")],
            &[("Authorization", "Basic a"), ("authorization", "Bearer a")],
            &[("Cookie", "a=1"), ("Cookie", "b=2")],
            &[("X_Forwarded_For", "1.2.3.4")],
            &[("X_Camarad_Source", "coolbits")],
            &[("Connection", "close, Host")],
            &[("Connection", "content-length")],
            &[("Connection", "x"), ("Connection", "Transfer-Encoding")],
        ];
        for headers in cases {
            assert_eq!(
                check(headers).err(),
                Some(Refusal::HeaderAmbiguous),
                "{headers:?}"
            );
        }
        assert_eq!(check(&[("Host", "b")]).err(), Some(Refusal::HostInvalid));
    }

    #[test]
    fn what_the_apps_server_takes_for_its_own_variable_is_refused() {
        for name in ["SCRIPT_NAME", "Script_Name", "script_name", "PATH_INFO"] {
            let refused = check(&[(name, "/api")]).err();
            assert_eq!(refused, Some(Refusal::HeaderAmbiguous), "{name}");
        }
    }

    #[test]
    fn a_request_without_host_is_refused() {
        let raw = RawRequest {
            method: "GET",
            target: b"/",
            headers: [],
        };
        assert_eq!(normalise(raw).err(), Some(Refusal::HostInvalid));
    }

    #[test]
    fn a_bearer_wins_over_the_cookie_even_when_it_is_bad() {
        let cookie = ("Cookie", "camarad_cb_token=c");
        let cases = [
            (vec![], Credential::None, None),
            (vec![cookie], Credential::Cookie, Some("c")),
            (
                vec![("Authorization", "Bearer b"), cookie],
                Credential::Bearer,
                Some("b"),
            ),
            (
                vec![("Authorization", "bEARER b")],
                Credential::Bearer,
                Some("b"),
            ),
            (
                vec![("Authorization", "Bearer"), cookie],
                Credential::Bearer,
                Some(""),
            ),
            (
                vec![("Authorization", "Basic b"), cookie],
                Credential::Cookie,
                Some("c"),
            ),
            (
                vec![("Cookie", "camarad_cb_token=")],
                Credential::None,
                None,
            ),
        ];
        for (headers, credential, token) in cases {
            let raw = raw(&headers);
            let target = Target::parse(raw.target).unwrap();
            let (asked, bearer) = with_target(raw.method, target, raw.headers).unwrap();
            assert_eq!(asked.credential, credential, "{headers:?}");
            assert_eq!(asked.token(bearer), token, "{headers:?}");
        }
    }
}
