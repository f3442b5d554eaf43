//! Secrets of many kinds in many places: none of them is in what is kept.

use super::*;
use proptest::prelude::*;

/// Where a secret may stand in a file, `{}`, with the file's name; whatever it is like.
const PLACES: [(&str, &str); 53] = [
    ("a.conf", "server {\n  proxy_set_header X-Mine \"{}\";\n}\n"),
    ("a.conf", "proxy_set_header Authorization '{}';\n"),
    ("a.conf", "proxy_set_header Authorization \"Bearer {}\";\n"),
    ("a.conf", "set $mine \"{}\";\n"),
    ("a.conf", "set $mine \"one\n  {}\n  three\";\nlisten 80;\n"),
    (
        "a.conf",
        "map $http_x $who {\n  default \"\";\n  \"{}\" \"ann\";\n}\n",
    ),
    ("a.conf", "map $http_x $key {\n  ann \"{}\";\n}\n"),
    ("a.conf", "if ($http_x != \"{}\") {\n  return 403;\n}\n"),
    ("a.conf", "fastcgi_param PIN \"{}\";\n"),
    ("a.conf", "secure_link_md5 \"$uri {}\";\n"),
    ("a.conf", "listen 80;\nwhat_nobody_knows on \"{}\" 5;\n"),
    (
        "a.conf",
        "content_by_lua_block {\n  local a = \"}\"\n  return \"{}\"\n}\nlisten 80;\n",
    ),
    ("a.conf", "access_by_lua '\n  return \"{}\"\n';\n"),
    ("a.conf", "listen 80;\n# set $mine \"{}\";\n"),
    ("a.conf", "listen 80; # password: \"{}\"\n"),
    (
        "sites-enabled/default",
        "listen 80;\nadd_header X-Mine \"{}\" always;\n",
    ),
    (
        "a.config.js",
        "module.exports = { apps: [{ name: \"a\", env: { MINE: \"{}\" } }] };\n",
    ),
    (
        "a.config.cjs",
        "const a = { env_production: { \"name\": '{}', PORT: 80 } }\n",
    ),
    (
        "a.config.js",
        "module.exports = { env: { MINE: `one\n{}\nthree` } }\n",
    ),
    (
        "a.config.js",
        "module.exports = { env: { MINE: \"a\" + \"{}\" } }\n",
    ),
    (
        "a.config.js",
        "module.exports = { args: [\"-x\", \"{}\"] }\n",
    ),
    ("a.config.js", "module.exports = { args: \"-x {}\" }\n"),
    (
        "a.config.js",
        "const mine = \"{}\"\nmodule.exports = { env: { MINE: mine } }\n",
    ),
    ("a.config.js", "const name = \"a\"\nlogin(\"{}\")\n"),
    ("a.config.js", "module.exports = { name: read(\"{}\") }\n"),
    (
        "a.config.js",
        "module.exports = { watch: /it's/, MINE: \"{}\" }\n",
    ),
    (
        "a.config.js",
        "module.exports = { MINE: process.env.A ? \"{}\" : \"b\" }\n",
    ),
    (
        "a.config.js",
        "module.exports = {\n  // MINE: \"{}\",\n  name: \"a\" }\n",
    ),
    (
        "a.config.js",
        "module.exports = {\n  /* it's off:\n   * MINE: \"{}\",\n   */\n  name: \"a\" }\n",
    ),
    (
        "a.json",
        "{\"apps\": [{\"env\": {\"MINE\": \"{}\", \"TZ\": \"UTC\"}}]}\n",
    ),
    (
        "a.yml",
        "apps:\n  - name: a\n    env:\n      MINE: \"{}\"\n",
    ),
    ("a.yaml", "env:\n  MINE: |\n    one\n    {}\n  TZ: UTC\n"),
    ("a.yaml", "mine:\n  - \"{}\"\n"),
    ("a.env", "MINE=\"{}\"\n"),
    ("a.env", "MINE=\"one\nTWO={}\nthree\"\n"),
    ("a.env", "MINE=one \\\n  {}\nPORT=80\n"),
    (
        "a.service",
        "[Service]\nEnvironment=\"MINE={}\"\nExecStart=/bin/a --mine \"{}\"\n",
    ),
    ("a", "curl -u \"me:{}\" https://host\n"),
    ("a.toml", "mine = \"\"\"\n{}\n\"\"\"\nname = \"a\"\n"),
    ("a.conf", "set $mine {};\nlisten 80;\n"),
    ("a.conf", "location / {\n  proxy_set_header X-Mine {};\n}\n"),
    ("a.env", "MINE={}\nPORT=80\n"),
    ("a.yml", "mine: {}\nname: a\n"),
    ("a.ini", "; MINE={}\n"),
    ("a.yml", "mine:\n  - |\n    name: \"{}\"\n"),
    ("a.yml", "mine: one\n  two: {}=\nname: a\n"),
    ("a.js", "module.exports = { env: { MINE: \"${}\" } }\n"),
    ("a.sh", "PORT=80 MINE=\"{}\" node a.js\n"),
    ("a.conf", "listen 80\nset $mine \"{}\";\n"),
    ("a.js", "module.exports = { name: \"a\"\n  MINE: \"{}\" }\n"),
    ("a.js", "module.exports = {\n  // MINE: \"{}\"\n}\n"),
    ("a.yml", "# MINE: \"{}\"\n"),
    ("a.cfg", "userlist a\n  user ann password \"{}\"\n"),
];

/// Where none belongs, but a long one is seen.
const OPEN: [(&str, &str); 12] = [
    ("a.conf", "server_name {};\n"),
    ("a.conf", "listen 80;\n# {}\n"),
    ("a.conf", "location /hook/{}/in { return 204; }\n"),
    ("a.conf", "proxy_pass http://127.0.0.1:80/in?k={};\n"),
    ("a.conf", "proxy_pass http://me:{}@127.0.0.1/;\n"),
    ("a.conf", "proxy_set_header Host {};\n"),
    ("a.js", "module.exports = { name: \"{}\" }\n"),
    (
        "a.js",
        "module.exports = { script: \"./bin/{}.js\" } // {}\n",
    ),
    ("a.js", "module.exports = { env: { HOST: \"{}\" } }\n"),
    ("a.yml", "# {}\nname: {}\n"),
    ("a.env", "PORT={}\n"),
    (
        "a",
        "-----BEGIN EC PRIVATE KEY-----\n{}\n-----END EC PRIVATE KEY-----\n",
    ),
];

/// Words of people's, and what machines make.
fn secrets() -> impl Strategy<Value = String> {
    prop_oneof![
        "[b-df-hj-np-tv-z]{4}[0-9]{2}[b-df-hj-np-tv-z]{2}",
        "[b-df-hj-np-tv-z]{5} [b-df-hj-np-tv-z]{6} [0-9]{3}",
        "[b-df-hj-np-tv-z]{3}[:=,;#{}()/%&@!]{2}[b-df-hj-np-tv-z]{4}",
        "[0-9]{7,9}",
        long_secrets(),
    ]
}

fn long_secrets() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9a-f]{32}",
        "[A-Za-z0-9+/]{38}[0-9][A-Za-z0-9]=",
        "[A-Za-z0-9_-]{30}[0-9][A-Z]",
        "eyJ[A-Za-z0-9_-]{17}\\.[A-Za-z0-9_-]{9}\\.[A-Za-z0-9_-]{6}",
        "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}",
        "AKIA[A-Z0-9]{15}[0-9]",
    ]
}

fn kept(place: (&str, &str), secret: &str) -> String {
    hidden(place.0, &place.1.replace("{}", secret), &[])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_secret_is_kept_wherever_it_stands(secret in secrets(), place in prop::sample::select(&PLACES[..])) {
        let kept = kept(place, &secret);
        // Nor a part of one that goes over a mark.
        for part in secret.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| part.len() > 3) {
            prop_assert!(!kept.contains(part), "{} in {:?}: {}", secret, place, kept);
        }
    }

    #[test]
    fn long_ones_are_seen_where_none_belong(secret in long_secrets(), place in prop::sample::select(&OPEN[..])) {
        let kept = kept(place, &secret);
        prop_assert!(!kept.contains(&secret), "{} in {:?}: {}", secret, place, kept);
    }

    #[test]
    fn no_text_breaks_the_readers(text in "[\\PC\n'\"`{}\\[\\]();:=#/*\\\\$ ]{0,80}", name in "a\\.(conf|js|yml|env)") {
        let once = hidden(&name, &text, &[]);
        let known = hidden(&name, "listen 80; known-word", &[Secret::new("known-word")]);
        prop_assert!(!known.contains("known-word"));
        prop_assert!(once.len() <= 4 * text.len() + 8);
    }
}

#[test]
fn two_secrets_leave_the_same_mark() {
    for place in PLACES {
        assert_eq!(
            kept(place, "hunter22"),
            kept(place, "winter33"),
            "{place:?}"
        );
    }
}
