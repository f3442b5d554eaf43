//! nginx's files: what directives are given is told of those alone that are known to be given
//! no secrets, and of a few headers; of the rest, variables are told and nothing else.
//!
//! Directives that are not known are left out with their names, for what stands in a `map`
//! looks like one. It knows words, quotes, comments and blocks, and no contexts; what is no
//! nginx at all comes out with little left.

use super::looks::{looked_through, says_nothing, without_variables};
use super::{HIDDEN, hidden_piece, is_in, quote_end};

/// Directives whose arguments are told.
const TOLD: &str = " alias allow charset daemon default_type deny error_page events expires geo http http2 \
    include index internal keepalive limit_conn limit_except limit_rate limit_req listen location log_format map \
    merge_slashes pid resolver return rewrite root satisfy sendfile server server_name server_tokens split_clients \
    stream tcp_nodelay tcp_nopush try_files types upstream user worker_connections worker_processes zone \
    access_log error_log auth_basic_user_file auth_request proxy_pass proxy_buffering proxy_cache proxy_redirect \
    proxy_request_buffering fastcgi_pass fastcgi_index uwsgi_pass grpc_pass gzip gzip_types gzip_vary \
    gzip_proxied ssl_certificate ssl_certificate_key ssl_dhparam ssl_prefer_server_ciphers ssl_session_cache \
    ssl_stapling ssl_stapling_verify ssl_trusted_certificate least_conn ip_hash proxy_next_upstream \
    proxy_hide_header proxy_pass_header proxy_ignore_headers set_real_ip_from real_ip_header real_ip_recursive ";
/// And those of a module that end so.
const TOLD_ENDS: &str = "_timeout _size _buffers _tries _zone _requests _errors _version _protocols _ciphers \
    _tickets _level _length _valid _depth _status _methods";
/// Directives whose names are told: by how they begin, or whole.
const NAMED: &str = "access_ add_ auth_ body_ brotli brotli_ client_ content_ default env fastcgi_ grpc_ gzip_ \
    header_ http2_ if init_ keepalive_ large_client_ limit_ log_ lua_ map_ more_ open_file_ proxy_ resolver_ scgi_ \
    secure_link secure_link_ send_ server_names_ set set_by_ ssl_ sub_filter sub_filter_ types_hash_ uwsgi_ \
    valid_referers worker_";
/// Directives that are given a name first, and what it is set to.
const PAIRS: &str =
    " add_header env fastcgi_param grpc_set_header proxy_set_header scgi_param set uwsgi_param ";
/// Headers that are told, whatever they are set to.
const HEADERS: &str = " accept-encoding cache-control connection content-security-policy content-type forwarded host \
    permissions-policy referrer-policy strict-transport-security upgrade vary x-accel-buffering \
    x-content-type-options x-forwarded-for x-forwarded-host x-forwarded-port x-forwarded-proto x-frame-options \
    x-real-ip x-request-id ";

/// The text with what may be told of it.
pub(super) fn told(text: &str) -> String {
    let mut reader = Reader::default();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '#' => rest.find('\n').unwrap_or(rest.len()),
            '"' | '\'' => quote_end(rest).unwrap_or(rest.len()),
            ';' | '{' | '}' => 1,
            c if c.is_whitespace() => c.len_utf8(),
            _ => word_length(rest),
        };
        let (token, after) = rest.split_at(length);
        rest = after;
        match first {
            '#' => reader.out += &comment(token),
            ';' | '{' | '}' => {
                let is_code = first == '{' && reader.is_code();
                reader.end(token);
                if is_code {
                    rest = &rest[code_length(rest)..];
                    reader.out.push_str(HIDDEN);
                }
            }
            c if c.is_whitespace() => reader.blank(c),
            _ => reader.word(token),
        }
    }
    reader.out
}

/// What is said of a file of nginx's by looking at it.
pub(super) fn is_one(text: &str) -> bool {
    let ends = |line: &str| {
        let line = line.split(" #").next().unwrap_or_default().trim();
        let name = line.split_whitespace().next().unwrap_or_default();
        line.ends_with([';', '{']) && (is_told(name) || is_named(name))
    };
    text.lines().any(ends)
}

#[derive(Default)]
struct Reader {
    out: String,
    /// Words of the statement so far.
    words: Vec<String>,
    /// Nothing but blanks stands before in this line.
    is_line_begun: bool,
    /// For each block that is open, whether it holds values rather than directives.
    blocks: Vec<bool>,
}

impl Reader {
    fn word(&mut self, token: &str) {
        // Where a semicolon is missing, the next directive is not told as the last one's.
        if !std::mem::replace(&mut self.is_line_begun, true) && is_name(token) {
            self.words.clear();
        }
        let may = match self.words.first().map(String::as_str) {
            _ if says_nothing(&without_variables(token)) => true,
            _ if self.blocks.last() == Some(&true) => false,
            None => is_name(token),
            Some(name) => is_told(name) || self.is_told_of(name, token),
        };
        self.words.push(token.to_owned());
        // A quote that does not end goes on to the end of the file.
        let is_open = token.starts_with(['"', '\'']) && quote_end(token).is_none();
        self.out += &match may && !is_open {
            true => token.to_owned(),
            false => hidden_piece(token),
        };
    }

    fn blank(&mut self, c: char) {
        self.is_line_begun &= c != '\n';
        self.out.push(c);
    }

    /// Whether a directive that sets a name tells this, its next word.
    fn is_told_of(&self, name: &str, token: &str) -> bool {
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-_$".contains(c);
        is_in(PAIRS, name)
            && match self.words.get(1) {
                None => token.chars().all(is_name),
                Some(header) => is_in(HEADERS, &header.to_ascii_lowercase()),
            }
    }

    fn end(&mut self, token: &str) {
        match token {
            "{" => {
                let first = self.words.first().map(String::as_str);
                self.blocks.push(matches!(
                    first,
                    Some("map" | "geo" | "split_clients" | "types")
                ));
            }
            "}" => drop(self.blocks.pop()),
            _ => {}
        }
        self.words.clear();
        self.out.push_str(token);
    }

    /// Whether what follows in braces is in another language.
    fn is_code(&self) -> bool {
        let first = self.words.first();
        first.is_some_and(|name| {
            ["lua", "js_", "perl"]
                .iter()
                .any(|part| name.contains(part))
        })
    }
}

fn is_told(name: &str) -> bool {
    let mut ends = TOLD_ENDS.split_whitespace();
    is_in(TOLD, name) || (is_named(name) && ends.any(|end| name.ends_with(end)))
}

fn is_named(name: &str) -> bool {
    let mut named = NAMED.split_whitespace();
    named.any(|one| one == name || (one.ends_with('_') && name.starts_with(one)))
}

fn is_name(word: &str) -> bool {
    let is_plain = word
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    is_plain && (is_told(word) || is_named(word))
}

/// A comment that holds a directive is read as one.
fn comment(text: &str) -> String {
    let body = text.trim_start_matches('#');
    let first = body.split_whitespace().next().unwrap_or_default();
    let is_cut_off = is_name(first) && body.contains(['"', '\'', '$']);
    match is_cut_off || body.trim_end().ends_with([';', '{']) {
        true => format!("{}{}", &text[..text.len() - body.len()], told(body)),
        false => looked_through(text),
    }
}

/// A word without quotes, with escapes and `${variables}`.
fn word_length(text: &str) -> usize {
    let mut chars = text.char_indices();
    let mut before = ' ';
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            '{' if before == '$' => {
                chars.by_ref().find(|(_, c)| *c == '}' || c.is_whitespace());
            }
            ';' | '{' | '}' => return at,
            c if c.is_whitespace() => return at,
            _ => {}
        }
        before = c;
    }
    text.len()
}

/// What stands before the brace that ends a block of another language, quotes passed over.
fn code_length(text: &str) -> usize {
    let (mut at, mut depth) = (0, 0);
    while let Some(c) = text[at..].chars().next() {
        match c {
            '"' | '\'' => {
                let rest = &text[at..];
                at += quote_end(rest).unwrap_or(rest.len());
                continue;
            }
            '}' if depth == 0 => return at,
            '}' => depth -= 1,
            '{' => depth += 1,
            _ => {}
        }
        at += c.len_utf8();
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = include_str!("../../../deploy/nginx/camarad.conf");

    #[test]
    fn our_own_file_is_told_whole() {
        assert_eq!(told(FILE), FILE);
        assert!(is_one(FILE));
        let websockets =
            "map $http_upgrade $connection_upgrade {\n  default upgrade;\n  '' close;\n}\n";
        assert_eq!(told(websockets), websockets);
    }

    #[test]
    fn only_what_is_known_to_be_no_secret_is_told() {
        for (text, expected) in [
            ("set $a \"hunter2\";", "set $a \"***\";"),
            ("set $a $host;", "set $a $host;"),
            ("set $a \"two\nlines\" ;", "set $a \"***\" ;"),
            ("set $a ${b}c;", "set $a ***;"),
            (
                "proxy_set_header X-Mine hunter2;",
                "proxy_set_header X-Mine ***;",
            ),
            (
                "proxy_set_header Authorization \"Basic aHU=\";",
                "proxy_set_header Authorization \"***\";",
            ),
            (
                "proxy_set_header Host app.example;",
                "proxy_set_header Host app.example;",
            ),
            ("fastcgi_param DB_PIN 1234;", "fastcgi_param DB_PIN ***;"),
            ("env PIN=1234;", "env ***;"),
            (
                "secure_link_md5 \"$uri hunter2\";",
                "secure_link_md5 \"***\";",
            ),
            (
                "auth_basic_user_file /etc/nginx/users;",
                "auth_basic_user_file /etc/nginx/users;",
            ),
            (
                "if ($http_x_mine != \"hunter2\") { return 403; }",
                "if ($http_x_mine != \"***\") { return 403; }",
            ),
            (
                "map $a $b { hunter2 1; default 0; }",
                "map $a $b { *** 1; default 0; }",
            ),
            ("map $a $b { server hunter2; }", "map $a $b { *** ***; }"),
            ("strange_one hunter2;", "*** ***;"),
            (
                "content_by_lua_block { return \"}\" .. 'hunter2' }\nlisten 80;",
                "content_by_lua_block {***}\nlisten 80;",
            ),
            (
                "content_by_lua '\n return \"x\"\n';",
                "content_by_lua '***';",
            ),
            ("#set $a hunter2;", "#set $a ***;"),
            ("# set $a hunter2", "# set $a ***"),
            ("# a word on it", "# a word on it"),
            ("listen 80\nset $a hunter2;", "listen 80\nset $a ***;"),
            (
                "listen 80; # password: hunter2",
                "listen 80; # password: ***",
            ),
            ("server_name \"a\nb hunter2;", "server_name \"***\""),
            (
                "location ~ \"^/a{2}$\" { proxy_read_timeout 3s; }",
                "location ~ \"^/a{2}$\" { proxy_read_timeout 3s; }",
            ),
        ] {
            assert_eq!(told(text), expected);
        }
    }

    #[test]
    fn what_is_nginx_is_seen() {
        for (text, expected) in [
            ("server {\n", true),
            ("  listen 80; # x\n", true),
            ("global\n  daemon\n", false),
            ("A=b\n", false),
            ("foo() {\n", false),
            ("", false),
        ] {
            assert_eq!(is_one(text), expected, "{text}");
        }
    }
}
