use super::*;
use crate::purge::Purge;

fn matrix() -> Matrix {
    Matrix::built_in().unwrap_or_else(|error| panic!("{error}"))
}

fn name(method: &str, path: &str) -> String {
    let path = CanonicalPath::parse(path.as_bytes()).unwrap();
    matrix().find(method, &path).rule.name.to_string()
}

#[test]
fn each_path_has_its_rule() {
    let cases = [
        (
            "GET",
            "/api/connectors/google-ads/campaigns",
            "google-ads.campaigns",
        ),
        (
            "HEAD",
            "/api/connectors/google-ads/campaigns",
            "google-ads.campaigns",
        ),
        (
            "GET",
            "//api/connectors/%67oogle-ads/campaigns",
            "google-ads.campaigns",
        ),
        ("POST", "/api/connectors/google-ads/campaigns", "unmatched"),
        ("GET", "/api/connectors/google-ads/campaigns/", "unmatched"),
        ("POST", "/api/connectors/google-ads/test-call", "made-up"),
        ("GET", "/api/connectors/aws/ec2", "made-up"),
        ("GET", "/api/connectors/stripe/overview", "stripe.overview"),
        ("POST", "/api/auth/session", "session.login"),
        ("GET", "/api/flows", "flows.list"),
        ("GET", "/api/flows/templates", "flows.templates"),
        ("GET", "/api", "unmatched"),
        ("GET", "/new-page", "unmatched"),
        ("GET", "/", "page"),
        ("GET", "/static/app.js", "page.static"),
        ("GET", "/static/a/b.js", "page.static"),
        ("OPTIONS", "/api/flows", "options"),
        ("OPTIONS", "/pricing", "options.public"),
        ("OPTIONS", "/nothing", "unmatched"),
    ];
    for (method, path, expected) in cases {
        assert_eq!(name(method, path), expected, "{method} {path}");
    }
}

/// One that is not is still answered by the app, and nobody notices.
#[test]
fn every_operation_is_served_by_a_rule() {
    let matrix = matrix();
    for operation in Operation::ALL {
        let serves = |rule: &Arc<Rule>| rule.serve == Serve::Connector(*operation);
        assert!(
            matrix.rules().iter().any(serves),
            "{} has no rule",
            operation.name()
        );
    }
}

#[test]
fn a_method_that_the_narrow_route_lacks_goes_to_the_wider_one_as_in_the_app() {
    assert_eq!(name("GET", "/api/connectors/list"), "connectors.list");
    assert_eq!(name("POST", "/api/connectors/list"), "connectors.write");
    assert_eq!(name("POST", "/api/agents/list"), "agents.one");
    assert_eq!(name("DELETE", "/api/flows/templates"), "unmatched");
}

#[test]
fn every_route_of_the_app_has_a_rule_of_its_own() {
    let routes = Routes::parse(ROUTES).unwrap();
    assert_eq!(routes.all().len(), 274);
    let matrix = matrix();
    assert!(matrix.gaps(&routes).is_empty());
    for route in routes.all() {
        let path = CanonicalPath::parse(route.concrete().as_bytes()).unwrap();
        let found = matrix.find(&route.method, &path);
        assert!(
            found.rule.routes.contains(route),
            "{route}: {}",
            found.rule.name
        );
    }
}

#[test]
fn what_the_app_was_seen_to_do_is_what_the_rules_say() {
    let routes = Routes::parse(ROUTES).unwrap();
    let matrix = matrix();
    for seen in routes.observed() {
        let route = seen.route();
        let rule = matrix
            .rules()
            .iter()
            .find(|r| r.routes.contains(&route))
            .unwrap();
        if seen.internal_token_check {
            assert_eq!(rule.auth, Auth::Internal, "{route}");
        }
        if seen.reads_user_identity && route.path.starts_with("/api/") {
            let login = route.path == "/api/auth/status";
            assert!(login || rule.auth == Auth::Required, "{route}");
        }
        // An identity of the app's own means a handler that goes by it.
        if seen.client_ownership_checked_before_handler {
            assert!(
                rule.reads(Place::Header) && rule.reads(Place::Query),
                "{route}"
            );
        }
        if seen.x_client_id == "required" {
            assert_eq!(rule.client, ClientScope::Required, "{route}");
        }
        if seen.x_client_id == "optional" {
            assert!(rule.client != ClientScope::None, "{route}");
        }
    }
}

const APP: &str = r#"{"count": 0, "routes": []}"#;

const FALLBACK: &str = "[fallback]\nname = \"f\"\narea = \"x\"\nauth = \"required\"\n\
                        client = \"none\"\nserve = \"stream\"\n";

fn row(name: &str, route: &str, rest: &str) -> String {
    let (auth, client) = ("auth = \"required\"", "client = \"none\"");
    let rest = match rest.contains("serve") {
        true => rest.to_owned(),
        false => format!("{rest}\nserve = \"stream\""),
    };
    let auth = if rest.contains("auth") { "" } else { auth };
    let client = if rest.contains("client =") {
        ""
    } else {
        client
    };
    format!(
        "[[rule]]\nname = \"{name}\"\nroutes = [\"{route}\"]\narea = \"x\"\n{auth}\n{client}\n{rest}\n"
    )
}

fn problems(rows: &[String], app: &str) -> String {
    let text = format!("{}{FALLBACK}", rows.concat());
    match Matrix::parse(&text, &Routes::parse(app).unwrap()) {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn overlaps_gaps_and_nonsense_are_told_all_at_once() {
    let app = ROUTES;
    let rows = [
        row("a", "GET /api/x", ""),
        row("b", "GET /api/x", ""),
        row("c", "GET /api/y", "serve = \"google-ads.nothing\""),
        row(
            "d",
            "GET /api/z",
            "auth = \"public\"\nserve = \"google-ads.campaigns\"",
        ),
        row("e", "/api/q", ""),
        row("f", "GET /<float:x>", ""),
        row("g", "GET /api/g", "egress = [\"client_id\"]"),
        row("h", "GET /api/h", "client = \"optional\""),
        row("i", "GET /api/i", "user_wide = \"filter\""),
        row("j", "GET /api/j", "cache = \"tenant\"\ncache_seconds = 300"),
        row(
            "m",
            "GET /api/m",
            "guard = { object = \"flow\", path = \"id\" }",
        ),
        row(
            "n",
            "GET /api/n",
            "guard = { object = \"flow\" }\nserve = \"whole\"",
        ),
        row(
            "o",
            "GET /api/o",
            "guard = { object = \"flow\", query = \"id\", choose = true }\nserve = \"whole\"",
        ),
        row("p", "GET /api/p", "accounts = { connector = \"slack\" }"),
        row("q", "GET /api/qq", "accounts = { connector = \"ga4\" }"),
        row("r", "GET /api/r", "form = true\nserve = \"whole\""),
        row(
            "s",
            "GET /api/s",
            "cascade = [\"DELETE\"]\nserve = \"whole\"",
        ),
        row("t", "GET /api/t", "page_links = true"),
        row("a", "GET /api/k", ""),
        row("l", "GET /api/l", "body_clients = [\"/client_id\"]"),
        row("m", "GET /api/m", "on_foreign = \"redact\""),
        row("n", "GET /api/n", "keep = [\"name\"]"),
        row(
            "o",
            "GET /api/o",
            "on_foreign = \"redact\"\nkeep = [\"name\"]\negress = [\"/id\"]\nuser_wide = \"filter\"",
        ),
        row(
            "p",
            "GET /api/p",
            "egress_accounts = [\"account\", \"/*/account\"]",
        ),
        row(
            "q",
            "GET /api/q",
            &format!("egress = [{}]", "\"/*/id\",".repeat(65)),
        ),
    ];
    let all = problems(&rows, app);
    for expected in [
        "GET /api/x: claimed by rule a and by rule b",
        "rule c: serve = \"google-ads.nothing\"",
        "rule d: connector data cannot be public",
        "rule e: routes: \"/api/q\", expected \"METHOD /path\"",
        "rule f: GET /<float:x>: not a path pattern",
        "rule g: egress = \"client_id\", expected a pointer",
        "rule h: a client has places",
        "rule i: nothing to filter by",
        "rule j: cache_seconds: expected 30 to 60",
        "rule a: the name stands twice",
        "rule f: the name stands twice",
        "rule l: body_clients and the place \"body\" belong together",
        "rule m: on_foreign = \"redact\" and keep belong together",
        "rule m: nothing to redact by",
        "rule n: on_foreign = \"redact\" and keep belong together",
        "rule o: only rows can be filtered",
        "rule o: a row is either redacted or, by user_wide = \"filter\", dropped",
        "rule p: egress_accounts = \"account\", expected a pointer",
        "rule p: a body that is read cannot be streamed",
        "rule q: egress: more than 64 pointers",
        "rule m: guard.path: every route of the rule needs that variable",
        "rule m: a body or page that is looked at cannot be streamed",
        "rule n: a guard needs a path, query or body that names its object",
        "rule o: guard.choose: only a conversation can be chosen",
        "rule p: accounts.connector = \"slack\", expected one of \"google-ads\"",
        "rule q: accounts: bound to a client, and the rule has none",
        "rule r: form: no field of the body is read",
        "rule s: cascade = \"DELETE\": no route of the rule has that method",
        "rule t: a body or page that is looked at cannot be streamed",
        "GET /api/flows: no rule answers for it",
    ] {
        assert!(all.contains(expected), "{expected}\n in\n{all}");
    }
}

#[test]
fn two_rules_may_share_a_path_with_different_methods() {
    let rows = [row("a", "GET /api/x", ""), row("b", "POST /api/x", "")];
    assert_eq!(problems(&rows, APP), "");
}

#[test]
fn modes_are_set_for_all_and_by_name() {
    let mut matrix = matrix();
    let named = BTreeMap::from([("flows.list".to_owned(), Mode::Off)]);
    matrix.set_modes(Some(Mode::Report), &named).unwrap();
    let mode = |method: &str, path: &str| {
        let path = CanonicalPath::parse(path.as_bytes()).unwrap();
        matrix.find(method, &path).rule.mode
    };
    assert_eq!(mode("GET", "/api/flows"), Mode::Off);
    assert_eq!(mode("POST", "/api/flows"), Mode::Report);
    assert_eq!(mode("POST", "/api/connectors/list"), Mode::Report);
    assert_eq!(mode("GET", "/nothing"), Mode::Report);
    let unknown = BTreeMap::from([("flows.lists".to_owned(), Mode::Off)]);
    assert_eq!(
        matrix.set_modes(None, &unknown),
        Err(vec!["flows.lists".to_owned()])
    );
}

#[test]
fn a_list_of_routes_that_contradicts_itself_is_refused() {
    assert!(matches!(
        Routes::parse("[]"),
        Err(RoutesError::Malformed(_))
    ));
    let count = ROUTES.replace("\"count\": 274", "\"count\": 273");
    assert!(matches!(
        Routes::parse(&count),
        Err(RoutesError::Miscounted {
            said: 273,
            has: 274
        })
    ));
}

#[test]
fn what_a_request_changes_reaches_no_more_and_no_less() {
    let matrix = Matrix::built_in().unwrap();
    let user = 7;
    let purges = |method: &str, path: &str| {
        let path = CanonicalPath::parse(path.as_bytes()).unwrap();
        matrix.find(method, &path).rule.purges(method, user)
    };
    let (all, app) = (vec![Purge::User(user)], vec![Purge::App { user }]);
    let choice = vec![Purge::App { user }, Purge::Choice { user }];
    for (method, path, expected) in [
        ("GET", "/api/connectors/google-ads/campaigns", &vec![]),
        ("GET", "/api/flows", &vec![]),
        ("POST", "/api/flows", &app),
        ("POST", "/api/orchestrator/execute", &app),
        // GETs that write.
        ("GET", "/api/flows/templates", &app),
        ("GET", "/api/user/snapshot", &app),
        ("POST", "/api/connectors/ga4/property", &choice),
        ("POST", "/api/connectors/ga4", &choice),
        ("GET", "/api/connectors/ga4/oauth/callback", &choice),
        ("POST", "/api/client_connectors", &all),
        ("PATCH", "/api/client_connectors/3", &all),
        ("DELETE", "/api/clients/10", &all),
        ("POST", "/api/clients", &all),
        ("POST", "/api/import", &all),
        ("POST", "/api/auth/session", &all),
        ("POST", "/api/auth/logout", &all),
    ] {
        assert_eq!(purges(method, path), *expected, "{method} {path}");
    }
}
