//! Short words for what stands in records as names; a name that is not known is told as such.

/// Whose figures an answer has.
pub(super) fn source(name: &str) -> &'static str {
    match name {
        "coolbits" => "Coolbits, with real figures",
        "mock" => "made-up figures",
        "legacy" => "the app",
        "sidecar" => "the sidecar itself",
        _ => "somebody that this version does not know",
    }
}

/// Whose a 5xx is.
pub(super) fn origin(name: &str) -> &'static str {
    match name {
        "legacy" => "the app's",
        "coolbits" => "Coolbits'",
        "sidecar" => "the sidecar's",
        _ => "somebody's that this version does not know",
    }
}

/// What the cache did.
pub(super) fn cache(name: &str) -> &'static str {
    match name {
        "hit" => "the answer was there already, and nobody was asked",
        "miss" => "nothing was kept, so it was fetched",
        "collapsed" => "it waited for somebody else's fetch of the same",
        "stale" => "the fetch failed, and an old answer stood in",
        "expired" => "what was kept was too old, so it was fetched again",
        "bypass" => "it was fetched for this caller alone",
        _ => "this version does not know that",
    }
}

/// Why the mock stood in.
pub(super) fn fallback(reason: &str) -> &'static str {
    match reason {
        "timeout" => "Coolbits did not answer in time",
        "unreachable" => "Coolbits could not be connected to",
        "http_5xx" => "Coolbits answered with a 5xx",
        "bad_payload" => "Coolbits' answer does not fit",
        "breaker_open" => "Coolbits had failed too often and was not asked",
        "unauthorized" => "Coolbits refused the caller's token",
        "http_4xx" => "Coolbits refused what it was asked",
        "not_connected" => "Coolbits has no such connection for this caller",
        "property_not_set" => "no property is chosen at Coolbits",
        "missing_refresh_token" => "Coolbits has no token to renew the caller's access with",
        "invalid_property" => "Coolbits does not know the property",
        "empty" => "Coolbits had no rows",
        "overloaded" => "no memory was left to hold the answer",
        _ => "this version does not know that reason",
    }
}
