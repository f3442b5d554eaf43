//! Every way to bend a request, as one list.
//!
//! To add one: a name, and what it does to the draft. A test that never made it
//! fails, and so does one in which nothing reaches the app any more.

use super::generate::Draft;
use crate::support::{Claims, alice, bob, now, token};
use fastrand::Rng;

type Mutation = fn(&mut Draft, &mut Rng);

/// The list.
pub const MUTATIONS: &[(&str, Mutation)] = &[
    // Paths.
    ("escape a letter", |d, r| escape(d, r, false)),
    ("escape a letter in lower case", |d, r| escape(d, r, true)),
    ("escape a slash", |d, r| replace_one(d, r, b"/", b"%2F")),
    ("escape a slash twice", |d, r| {
        replace_one(d, r, b"/", b"%252F")
    }),
    ("double a slash", |d, r| replace_one(d, r, b"/", b"//")),
    ("triple the first slash", |d, _| {
        d.path.splice(..0, *b"//").for_each(drop)
    }),
    ("backslash", |d, r| replace_one(d, r, b"/", b"\\")),
    ("escaped backslash", |d, r| replace_one(d, r, b"/", b"%5c")),
    ("dot segment", |d, r| replace_one(d, r, b"/", b"/./")),
    ("escaped dot segment", |d, r| {
        replace_one(d, r, b"/", b"/%2e/")
    }),
    ("up and down", |d, r| replace_one(d, r, b"/", b"/x/../")),
    ("escaped up and down", |d, r| {
        replace_one(d, r, b"/", b"/x/%2E%2e/")
    }),
    ("up beyond the root", |d, _| {
        d.path.splice(..0, *b"/..").for_each(drop)
    }),
    ("into a public place and back", |d, _| {
        d.path.splice(..0, *b"/static/..").for_each(drop)
    }),
    ("trailing slash", |d, _| d.path.push(b'/')),
    ("trailing dot", |d, _| d.path.extend(b"/.")),
    ("trailing up", |d, _| d.path.extend(b"/..")),
    ("parameter", |d, r| insert(d, r, b";x=1")),
    ("escaped parameter", |d, r| insert(d, r, b"%3Bx")),
    ("escaped question mark", |d, r| {
        insert(d, r, b"%3Fclient_id=20")
    }),
    ("escaped hash", |d, r| insert(d, r, b"%23x")),
    ("hash", |d, r| insert(d, r, b"#x")),
    ("escaped percent", |d, r| insert(d, r, b"%25")),
    ("escaped escape", |d, r| insert(d, r, b"%2561")),
    ("bad escape", |d, r| insert(d, r, b"%zz")),
    ("half an escape", |d, _| d.path.extend(b"%4")),
    ("wide escape", |d, r| insert(d, r, b"%u0061")),
    ("overlong slash", |d, r| replace_one(d, r, b"/", b"%c0%af")),
    ("NUL", |d, r| insert(d, r, b"%00")),
    ("line feed", |d, r| insert(d, r, b"%0a")),
    ("escaped space", |d, r| insert(d, r, b"%20")),
    ("plus", |d, r| insert(d, r, b"+")),
    ("raw UTF-8", |d, r| insert(d, r, "\u{e9}".as_bytes())),
    ("escaped UTF-8", |d, r| insert(d, r, b"%C3%A9")),
    ("no UTF-8", |d, r| insert(d, r, b"\xff")),
    ("escaped no UTF-8", |d, r| insert(d, r, b"%ff%C3")),
    ("other case", |d, _| d.path.make_ascii_uppercase()),
    ("absolute form", |d, _| {
        d.path.splice(..0, *b"http://app").for_each(drop)
    }),
    ("authority in front", |d, _| {
        d.path.splice(..0, *b"//evil.example").for_each(drop)
    }),
    ("no slash in front", |d, _| {
        d.path.remove(0);
    }),
    ("any byte", |d, r| {
        let byte = r.u8(1..);
        insert(d, r, &[byte]);
    }),
    // Conversations.
    ("conversation in the query", |d, _| {
        add_query(d, "conv_id=7");
    }),
    ("conversation in the query, escaped", |d, _| {
        add_query(d, "conv%5Fid=%37");
    }),
    ("two conversations in the query", |d, _| {
        add_query(d, "conv_id=7&conv_id=8");
    }),
    ("odd conversation in the query", |d, r| {
        let id = r
            .choice(["07", "%2B7", "7%20", "0_7", "7.0", ""])
            .unwrap_or("");
        add_query(d, &format!("conv_id={id}"));
    }),
    ("another conversation in the body", |d, _| {
        body(d, r#"{"conv_id": 8, "message": "x"}"#)
    }),
    ("conversation in the body", |d, _| {
        body(d, r#"{"conv_id": "7", "message": "x"}"#)
    }),
    ("two conversations in the body", |d, _| {
        body(d, r#"{"conv_id": 7, "conv\u005fid": 8, "message": "x"}"#)
    }),
    ("conversation in a form", |d, _| {
        set(d, "Content-Type", "application/x-www-form-urlencoded");
        body(d, "message=x&conv_id=7");
    }),
    ("two conversations in a form", |d, _| {
        set(d, "Content-Type", "application/x-www-form-urlencoded");
        body(d, "message=x&conv_id=7&conv%5fid=8");
    }),
    ("JSON that calls itself a form", |d, _| {
        set(d, "Content-Type", "application/x-www-form-urlencoded");
        body(d, r#"{"conv_id":8,"message":"x"}"#);
    }),
    ("a form of many parts", |d, _| {
        set(d, "Content-Type", "multipart/form-data; boundary=b");
        body(
            d,
            "--b\r\nContent-Disposition: form-data; name=\"conv_id\"\r\n\r\n8\r\n--b--\r\n",
        );
    }),
    // Queries.
    ("client in the query", |d, r| {
        let c = client(r);
        add_query(d, &format!("client_id={c}"));
    }),
    ("client in the query, name escaped", |d, r| {
        let c = client(r);
        add_query(d, &format!("client%5Fid={c}"));
    }),
    ("client in the query, value escaped", |d, r| {
        let c = escaped(client(r));
        add_query(d, &format!("client_id={c}"));
    }),
    ("two clients in the query", |d, r| {
        let (a, b) = (client(r), client(r));
        add_query(d, &format!("client_id={a}&%63lient_id={b}"));
    }),
    ("client behind a semicolon", |d, r| {
        let c = client(r);
        add_query(d, &format!("a=1;client_id={c}"));
    }),
    ("odd client in the query", |d, r| {
        let c = odd_client(r);
        add_query(d, &format!("client_id={c}"));
    }),
    ("client list in the query", |d, r| {
        let c = client(r);
        add_query(d, &format!("client_id[]={c}"));
    }),
    ("client without a value", |d, _| add_query(d, "client_id")),
    ("client name with a space", |d, r| {
        let c = client(r);
        add_query(d, &format!("client_id+={c}&+client_id={c}"));
    }),
    ("empty pairs", |d, _| {
        d.query.insert_str(0, "&&");
        d.query.push('&');
    }),
    ("question mark in the query", |d, r| {
        let c = client(r);
        add_query(d, &format!("a?client_id={c}"));
    }),
    ("escaped ampersand", |d, r| {
        let c = client(r);
        add_query(d, &format!("a=1%26client_id={c}"));
    }),
    ("bad escape in the query", |d, _| add_query(d, "a=%zz&%=%")),
    ("raw UTF-8 in the query", |d, _| {
        add_query(d, "a=\u{e9}&client_id\u{e9}=20")
    }),
    ("space in the query", |d, _| add_query(d, "a=b c")),
    // Headers.
    ("another client in the header", |d, r| {
        let c = client(r);
        set(d, "X-Client-ID", &c.to_string());
    }),
    ("odd client in the header", |d, r| {
        let c = odd_client(r);
        set(d, "X-Client-ID", &c);
    }),
    ("client header in another case", |d, r| {
        let c = client(r);
        set(d, "x-cLIENT-iD", &c.to_string());
    }),
    ("client header with underscores", |d, r| {
        let c = client(r);
        field(d, &format!("X_Client_ID: {c}"));
    }),
    ("client header with one underscore", |d, r| {
        let c = client(r);
        field(d, &format!("X-Client_ID: {c}"));
    }),
    ("two client headers", |d, r| {
        let c = client(r);
        field(d, &format!("X-Client-ID: {c}"));
    }),
    ("client header with room around it", |d, r| {
        let c = client(r);
        set(d, "X-Client-ID", &format!("\t {c} \t"));
    }),
    ("client header that is no ASCII", |d, _| {
        set(d, "X-Client-ID", "1\u{660}")
    }),
    ("user header", |d, r| {
        let u = r.u8(0..4);
        field(d, &format!("X-User-ID: {u}"));
    }),
    ("user header with underscores", |d, _| {
        field(d, "X_User_Id: 2")
    }),
    ("two user headers", |d, _| {
        field(d, "X-User-ID: 1");
        field(d, "X-User-ID: 2");
    }),
    ("internal token", |d, _| field(d, "X-Internal-Token: guess")),
    ("source", |d, _| field(d, "X-Camarad-Source: coolbits")),
    ("request id", |d, _| field(d, "X-Request-Id: mine")),
    ("two request ids", |d, _| {
        field(d, "X-Request-Id: mine");
        field(d, "X-Request-Id: other");
    }),
    ("request id with underscores", |d, _| {
        field(d, "X_Request_Id: mine")
    }),
    ("forwarded for", |d, _| {
        field(d, "X-Forwarded-For: 1.1.1.1, 10.0.0.1")
    }),
    ("forwarded host", |d, _| {
        field(d, "X-Forwarded-Host: evil.example")
    }),
    ("forwarded", |d, _| {
        field(d, "Forwarded: for=1.1.1.1;host=evil.example")
    }),
    ("folded name", |d, _| field(d, "X_Folded: 1")),
    ("forwarded proto", |d, _| {
        field(d, "X-Forwarded-Proto: https")
    }),
    ("forwarded ssl", |d, _| field(d, "X-Forwarded-Ssl: on")),
    ("forwarded protocol", |d, _| {
        field(d, "X-Forwarded-Protocol: ssl")
    }),
    ("method override", |d, _| {
        field(d, "X-HTTP-Method-Override: DELETE")
    }),
    ("original URL", |d, _| {
        field(d, "X-Original-URL: /api/flows");
        field(d, "X-Rewrite-URL: /api/flows");
    }),
    ("script name", |d, r| {
        // A server that believes it cuts it off, and is left with a protected path.
        let cut = r.choice(["/x", "/static", "/app"]).unwrap_or("/x");
        d.path.splice(..0, cut.bytes()).for_each(drop);
        let name = r.choice(["SCRIPT_NAME", "Script_Name", "PATH_INFO"]);
        field(d, &format!("{}: {cut}", name.unwrap_or("SCRIPT_NAME")));
    }),
    ("hop-by-hop client", |d, _| {
        field(d, "Connection: X-Client-ID, Authorization, Cookie")
    }),
    ("hop-by-hop host", |d, _| field(d, "Connection: Host")),
    ("second host", |d, _| field(d, "Host: evil.example")),
    ("folded line", |d, _| field(d, "X-A: 1\r\n X-Client-ID: 20")),
    ("bare line feed", |d, _| field(d, "X-A: 1\nX-Client-ID: 20")),
    ("bare return", |d, _| field(d, "X-A: 1\rX-Client-ID: 20")),
    ("space before the colon", |d, _| {
        field(d, "X-Client-ID : 20")
    }),
    // Tokens.
    ("no token", |d, _| drop_field(d, "Authorization")),
    ("token in the cookie", |d, r| {
        drop_field(d, "Authorization");
        let t = good(r);
        cookie(d, &format!("camarad_cb_token={t}"));
    }),
    ("token in both", |d, r| {
        let t = good(r);
        cookie(d, &format!("camarad_cb_token={t}"));
    }),
    ("bad token", |d, _| {
        set(d, "Authorization", "Bearer nonsense")
    }),
    ("bad token and a good cookie", |d, r| {
        set(d, "Authorization", "Bearer x.y.z");
        let t = good(r);
        cookie(d, &format!("camarad_cb_token={t}"));
    }),
    ("expired token", |d, _| {
        let t = token(Claims::new(1, &[10]).with("exp", (now() - 1000).into()));
        set(d, "Authorization", &format!("Bearer {t}"));
    }),
    ("two tokens", |d, r| {
        let t = good(r);
        field(d, &format!("Authorization: Bearer {t}"));
    }),
    ("basic", |d, _| {
        set(d, "Authorization", "Basic dXNlcjpwYXNz")
    }),
    ("scheme in lower case", |d, r| {
        let t = good(r);
        set(d, "authorization", &format!("bearer {t}"));
    }),
    ("token with room", |d, r| {
        let t = good(r);
        set(d, "Authorization", &format!("Bearer   {t}  "));
    }),
    ("authorization with an underscore", |d, r| {
        let t = good(r);
        field(d, &format!("Authorization_: Bearer {t}"));
    }),
    // Cookies.
    ("forged user", |d, r| {
        let u = r.u8(1..4);
        cookie(d, &format!("camarad_user_id={u}"));
    }),
    ("forged user, quoted", |d, _| {
        cookie(d, "camarad_user_id=\"2\"")
    }),
    ("forged user, in octal", |d, _| {
        cookie(d, "camarad_user_id=\"\\062\"")
    }),
    ("forged user twice", |d, _| {
        cookie(d, "camarad_user_id=2; camarad_user_id=3")
    }),
    ("forged user with room", |d, _| {
        cookie(d, " camarad_user_id =2;\tcamarad_user_id=2")
    }),
    ("forged user behind a comma", |d, _| {
        cookie(d, "a=1, camarad_user_id=2")
    }),
    ("forged user in a quoted value", |d, _| {
        cookie(d, "a=\"b; camarad_user_id=2\"")
    }),
    ("forged user, name escaped", |d, _| {
        cookie(d, "camarad%5Fuser%5Fid=2")
    }),
    ("forged user with attributes", |d, _| {
        cookie(d, "$Version=1; camarad_user_id=2; $Path=/")
    }),
    ("forged user without a name in front", |d, _| {
        cookie(d, "=camarad_user_id=2; camarad_user_id==2")
    }),
    ("client in the cookie", |d, r| {
        let c = client(r);
        cookie(d, &format!("camarad_client_id={c}"));
    }),
    ("odd client in the cookie", |d, r| {
        let c = odd_client(r);
        cookie(d, &format!("camarad_client_id={c}"));
    }),
    ("seal in the cookie", |d, _| cookie(d, "camarad_seal=AAAA")),
    ("cookie that is no ASCII", |d, _| {
        cookie(d, "a=\u{e9}; camarad_user_id=\u{ff12}")
    }),
    ("two cookie lines", |d, _| {
        cookie(d, "a=1");
        field(d, "Cookie: camarad_user_id=2");
    }),
    ("no pairs in the cookie", |d, _| {
        cookie(d, "; ;camarad_user_id;;")
    }),
    // Bodies.
    ("client in the body", |d, r| {
        let c = client(r);
        body(d, &format!("{{\"client_id\": {c}, \"flow\": {{}}}}"));
    }),
    ("client text in the body", |d, r| {
        let c = client(r);
        body(d, &format!("{{\"client_id\": \"{c}\"}}"));
    }),
    ("odd client in the body", |d, r| {
        let c = r.choice([
            "true",
            "1.9",
            "20.0",
            "-1",
            "\" 20\"",
            "\"020\"",
            "[20]",
            "null",
            "2e1",
            "\"\u{662}\u{660}\"",
        ]);
        body(d, &format!("{{\"client_id\": {}}}", c.unwrap_or("0")));
    }),
    ("two clients in the body", |d, r| {
        let (a, b) = (client(r), client(r));
        body(d, &format!("{{\"client_id\": {a}, \"client_id\": {b}}}"));
    }),
    ("two clients in the body, one escaped", |d, r| {
        let (a, b) = (client(r), client(r));
        body(
            d,
            &format!("{{\"client_id\": {a}, \"client\\u005fid\": {b}}}"),
        );
    }),
    ("body with a BOM", |d, _| {
        body(d, "\u{feff}{\"client_id\": 20}")
    }),
    ("body in UTF-16", |d, _| {
        d.body = "{\"client_id\": 20}"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
    }),
    ("body with NaN", |d, _| {
        body(d, "{\"client_id\": 20, \"a\": NaN}")
    }),
    ("body that is no JSON", |d, _| body(d, "{\"client_id\": 20")),
    ("form", |d, _| {
        field(d, "Content-Type: application/x-www-form-urlencoded");
        body(d, "client_id=20&message=x");
    }),
    ("chunked", |d, _| {
        if d.body.is_empty() {
            body(d, "{\"a\": 1}");
        }
        d.chunked = true;
    }),
    // Methods.
    ("method in lower case", |d, _| {
        d.method.make_ascii_lowercase();
    }),
    ("HEAD", |d, _| d.method = "HEAD".into()),
    ("OPTIONS", |d, _| d.method = "OPTIONS".into()),
    ("other method", |d, r| {
        d.method = r
            .choice(["POST", "PUT", "PATCH", "DELETE", "PURGE"])
            .unwrap_or("POST")
            .into()
    }),
];

fn good(random: &mut Rng) -> String {
    if random.bool() { alice() } else { bob() }
}

/// A client that exists; often somebody else's.
fn client(random: &mut Rng) -> u32 {
    random.choice([10, 11, 20, 99]).unwrap_or(10)
}

/// A client as nobody should write one.
fn odd_client(random: &mut Rng) -> String {
    const ODD: [&str; 22] = [
        "",
        "0",
        "none",
        "null",
        "undefined",
        "None",
        "+10",
        "-10",
        "010",
        "10.0",
        "1e1",
        "0x14",
        "10,20",
        "10 20",
        "\"20\"",
        "2_0",
        "%2B20",
        "+20",
        "\u{ff12}\u{ff10}",
        "20\u{a0}",
        "99999999999999999999",
        "[20]",
    ];
    random.choice(ODD).unwrap_or("").to_owned()
}

fn escaped(client: u32) -> String {
    client
        .to_string()
        .bytes()
        .map(|digit| format!("%{digit:02X}"))
        .collect()
}

fn add_query(draft: &mut Draft, pair: &str) {
    if !draft.query.is_empty() {
        draft.query.push('&');
    }
    draft.query.push_str(pair);
}

pub fn field(draft: &mut Draft, line: &str) {
    draft.fields.push(line.into());
}

fn named(line: &[u8], name: &str) -> bool {
    let length = name.len();
    line.len() > length
        && line[length] == b':'
        && line[..length].eq_ignore_ascii_case(name.as_bytes())
}

fn drop_field(draft: &mut Draft, name: &str) {
    draft.fields.retain(|line| !named(line, name));
}

fn set(draft: &mut Draft, name: &str, value: &str) {
    drop_field(draft, name);
    field(draft, &format!("{name}: {value}"));
}

/// Adds to the one `Cookie` line.
fn cookie(draft: &mut Draft, pairs: &str) {
    match draft.fields.iter_mut().find(|line| named(line, "Cookie")) {
        Some(line) => line.extend_from_slice(format!("; {pairs}").as_bytes()),
        None => field(draft, &format!("Cookie: {pairs}")),
    }
}

pub fn body(draft: &mut Draft, text: &str) {
    draft.body = text.into();
}

fn insert(draft: &mut Draft, random: &mut Rng, what: &[u8]) {
    let at = random.usize(..=draft.path.len());
    draft.path.splice(at..at, what.iter().copied());
}

fn replace_one(draft: &mut Draft, random: &mut Rng, what: &[u8], with: &[u8]) {
    let places: Vec<usize> = (0..draft.path.len())
        .filter(|at| draft.path[*at..].starts_with(what))
        .collect();
    if let Some(at) = random.choice(places) {
        draft.path.splice(at..at + what.len(), with.iter().copied());
    }
}

fn escape(draft: &mut Draft, random: &mut Rng, lower: bool) {
    let letters: Vec<usize> = (0..draft.path.len())
        .filter(|at| draft.path[*at].is_ascii_alphanumeric())
        .collect();
    if let Some(at) = random.choice(letters) {
        let byte = draft.path[at];
        let spelled = if lower {
            format!("%{byte:02x}")
        } else {
            format!("%{byte:02X}")
        };
        draft.path.splice(at..=at, spelled.into_bytes());
    }
}
