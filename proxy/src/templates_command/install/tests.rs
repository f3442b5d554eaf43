//! What answers mean, without a server.

use super::*;

fn answer(status: u16, body: &str) -> Answer {
    Answer {
        status,
        is_of_sidecar: true,
        body: body.into(),
    }
}

fn ten() -> ClientId {
    client_id("10").unwrap()
}

#[test]
fn an_address_is_scheme_host_and_port_and_nothing_else() {
    for (given, expected) in [
        ("http://127.0.0.1:5050", Some("http://127.0.0.1:5050")),
        ("https://app.example/", Some("https://app.example")),
        ("http://[::1]:5050", Some("http://[::1]:5050")),
        ("127.0.0.1:5050", None),
        ("ftp://app.example", None),
        ("http://me:secret@app.example", None),
        ("http://app.example/app", None),
        ("http://app.example/?client_id=10", None),
        ("http://app.example/#x", None),
        ("", None),
    ] {
        let base = base(given);
        assert_eq!(base.as_deref().ok(), expected, "{given}");
        assert!(!format!("{base:?}").contains("secret"));
    }
}

#[test]
fn what_is_saved_is_what_the_page_would_save() {
    let one = templates::find("biz-seo-audit").unwrap();
    let body = wanted(&one);
    let keys: Vec<&str> = body
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let expected = [
        "category",
        "description",
        "flow",
        "is_template",
        "name",
        "thumbnail",
    ];
    assert_eq!(keys, expected);
    assert_eq!(body["is_template"], true);
    assert_eq!(body["flow"]["template_id"], "biz-seo-audit");
}

#[test]
fn what_is_stored_under_its_name_or_renamed_is_there() {
    let find = |id| templates::find(id).unwrap();
    let (seo, tags, leads) = (
        find("biz-seo-audit"),
        find("biz-tag-health"),
        find("biz-lead-pipeline"),
    );
    let list = json!([
        {"id": 3, "name": " SEO Audit ", "description": "my own"},
        {"id": 4, "name": "Tags of the shop", "description": tags.description},
        {"id": 5, "name": null},
        leads.item(),
        7,
    ]);
    let rows = stored(TEMPLATES, ten(), &answer(200, &list.to_string())).unwrap();
    assert!(is_there(&rows, &seo) && is_there(&rows, &tags));
    assert!(
        !is_there(&rows, &leads),
        "the sidecar adds it, the app has it not"
    );
}

#[test]
fn the_id_of_what_was_saved_is_told() {
    let made = answer(200, r#"{"flow_id": 12, "success": true}"#);
    assert_eq!(created(ten(), &made), Ok(12));
}

#[test]
fn each_refusal_says_what_was_refused() {
    let told = |result: Result<u64, Refused>| result.unwrap_err().to_string();
    for (status, body, expected) in [
        (
            401,
            r#"{"error": "Authentication required", "code": "token_expired"}"#,
            "the token is refused (401, Authentication required): see what `token verify` says of it",
        ),
        (
            404,
            r#"{"error": "Client not found or not owned"}"#,
            "client 10 is refused (404, Client not found or not owned): it does not exist, or is not the token's user's",
        ),
        (
            503,
            "<h1>gone</h1>",
            "/api/flows is refused (503, without words)",
        ),
        (
            400,
            "{\"error\": \"a\\nb\"}",
            "/api/flows is refused (400, a b)",
        ),
        (302, "", "/api/flows is refused (302, without words)"),
        (
            200,
            "<!doctype html>",
            "/api/flows is answered 200 without JSON",
        ),
        (
            200,
            r#"{"flow_id": "12"}"#,
            "/api/flows is answered 200 without the flow's id",
        ),
    ] {
        assert_eq!(told(created(ten(), &answer(status, body))), expected);
    }
    let no_list = stored(FLOWS, ten(), &answer(200, r#"{"flows": []}"#)).unwrap_err();
    assert_eq!(
        no_list.to_string(),
        "/api/flows is answered 200 without a list"
    );
}

#[test]
fn anothers_words_are_cut() {
    let long = json!({"error": "x".repeat(5000)}).to_string();
    let error = created(ten(), &answer(500, &long)).unwrap_err();
    assert!(error.to_string().len() < 300);
}
