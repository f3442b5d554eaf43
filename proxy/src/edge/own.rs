//! Requests of our own to the app: which clients a user has, and whose a token is.
//!
//! They are decided on like any other, so that nothing goes upstream without a permit.

use super::Sidecar;
use super::context::Context;
use super::legacy::Fetched;
use super::upstream_request;
use bytes::Bytes;
use camarad_policies::authorise::{Tenancy, authorise};
use camarad_policies::identity::Identity;
use camarad_policies::normalise::{RawRequest, normalise};
use pingora::http::RequestHeader;

impl Sidecar {
    /// Asks the app as this identity, or as nobody; `None` where there is no answer.
    pub(super) async fn ask_app(
        &self,
        method: &str,
        path: &[u8],
        identity: Option<Identity>,
        body: Bytes,
        context: &Context,
    ) -> Option<Fetched> {
        let host = self.config.legacy.authority.as_bytes();
        let asked = normalise(&RawRequest {
            method,
            path,
            query: b"",
            headers: &[("Host", host)],
        });
        let asked = asked.ok()?;
        let found = self.matrix.find(&asked.method, &asked.path);
        let permit = authorise(asked, Ok(identity), found, &Tenancy::default()).ok()?;
        let mut head = RequestHeader::build(method, path, None).ok()?;
        head.insert_header("host", host).ok()?;
        if !body.is_empty() {
            head.insert_header("content-type", "application/json")
                .ok()?;
        }
        let head = upstream_request::whole(&head, &permit, context, &body).ok()?;
        self.fetch_legacy(head, body).await.ok()
    }
}
