//! Asking the app which clients a user has, as that user.

use super::Sidecar;
use super::context::Context;
use super::own::Question;
use camarad_policies::identity::Identity;
use camarad_policies::ids::{ClientId, ClientIds};
use camarad_policies::refusal::Refusal;
use serde_json::Value;

const PATH: &str = "/api/clients";

impl Sidecar {
    /// The app's own list of this user's clients, at most `tenancy.directory_ttl` old.
    ///
    /// Errors with [`Refusal::DirectoryUnavailable`]: what cannot be looked up is not allowed.
    pub(super) async fn clients_of(
        &self,
        identity: &Identity,
        context: &Context,
    ) -> Result<ClientIds, Refusal> {
        let ask = || self.ask_for_clients(identity, context);
        self.tenants.clients(identity.user(), ask).await
    }

    /// The same as it stands now.
    pub(super) async fn ask_for_clients(
        &self,
        identity: &Identity,
        context: &Context,
    ) -> Result<ClientIds, Refusal> {
        let listed = self.look_up(
            Question::get(PATH, None),
            identity,
            context,
            "directory_unavailable",
            |status, body| (status == 200).then(|| ids(body)).flatten(),
        );
        let listed = listed.await.ok_or(Refusal::DirectoryUnavailable)?;
        Ok(listed.into())
    }
}

/// A list of objects with an `id`, or an object that holds it as `clients`; anything else is no list.
fn ids(body: &[u8]) -> Option<Vec<ClientId>> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let rows = value
        .as_array()
        .or_else(|| value.get("clients")?.as_array())?;
    rows.iter()
        .map(|row| ClientId::parse(&row.get("id")?.as_u64()?.to_string()).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_list_of_clients() {
        let read = |body: &str| {
            ids(body.as_bytes()).map(|ids| ids.iter().map(|id| id.get()).collect::<Vec<_>>())
        };
        assert_eq!(read("[]"), Some(vec![]));
        assert_eq!(read(r#"[{"id":1,"name":"a"},{"id":2}]"#), Some(vec![1, 2]));
        assert_eq!(read(r#"{"clients":[{"id":3}]}"#), Some(vec![3]));
        for body in [
            "",
            "<html>",
            "{}",
            r#"[{"id":"1"}]"#,
            r#"[{"name":"a"}]"#,
            r#"[{"id":0}]"#,
            "[1]",
        ] {
            assert_eq!(read(body), None, "{body}");
        }
    }
}
