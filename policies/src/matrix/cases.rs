//! The attacks that the leak suite makes on each rule, and on which rules each makes sense.
//!
//! Data, so that `matrix` can print which of them cover a rule, and the suite
//! makes exactly those: what is printed is what is run.

use super::{Auth, ClientScope, Place, Route, Rule};

/// One way of asking.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Stable name.
    pub name: &'static str,
    applies: fn(&Rule, &Route) -> bool,
}

impl Case {
    /// Whether it is tried on this route.
    pub fn applies(&self, rule: &Rule, route: &Route) -> bool {
        (self.applies)(rule, route)
    }
}

const fn case(name: &'static str, applies: fn(&Rule, &Route) -> bool) -> Case {
    Case { name, applies }
}

fn always(_: &Rule, _: &Route) -> bool {
    true
}

/// Requests that delete what others of the suite need are made with foreign names only.
fn harmless(rule: &Rule, route: &Route) -> bool {
    !(rule.reads(Place::Path) && route.method == "DELETE")
}

fn not_creating(rule: &Rule, route: &Route) -> bool {
    harmless(rule, route) && rule.created.is_empty()
}

fn names_a_client(rule: &Rule, _: &Route) -> bool {
    rule.client != ClientScope::None
}

fn reads_body(rule: &Rule, _: &Route) -> bool {
    rule.reads(Place::Body)
}

fn reads_path(rule: &Rule, _: &Route) -> bool {
    rule.reads(Place::Path)
}

fn is_read(_: &Rule, route: &Route) -> bool {
    route.method == "GET"
}

fn identified(rule: &Rule, route: &Route) -> bool {
    harmless(rule, route) && rule.auth != Auth::Internal
}

/// Requests for objects of one's own, which must be there for others of the suite.
fn names_object(rule: &Rule, route: &Route) -> bool {
    rule.guard.is_some() && route.method != "DELETE"
}

fn guarded(rule: &Rule, _: &Route) -> bool {
    rule.guard.is_some()
}

fn object_in_query(rule: &Rule, _: &Route) -> bool {
    rule.guard.as_ref().is_some_and(|g| g.query.is_some())
}

fn object_in_body(rule: &Rule, _: &Route) -> bool {
    rule.guard.as_ref().is_some_and(|g| g.body.is_some())
}

fn object_in_form(rule: &Rule, route: &Route) -> bool {
    object_in_body(rule, route) && rule.form
}

fn object_in_both(rule: &Rule, route: &Route) -> bool {
    object_in_body(rule, route) && object_in_query(rule, route)
}

fn accounts(rule: &Rule, _: &Route) -> bool {
    rule.accounts.is_some()
}

fn account_in_body(rule: &Rule, _: &Route) -> bool {
    rule.accounts.is_some_and(|accounts| accounts.body)
}

/// Every case of the suite.
pub const CASES: &[Case] = &[
    case("anonymous", always),
    case("own client", identified),
    case("own other client", identified),
    case("no client", identified),
    case("foreign client", always),
    case("limited: own client", not_creating),
    case("limited: own other client", not_creating),
    case("limited: no client", not_creating),
    case("limited: cookie of own other client", not_creating),
    case("own client, all and global", is_read),
    case("limited: all and global", is_read),
    case("other user by cookie", identified),
    case("other user by quoted cookie", identified),
    case("other user by octal cookie", identified),
    case("other user by two cookies", identified),
    case("other user by X-User-ID", identified),
    case("other user by cookie, anonymous", always),
    case("two client headers", always),
    case("client header with underscores", always),
    case("user header with underscores", always),
    case("path with two slashes", always),
    case("path with encoded letters", always),
    case("path with dot segments", always),
    case("path with an encoded slash", always),
    case("foreign client in the query", always),
    case("foreign client in the query, encoded", always),
    case("foreign client behind an empty header", always),
    case("query twice", always),
    case("header against query", names_a_client),
    case("two ids in one header", names_a_client),
    case("a word for an id", names_a_client),
    case("a fraction for an id", names_a_client),
    case("a sign before an id", names_a_client),
    case("underscore in an id", names_a_client),
    case("foreign client in the body", reads_body),
    case("body in UTF-16", reads_body),
    case("body with a key twice", reads_body),
    case("body with an escaped key", reads_body),
    case("body as a form", reads_body),
    case("body with true for an id", reads_body),
    case("foreign client in the path", reads_path),
    case("foreign client in the path, own header", reads_path),
    case("object: own", names_object),
    case("object: own, no client named", names_object),
    case("object: own, of no client", names_object),
    case("object: of the other own client", guarded),
    case("object: foreign", guarded),
    case("object: foreign, no client named", guarded),
    case("object: foreign, of no client", guarded),
    case("object: foreign, foreign client", guarded),
    case("object: foreign, anonymous", guarded),
    case("object: foreign, HEAD", guarded),
    case("object: that does not exist", guarded),
    case("object: foreign, with a sign", guarded),
    case("object: foreign, with a zero in front", guarded),
    case("object: foreign, encoded", guarded),
    case("limited object: own", names_object),
    case("limited object: of the other client", guarded),
    case("limited object: of no client", guarded),
    case("limited object: foreign", guarded),
    case("object: foreign, in the query twice", object_in_query),
    case("object: foreign, name encoded", object_in_query),
    case(
        "object: foreign, in the query, own in the body",
        object_in_both,
    ),
    case(
        "object: foreign, in the body, own in the query",
        object_in_both,
    ),
    case("object: foreign, in the body as text", object_in_body),
    case("object: foreign, in the body twice", object_in_body),
    case("object: foreign, escaped key", object_in_body),
    case("object: foreign, body in UTF-16", object_in_body),
    case("object: foreign, in a form", object_in_form),
    case("object: foreign, in a form twice", object_in_form),
    case(
        "object: foreign, JSON that calls itself a form",
        object_in_form,
    ),
    case("object: foreign, JSON around a pair", object_in_form),
    case("object: foreign, in a form of many parts", object_in_form),
    case("account: own", accounts),
    case("account: none named", accounts),
    case("account: of the other own client", accounts),
    case("account: foreign", accounts),
    case("account: foreign, by another name", accounts),
    case("account: foreign, name encoded", accounts),
    case("account: foreign, in another form", accounts),
    case("account: foreign, behind an own one", accounts),
    case("account: foreign, behind an empty one", accounts),
    case("account: foreign, as the manager", accounts),
    case("account: foreign, in the body", account_in_body),
    case("limited account: of the other client", accounts),
    case("HEAD", is_read),
    case("token expired", always),
    case("token of another key", always),
    case("token with alg none", always),
    case("token with RS256 for HS256", always),
    case("token with a kid of its own", always),
    case("token revoked", always),
    case("token of another user's cookie", identified),
];
