//! Sites of the Search Console in the one form in which they are compared.

/// A site in the one form in which it is compared: `sc-domain:` and a host, or an http(s)
/// URL with its path, without what may be left out. `None` for anything else.
pub(super) fn site(id: &str) -> Option<String> {
    if let Some(host) = id.strip_prefix("sc-domain:") {
        return is_name(host).then(|| id.to_owned());
    }
    let (scheme, rest) = id.split_once("://")?;
    let port = match scheme {
        "https" => ":443",
        "http" => ":80",
        _ => return None,
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let authority = authority.strip_suffix(port).unwrap_or(authority);
    // RFC 3986 without what is encoded: that would be a second way to write the same.
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&b);
    let is_plain = path.bytes().all(plain) && !path.contains("..") && !path.contains("//");
    (is_name(authority) && is_plain).then(|| format!("{scheme}://{authority}/{path}"))
}

/// Whether it is a host's name: letters of alphabets, and nothing that looks like another
/// letter or like none.
fn is_name(host: &str) -> bool {
    let plain = |c: char| match c.is_ascii() {
        true => c.is_ascii_alphanumeric() || "-.:_".contains(c),
        false => c.is_alphanumeric() && c < '\u{2000}',
    };
    !host.is_empty() && host.chars().all(plain)
}

/// The host of a site, in any of its forms.
pub(super) fn host_of(site: &str) -> &str {
    let rest = site.strip_prefix("sc-domain:").unwrap_or(site);
    let rest = rest.split_once("://").map_or(rest, |(_, rest)| rest);
    rest.split(['/', ':']).next().unwrap_or(rest)
}
